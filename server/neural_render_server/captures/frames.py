"""The frames of chosen views: decoded once, undistorted, made smaller, and kept at hand."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..errors import CaptureError
from .capture import Capture, CropSource, VideoSource, View
from .image import is_deep_image, read_image, read_mask
from .picture import read_crop
from .pixels import Pixels, as_bytes, as_float, from_float
from .store import MemoryStore, PlaneStore, SpoolStore
from .undistort import Undistorter, pinhole_of
from .video import VideoReader, probe_video

Report = Callable[[str, float], None]

DEFAULT_MEMORY_LIMIT = 2**30

REPORT_INTERVAL = 0.1  # seconds between reports: soon enough to cancel, seldom enough to cost nothing

_COLOR, _ALPHA, _MASK = range(3)


def _no_report(message: str, fraction: float) -> None:
    pass


class Frames:
    """Decoded views of a capture; implements ``methods.base.TrainingViews``.

    Only the views in ``indices`` (of ``capture.views``) are ever kept, and no file that holds none
    of them is opened: given the training views, held-out ones cannot leak in. View ``i`` here is
    ``capture.views[indices[i]]``. ``cameras`` are all of the capture's as pinhole cameras of the
    downscaled size, indexed by ``camera_indices``. Frames stay in memory while all of them fit
    ``memory_limit`` bytes; otherwise they are spooled to a temporary file in ``spool_folder``
    (default: the system's), which is gone after ``close`` or an error.

    Raises:
        CaptureError: a frame cannot be decoded, has not its camera's size, or the disk is too full.
        Cancelled: ``report`` raised it.
    """

    def __init__(
        self,
        capture: Capture,
        indices: Iterable[int],
        downscale: float = 1.0,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
        spool_folder: Path | None = None,
        report: Report = _no_report,
    ) -> None:
        if not downscale >= 1.0:
            raise CaptureError(f"downscale is {downscale:g}, but must be at least 1")
        indices = list(indices)
        self._views = [capture.views[index] for index in indices]
        if not self._views:
            raise CaptureError(f"{capture.path}: no views are asked for; hold out fewer or add some")
        self.cameras = [pinhole_of(camera, downscale) for camera in capture.cameras]
        self.times = capture.times
        self.view_times = capture.view_times[indices]
        self.camera_indices = np.array([view.camera for view in self._views], dtype=np.int64)
        self.timestep_indices = np.array([view.timestep for view in self._views], dtype=np.int64)
        self.has_alpha = capture.has_alpha
        self.points = capture.points
        self.near_far = capture.near_far
        self.shutters = capture.shutters
        self._camera_masks: dict[int, npt.NDArray[np.bool_]] = {}
        self._is_deep = deep_cameras(capture, self._views)
        self.bytes_needed = sum(
            view_bytes(self.cameras[view.camera], view, self.has_alpha, self._is_deep[view.camera])
            for view in self._views
        )
        self.is_spooled = self.bytes_needed > memory_limit
        self._store: PlaneStore
        if self.is_spooled:
            self._store = SpoolStore(spool_folder or Path(tempfile.gettempdir()), self.bytes_needed)
        else:
            self._store = MemoryStore()
        try:
            self._decode(capture, downscale, report)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Frames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._views)

    def close(self) -> None:
        """Drop the frames and their spool; nothing can be read afterwards."""
        self._store.close()

    @property
    def beyond_white(self) -> bool:
        """Whether some camera's footage may hold light brighter than white."""
        return any(self._is_deep.values())

    def rgb(self, index: int) -> Pixels:
        """(H, W, 3) sRGB-encoded, straight (not premultiplied), read-only."""
        plane, shape = self._plane(index, _COLOR), (*self._shape(index), 3)
        if self._is_deep[int(self.camera_indices[index])]:
            return plane.view(np.uint16).reshape(shape)
        return plane.reshape(shape)

    def alpha(self, index: int) -> npt.NDArray[np.uint8] | None:
        """(H, W), read-only, or None where the capture has no alpha."""
        return self._plane(index, _ALPHA).reshape(self._shape(index)) if self.has_alpha else None

    def mask(self, index: int) -> npt.NDArray[np.bool_] | None:
        """(H, W) True where the pixel was filmed and is not masked out, or None where all are."""
        of_camera = self._camera_masks.get(int(self.camera_indices[index]))
        if self._views[index].mask is None:
            return of_camera
        of_view = self._plane(index, _MASK).reshape(self._shape(index)).view(np.bool_)
        return of_view if of_camera is None else of_view & of_camera

    def _plane(self, index: int, plane: int) -> npt.NDArray[np.uint8]:
        return self._store.get(3 * index + plane)

    def _shape(self, index: int) -> tuple[int, int]:
        camera = self.cameras[self.camera_indices[index]]
        return camera.height, camera.width

    def _decode(self, capture: Capture, downscale: float, report: Report) -> None:
        done, reported = 0, 0.0
        for camera_index in sorted({view.camera for view in self._views}):
            camera = capture.cameras[camera_index]
            area = capture.picture_areas[camera_index] if capture.picture_areas else None
            undistorter = Undistorter(camera, downscale, area)
            if undistorter.mask is not None:
                undistorter.mask.flags.writeable = False
                self._camera_masks[camera_index] = undistorter.mask
            own = [index for index, view in enumerate(self._views) if view.camera == camera_index]
            for index, pixels in _decoded(self._views, own, capture.transfer):
                view = self._views[index]
                if pixels.shape[:2] != (camera.height, camera.width):
                    raise CaptureError(
                        f"{view.source.path}: the frame is {pixels.shape[1]}x{pixels.shape[0]}, but its "
                        f"camera {camera.name} is {camera.width}x{camera.height}; "
                        "all frames of a camera need one size"
                    )
                self._keep(index, undistorter, pixels)
                done += 1
                now = time.monotonic()
                if now - reported > REPORT_INTERVAL or done == len(self._views):
                    reported = now
                    report(f"Decoding frames, {done} of {len(self._views)}", done / len(self._views))

    def _keep(self, index: int, undistorter: Undistorter, pixels: Pixels) -> None:
        if not self.has_alpha:
            pixels = pixels[..., :3]
        pixels = undistorter.apply(pixels)
        color = pixels[..., :3].copy()
        if (color.dtype == np.uint16) != self._is_deep[self._views[index].camera]:
            color = from_float(as_float(color), self._is_deep[self._views[index].camera])
        self._store.put(3 * index + _COLOR, color.reshape(-1).view(np.uint8))
        if self.has_alpha:
            opaque = np.full(pixels.shape[:2], 255, dtype=np.uint8)
            self._store.put(3 * index + _ALPHA, as_bytes(pixels[..., 3]) if pixels.shape[2] == 4 else opaque)
        mask_path = self._views[index].mask
        if mask_path is not None:
            mask = undistorter.apply_mask(read_mask(mask_path), mask_path)
            self._store.put(3 * index + _MASK, mask.view(np.uint8))


def view_bytes(camera: Camera, view: View, has_alpha: bool, is_deep: bool) -> int:
    """Bytes of a decoded view of ``camera``, whose frames have more than 8 bits where ``is_deep``."""
    return camera.width * camera.height * ((6 if is_deep else 3) + has_alpha + (view.mask is not None))


def deep_cameras(capture: Capture, views: Sequence[View]) -> dict[int, bool]:
    """Camera index -> whether its frames have more than 8 bits, by the header of its first."""
    deep: dict[int, bool] = {}
    for view in views:
        if view.camera in deep:
            continue
        if isinstance(view.source, VideoSource):
            info = probe_video(view.source.path)
            deep[view.camera] = info.bits > 8 or (capture.transfer or info.transfer) is not None
        else:
            deep[view.camera] = is_deep_image(view.source.path)
    return deep


def _decoded(
    views: Sequence[View], indices: Sequence[int], transfer: str | None
) -> Iterator[tuple[int, Pixels]]:
    """(index, pixels) of the views, images one by one, each video in one pass."""
    by_video: dict[Path, list[int]] = {}
    for index in indices:
        source = views[index].source
        if isinstance(source, VideoSource):
            by_video.setdefault(source.path, []).append(index)
        elif isinstance(source, CropSource):
            yield index, read_crop(source)
        else:
            yield index, read_image(source.path)
    for path, own in by_video.items():
        own.sort(key=lambda index: _frame_number(views[index]))
        with VideoReader(path, transfer=transfer) as reader:
            yield from zip(own, reader.read([_frame_number(views[index]) for index in own]), strict=True)


def _frame_number(view: View) -> int:
    assert isinstance(view.source, VideoSource)
    return view.source.frame
