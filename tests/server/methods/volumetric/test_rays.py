"""Rays, samplers, bounds and rendering in chunks, against the tiny film's known world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_capture
import torch

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.crop import Crop
from neural_render_server.kernels.ray_parts import RayParts
from neural_render_server.methods.volumetric.bounds import SceneBounds, scene_bounds
from neural_render_server.methods.volumetric.importance_sampler import ImportanceSampler, ist_weights
from neural_render_server.methods.volumetric.rays import Pixels, RayGatherer, step_random
from neural_render_server.methods.volumetric.rendering import RenderedRays, render_in_chunks
from neural_render_server.methods.volumetric.uniform_sampler import UniformSampler

CPU = torch.device("cpu")


def no_report(message: str, fraction: float) -> None:
    pass


@pytest.fixture(scope="module")
def film(tiny_film: Path) -> Iterator[Frames]:
    capture = open_capture(tiny_film)
    with Frames(capture, capture.train_indices) as frames:
        yield frames


def test_rays_hit_the_traced_worlds_colours(film: Frames) -> None:
    """Depth along a ray times its direction lands where the tracer's own depth puts the pixel."""
    random = step_random(0, 0)
    pixels = UniformSampler(film).sample(random, 200)
    batch = RayGatherer(film, CPU).gather(pixels, random)
    for index in range(0, 200, 20):
        camera = film.cameras[film.camera_indices[pixels.views[index]]]
        origins, directions = camera.rays()
        place = pixels.rows[index], pixels.columns[index]
        np.testing.assert_allclose(batch.rays_o[index], origins[place], atol=1e-5)
        np.testing.assert_allclose(batch.rays_d[index], directions[place], atol=1e-5)
        expected = film.rgb(int(pixels.views[index]))[place] / 255.0
        np.testing.assert_allclose(batch.colors[index], expected, atol=1e-6)
        time = film.times[film.timestep_indices[pixels.views[index]]]
        assert batch.times[index] == pytest.approx(time)


def test_uniform_sampling_covers_views_and_pixels_evenly(film: Frames) -> None:
    sampler = UniformSampler(film)
    pixels = sampler.sample(step_random(1, 0), 40_000)
    views = np.bincount(pixels.views, minlength=len(film))
    assert views.min() > 0.8 * views.mean()
    rows = np.bincount(pixels.rows, minlength=tiny_capture.HEIGHT)
    assert rows.min() > 0.8 * rows.mean() and len(rows) == tiny_capture.HEIGHT
    central = sampler.sample(step_random(1, 0), 1000, central=0.5)
    assert central.columns.min() >= tiny_capture.WIDTH // 4
    assert central.columns.max() < tiny_capture.WIDTH * 3 // 4


def test_the_same_step_draws_the_same_pixels(film: Frames) -> None:
    first, again, other = (UniformSampler(film).sample(step_random(5, step), 50) for step in (7, 7, 8))
    assert np.array_equal(first.columns, again.columns)
    assert not np.array_equal(first.columns, other.columns)


@pytest.mark.parametrize("kind", ["isg", "ist"])
def test_importance_sampling_prefers_the_ball(film: Frames, kind: str) -> None:
    """The ball and what it uncovers are the only changes: they get more than their share of rays."""
    sampler = ImportanceSampler(film, kind, no_report)  # type: ignore[arg-type]
    pixels = sampler.sample(step_random(0, 3), 4000)
    assert len(np.unique(film.timestep_indices[pixels.views])) == 1
    changing = np.zeros(len(pixels), dtype=bool)
    share = []
    for view in np.unique(pixels.views):
        camera = film.camera_indices[view]
        stack = np.stack([film.rgb(int(v)) for v in np.flatnonzero(film.camera_indices == camera)])
        moving = np.ptp(stack.astype(np.int64), axis=0).max(axis=-1) > 30
        own = pixels.views == view
        changing[own] = moving[pixels.rows[own], pixels.columns[own]]
        share.append(moving.mean())
    # IST's floor of 0.1 leaves most rays to the still part when little moves
    assert changing.mean() > (2.0 if kind == "isg" else 1.5) * np.mean(share)


def test_ist_clamps_on_colours_between_0_and_1() -> None:
    image = np.zeros((2, 2, 3), dtype=np.float32)
    other = image.copy()
    other[0, 0] = 0.5
    other[1, 1] = 0.05
    np.testing.assert_allclose(ist_weights(image, [other]), [[0.5, 0.1], [0.1, 0.1]])


