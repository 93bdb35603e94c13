"""Dynamic Gaussians to screen-space splats and back: numba, one Gaussian at a time.

Elliptical weighted average splatting (Zwicker et al. 2001) as in 3D Gaussian Splatting (Kerbl et al.
2023, section 4); motion and temporal opacity as in FreeTimeGS (Wang et al. 2025) with linear velocity:
``x = mu + v (t - tau)``, ``o = sigmoid(l) exp(-(t - tau)^2 / (2 s^2))``. ``reference.py`` says the same
in torch. Scalars are float64, arrays float32.

Under a rolling shutter a Gaussian is seen at the time of the row that it lands on: where it lies at the
picture's time tells the row, and it is drawn as it is at that row's time. This is one step of a fixed-point
iteration; the part of the delay that it misses is the part of the picture's height that the Gaussian crosses
during one readout. The gradient through the row is left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import inlined, kernel
from .layout import GUARD, SH_C1, TILE

# Columns of a splat: mean x, y; the conic for powers of two A, B, C and the log2 of the opacity L, so that
# alpha = 2^(A dx^2 + B dx dy + C dy^2 + L); rgb; half height, half width of the visible ellipse; depth; how
# many timesteps after the picture's time it is seen.
SPLAT_WIDTH = 16  # a cache line; the last three columns are unused
LOG2_E = 1.4426950408889634


@inlined
def rotation_of(w: float, x: float, y: float, z: float, out: Any) -> None:
    out[0, 0] = 1 - 2 * (y * y + z * z)
    out[0, 1] = 2 * (x * y - w * z)
    out[0, 2] = 2 * (x * z + w * y)
    out[1, 0] = 2 * (x * y + w * z)
    out[1, 1] = 1 - 2 * (x * x + z * z)
    out[1, 2] = 2 * (y * z - w * x)
    out[2, 0] = 2 * (x * z - w * y)
    out[2, 1] = 2 * (y * z + w * x)
    out[2, 2] = 1 - 2 * (x * x + y * y)


@inlined
def _reaches_any(tiles: Any, x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    """Whether one of the pixels x0 <= x < x1, y0 <= y < y1 is in a True tile."""
    for row in range(y0 // TILE, (y1 + TILE - 1) // TILE):
        for column in range(x0 // TILE, (x1 + TILE - 1) // TILE):
            if tiles[row, column]:
                return True
    return False


@inlined
def row_delay(parameters: Any, i: int, packed: Any) -> Any:
    """Timesteps after the picture's time at which a rolling shutter sees row ``i`` of ``parameters``."""
    elapsed = packed[19] - parameters[i, 6]
    x = parameters[i, 0] + elapsed * parameters[i, 3]
    y = parameters[i, 1] + elapsed * parameters[i, 4]
    z = parameters[i, 2] + elapsed * parameters[i, 5]
    pz = packed[6] * x + packed[7] * y + packed[8] * z + packed[11]
    if not pz > packed[21]:
        return 0.0
    width, height = packed[22], packed[23]
    mean_x = packed[12] * (packed[0] * x + packed[1] * y + packed[2] * z + packed[9]) / pz + packed[14]
    mean_y = packed[13] * (packed[3] * x + packed[4] * y + packed[5] * z + packed[10]) / pz + packed[15]
    inside_x, inside_y = min(max(mean_x, 0.0), width), min(max(mean_y, 0.0), height)
    return packed[25] * (inside_x - 0.5 * width) + packed[26] * (inside_y - 0.5 * height)


