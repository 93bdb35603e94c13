"""What a frame is rendered from, as a hash: two frames with the same key are the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np

from .. import __version__
from ..camera_path import PathFrame
from ..crop import CropShape
from ..errors import SceneError
from ..scene import Scene, SceneInfo

# Raise it when the same scene and camera come to give another picture within a version.
PICTURES = 2


def scene_digest(scene: Scene, info: SceneInfo) -> str:
    """What a scene's pictures depend on, as a hash: its model's content, not where it lies.

    Raises:
        SceneError: the model cannot be read.
    """
    try:
        with scene.model_file.open("rb") as file:
            model = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SceneError(
            f"{scene.model_file}: cannot be read ({error.strerror}); train the scene anew"
        ) from error
    return _hash([__version__, PICTURES, model, info.method, info.config, info.encoding, info.times])


def frame_key(scene: str, frame: PathFrame, settings: Any) -> str:
    """The key of a frame of the scene with the digest ``scene``, rendered with ``settings``.

    Names do not count, as the picture does not depend on them; a depth to split at counts by its content.

    Raises:
        OptionError: the depth to split at cannot be read.
    """
    depth = None
    if frame.split_depth is not None:
        depth = frame.split_depth.read(frame.camera.width, frame.camera.height)
    unnamed = dataclasses.replace(frame, name="", split_depth=None)
    return content_hash([scene, unnamed, depth, settings])


def content_hash(value: Any) -> str:
    """The hash of dataclasses, arrays, lists and what JSON holds; names of cameras do not count."""
    return _hash(_plain(value))


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """``value`` as JSON: dataclasses field by field, arrays by a hash of their content."""
    if isinstance(value, np.ndarray):
        return [list(value.shape), str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()]
    if dataclasses.is_dataclass(value):
        fields = {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
        # a shape's name is that of a layer in the file; a camera's is for messages
        return fields if isinstance(value, CropShape) else {k: v for k, v in fields.items() if k != "name"}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
