"""Zip-NeRF: anti-aliased grid-based neural radiance fields (Barron et al., ICCV 2023)."""

from .config import ZipNerfConfig
from .method import ZipNerfMethod

__all__ = ["ZipNerfConfig", "ZipNerfMethod"]