@kernel
def project(
    parameters: Any,
    packed: Any,
    tiles: Any,
    alpha_minimum: float,
    low: int,
    high: int,
    splats: Any,
    rect: Any,
) -> None:
    """Project rows ``low <= i < high`` of ``parameters`` (N, 28).

    Writes ``splats`` (N, 16) and ``rect`` (N, 4) int32, the pixel bounds x0, x1, y0, y1 (exclusive) of
    the visible ellipse, empty (x1 = x0) where the Gaussian is not drawn: fainter than ``alpha_minimum``,
    outside the True ``tiles`` (rows, columns), before the near plane, or reaching behind the camera within
    one deviation.
    """
    fl_x, fl_y, cx, cy = packed[12], packed[13], packed[14], packed[15]
    time, dilation, near, width, height = packed[19], packed[20], packed[21], packed[22], packed[23]
    perspective = packed[24]
    rolls = packed[25] != 0.0 or packed[26] != 0.0
    low_x, high_x = (-GUARD * width - cx) / fl_x, ((1 + GUARD) * width - cx) / fl_x
    low_y, high_y = (-GUARD * height - cy) / fl_y, ((1 + GUARD) * height - cy) / fl_y
    rotation = np.empty((3, 3))
    for i in range(low, high):
        rect[i, 0] = rect[i, 1] = rect[i, 2] = rect[i, 3] = 0
        delay = row_delay(parameters, i, packed) if rolls else 0.0
        elapsed = time + delay - parameters[i, 6]
        scaled = elapsed * math.exp(-parameters[i, 7])
        opacity = math.exp(-0.5 * scaled * scaled) / (1.0 + math.exp(-parameters[i, 8]))
        # the tests are written so that NaN is not drawn
        if not opacity > alpha_minimum:
            continue
        x = parameters[i, 0] + elapsed * parameters[i, 3]
        y = parameters[i, 1] + elapsed * parameters[i, 4]
        z = parameters[i, 2] + elapsed * parameters[i, 5]
        px = packed[0] * x + packed[1] * y + packed[2] * z + packed[9]
        py = packed[3] * x + packed[4] * y + packed[5] * z + packed[10]
        pz = packed[6] * x + packed[7] * y + packed[8] * z + packed[11]
        if rolls:
            qx, qy, qz = px, py, pz
            px += delay * (packed[28] * qz - packed[29] * qy + packed[30])
            py += delay * (packed[29] * qx - packed[27] * qz + packed[31])
            pz += delay * (packed[27] * qy - packed[28] * qx + packed[32])
        if not pz > near:
            continue
        inverse_z = perspective / pz + (1.0 - perspective)
        slope_x = px * inverse_z
        slope_y = py * inverse_z
        mean_x = fl_x * slope_x + cx
        mean_y = fl_y * slope_y + cy
        clamped_x = perspective * min(max(slope_x, low_x), high_x)
        clamped_y = perspective * min(max(slope_y, low_y), high_y)
        j0 = fl_x * inverse_z
        j1 = fl_y * inverse_z
        q0, q1, q2, q3 = parameters[i, 12], parameters[i, 13], parameters[i, 14], parameters[i, 15]
        inverse_norm = 1.0 / math.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3)
        rotation_of(q0 * inverse_norm, q1 * inverse_norm, q2 * inverse_norm, q3 * inverse_norm, rotation)
        a = c = dilation
        b = 0.0
        variance_z = 0.0
        for j in range(3):
            scale = math.exp(parameters[i, 9 + j])
            m0, m1, m2 = rotation[0, j] * scale, rotation[1, j] * scale, rotation[2, j] * scale
            wz = packed[6] * m0 + packed[7] * m1 + packed[8] * m2
            n0 = j0 * (packed[0] * m0 + packed[1] * m1 + packed[2] * m2 - clamped_x * wz)
            n1 = j1 * (packed[3] * m0 + packed[4] * m1 + packed[5] * m2 - clamped_y * wz)
            a += n0 * n0
            b += n0 * n1
            c += n1 * n1
            variance_z += wz * wz
        if not variance_z < pz * pz:
            continue
        # power at which alpha falls to the cut-off bounds the ellipse
        reach = 2.0 * math.log(opacity / alpha_minimum) if alpha_minimum > 0 else 1e12
        half_x = math.sqrt(reach * a)
        half_y = math.sqrt(reach * c)
        if not (mean_x + half_x > 0 and mean_x - half_x < width):
            continue
        if not (mean_y + half_y > 0 and mean_y - half_y < height):
            continue
        x0 = np.int32(max(0.0, math.floor(mean_x - half_x)))
        x1 = np.int32(min(width, math.floor(mean_x + half_x) + 1))
        y0 = np.int32(max(0.0, math.floor(mean_y - half_y)))
        y1 = np.int32(min(height, math.floor(mean_y + half_y) + 1))
        if not _reaches_any(tiles, x0, x1, y0, y1):
            continue
        determinant = a * c - b * b
        inverse_determinant = 1.0 / determinant
        to_camera_x, to_camera_y, to_camera_z = x - packed[16], y - packed[17], z - packed[18]
        inverse_length = 1.0 / math.sqrt(to_camera_x**2 + to_camera_y**2 + to_camera_z**2)
        h0, h1, h2 = (
            -SH_C1 * to_camera_y * inverse_length,
            SH_C1 * to_camera_z * inverse_length,
            -SH_C1 * to_camera_x * inverse_length,
        )
        splats[i, 0] = mean_x
        splats[i, 1] = mean_y
        splats[i, 2] = -0.5 * LOG2_E * c * inverse_determinant
        splats[i, 3] = LOG2_E * b * inverse_determinant
        splats[i, 4] = -0.5 * LOG2_E * a * inverse_determinant
        splats[i, 5] = math.log2(opacity)
        for channel in range(3):
            value = parameters[i, 16 + channel] + (
                h0 * parameters[i, 19 + channel]
                + h1 * parameters[i, 22 + channel]
                + h2 * parameters[i, 25 + channel]
            )
            splats[i, 6 + channel] = 0.0 if value < 0 else value
        splats[i, 9] = half_y
        splats[i, 10] = half_x
        splats[i, 11] = pz
        splats[i, 12] = delay
        rect[i, 0] = x0
        rect[i, 1] = x1
        rect[i, 2] = y0
        rect[i, 3] = y1


