"""The engine as Blender knows it: ``Neural Render`` in the list of render engines."""

from __future__ import annotations

import bpy

from ..errors import AddonError
from ..field_edit import matte_names
from .final import matte_pass, render_final
from .viewport import Viewport, stop_all

IDNAME = "NEURAL_RENDER"

# name, channels, their names, kind, and the view layer's switch; see RenderEngine.register_pass.
PASSES = (
    ("Combined", 4, "RGBA", "COLOR", ""),
    ("Depth", 1, "Z", "VALUE", "use_pass_z"),
    ("Mist", 1, "Z", "VALUE", "use_pass_mist"),
    ("Normal", 3, "XYZ", "VECTOR", "use_pass_normal"),
    ("Vector", 4, "XYZW", "VECTOR", "use_pass_vector"),
)


class NeuralRenderEngine(bpy.types.RenderEngine):
    """Trained fields through the scene's camera, rendered by the server"""

    bl_idname = IDNAME
    bl_label = "Neural Render"
    bl_use_postprocess = True  # compositing and the sequencer
    bl_use_eevee_viewport = True  # material preview, which is not about fields

    def update_render_passes(
        self, scene: bpy.types.Scene | None = None, renderlayer: bpy.types.ViewLayer | None = None
    ) -> None:
        for name, channels, names, kind, switch in PASSES:
            if not switch or getattr(renderlayer, switch):
                self.register_pass(scene, renderlayer, name, channels, names, kind)
        if scene is not None and scene.neural_render.render.use_mattes:
            for name in matte_names(scene):
                self.register_pass(scene, renderlayer, matte_pass(name), 1, "X", "VALUE")

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        try:
            render_final(self, depsgraph)
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            self.error_set(str(error))

    def view_update(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        self._viewport().update(context, depsgraph)

    def view_draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        self._viewport().draw(context, depsgraph)

    def _viewport(self) -> Viewport:
        # Not in __init__: Blender makes engines for final frames, too.
        if not hasattr(self, "viewport"):
            self.viewport = Viewport(self)
        return self.viewport

    def __del__(self) -> None:
        viewport = getattr(self, "viewport", None)
        if viewport is not None:
            viewport.stop()


def compatible_panels() -> list[type[bpy.types.Panel]]:
    """Blender's panels that any engine may have, such as output, resolution and camera."""
    return [
        panel
        for panel in bpy.types.Panel.__subclasses__()
        if "BLENDER_RENDER" in getattr(panel, "COMPAT_ENGINES", ())
    ]


CLASSES = (NeuralRenderEngine,)


def register() -> None:
    for panel in compatible_panels():
        panel.COMPAT_ENGINES.add(IDNAME)


def unregister() -> None:
    stop_all()
    for panel in bpy.types.Panel.__subclasses__():
        if IDNAME in getattr(panel, "COMPAT_ENGINES", ()):
            panel.COMPAT_ENGINES.remove(IDNAME)
