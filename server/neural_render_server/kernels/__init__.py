"""Differentiable rasterising of dynamic Gaussians: a torch reference and the numba path for the CPU.

``reference.py`` is plain torch on any device; ``cpu.py`` is the fast path, equal to it. Both are backends
of the same shape (``backend.py``), chosen by device.
"""
