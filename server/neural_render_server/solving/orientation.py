"""Photos taken with the camera turned: the file says so (EXIF), its pixels lie as the sensor has them.

The solver and the capture keep the pixels as they lie, so that all photos of a camera share one lens; only
where up is has to be told from the photo as it is shown.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..cameras import Camera

_ORIENTATION = 274  # EXIF's tag

# EXIF's orientation -> counter-clockwise quarter turns from the photo as it is shown to its pixels.
# Mirrored photos (2, 4, 5, 7) are no camera's.
_TURNS = {3: 2, 6: 1, 8: 3}


def quarter_turns(photo: Path) -> int:
    """Counter-clockwise quarter turns by which the file's pixels are turned from how the photo is shown."""
    try:
        with Image.open(photo) as image:
            return _TURNS.get(image.getexif().get(_ORIENTATION, 1), 0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0  # of the kinds that Pillow does not know, none has EXIF


def upright(camera: Camera, turns: int) -> Camera:
    """The camera of the photo as it is shown, of whose pixels ``turns`` is true."""
    for _ in range(turns):
        quarter = np.array(
            [[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
        )
        camera = replace(
            camera,
            width=camera.height,
            height=camera.width,
            fl_x=camera.fl_y,
            fl_y=camera.fl_x,
            cx=camera.height - camera.cy,
            cy=camera.cx,
            camera_to_world=camera.camera_to_world @ quarter,
        )
    return camera
