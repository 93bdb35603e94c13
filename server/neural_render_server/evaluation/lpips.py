"""LPIPS with an AlexNet trunk (Zhang et al. 2018), from weights the user names: none come with us."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import OptionError
from ..training.metrics import Image

NOT_NAMED = "needs weights, which are not shipped; name a file with --lpips-weights"

# AlexNet's convolutions as torchvision numbers them: (layer, in, out, kernel, stride, padding); the
# features LPIPS compares are those after each ReLU. A 3x3 max pool of stride 2 goes before layers 3 and 6.
CONVOLUTIONS = (
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)
POOLED_BEFORE = (3, 6)

# The trunk was trained on ImageNet; these bring [-1, 1] to its mean and deviation (released code, v0.1).
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)

# Below this the second pool leaves nothing.
SMALLEST = 31


class AlexNetLpips:
    """The distance, with the trunk's convolutions and five linear heads of 1x1 weights.

    The file is a state dict of torchvision's AlexNet (``features.0.weight``...), as ``.safetensors`` or
    as torch's own format (read with ``weights_only``, so that it can run no code). The heads
    (``lin0.model.1.weight``..., version 0.1) are in the same file, or come with the ``lpips`` package.

    Raises:
        OptionError: the file cannot be read, or holds other tensors than these.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        tensors = _read(weights)
        if not any(name.startswith("lin0.") for name in tensors):
            tensors.update(_packaged_heads(weights))
        self._device = device
        self._filters: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._heads: list[torch.Tensor] = []
        for number, (layer, inputs, outputs, kernel, _, _) in enumerate(CONVOLUTIONS):
            weight = _tensor(tensors, f"features.{layer}.weight", (outputs, inputs, kernel, kernel), weights)
            bias = _tensor(tensors, f"features.{layer}.bias", (outputs,), weights)
            self._filters.append((weight.to(device), bias.to(device)))
            head = _tensor(tensors, f"lin{number}.model.1.weight", (1, outputs, 1, 1), weights)
            self._heads.append(head.to(device))

    def distance(self, image: Image, truth: Image) -> float:
        """LPIPS of two pictures (H, W, 3) in [0, 1]; NaN where they are too small for the trunk."""
        if min(image.shape[:2]) < SMALLEST:
            return float("nan")
        total = 0.0
        with torch.no_grad():
            for a, b, head in zip(self._features(image), self._features(truth), self._heads, strict=True):
                difference = (_unit_length(a) - _unit_length(b)) ** 2
                total += float(functional.conv2d(difference, head).mean())
        return total

    def _features(self, image: Image) -> list[torch.Tensor]:
        values = torch.from_numpy(np.ascontiguousarray(image)).to(self._device).permute(2, 0, 1)[None]
        shift = torch.tensor(SHIFT, device=self._device).view(1, 3, 1, 1)
        scale = torch.tensor(SCALE, device=self._device).view(1, 3, 1, 1)
        values = (2.0 * values - 1.0 - shift) / scale
        features = []
        for (layer, _, _, _, stride, padding), (weight, bias) in zip(
            CONVOLUTIONS, self._filters, strict=True
        ):
            if layer in POOLED_BEFORE:
                values = functional.max_pool2d(values, kernel_size=3, stride=2)
            values = functional.relu(functional.conv2d(values, weight, bias, stride=stride, padding=padding))
            features.append(values)
        return features


def _unit_length(features: torch.Tensor) -> torch.Tensor:
    """Features scaled to length 1 over the channels; 1e-10 as in the released code."""
    length: torch.Tensor = torch.sqrt((features**2).sum(dim=1, keepdim=True))
    return features / (length + 1e-10)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise OptionError(
            f"{path}: cannot be read as LPIPS weights; give an AlexNet state dict as .safetensors or .pth"
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(item, torch.Tensor) for item in loaded.values()):
        raise OptionError(f"{path}: holds no state dict of tensors; give AlexNet's as .safetensors or .pth")
    return dict(loaded)


def _packaged_heads(weights: Path) -> dict[str, torch.Tensor]:
    """The heads inside the ``lpips`` package, which is found but never imported (it wants torchvision)."""
    found = find_spec("lpips")
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / "weights" / "v0.1" / "alex.pth"
        if file.is_file():
            return _read(file)
    raise OptionError(
        f"{weights}: has no LPIPS heads (lin0.model.1.weight ...); add them to the file or install the "
        "package lpips"
    )


def _tensor(tensors: dict[str, torch.Tensor], name: str, shape: tuple[int, ...], path: Path) -> torch.Tensor:
    if name not in tensors or tuple(tensors[name].shape) != shape:
        have = tuple(tensors[name].shape) if name in tensors else "missing"
        raise OptionError(
            f"{path}: {name} must have the shape {shape}, but is {have}; give torchvision's AlexNet"
        )
    return tensors[name].to(torch.float32)
