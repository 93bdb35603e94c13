"""The render settings that compositing needs, and the artist's own, kept to be restored.

They are written down in a custom property of the scene, so that another session can restore them too.
"""

from __future__ import annotations

import bpy

from .. import versions

BEFORE_KEY = "neural_render_before"


def apply_settings(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> None:
    """Set what the merge needs; what was set before the first call is remembered."""
    _remember(scene, view_layer)
    scene.render.film_transparent = True
    scene.render.use_compositing = True
    view_layer.use_pass_z = True
    # Cycles gives surfaces fainter than this no depth; CG glass must have one to be in front of the field.
    view_layer.pass_alpha_threshold = 0.0
    # With this pass Cycles leaves the shadows out of the combined image, so that they are not applied twice.
    _set_shadow_catcher(view_layer, True)
    if bpy.app.background:
        # Where there is no GPU, 5.x's default leaves the compositor without a result and gives no error.
        scene.render.compositor_device = "CPU"


def note_created_tree(scene: bpy.types.Scene) -> None:
    """Remember that the scene had no compositor tree."""
    scene[BEFORE_KEY]["created_tree"] = True


def created_tree(scene: bpy.types.Scene) -> bool:
    return BEFORE_KEY in scene and bool(scene[BEFORE_KEY]["created_tree"])


def restore_settings(scene: bpy.types.Scene) -> None:
    """Set everything as it was before the first ``apply_settings``, and forget it."""
    if BEFORE_KEY not in scene:
        return
    before = scene[BEFORE_KEY]
    if not versions.IS_5 and versions.compositor_tree(scene) is not None:
        scene.use_nodes = bool(before["use_nodes"])
    scene.render.film_transparent = bool(before["film_transparent"])
    scene.render.use_compositing = bool(before["use_compositing"])
    scene.render.compositor_device = before["compositor_device"]
    for name, values in before["view_layers"].items():
        layer = scene.view_layers.get(name)
        if layer is not None:
            layer.use_pass_z = bool(values["use_pass_z"])
            layer.pass_alpha_threshold = values["pass_alpha_threshold"]
            _set_shadow_catcher(layer, bool(values["use_pass_shadow_catcher"]))
    del scene[BEFORE_KEY]


def _remember(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> None:
    if BEFORE_KEY not in scene:
        scene[BEFORE_KEY] = {
            "film_transparent": scene.render.film_transparent,
            "use_compositing": scene.render.use_compositing,
            "compositor_device": scene.render.compositor_device,
            "use_nodes": versions.IS_5 or scene.use_nodes,
            "created_tree": False,
            "view_layers": {},
        }
    layers = scene[BEFORE_KEY]["view_layers"]
    if view_layer.name not in layers:
        layers[view_layer.name] = {
            "use_pass_z": view_layer.use_pass_z,
            "pass_alpha_threshold": view_layer.pass_alpha_threshold,
            "use_pass_shadow_catcher": _get_shadow_catcher(view_layer),
        }


def _get_shadow_catcher(view_layer: bpy.types.ViewLayer) -> bool:
    cycles = getattr(view_layer, "cycles", None)  # absent while the Cycles add-on is off
    return bool(cycles and cycles.use_pass_shadow_catcher)


def _set_shadow_catcher(view_layer: bpy.types.ViewLayer, on: bool) -> None:
    cycles = getattr(view_layer, "cycles", None)
    if cycles is not None:
        cycles.use_pass_shadow_catcher = on
