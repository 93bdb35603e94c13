"""Marching through an occupancy grid in numba: empty cells are crossed without looking inside."""

from __future__ import annotations

from typing import Any

from .jit import kernel


@kernel
def march(
    rays_o: Any,
    rays_d: Any,
    near: Any,
    far: Any,
    jitter: Any,
    occupied: Any,
    least: Any,
    longest: Any,
    cone: Any,
    most: int,
    low: int,
    high: int,
    bounds: Any,
    starts: Any,
    lengths: Any,
    write: bool,
) -> None:
    """Count rays' samples into ``bounds[ray + 1]``, or ``write`` them from ``bounds[ray]`` on.

    Steps lie on a lattice that does not depend on what is occupied: leaving an empty cell, the march goes
    on with the first step of the lattice whose middle is beyond the cell.
    """
    real = rays_o.dtype.type
    half, one, zero = real(0.5), real(1.0), real(0.0)
    cascades = occupied.shape[0]
    resolution = occupied.shape[1]
    for ray in range(low, high):
        ox, oy, oz = rays_o[ray, 0] - half, rays_o[ray, 1] - half, rays_o[ray, 2] - half
        dx, dy, dz = rays_d[ray, 0], rays_d[ray, 1], rays_d[ray, 2]
        inverse_length = one / ((dx * dx + dy * dy + dz * dz) ** half)
        shortest, furthest = least * inverse_length, longest * inverse_length
        t, end = near[ray], far[ray]
        t = t + jitter[ray] * min(max(t * cone, shortest), furthest)
        count = 0
        place = bounds[ray]
        while t < end and count < most:
            dt = min(max(t * cone, shortest), furthest)
            middle = t + half * dt
            if middle >= end:
                break
            x, y, z = ox + middle * dx, oy + middle * dy, oz + middle * dz
            largest = max(abs(x), max(abs(y), abs(z)))
            level = 0
            size = one
            while level < cascades and largest >= half * size:
                level += 1
                size = size + size
            if level == cascades:
                t = t + dt
                continue
            cell = size / real(resolution)
            i = min(max(int((x / size + half) * real(resolution)), 0), resolution - 1)
            j = min(max(int((y / size + half) * real(resolution)), 0), resolution - 1)
            k = min(max(int((z / size + half) * real(resolution)), 0), resolution - 1)
            if occupied[level, i, j, k]:
                if write:
                    starts[place + count] = t
                    lengths[place + count] = dt
                count += 1
                t = t + dt
                continue
            # the way out of the cell, along each axis
            exit_t = end
            if dx != zero:
                side = real(i + (1 if dx > zero else 0)) * cell - half * size
                exit_t = min(exit_t, (side - ox) / dx)
            if dy != zero:
                side = real(j + (1 if dy > zero else 0)) * cell - half * size
                exit_t = min(exit_t, (side - oy) / dy)
            if dz != zero:
                side = real(k + (1 if dz > zero else 0)) * cell - half * size
                exit_t = min(exit_t, (side - oz) / dz)
            t = t + dt
            # a step that ends within rounding of the side is looked at, not skipped
            exit_t = exit_t - real(1e-3) * dt
            while t < exit_t:
                dt = min(max(t * cone, shortest), furthest)
                if t + half * dt >= exit_t:
                    break
                t = t + dt
        if not write:
            bounds[ray + 1] = count
