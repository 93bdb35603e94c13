"""Depth of field and motion blur: a bright point's circle and streak, their samples, and their noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import point_scene
import pytest
import torch

from neural_render_server.camera_path import CameraPath, PathFrame
from neural_render_server.cameras import Camera
from neural_render_server.crop import Crop
from neural_render_server.errors import CameraFileError, OptionError
from neural_render_server.kernels import layout
from neural_render_server.methods.gaussians.model import Gaussians
from neural_render_server.optics import BlurSampling, Lens, Moment, aperture_points, moment_at
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.passes import Passes, PassOptions
from neural_render_server.scene import Scene
from neural_render_server.split_depth import SplitDepth

WIDTH, HEIGHT, FOCAL = point_scene.WIDTH, point_scene.HEIGHT, point_scene.FOCAL
BOTH = PassOptions(("combined", "depth"))


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> FrameRenderer:
    return FrameRenderer(point_scene.write(tmp_path_factory.mktemp("point")))


def camera(x: float = 0.0) -> Camera:
    pose = np.eye(4)
    pose[:3, 3] = x, 0.0, 4.0
    return Camera(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, pose)


def moments(passes: Passes) -> tuple[float, float, float, float]:
    """Mean x, y and variance along x, y of the light, in pixels."""
    light = passes["combined"][..., 0].astype(np.float64)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    total = light.sum()
    mean_x, mean_y = (light * x).sum() / total, (light * y).sum() / total
    return (
        mean_x,
        mean_y,
        (light * (x - mean_x) ** 2).sum() / total,
        (light * (y - mean_y) ** 2).sum() / total,
    )


def test_a_point_out_of_focus_is_a_disc_of_the_right_size(renderer: FrameRenderer) -> None:
    lens = Lens(aperture_radius=0.2, focus_distance=2.5)
    sharp = renderer.render_frame(PathFrame(camera(), 0.0, ""), BOTH)
    blurred = renderer.render_frame(PathFrame(camera(), 0.0, "", lens=lens), BOTH, BlurSampling(64))
    wanted = lens.aperture_radius * FOCAL * abs(1.0 / 4.0 - 1.0 / lens.focus_distance)  # 3.6 pixels
    before, after = moments(sharp), moments(blurred)
    for axis in (0, 1):
        assert after[axis] == pytest.approx(before[axis], abs=0.1)
        radius = 2.0 * np.sqrt(after[2 + axis] - before[2 + axis])  # a disc's variance is r^2 / 4
        assert radius == pytest.approx(wanted, rel=0.03)
    # no light is lost or made, and depth is the sharp camera's
    light = [passes["combined"].sum() for passes in (sharp, blurred)]
    assert light[1] == pytest.approx(light[0], rel=0.02)
    assert np.array_equal(sharp["depth"], blurred["depth"])
    focused = replace(lens, focus_distance=4.0)
    in_focus = renderer.render_frame(PathFrame(camera(), 0.0, "", lens=focused), BOTH, BlurSampling(16))
    assert moments(in_focus)[2] == pytest.approx(before[2], rel=0.02)


@pytest.mark.parametrize("what_moves", ["camera", "field"])
def test_a_moving_point_is_a_streak_of_the_right_length(renderer: FrameRenderer, what_moves: str) -> None:
    if what_moves == "camera":
        shutter = (Moment(camera(-0.2), 0.0), Moment(camera(0.0), 0.0), Moment(camera(0.2), 0.0))
    else:
        shutter = (Moment(camera(), -0.2), Moment(camera(), 0.2))
    sharp = renderer.render_frame(PathFrame(camera(), 0.0, ""), BOTH)
    frame = PathFrame(camera(), 0.0, "", shutter=shutter)
    before, after = (moments(p) for p in (sharp, renderer.render_frame(frame, BOTH, BlurSampling(64))))
    length = np.sqrt(12.0 * (after[2] - before[2]))  # a streak's variance is l^2 / 12
    assert length == pytest.approx(0.4 * FOCAL / 4.0, rel=0.02)
    assert after[0] == pytest.approx(before[0], abs=0.1) and after[3] == pytest.approx(before[3], abs=0.02)


def cloud(tmp_path: Path, **columns: object) -> FrameRenderer:
    """The point's scene with one wide, flat, half-transparent Gaussian that faces the camera instead."""
    folder = point_scene.write(tmp_path / "cloud")
    rows = torch.zeros((1, layout.WIDTH))
    rows[0, layout.EXTENT], rows[0, layout.ROTATION.start], rows[0, layout.COLOR] = 7.0, 1.0, 1.0
    rows[0, layout.SCALE] = torch.log(torch.tensor([30.0, 30.0, 1e-3]))
    for name, value in columns.items():
        rows[0, getattr(layout, name)] = torch.tensor(value)
    model = Gaussians(rows, 1, torch.zeros(3), False, 0.0, 1.0, 4.0, FOCAL)
    Scene(folder).write_model(model.tensors(), 1)
    return FrameRenderer(folder)


