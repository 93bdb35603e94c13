"""The one place where classes, properties and menu entries are registered and taken away again."""

from __future__ import annotations

import bpy

from . import (
    camera_background,
    menus,
    panels,
    panels_capture,
    panels_composite,
    panels_edit,
    panels_layers,
    panels_light,
    panels_server,
    panels_time,
    preferences,
    properties,
)
from .engine import engine
from .engine import panels as engine_panels
from .operators import (
    align,
    background,
    capture,
    cg_depth,
    clip_capture,
    composite,
    edit,
    field_time,
    installation,
    probe,
    proxy,
    render,
    render_capture,
    rig,
    server,
    solve,
    task_operator,
    train,
)

_MODULES = (
    properties,
    preferences,
    server,
    installation,
    capture,
    rig,
    render_capture,
    clip_capture,
    train,
    solve,
    align,
    render,
    proxy,
    probe,
    background,
    cg_depth,
    field_time,
    edit,
    composite,
    panels,
    panels_server,
    panels_capture,
    panels_time,
    panels_edit,
    panels_layers,
    panels_light,
    panels_composite,
    engine,
    engine_panels,
)


def register() -> None:
    for module in _MODULES:
        for cls in module.CLASSES:
            bpy.utils.register_class(cls)
    properties.register()
    menus.register()
    engine.register()
    camera_background.register()


def unregister() -> None:
    task_operator.stop_all(bpy.context)
    camera_background.unregister()
    engine.unregister()
    menus.unregister()
    properties.unregister()
    for module in reversed(_MODULES):
        for cls in reversed(module.CLASSES):
            bpy.utils.unregister_class(cls)
