"""Dynamic Gaussians: 3D Gaussians that live and move in time, the default method."""

from .config import GaussiansConfig
from .method import GaussiansMethod

__all__ = ["GaussiansConfig", "GaussiansMethod"]
