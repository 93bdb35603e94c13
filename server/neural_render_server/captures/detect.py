"""Opening a capture of any known format; formats are told apart by the files they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import CameraFileError, CaptureError
from .amendments import amended
from .blender_synthetic import is_blender_synthetic, read_blender_synthetic
from .capture import Capture, SplitOptions, apply_split
from .checks import check_cameras
from .colmap import is_colmap, read_colmap
from .easymocap import is_easymocap, read_easymocap
from .n3dv import is_n3dv, read_n3dv
from .overlap import check_overlap
from .picture import is_picture, read_picture
from .transforms import is_transforms, read_transforms


@dataclass(frozen=True)
class Format:
    """``matches(path)`` looks at names only; ``read(path)`` reads what matched."""

    matches: Callable[[Path], bool]
    read: Callable[[Path], Capture]
    looked_for: str


FORMATS = (
    Format(is_n3dv, read_n3dv, "poses_bounds.npy (N3DV, LLFF)"),
    Format(is_easymocap, read_easymocap, "intri.yml and extri.yml (EasyMocap)"),
    Format(is_blender_synthetic, read_blender_synthetic, "transforms_train.json (Blender-synthetic)"),
    Format(is_transforms, read_transforms, "transforms.json (instant-ngp, nerfstudio)"),
    Format(is_colmap, read_colmap, "sparse/0/cameras.bin or .txt (COLMAP)"),
    Format(is_picture, read_picture, "an image file (a single picture)"),
)


def open_capture(path: str | Path, split: SplitOptions = SplitOptions()) -> Capture:  # noqa: B008
    """Open the capture at ``path`` (its folder, or its ``transforms.json``) and apply ``split``.

    What ``capture.json`` beside it says is applied too. Nothing but headers is read; frames are decoded by
    ``frames.Frames``.

    Raises:
        CaptureError: no capture is there, it cannot be read, ``split`` does not fit it, or no two
            training cameras see a common point.
    """
    path = Path(path)
    try:
        capture = amended(read_capture(path))
    except CameraFileError as error:
        raise CaptureError(str(error)) from error
    check_cameras(path, capture.cameras)
    capture = apply_split(capture, split)
    check_overlap(capture)
    return capture


def read_capture(path: Path) -> Capture:
    """The capture at ``path`` as its files say, without ``capture.json`` and unchecked.

    Raises:
        CaptureError: no capture is there, or it cannot be read.
    """
    if not path.exists():
        raise CaptureError(f"{path}: there is no such file or folder; check the path")
    for kind in FORMATS:
        if kind.matches(path):
            break
    else:
        looked_for = "; ".join(kind.looked_for for kind in FORMATS)
        raise CaptureError(
            f"{path}: no capture found; looked for {looked_for}. "
            "Give the folder that holds one of these, or make one with neural-render capture solve"
        )
    try:
        return kind.read(path)
    except CameraFileError as error:
        raise CaptureError(str(error)) from error
    except OSError as error:
        raise CaptureError(f"{error.filename or path}: cannot be read ({error.strerror})") from error