def rgba_photos(folder: Path) -> Path:
    """Photos of the ball alone, all else transparent, from a ring of cameras."""
    (folder / "images").mkdir(parents=True)
    ball = tiny_capture.ball_position(0.0)
    frames = []
    for index, angle in enumerate(np.linspace(0, 2 * np.pi, 12, endpoint=False)):
        position = ball + 1.0 * np.array([np.sin(angle), np.cos(angle), 0.3])
        pose = tiny_capture.camera_to_world(position, ball)
        color, _ = tiny_capture.trace(pose, 0.0)
        is_ball = color[..., 0] > 2.0 * color[..., 2]
        rgba = np.concatenate([color[..., ::-1] * 255, is_ball[..., None] * 255], axis=-1)
        name = f"images/{index:02d}.png"
        cv2.imwrite(str(folder / name), rgba.astype(np.uint8))
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    size = {"w": tiny_capture.WIDTH, "h": tiny_capture.HEIGHT}
    lens = {"fl_x": tiny_capture.FOCAL, "fl_y": tiny_capture.FOCAL}
    (folder / "transforms.json").write_text(json.dumps({**size, **lens, "frames": frames}))
    return folder


def test_an_objects_box_comes_from_its_alpha(tmp_path: Path) -> None:
    capture = open_capture(rgba_photos(tmp_path / "rgba"))
    with Frames(capture, capture.train_indices) as frames:
        bounds = scene_bounds(frames, no_report)
        random = step_random(0, 0)
        batch = RayGatherer(frames, CPU).gather(UniformSampler(frames).sample(random, 500), random)
    ball = tiny_capture.ball_position(0.0)
    radius = tiny_capture.BALL_RADIUS
    assert (bounds.minimum < ball - radius).all() and (bounds.maximum > ball + radius).all()
    assert (bounds.maximum - bounds.minimum).max() < 3.0 * radius
    assert 0 < bounds.near < 1.0 - radius and 1.0 + radius < bounds.far < 2.0
    # transparent pixels show a random background, so that it cannot be learned
    clear = batch.alphas == 0
    assert clear.any()
    assert torch.equal(batch.colors[clear], batch.backgrounds[clear])
    assert batch.backgrounds.std() > 0.2
    restored = SceneBounds.from_tensors(bounds.tensors())
    np.testing.assert_array_equal(restored.minimum, bounds.minimum)
    assert restored.far == bounds.far


def test_the_films_bounds_hold_its_ball(film: Frames) -> None:
    bounds = scene_bounds(film, no_report)
    ball = tiny_capture.ball_position(0.0)
    assert (bounds.minimum < ball).all() and (bounds.maximum > ball).all()
    assert bounds.near == 1.0 and bounds.far == 8.0  # as the capture states
    assert 2.0 < bounds.radius < 6.0


def test_rendering_in_chunks_gives_planar_depth_and_honours_the_crop(film: Frames) -> None:
    """An opaque wall at y = 2, rendered in odd chunks, has the tracer's depth; a crop in front removes it."""
    camera = film.cameras[0]

    def wall(rays_o: torch.Tensor, rays_d: torch.Tensor, parts: RayParts) -> RenderedRays:
        distance = (tiny_capture.WALL_Y - rays_o[:, 1]) / rays_d[:, 1]
        opacity = 0.5 * parts.shares(distance, torch.zeros_like(distance), torch.arange(len(rays_o)))[0]
        whole = torch.ones(len(rays_o), 3) * opacity[:, None], opacity, opacity * distance
        return RenderedRays(whole, None, torch.empty(len(rays_o), 0))

    frame = render_in_chunks(camera, None, CPU, wall, rays_per_chunk=1000)
    depth = tiny_capture.trace(camera.camera_to_world, 0.0)[1]
    top = slice(0, 8)  # above the ball there is only wall
    np.testing.assert_allclose(frame.depth[top], depth[top], rtol=1e-4)
    np.testing.assert_allclose(frame.opacity[top], 0.5)
    cropped = render_in_chunks(camera, Crop.box((-9, -9, -9), (9, 1.9, 9)), CPU, wall)
    assert not cropped.opacity[top].any() and not cropped.depth[top].any()


def test_masked_pixels_are_not_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    tiny_capture.write_transforms(folder)
    mask = np.zeros((tiny_capture.HEIGHT, tiny_capture.WIDTH), dtype=np.uint8)
    mask[:, :16] = 255
    data = json.loads((folder / "transforms.json").read_text())
    for index, frame in enumerate(data["frames"]):
        frame["mask_path"] = f"masks/{index}.png"
        (folder / "masks").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / frame["mask_path"]), mask)
    (folder / "transforms.json").write_text(json.dumps(data))
    capture = open_capture(folder)
    with Frames(capture, capture.train_indices) as frames:
        pixels: Pixels = UniformSampler(frames).sample(step_random(0, 0), 2000)
    assert len(pixels) == 2000
    assert pixels.columns.max() < 16
