"""A clip whose camera is known: pictures made here, markers by Blender's own lens formulas, solved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from neural_render_addon.capturing.rig_shapes import look_at

WIDTH, HEIGHT, FRAMES, FOCAL = 64, 48, 12, 60.0
# Of a cheap wide lens: at the picture's corner more than three pixels.
K1, K2, P1, P2 = -0.15, 0.02, 0.02, -0.015


@dataclass(frozen=True, eq=False)
class KnownClip:
    """The clip, its cameras (FRAMES, 4, 4), points (N, 3) and markers (FRAMES, N, 2) from the lower left."""

    clip: bpy.types.MovieClip
    poses: np.ndarray
    points: np.ndarray
    markers: np.ndarray


def make_clip(folder: Path, lens: str) -> KnownClip:
    """A solved clip with the lens model ``POLYNOMIAL`` or ``BROWN``; frame k has blue = 20 * k."""
    clip = bpy.data.movieclips.load(str(write_pictures(folder)))
    camera = clip.tracking.camera
    camera.distortion_model, camera.units, camera.focal_length_pixels = lens, "PIXELS", FOCAL
    if lens == "POLYNOMIAL":
        camera.k1, camera.k2, camera.k3 = K1, K2, 0.0
    else:
        camera.brown_k1, camera.brown_k2, camera.brown_p1, camera.brown_p2 = K1, K2, P1, P2
    camera.principal_point_pixels = (WIDTH / 2 + 2.0, HEIGHT / 2 - 1.5)
    points = np.random.default_rng(1).uniform(-1.3, 1.3, (40, 3))
    turns = np.linspace(-0.5, 0.5, FRAMES)
    poses = np.array([look_at((4.5 * np.sin(a), -4.5 * np.cos(a), 1.0 + a), (0.0, 0.0, 0.0)) for a in turns])
    markers = np.array([project(points, pose, lens) for pose in poses])
    for index in range(len(points)):
        track = clip.tracking.tracks.new(name=f"Track {index}", frame=1)
        for frame in range(FRAMES):
            track.markers.insert_frame(frame + 1, co=markers[frame, index])
    solve(clip)
    return KnownClip(clip, poses, points, markers)


def write_pictures(folder: Path) -> Path:
    """FRAMES PNG pictures of soft colours; returns the first."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    for frame in range(1, FRAMES + 1):
        pixels = np.ones((HEIGHT, WIDTH, 4), dtype=np.float32)
        pixels[..., 0] = 0.5 + 0.4 * np.sin(8.0 * x + 3.0 * y)
        pixels[..., 1] = 0.5 + 0.4 * np.cos(6.0 * y - 3.0 * x)
        pixels[..., 2] = 20.0 * frame / 255.0
        image = bpy.data.images.new("Picture", WIDTH, HEIGHT)
        image.pixels.foreach_set(pixels.ravel())
        image.filepath_raw, image.file_format = str(folder / f"shot_{frame:04d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    return folder / "shot_0001.png"


def project(points: np.ndarray, pose: np.ndarray, lens: str) -> np.ndarray:
    """(N, 2) from the lower left, 0 to 1: libmv's Polynomial and Brown models, y up."""
    inside = (points - pose[:3, 3]) @ pose[:3, :3]
    x, y = inside[:, 0] / -inside[:, 2], inside[:, 1] / -inside[:, 2]
    squared = x * x + y * y
    radial = 1.0 + K1 * squared + K2 * squared**2
    p1, p2 = (P1, P2) if lens == "BROWN" else (0.0, 0.0)
    u = x * radial + p1 * (squared + 2.0 * x * x) + p2 * 2.0 * x * y
    v = y * radial + p2 * (squared + 2.0 * y * y) + p1 * 2.0 * x * y
    columns, rows = FOCAL * u + WIDTH / 2 + 2.0, FOCAL * v + HEIGHT / 2 - 1.5
    return np.stack([columns / WIDTH, rows / HEIGHT], axis=1)


def solve(clip: bpy.types.MovieClip) -> None:
    """Press Solve Camera Motion, which wants a Movie Clip editor."""
    tracking = clip.tracking.objects[0]
    tracking.keyframe_a, tracking.keyframe_b = 1, FRAMES
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        assert bpy.ops.clip.solve_camera() == {"FINISHED"}
    assert tracking.reconstruction.is_valid