@kernel
def project_backward(
    parameters: Any,
    packed: Any,
    splats: Any,
    rows: Any,
    entries: Any,
    entry_gradients: Any,
    opacity_weight: float,
    scale_weight: float,
    low: int,
    high: int,
    gradients: Any,
    errors: Any,
) -> None:
    """Gradients of visible Gaussians ``low <= k < high`` from their entries' gradients.

    ``rows`` (V,) are row numbers; the entries of row i are ``entries[i, 0]`` up to ``entries[i, 1]`` in
    ``entry_gradients`` (E, 10): sums over pixels of dL/dpower times
    (1, dx, dy, dx^2, dx dy, dy^2), of dL/drgb, and the weighted error. Adds the gradients of
    ``opacity_weight`` times the opacity and ``scale_weight`` times each scale. Writes ``gradients`` (V, 28)
    and ``errors`` (V,).
    """
    fl_x, fl_y, cx, cy = packed[12], packed[13], packed[14], packed[15]
    time, width, height = packed[19], packed[22], packed[23]
    rolls = packed[25] != 0.0 or packed[26] != 0.0
    low_x, high_x = (-GUARD * width - cx) / fl_x, ((1 + GUARD) * width - cx) / fl_x
    low_y, high_y = (-GUARD * height - cy) / fl_y, ((1 + GUARD) * height - cy) / fl_y
    r = np.empty((3, 3))
    m = np.empty((3, 3))
    n = np.empty((2, 3))
    dn = np.empty((2, 3))
    total = np.empty(10)
    t_matrix = np.empty((2, 3))
    dt_matrix = np.empty((2, 3))
    dr = np.empty((3, 3))
    for k in range(low, high):
        i = rows[k]
        total[:] = 0.0
        for entry in range(entries[i, 0], entries[i, 1]):
            for column in range(10):
                total[column] += entry_gradients[entry, column]
        errors[k] = total[9]
        delay = splats[i, 12] if rolls else 0.0
        elapsed = time + delay - parameters[i, 6]
        x = parameters[i, 0] + elapsed * parameters[i, 3]
        y = parameters[i, 1] + elapsed * parameters[i, 4]
        z = parameters[i, 2] + elapsed * parameters[i, 5]
        px = packed[0] * x + packed[1] * y + packed[2] * z + packed[9]
        py = packed[3] * x + packed[4] * y + packed[5] * z + packed[10]
        pz = packed[6] * x + packed[7] * y + packed[8] * z + packed[11]
        if rolls:
            qx, qy, qz = px, py, pz
            px += delay * (packed[28] * qz - packed[29] * qy + packed[30])
            py += delay * (packed[29] * qx - packed[27] * qz + packed[31])
            pz += delay * (packed[27] * qy - packed[28] * qx + packed[32])
        inverse_z = 1.0 / pz
        slope_x = px * inverse_z
        slope_y = py * inverse_z
        clamped_x = min(max(slope_x, low_x), high_x)
        clamped_y = min(max(slope_y, low_y), high_y)
        j0 = fl_x * inverse_z
        j1 = fl_y * inverse_z

        # screen space: conic (natural exponent), mean, log opacity
        ka = -2.0 / LOG2_E * splats[i, 2]
        kb = -1.0 / LOG2_E * splats[i, 3]
        kc = -2.0 / LOG2_E * splats[i, 4]
        d_mean_x = ka * total[1] + kb * total[2]
        d_mean_y = kb * total[1] + kc * total[2]
        d_log_opacity = total[0]
        # dCov = -K dK K with dK = [[-Sxx/2, -Sxy/2], [-Sxy/2, -Syy/2]]
        sxx, sxy, syy = 0.5 * total[3], 0.5 * total[4], 0.5 * total[5]
        u00 = ka * sxx + kb * sxy
        u01 = ka * sxy + kb * syy
        u10 = kb * sxx + kc * sxy
        u11 = kb * sxy + kc * syy
        g00 = u00 * ka + u01 * kb
        g01 = u00 * kb + u01 * kc
        g11 = u10 * kb + u11 * kc

        q0, q1, q2, q3 = parameters[i, 12], parameters[i, 13], parameters[i, 14], parameters[i, 15]
        inverse_norm = 1.0 / math.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3)
        q0, q1, q2, q3 = q0 * inverse_norm, q1 * inverse_norm, q2 * inverse_norm, q3 * inverse_norm
        rotation_of(q0, q1, q2, q3, r)
        for j in range(3):
            t_matrix[0, j] = j0 * (packed[j] - clamped_x * packed[6 + j])
            t_matrix[1, j] = j1 * (packed[3 + j] - clamped_y * packed[6 + j])
            dt_matrix[0, j] = 0.0
            dt_matrix[1, j] = 0.0
        for j in range(3):
            scale = math.exp(parameters[i, 9 + j])
            for row in range(3):
                m[row, j] = r[row, j] * scale
            n[0, j] = t_matrix[0, 0] * m[0, j] + t_matrix[0, 1] * m[1, j] + t_matrix[0, 2] * m[2, j]
            n[1, j] = t_matrix[1, 0] * m[0, j] + t_matrix[1, 1] * m[1, j] + t_matrix[1, 2] * m[2, j]
            dn[0, j] = 2.0 * (g00 * n[0, j] + g01 * n[1, j])
            dn[1, j] = 2.0 * (g01 * n[0, j] + g11 * n[1, j])
            d_scale = 0.0
            for row in range(3):
                dt_matrix[0, row] += dn[0, j] * m[row, j]
                dt_matrix[1, row] += dn[1, j] * m[row, j]
                dm = t_matrix[0, row] * dn[0, j] + t_matrix[1, row] * dn[1, j]
                d_scale += dm * m[row, j]
                dr[row, j] = dm * scale
            gradients[k, 9 + j] = d_scale + scale_weight * scale

        # quaternion, through the normalisation
        d0 = 2 * (q1 * (dr[2, 1] - dr[1, 2]) + q2 * (dr[0, 2] - dr[2, 0]) + q3 * (dr[1, 0] - dr[0, 1]))
        d1 = 2 * (
            q2 * (dr[1, 0] + dr[0, 1])
            + q3 * (dr[2, 0] + dr[0, 2])
            + q0 * (dr[2, 1] - dr[1, 2])
            - 2 * q1 * (dr[1, 1] + dr[2, 2])
        )
        d2 = 2 * (
            q1 * (dr[1, 0] + dr[0, 1])
            + q3 * (dr[2, 1] + dr[1, 2])
            + q0 * (dr[0, 2] - dr[2, 0])
            - 2 * q2 * (dr[0, 0] + dr[2, 2])
        )
        d3 = 2 * (
            q1 * (dr[2, 0] + dr[0, 2])
            + q2 * (dr[2, 1] + dr[1, 2])
            + q0 * (dr[1, 0] - dr[0, 1])
            - 2 * q3 * (dr[0, 0] + dr[1, 1])
        )
        along = d0 * q0 + d1 * q1 + d2 * q2 + d3 * q3
        gradients[k, 12] = (d0 - along * q0) * inverse_norm
        gradients[k, 13] = (d1 - along * q1) * inverse_norm
        gradients[k, 14] = (d2 - along * q2) * inverse_norm
        gradients[k, 15] = (d3 - along * q3) * inverse_norm

        # projection: T = J W with J = [[j0, 0, -j0 clamped_x], [0, j1, -j1 clamped_y]]
        d_j00 = dt_matrix[0, 0] * packed[0] + dt_matrix[0, 1] * packed[1] + dt_matrix[0, 2] * packed[2]
        d_j02 = dt_matrix[0, 0] * packed[6] + dt_matrix[0, 1] * packed[7] + dt_matrix[0, 2] * packed[8]
        d_j11 = dt_matrix[1, 0] * packed[3] + dt_matrix[1, 1] * packed[4] + dt_matrix[1, 2] * packed[5]
        d_j12 = dt_matrix[1, 0] * packed[6] + dt_matrix[1, 1] * packed[7] + dt_matrix[1, 2] * packed[8]
        d_px = d_mean_x * j0
        d_py = d_mean_y * j1
        d_pz = -inverse_z * (d_mean_x * j0 * px + d_mean_y * j1 * py)
        d_pz -= inverse_z * (j0 * d_j00 + j1 * d_j11 - j0 * clamped_x * d_j02 - j1 * clamped_y * d_j12)
        if low_x < slope_x < high_x:
            d_px -= j0 * inverse_z * d_j02
            d_pz += j0 * inverse_z * slope_x * d_j02
        if low_y < slope_y < high_y:
            d_py -= j1 * inverse_z * d_j12
            d_pz += j1 * inverse_z * slope_y * d_j12
        if rolls:
            qx, qy, qz = d_px, d_py, d_pz
            d_px += delay * (packed[29] * qy - packed[28] * qz)
            d_py += delay * (packed[27] * qz - packed[29] * qx)
            d_pz += delay * (packed[28] * qx - packed[27] * qy)
        d_x = packed[0] * d_px + packed[3] * d_py + packed[6] * d_pz
        d_y = packed[1] * d_px + packed[4] * d_py + packed[7] * d_pz
        d_z = packed[2] * d_px + packed[5] * d_py + packed[8] * d_pz

        # colour: rgb and harmonics, and the viewing direction they depend on
        ux, uy, uz = x - packed[16], y - packed[17], z - packed[18]
        inverse_length = 1.0 / math.sqrt(ux * ux + uy * uy + uz * uz)
        ux, uy, uz = ux * inverse_length, uy * inverse_length, uz * inverse_length
        d_ux = d_uy = d_uz = 0.0
        for channel in range(3):
            d_color = total[6 + channel] if splats[i, 6 + channel] > 0 else 0.0
            gradients[k, 16 + channel] = d_color
            gradients[k, 19 + channel] = -SH_C1 * uy * d_color
            gradients[k, 22 + channel] = SH_C1 * uz * d_color
            gradients[k, 25 + channel] = -SH_C1 * ux * d_color
            d_uy -= SH_C1 * parameters[i, 19 + channel] * d_color
            d_uz += SH_C1 * parameters[i, 22 + channel] * d_color
            d_ux -= SH_C1 * parameters[i, 25 + channel] * d_color
        along = d_ux * ux + d_uy * uy + d_uz * uz
        d_x += (d_ux - along * ux) * inverse_length
        d_y += (d_uy - along * uy) * inverse_length
        d_z += (d_uz - along * uz) * inverse_length

        # time
        inverse_variance = math.exp(-2.0 * parameters[i, 7])
        gradients[k, 0] = d_x
        gradients[k, 1] = d_y
        gradients[k, 2] = d_z
        gradients[k, 3] = d_x * elapsed
        gradients[k, 4] = d_y * elapsed
        gradients[k, 5] = d_z * elapsed
        gradients[k, 6] = d_log_opacity * elapsed * inverse_variance - (
            d_x * parameters[i, 3] + d_y * parameters[i, 4] + d_z * parameters[i, 5]
        )
        gradients[k, 7] = d_log_opacity * elapsed * elapsed * inverse_variance
        # d log o / dl = 1 - o, do / dl = o (1 - o)
        not_opaque = 1.0 / (1.0 + math.exp(parameters[i, 8]))
        gradients[k, 8] = not_opaque * (d_log_opacity + opacity_weight * (1.0 - not_opaque))
