"""Blender-synthetic captures: ``transforms_train.json`` beside ``transforms_test.json``.

Format: Mildenhall et al., NeRF, 2020 (nerf_synthetic); with ``time`` per frame, Pumarola et al.,
D-NeRF, 2021. All frames share ``camera_angle_x``, poses are camera-to-world with OpenGL axes, and
images are RGBA with straight alpha.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import CaptureError
from .capture import Capture
from .checks import read_json_object
from .posed_frames import PosedFrame, capture_from_frames, find_image, read_frame


def is_blender_synthetic(path: Path) -> bool:
    return (path / "transforms_train.json").is_file()


def read_blender_synthetic(folder: Path) -> Capture:
    """Read the training list, and hold out the test list (without one, the validation list).

    Listed images that are missing are skipped and counted.

    Raises:
        CaptureError, CameraFileError: a list or a frame in it cannot be used.
    """
    frames: list[PosedFrame] = []
    warnings: list[str] = []
    held_out = next(
        (name for name in ("test", "val") if (folder / f"transforms_{name}.json").is_file()), None
    )
    for split in ("train", held_out):
        if split is None:
            continue
        file = folder / f"transforms_{split}.json"
        data = read_json_object(file)
        entries = data.get("frames")
        if not isinstance(entries, list):
            raise CaptureError(f"{file}: has no 'frames' list")
        shared = {key: value for key, value in data.items() if key != "frames"}
        found = 0
        for index, entry in enumerate(entries):
            where = f"{file}, frame {index + 1}"
            if not isinstance(entry, dict):
                raise CaptureError(f"{where}: not an object")
            image = find_image(folder, entry.get("file_path"), where)
            if image is not None:
                frames.append(read_frame(entry, shared, folder, image, split != "train", where))
                found += 1
        if found < len(entries):
            warnings.append(
                f"{len(entries) - found} of the {len(entries)} images that {file.name} lists are missing; "
                "they are skipped."
            )
        if split == "train" and not found:
            raise CaptureError(f"{file}: none of the listed images exist; put them where the file says")
    return capture_from_frames(folder, "blender-synthetic", frames, None, None, warnings)
