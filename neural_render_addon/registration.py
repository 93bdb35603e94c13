"""The one place where classes, properties and menu entries are registered and taken away again."""

from __future__ import annotations

import bpy

from .engine import engine
from .engine import panels as engine_panels
from .light import camera_background
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
    queue,
    readout,
    render,
    render_capture,
    rig,
    server,
    solve,
    task_operator,
    train,
)
from .panels import capture as panels_capture
from .panels import composite as panels_composite
from .panels import edit as panels_edit
from .panels import layers as panels_layers
from .panels import light as panels_light
from .panels import menus
from .panels import queue as panels_queue
from .panels import server as panels_server
from .panels import time as panels_time
from .panels import work as panels
from .settings import preferences, properties

_MODULES = (
    properties,
    preferences,
    server,
    installation,
    queue,
    capture,
    rig,
    render_capture,
    clip_capture,
    train,
    solve,
    align,
    readout,
    render,
    proxy,
    probe,
    background,
    cg_depth,
    field_time,
    edit,
    composite,
    panels,
    panels_queue,
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