def test_a_crop_moves_within_the_shutter(tmp_path: Path) -> None:
    """A box of one unit's width that moves by one unit: each place is uncovered for its part of the time."""
    boxes = [Crop.box([x - 0.5, -9, -9], [x + 0.5, 9, 9]) for x in (-0.5, 0.5)]
    shutter = tuple(Moment(camera(), time, box) for time, box in zip((0.0, 1.0), boxes, strict=True))
    frame = PathFrame(camera(), 0.0, "", crop=boxes[0], shutter=shutter)
    found = cloud(tmp_path).render_frame(frame, BOTH, BlurSampling(64))["combined"][36, :, 3]
    x = (np.arange(WIDTH) + 0.5 - WIDTH / 2) * 4.0 / FOCAL
    expected = 0.5 * np.clip(1.0 - np.abs(x), 0.0, 1.0)
    assert np.abs(found - expected).max() < 0.02 and found.max() > 0.45
    crops = [
        {"crop": [{"shape": "box", "matrix": np.eye(4).tolist(), "role": role}]}
        for role in ("keep", "remove")
    ]
    cameras = [{"transform_matrix": np.eye(4).tolist(), "time": 0, **crop} for crop in crops]
    for wrong in (cameras, [cameras[0], {**cameras[0], "crop": None}]):
        entry = {**camera().to_json(), "time": 0, "shutter": {"cameras": wrong}}
        with pytest.raises(OptionError, match="frame 1: the crops of a shutter"):
            CameraPath.from_json({"frames": [entry]}, "file")


LAYERS = PassOptions(("combined", "depth", "front", "behind"))


def over(front: np.ndarray, behind: np.ndarray) -> np.ndarray:
    return front + (1.0 - front[..., 3:]) * behind


def test_layers_of_what_comes_through_the_cg_while_the_shutter_is_open(tmp_path: Path) -> None:
    """It is before the CG, at depth 4, for three quarters of the time, then behind: so is its alpha."""
    renderer = cloud(tmp_path, POSITION=[0.0, 0.0, 1.5], VELOCITY=[0.0, 0.0, -2.0])
    split = SplitDepth(data=np.full((HEIGHT, WIDTH), 4.0, np.float32).tobytes())
    shutter = (Moment(camera(), 0.0), Moment(camera(), 1.0))
    frame = PathFrame(camera(), 0.0, "", split, Lens(0.1, 4.0), shutter)
    passes = renderer.render_frame(frame, LAYERS, BlurSampling(64))
    assert set(passes) == set(LAYERS.passes)
    assert passes["front"][36, 48, 3] == pytest.approx(0.75 * 0.5, abs=0.01)
    assert passes["combined"][36, 48, 3] == pytest.approx(0.5, abs=1e-4)
    assert np.abs(over(passes["front"], passes["behind"]) - passes["combined"]).max() < 1e-5
    only = renderer.render_frame(frame, PassOptions(("behind",)), BlurSampling(64))
    assert set(only) == {"behind"} and np.array_equal(only["behind"], passes["behind"])


