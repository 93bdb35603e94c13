"""A half-transparent field around a CG card: front over card over behind is the integral; a Z merge is not.

With ``NEURAL_RENDER_PICTURES=DIR`` the test writes the picture of docs/compositing.md there.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from fog import fog

from neural_render_server.cameras import Camera
from neural_render_server.errors import OptionError
from neural_render_server.kernels import layout
from neural_render_server.methods.base import Method
from neural_render_server.methods.gaussians import GaussiansConfig, GaussiansMethod
from neural_render_server.methods.gaussians.model import Gaussians
from neural_render_server.rendering.colour import linear_to_srgb
from neural_render_server.rendering.passes import PassOptions, render_passes
from neural_render_server.split_depth import SplitDepth

CPU = torch.device("cpu")
WIDTH, HEIGHT = 160, 120
LAYERS = PassOptions(("combined", "depth", "front", "behind"))
Image = np.ndarray


def camera_towards(distance: float) -> Camera:
    camera_to_world = np.eye(4)
    camera_to_world[2, 3] = distance
    return Camera(WIDTH, HEIGHT, 280.0, 280.0, WIDTH / 2, HEIGHT / 2, camera_to_world)


def over(front: Image, back: Image) -> Image:
    return front + (1.0 - front[..., 3:]) * back


def z_merge(field: Image, field_depth: Image, card: Image, card_depth: Image) -> Image:
    return np.where((field_depth < card_depth)[..., None], over(field, card), over(card, field))


def tilted_card(camera: Camera) -> tuple[Image, Image]:
    """A checkered card through the origin, turned by 50 degrees, with soft edges: RGBA and planar depth."""
    origins, directions = (array.astype(np.float64) for array in camera.rays())
    normal = np.array([np.sin(np.radians(50.0)), 0.0, np.cos(np.radians(50.0))])
    depth = -(origins @ normal) / (directions @ normal)
    points = origins + depth[..., None] * directions
    along = points @ np.cross([0.0, 1.0, 0.0], normal)
    inside = np.minimum(0.9 - np.abs(along), 0.55 - np.abs(points[..., 1]))
    alpha = np.clip(inside / 0.05, 0.0, 1.0)
    is_light = (np.floor(along / 0.2) + np.floor(points[..., 1] / 0.2)) % 2 == 0
    color = np.where(is_light[..., None], [0.8, 0.75, 0.2], [0.05, 0.1, 0.3])
    card = np.concatenate([color * alpha[..., None], alpha[..., None]], axis=-1)
    return card, np.where(alpha > 0, depth, np.inf).astype(np.float32)


def fog_around(card: Image, depth: Image, camera: Camera, density: float, grey: float) -> Image:
    """The integral: the cube's fog before the card, the card, the fog behind it; all linear."""
    origins, directions = (array.astype(np.float64) for array in camera.rays())
    with np.errstate(divide="ignore"):
        sides = (np.array([[-1.0], [1.0]])[:, None, None] - origins) / directions
    enter, leave = sides.min(axis=0).max(axis=-1), sides.max(axis=0).min(axis=-1)
    length = np.linalg.norm(directions, axis=-1)

    def layer(near: Image, far: Image) -> Image:
        opacity = 1.0 - np.exp(-density * np.maximum(far - near, 0.0) * length)
        return np.stack([grey * opacity] * 3 + [opacity], axis=-1)

    return over(layer(enter, np.minimum(leave, depth)), over(card, layer(np.maximum(enter, depth), leave)))


def sheets() -> GaussiansMethod:
    """Two wide half-transparent Gaussians, red 1 before the origin and blue 1 behind it."""
    rows = torch.zeros((2, layout.WIDTH))
    rows[:, layout.POSITION] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    rows[:, layout.EXTENT] = 7.0
    rows[:, layout.SCALE] = torch.log(torch.tensor([30.0, 30.0, 1e-3]))
    rows[:, layout.ROTATION.start] = 1.0
    rows[:, layout.COLOR] = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.2, 0.9]])
    method = GaussiansMethod(GaussiansConfig(), CPU)
    model = Gaussians(rows, 2, torch.zeros(3), False, 0.0, 1.0, 4.0, 180.0)
    method.load(model.tensors(), None)
    return method


