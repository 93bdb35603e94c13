"""A trained scene of one bright point, for tests of lens and shutter; a script in the server's Python.

``python point_scene.py FOLDER`` writes the scene folder.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch

from neural_render_server.kernels import layout
from neural_render_server.methods.gaussians.model import Gaussians
from neural_render_server.scene import Scene, SceneInfo

WIDTH, HEIGHT, FOCAL = 96, 72, 120.0


def write(folder: Path) -> Path:
    """A small bright Gaussian that is at the origin at time 0 and moves at 1 unit a second along x."""
    rows = torch.zeros((1, layout.WIDTH))
    rows[0, layout.VELOCITY.start] = 1.0
    rows[0, layout.EXTENT], rows[0, layout.OPACITY] = 7.0, 6.0
    rows[0, layout.SCALE] = math.log(0.02)
    rows[0, layout.ROTATION.start] = 1.0
    rows[0, layout.COLOR] = 1.0
    model = Gaussians(rows, 1, torch.zeros(3), False, 0.0, 1.0, 4.0, FOCAL)
    scene = Scene(folder)
    scene.write_model(model.tensors(), 1)
    info = SceneInfo(
        method="gaussians",
        preset="default",
        config={},
        training={},
        capture_format="none",
        is_dynamic=True,
        times=[0.0, 10.0],
        fps=1.0,
        width=WIDTH,
        height=HEIGHT,
        has_alpha=True,
        bounds={"min": [-1.0] * 3, "max": [1.0] * 3},
        background=None,
        finished=True,
    )
    scene.write_info(info)
    return folder


if __name__ == "__main__":
    write(Path(sys.argv[1]))
