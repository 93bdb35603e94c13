"""N3DV and LLFF: videos, frame folders or images beside ``poses_bounds.npy``.

Format: Mildenhall et al., Local Light Field Fusion, 2019 (the ``poses_bounds.npy`` of its
repository); Li et al., Neural 3D Video Synthesis, 2022 (one row a video). A row is a 3x5 matrix,
row by row, then near and far depth. Its columns are the camera's down, right and back axes, its
position, and (height, width, focal length in pixels).
"""

from __future__ import annotations

import tokenize
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..errors import CaptureError
from .capture import Capture, ImageSource, View
from .checks import natural_sorted, rigid_pose, scaled_to_photo
from .film import film_of
from .image import image_header, is_image
from .sequences import Sequence, image_sequence, video_sequence
from .video import is_video


def is_n3dv(folder: Path) -> bool:
    return (folder / "poses_bounds.npy").is_file()


def read_n3dv(folder: Path) -> Capture:
    """Read a folder with ``poses_bounds.npy``; the rows are those of the sorted cameras that exist.

    Camera numbers may be missing (N3DV leaves out cameras that failed to sync). Of a dynamic
    capture the first camera is held out, as in the paper.

    Raises:
        CaptureError: the poses or the frames cannot be read or do not fit each other.
    """
    rows = _read_rows(folder / "poses_bounds.npy")
    sequences = _find_sequences(folder)
    if sequences:
        return _read_dynamic(folder, rows, sequences)
    return _read_static(folder, rows)


def _read_rows(path: Path) -> npt.NDArray[np.float64]:
    try:
        # Mapped, not read: a header that claims more than the file holds is refused, not allocated.
        rows = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, TypeError, OverflowError, tokenize.TokenError) as error:
        raise CaptureError(f"{path}: cannot be read as a NumPy array; copy it again") from error
    if (
        not isinstance(rows, np.ndarray)
        or rows.ndim != 2
        or rows.shape[1] != 17
        or rows.dtype.kind not in "fiu"
    ):
        raise CaptureError(f"{path}: not an (N, 17) array of numbers, as LLFF writes; export it again")
    return rows.astype(np.float64)


def _find_sequences(folder: Path) -> list[Sequence]:
    """One entry a ``cam*`` video or frame folder, in the order of the rows."""
    entries = natural_sorted(entry for entry in folder.iterdir() if entry.name.lower().startswith("cam"))
    videos = [entry for entry in entries if entry.is_file() and is_video(entry)]
    if videos:
        return [video_sequence(video) for video in videos]
    folders = [
        entry / "images" if (entry / "images").is_dir() else entry for entry in entries if entry.is_dir()
    ]
    return [image_sequence(frames) for frames in folders]


def _read_dynamic(folder: Path, rows: npt.NDArray[np.float64], sequences: list[Sequence]) -> Capture:
    names = [sequence.name for sequence in sequences]
    _check_count(folder, rows, len(sequences), "videos or frame folders", names)
    cameras = [
        _camera(
            row, sequence.width, sequence.height, sequence.name, f"{folder / 'poses_bounds.npy'}, row {index}"
        )
        for index, (row, sequence) in enumerate(zip(rows, sequences, strict=True))
    ]
    film = film_of(folder, sequences)
    views = film.views
    is_test = np.zeros(len(views), dtype=np.bool_)
    if len(cameras) > 1 and film.is_dynamic:
        is_test = np.array([view.camera == 0 for view in views])
    return Capture(
        path=folder,
        format="n3dv",
        cameras=cameras,
        times=film.times,
        fps=film.fps,
        views=views,
        is_test=is_test,
        near_far=_near_far(rows),
        warnings=film.warnings,
    )


def _read_static(folder: Path, rows: npt.NDArray[np.float64]) -> Capture:
    images_folder = next(
        (folder / name for name in ("images", "images_4", "images_8") if (folder / name).is_dir()), None
    )
    if images_folder is None:
        raise CaptureError(
            f"{folder}: poses_bounds.npy has no camNN videos, camNN folders or images folder beside it"
        )
    images = natural_sorted(entry for entry in images_folder.iterdir() if is_image(entry))
    _check_count(folder, rows, len(images), "images", [image.name for image in images])
    headers = [image_header(image) for image in images]
    cameras = [
        _camera(row, width, height, image.stem, f"{folder / 'poses_bounds.npy'}, row {index}")
        for index, (row, image, (width, height, _)) in enumerate(zip(rows, images, headers, strict=True))
    ]
    return Capture(
        path=folder,
        format="llff",
        cameras=cameras,
        times=np.zeros(1),
        fps=None,
        views=[View(index, 0, ImageSource(image)) for index, image in enumerate(images)],
        is_test=np.zeros(len(images), dtype=np.bool_),
        near_far=_near_far(rows),
        has_alpha=all(has_alpha for _, _, has_alpha in headers),
    )


def _check_count(
    folder: Path, rows: npt.NDArray[np.float64], count: int, what: str, names: list[str]
) -> None:
    if count != len(rows):
        listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        raise CaptureError(
            f"{folder}: poses_bounds.npy has {len(rows)} rows, but there are {count} {what} ({listed}); "
            "put back the missing ones or remove their rows"
        )


def _camera(row: npt.NDArray[np.float64], width: int, height: int, name: str, where: str) -> Camera:
    matrix = row[:15].reshape(3, 5)
    down, right, back, position = matrix[:, 0], matrix[:, 1], matrix[:, 2], matrix[:, 3]
    pose = rigid_pose(np.stack([right, -down, back, position], axis=1), f"{where} ({name})")
    row_height, row_width, focal = (float(value) for value in matrix[:, 4])
    if not (np.isfinite(row).all() and row_height > 0 and row_width > 0 and focal > 0):
        raise CaptureError(
            f"{where} ({name}): size, focal length and depths must be positive, finite numbers"
        )
    calibrated = Camera(
        width=round(row_width),
        height=round(row_height),
        fl_x=focal,
        fl_y=focal,
        cx=row_width / 2,
        cy=row_height / 2,
        camera_to_world=pose,
        name=name,
    )
    return scaled_to_photo(calibrated, width, height, f"{where} ({name})")


def _near_far(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    bounds = rows[:, 15:17]
    return bounds if ((bounds[:, 0] > 0) & (bounds[:, 0] < bounds[:, 1])).all() else None
