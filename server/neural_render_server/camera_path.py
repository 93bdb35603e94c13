"""Camera paths and the camera file: what to render, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cameras import Camera, camera_from_json, is_finite_number
from .crop import Crop
from .errors import CameraFileError, OptionError
from .files import read_json
from .grade import Grade
from .optics import Lens, Moment
from .split_depth import SplitDepth


@dataclass(frozen=True)
class PathFrame:
    """A camera at a time (seconds from the capture's start); ``name`` is the output file's stem.

    ``split_depth`` is the depth that the passes front and behind are split at. ``lens`` blurs what is out of
    focus; ``shutter``, the moments from open to close, evenly apart, blurs what moves. ``crop`` is what of
    the field is rendered, ``grade`` its exposure and white balance.
    """

    camera: Camera
    time: float
    name: str
    split_depth: SplitDepth | None = None
    lens: Lens | None = None
    shutter: tuple[Moment, ...] = ()
    crop: Crop | None = None
    grade: Grade | None = None

    @staticmethod
    def from_json(
        entry: dict[str, Any], shared: dict[str, Any], time: Any, name: str, where: str
    ) -> PathFrame:
        """Read an entry of a camera file's ``frames``; ``where`` names it in errors.

        Raises:
            CameraFileError: its camera, time or shutter is no good.
            OptionError: its ``split_depth``, ``lens``, ``crop`` or ``grade`` is not understood.
        """
        camera = camera_from_json(entry, shared, where)
        return PathFrame(
            camera,
            _seconds(time, where),
            name,
            SplitDepth.from_json(entry.get("split_depth"), where),
            Lens.from_json(entry.get("lens"), where),
            shutter_from_json(entry.get("shutter"), entry, shared, where),
            Crop.from_json(entry.get("crop"), where),
            Grade.from_json(entry.get("grade"), where),
        )


def shutter_from_json(
    value: Any, entry: dict[str, Any], shared: dict[str, Any], where: str
) -> tuple[Moment, ...]:
    """``{cameras: [...]}``, two camera entries or more, each with its ``time`` and, where the crop moves,
    its ``crop``; the rest is ``entry``'s.

    Raises:
        CameraFileError: it is no such list, or one of its cameras is no good.
        OptionError: a ``crop`` is not understood, or has other shapes than the others.
    """
    if value is None:
        return ()
    cameras = value.get("cameras") if isinstance(value, dict) else None
    if not isinstance(cameras, list) or len(cameras) < 2 or not all(isinstance(c, dict) for c in cameras):
        raise CameraFileError(
            f"{where}: shutter must be {{cameras: [...]}}, two or more camera entries from open to close"
        )
    moments = []
    for index, own in enumerate(cameras):
        place = f"{where}, shutter camera {index + 1}"
        camera = camera_from_json(own, {**shared, **entry}, place)
        crop = Crop.from_json(own.get("crop"), place)
        moments.append(Moment(camera, _seconds(own.get("time"), place), crop))
    crops = [moment.crop for moment in moments]
    if any(crop is not None for crop in crops):
        first = crops[0]
        if first is None or not all(crop is not None and crop.is_like(first) for crop in crops):
            raise OptionError(
                f"{where}: the crops of a shutter's cameras must have the same shapes, in order"
            )
    return tuple(moments)


def _seconds(value: Any, where: str) -> float:
    if not is_finite_number(value):
        raise CameraFileError(f"{where}: 'time' is {value!r}, but must be seconds")
    return float(value)


@dataclass(frozen=True)
class CameraPath:
    """The cameras to render, in order: the content of a camera file."""

    frames: Sequence[PathFrame]
    fps: float = 24.0
    source: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        first = self.frames[0].camera if self.frames else None
        return {
            "w": first.width if first else 0,
            "h": first.height if first else 0,
            "fps": self.fps,
            "frames": [
                {**frame.camera.to_json(), "time": frame.time, "name": frame.name} for frame in self.frames
            ],
        }

    @staticmethod
    def from_json(data: Any, where: str) -> CameraPath:
        """Read the JSON of a camera file; ``where`` names it in errors.

        Raises:
            CameraFileError: it is not a camera file, or a frame is unusable, or two share a name.
            OptionError: a frame's ``split_depth``, ``lens``, ``crop`` or ``grade`` is not understood.
        """
        if not isinstance(data, dict) or not isinstance(data.get("frames"), list):
            raise CameraFileError(f"{where}: not a camera file; it needs an object with a 'frames' list")
        if not data["frames"]:
            raise CameraFileError(f"{where}: the camera file has no frames; export at least one camera")
        shared = {key: value for key, value in data.items() if key != "frames"}
        frames: list[PathFrame] = []
        names: set[str] = set()
        for index, entry in enumerate(data["frames"]):
            place = f"{where}, frame {index + 1}"
            if not isinstance(entry, dict):
                raise CameraFileError(f"{place}: not an object")
            name = str(entry.get("name") or f"{index + 1:04d}")
            if name in names:
                raise CameraFileError(f"{place}: the name {name!r} is used twice; names become file names")
            if name in (".", "..") or any(character in name for character in "/\\:\0"):
                raise CameraFileError(f"{place}: the name {name!r} cannot be a file name")
            names.add(name)
            frames.append(PathFrame.from_json(entry, shared, entry.get("time", 0.0), name, place))
        fps = data.get("fps", 24.0)
        if not is_finite_number(fps) or fps <= 0:
            raise CameraFileError(f"{where}: 'fps' is {fps!r}, but must be a positive number")
        return CameraPath(frames, float(fps), where)

    @staticmethod
    def load(path: str | Path) -> CameraPath:
        """Read a camera file from disk.

        Raises:
            CameraFileError: as ``from_json``, or the file cannot be read.
        """
        try:
            data = read_json(Path(path))
        except OSError as error:
            raise CameraFileError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise CameraFileError(f"{path}: not valid JSON ({error})") from error
        return CameraPath.from_json(data, str(path))
