"""NeRF (Mildenhall et al. 2020), and NeRF-T, which is also given the time (Li et al. 2022)."""

from .config import NerfConfig, NerfTimeConfig
from .method import NerfMethod
from .time import NerfTimeMethod

__all__ = ["NerfConfig", "NerfMethod", "NerfTimeConfig", "NerfTimeMethod"]
