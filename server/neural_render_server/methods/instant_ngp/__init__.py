"""Mueller et al. 2022, "Instant Neural Graphics Primitives with a Multiresolution Hash Encoding"."""

from .method import InstantNgpMethod

__all__ = ["InstantNgpMethod"]
