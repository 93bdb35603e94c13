"""Neural Render, the Blender extension; everything lives in ``neural_render_addon``."""


def register() -> None:
    from . import neural_render_addon

    neural_render_addon.register()


def unregister() -> None:
    from . import neural_render_addon

    neural_render_addon.unregister()