def compare(
    method: Method, camera: Camera, card: Image, depth: Image, truth: Image, name: str
) -> tuple[float, float]:
    """Largest errors of the layers and of the Z merge."""
    passes = render_passes(
        method, camera, 0.0, LAYERS, "linear", SplitDepth(data=depth.tobytes()).read(WIDTH, HEIGHT)
    )
    layered = over(passes["front"], over(card, passes["behind"]))
    merged = z_merge(passes["combined"], passes["depth"][..., 0], card, depth)
    folder = os.environ.get("NEURAL_RENDER_PICTURES")
    if folder:
        errors = [4.0 * np.abs(image - truth) for image in (layered, merged)]
        rows = [[truth, layered, merged], [np.zeros_like(truth), *errors]]
        picture = np.vstack([np.hstack([image[..., :3] for image in row]) for row in rows])
        encoded = (linear_to_srgb(np.clip(picture, 0.0, 1.0).astype(np.float32)) * 255.0 + 0.5).astype(
            np.uint8
        )
        encoded = np.kron(encoded, np.ones((2, 2, 1), np.uint8))
        cv2.imwrite(str(Path(folder) / f"depth_layers_{name}.png"), encoded[..., ::-1])
    return float(np.abs(layered - truth).max()), float(np.abs(merged - truth).max())


def test_fog_around_a_tilted_card() -> None:
    camera = camera_towards(5.0)
    card, depth = tilted_card(camera)
    truth = fog_around(card, depth, camera, 0.5, 0.5)
    layered, merged = compare(fog(), camera, card, depth, truth, "fog")
    assert layered < 4e-3  # the march's last step, 0.007 long, ends anywhere
    assert merged > 0.1


def test_gaussians_before_and_behind_a_tilted_card() -> None:
    camera = camera_towards(5.0)
    card, depth = tilted_card(camera)
    front, back = (np.array([*color, 1.0]) * 0.5 for color in ((0.9, 0.2, 0.1), (0.1, 0.2, 0.9)))
    truth = over(np.broadcast_to(front, card.shape), over(card, np.broadcast_to(back, card.shape)))
    layered, merged = compare(sheets(), camera, card, depth, truth, "gaussians")
    assert layered < 4e-3  # the sheets' edges are not infinitely far
    assert merged > 0.1


@pytest.mark.parametrize("encoding", ["linear", "srgb"])
def test_front_over_behind_is_the_frame(encoding: str) -> None:
    random = np.random.default_rng(0)
    depth = random.uniform(3.5, 6.5, (HEIGHT, WIDTH)).astype(np.float32)
    for method in (fog(), sheets()):
        passes = render_passes(method, camera_towards(5.0), 0.0, LAYERS, encoding, depth)
        assert np.abs(over(passes["front"], passes["behind"]) - passes["combined"]).max() < 1e-6


def test_split_depth_is_read_filled_and_checked(tmp_path: Path) -> None:
    depth = np.full((4, 6), 1e10, np.float32)
    depth[1, 1], depth[1, 2] = 4.0, 6.0
    file = tmp_path / "0001.exr"
    channels = {"ViewLayer.Depth.Z": depth, "ViewLayer.Combined.R": depth}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(file))
    source = SplitDepth.from_json({"path": str(file), "scale": 0.5}, "frame 1")
    assert source is not None
    read = source.read(6, 4)
    # halved; the pixels around take the nearest neighbour's; further off there is nothing
    assert read[1, :5].tolist() == [2.0, 2.0, 3.0, 3.0, np.inf] and read[0, 0] == 2.0 and read[3, 1] == np.inf
    raw = SplitDepth.from_json({"data": base64.b64encode(depth.tobytes()).decode()}, "frame 1")
    assert raw is not None and raw.read(6, 4)[1, 2] == 6.0
    with pytest.raises(OptionError, match="6 x 4 pixels, the camera 8 x 4"):
        source.read(8, 4)
    with pytest.raises(OptionError, match=r"missing\.exr"):
        SplitDepth(path=str(tmp_path / "missing.exr")).read(6, 4)
    with pytest.raises(OptionError, match="several depth channels"):
        both = tmp_path / "both.exr"
        OpenEXR.File({}, {"A.Depth.Z": depth, "B.Depth.Z": depth}).write(str(both))
        SplitDepth(path=str(both)).read(6, 4)
    for wrong in ({}, {"path": "a.exr"}, {"data": "?"}, {"path": str(file), "scale": 0.0}, 3):
        with pytest.raises(OptionError, match="frame 1: split_depth"):
            SplitDepth.from_json(wrong, "frame 1")


def test_what_cannot_be_split_is_told() -> None:
    with pytest.raises(OptionError, match="split_depth"):
        render_passes(fog(), camera_towards(5.0), 0.0, LAYERS, "linear")
