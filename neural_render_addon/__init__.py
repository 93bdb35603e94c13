"""The part of Neural Render that runs inside Blender.

Importing this package does not import ``bpy``, so that ``client`` works in a plain Python shell.
"""


def register() -> None:
    from . import registration

    registration.register()


def unregister() -> None:
    from . import registration

    registration.unregister()
