"""The scene folder: a trained field on disk, which can be moved and zipped.

``scene.json`` describes it, ``model.safetensors`` is all that rendering needs,
``optimizer.safetensors`` is a whole checkpoint (model, optimiser and random state), so that whatever
moment a machine dies at, each file by itself is complete; until the training has finished, the one before
it is kept as ``optimizer.previous.safetensors``. ``cameras.json`` is the rig.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from .errors import SceneError
from .files import read_json, remove, write_atomically, write_json
from .methods.base import Method, Tensors
from .methods.registry import config_from_json, get_method, resolve_device
from .scene_checks import wrong_field

SCHEMA_VERSION = 1

MODEL_PREFIX = "model."
OPTIMIZER_PREFIX = "optimizer."

# The model's tensors, the optimiser's, and what else a training needs to go on.
Checkpoint = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]


@dataclass
class SceneInfo:
    """The content of ``scene.json``. Lengths are in capture units, times in seconds."""

    method: str
    preset: str
    config: dict[str, Any]
    training: dict[str, Any]  # the options it was trained with, the capture's path among them
    capture_format: str
    is_dynamic: bool
    times: list[float]
    fps: float | None
    width: int
    height: int
    has_alpha: bool
    bounds: dict[str, list[float]]
    background: list[float] | None
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    metrics: dict[str, Any] | None = None
    # what was taken out of the cameras' frames before training on them; see training/camera_colors.py
    camera_colors: dict[str, Any] = field(default_factory=dict)
    encoding: str = "srgb"
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Scene:
    """A scene folder."""

    path: Path

    @property
    def info_file(self) -> Path:
        return self.path / "scene.json"

    @property
    def model_file(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def checkpoint_file(self) -> Path:
        return self.path / "optimizer.safetensors"

    @property
    def previous_checkpoint_file(self) -> Path:
        return self.path / "optimizer.previous.safetensors"

    @property
    def cameras_file(self) -> Path:
        return self.path / "cameras.json"

    @property
    def preview_file(self) -> Path:
        return self.path / "previews" / "preview.png"

    @property
    def files(self) -> tuple[Path, ...]:
        """All that training writes, folders for those that have one."""
        return (
            self.info_file,
            self.model_file,
            self.checkpoint_file,
            self.previous_checkpoint_file,
            self.cameras_file,
            self.preview_file.parent,
        )

    def exists(self) -> bool:
        return self.info_file.is_file()

    def has_checkpoint(self) -> bool:
        return self.checkpoint_file.is_file() or self.previous_checkpoint_file.is_file()

    def read_info(self) -> SceneInfo:
        """Read ``scene.json``.

        Raises:
            SceneError: it is missing, damaged, or of a newer schema.
        """
        if not self.path.is_dir():
            raise SceneError(f"{self.path}: there is no such scene folder; was it moved or deleted?")
        try:
            data = read_json(self.info_file)
        except FileNotFoundError as error:
            raise SceneError(
                f"{self.path}: no scene.json in it; choose a folder that training wrote"
            ) from error
        except (OSError, ValueError) as error:
            raise SceneError(f"{self.info_file}: cannot be read ({error}); train the scene again") from error
        version = data.get("schema_version") if isinstance(data, dict) else None
        if not isinstance(version, int) or isinstance(version, bool):
            raise SceneError(f"{self.info_file}: not a scene description; train the scene again")
        if version > SCHEMA_VERSION:
            raise SceneError(
                f"{self.info_file}: written by a newer version (schema {version}, this one reads up to "
                f"{SCHEMA_VERSION}); update the server"
            )
        wrong = wrong_field(SceneInfo, data)
        if wrong is not None:
            raise SceneError(f"{self.info_file}: not a scene description ({wrong}); train the scene again")
        try:
            return SceneInfo(**data)
        except TypeError as error:
            raise SceneError(
                f"{self.info_file}: not a scene description ({error}); train it again"
            ) from error

    def write_info(self, info: SceneInfo) -> None:
        write_json(self.info_file, asdict(info))

    def write_model(self, tensors: dict[str, torch.Tensor], step: int) -> None:
        _save(self.model_file, tensors, {"step": str(step)})

    def read_model(self) -> dict[str, torch.Tensor]:
        """The tensors of ``model.safetensors``.

        Raises:
            SceneError: the file is missing or damaged.
        """
        return _load(self.model_file, "resume its training, which writes it again")[0]

    def write_checkpoint(
        self, model: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor], state: dict[str, Any]
    ) -> None:
        """Write all that resuming needs into one file, and keep the one before; ``state`` is JSON-able."""
        tensors = {MODEL_PREFIX + name: tensor for name, tensor in model.items()}
        tensors.update({OPTIMIZER_PREFIX + name: tensor for name, tensor in optimizer.items()})
        previous = self.previous_checkpoint_file
        _save(self.checkpoint_file, tensors, {"state": json.dumps(state)}, previous)

    def forget_previous_checkpoint(self) -> None:
        remove(self.previous_checkpoint_file)

    def read_checkpoint(self, previous: bool = False) -> Checkpoint:
        """The model's tensors, the optimiser's, and the state given to ``write_checkpoint``.

        Raises:
            SceneError: there is no checkpoint, or it is damaged.
        """
        file = self.previous_checkpoint_file if previous else self.checkpoint_file
        tensors, metadata = _load(file, "start the training anew")
        try:
            state = json.loads(metadata["state"])
        except (KeyError, json.JSONDecodeError) as error:
            raise SceneError(f"{file}: not a checkpoint; start the training anew") from error
        model = {k.removeprefix(MODEL_PREFIX): v for k, v in tensors.items() if k.startswith(MODEL_PREFIX)}
        optimizer = {
            k.removeprefix(OPTIMIZER_PREFIX): v for k, v in tensors.items() if k.startswith(OPTIMIZER_PREFIX)
        }
        return model, optimizer, state


def _save(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str], previous: Path | None = None
) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        try:
            save_file(contiguous, temporary, metadata=metadata)
        except SafetensorError as error:  # safetensors wraps the operating system's errors
            raise OSError(str(error)) from error

    write_atomically(path, write, previous)


def _load(path: Path, remedy: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata. Read whole, not mapped into memory: a mapped file that is cut short or written
    over ends the process (SIGBUS), and on Windows cannot be replaced."""
    if not path.is_file():
        raise SceneError(f"{path}: missing; {remedy}")
    try:
        data = path.read_bytes()
        tensors = load(data)
        (length,) = struct.unpack_from("<Q", data)  # the format: the header's length, the header, the tensors
        return tensors, dict(json.loads(data[8 : 8 + length]).get("__metadata__") or {})
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        raise SceneError(f"{path}: damaged or cut short ({error}); {remedy}") from error


def load_method(scene: Scene, device: str = "auto") -> Method:
    """The trained field of a scene folder, ready to render.

    Raises:
        SceneError, OptionError: the scene is damaged, or its method is not installed.
    """
    info = scene.read_info()
    method_class = get_method(info.method)
    method = method_class(config_from_json(method_class, info.config), resolve_device(device))
    load_tensors(method, scene.model_file, scene.read_model(), None)
    return method


def load_tensors(method: Method, file: Path, model: Tensors, optimizer: Tensors | None) -> None:
    """Let ``method`` take up the tensors of ``file``.

    Raises:
        SceneError: they are not what the method saves.
    """
    try:
        method.load(model, optimizer)
    except SceneError as error:  # it does not know the file's folder
        raise SceneError(f"{file.parent}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise SceneError(
            f"{file}: does not hold a field of the method {method.name} ({error}); it is damaged or of "
            "another version, so train the scene again"
        ) from error
