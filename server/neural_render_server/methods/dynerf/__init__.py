"""DyNeRF: Neural 3D video synthesis from multi-view video (Li et al., CVPR 2022)."""

from .config import DynerfConfig
from .method import DynerfMethod

__all__ = ["DynerfConfig", "DynerfMethod"]