def test_noise_falls_with_samples_and_a_seed_repeats(renderer: FrameRenderer) -> None:
    frame = PathFrame(
        camera(), 0.0, "", None, Lens(0.2, 2.5), (Moment(camera(-0.2), 0.0), Moment(camera(0.2), 0.1))
    )

    def render(samples: int, seed: int = 0) -> np.ndarray:
        only = PassOptions(("combined",))
        return renderer.render_frame(frame, only, BlurSampling(samples, seed))["combined"]

    truth = render(256, 99)
    errors = [
        np.sqrt(np.mean([((render(n, seed) - truth) ** 2).mean() for seed in range(2)])) for n in (4, 32)
    ]
    assert errors[1] < errors[0] / 2.5  # independent samples would give 1 / 2.8
    assert np.array_equal(render(8), render(8)) and not np.array_equal(render(8), render(8, 1))


@pytest.mark.parametrize(("blades", "variance"), [(0, 0.25), (3, 0.125), (6, 5.0 / 24.0)])
def test_the_aperture_is_filled_evenly(blades: int, variance: float) -> None:
    """A unit disc has the variance 1/4 along an axis; regular polygons in it (2 + cos(2 pi / n)) / 12."""
    random = np.random.default_rng(0)
    points = aperture_points(Lens(2.0, 1.0, blades, 0.3, 2.0), 4000, random)
    unit = points / 2.0 * (2.0, 1.0)  # half as wide
    assert np.hypot(*unit.T).max() <= 1.0
    assert np.abs(unit.mean(axis=0)).max() < 0.01
    assert unit.var(axis=0) == pytest.approx([variance] * 2, rel=0.03)
    if blades:  # an edge's middle lies at the rotation, nearer than the corners
        middle = np.cos(np.pi / blades)
        along = unit @ (np.cos(0.3), np.sin(0.3))
        assert middle - 0.02 < along.max() <= middle + 1e-9


def test_between_the_shutters_moments_rotation_turns_evenly() -> None:
    def turned(degrees: float, x: float) -> Camera:
        a, pose = np.radians(degrees), np.eye(4)
        pose[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
        pose[0, 3] = x
        return replace(camera(), camera_to_world=pose, fl_x=100.0 + degrees)

    shutter = (Moment(turned(0, 0), 0.0), Moment(turned(40, 1), 1.0), Moment(turned(40, 3), 2.0))
    middle = moment_at(shutter, 0.25)
    assert np.allclose(middle.camera.camera_to_world, turned(20, 0.5).camera_to_world)
    assert (middle.time, middle.camera.fl_x) == (0.5, 120.0)
    assert moment_at(shutter, 1.0).camera.camera_to_world[0, 3] == 3.0


def test_lens_and_shutter_in_a_camera_file() -> None:
    entry = {
        **camera().to_json(),
        "time": 0.5,
        "lens": {"aperture_radius": 0.1, "focus_distance": 2, "blades": 5},
    }
    poses = [{"transform_matrix": camera(x).camera_to_world.tolist(), "time": x} for x in (0.0, 1.0)]
    (frame,) = CameraPath.from_json({"frames": [{**entry, "shutter": {"cameras": poses}}]}, "file").frames
    assert frame.lens == Lens(0.1, 2, 5)
    assert [(moment.time, moment.camera.fl_x) for moment in frame.shutter] == [(0.0, FOCAL), (1.0, FOCAL)]
    assert json.dumps(entry)
    for wrong in ({"aperture_radius": -1, "focus_distance": 1}, {"aperture_radius": 1}, 3):
        with pytest.raises(OptionError, match="frame 1: lens"):
            CameraPath.from_json({"frames": [{**entry, "lens": wrong}]}, "file")
    with pytest.raises(CameraFileError, match="frame 1: shutter"):
        CameraPath.from_json({"frames": [{**entry, "shutter": {"cameras": poses[:1]}}]}, "file")


def test_what_cannot_be_blurred_is_told(renderer: FrameRenderer) -> None:
    frame = PathFrame(camera(), 0.0, "0001", lens=Lens(0.1, 2.0))
    with pytest.raises(OptionError, match="need the camera's split_depth"):
        renderer.render_frame(frame, PassOptions(("front",)))
    bent = replace(camera(), camera_model="OPENCV", distortion=(0.1, 0.0, 0.0, 0.0))
    with pytest.raises(OptionError, match="without lens distortion"):
        renderer.render_frame(replace(frame, camera=bent), BOTH)
    with pytest.raises(OptionError, match="samples is 0"):
        BlurSampling(0)
