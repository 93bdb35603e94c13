"""hash4d: our own fast volumetric field of a moving scene, on Instant-NGP's machinery."""

from .method import Hash4dMethod

__all__ = ["Hash4dMethod"]
