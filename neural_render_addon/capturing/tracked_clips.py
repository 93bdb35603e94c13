"""Blender's solve of a movie clip as cameras, lens and points: no pictures are touched here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..cameras.projections import FloatArray
from ..errors import AddonError
from ..timing import scene_fps


@dataclass(frozen=True, eq=False)
class Track:
    """A solved point (3,), and where its markers are: clip frame -> (x, y) from the lower left, 0 to 1."""

    position: FloatArray
    markers: dict[int, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class SolvedClip:
    """A clip whose camera is solved, in scene coordinates.

    ``poses`` are camera-to-world matrices (4, 4) by clip frame, counted from 1. ``lens`` is the cameras' part
    of a camera file. ``fps`` is the clip's, in frames a second.
    """

    size: tuple[int, int]
    lens: dict[str, Any]
    poses: dict[int, FloatArray]
    tracks: tuple[Track, ...]
    fps: float


def solved_clip(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> SolvedClip:
    """What Blender knows of a clip's camera.

    The solve is placed in the scene as the scene's camera is, where that follows the clip (a Camera Solver
    constraint, as Set Up Tracking Scene makes); otherwise scene coordinates are the solve's own.

    Raises:
        AddonError: the clip's pictures are missing, its camera is not solved, or its lens cannot be told.
    """
    width, height = (int(side) for side in clip.size)
    if width < 1 or height < 1:
        raise AddonError(f"{clip.filepath}: the clip's pictures cannot be read; find the clip's file again")
    tracking = next((obj for obj in clip.tracking.objects if obj.is_camera), None)
    if tracking is None or not tracking.reconstruction.is_valid:
        raise AddonError(
            f"The camera of the clip {clip.name!r} is not solved; track it and press Solve Camera Motion in "
            "the Movie Clip editor"
        )
    placement = solve_placement(clip, scene)
    poses = {
        solved.frame: unscaled(placement @ np.array(solved.matrix, dtype=np.float64))
        for solved in tracking.reconstruction.cameras
        if 1 <= solved.frame <= clip.frame_duration
    }
    tracks = tuple(
        Track(
            position=(placement @ [*track.bundle, 1.0])[:3],
            markers={marker.frame: tuple(marker.co) for marker in track.markers if not marker.mute},
        )
        for track in tracking.tracks
        if track.has_bundle
    )
    fps = float(clip.fps) if clip.source == "MOVIE" else 0.0
    return SolvedClip(
        size=(width, height),
        lens=lens_entry(clip.tracking.camera, width, height),
        poses=dict(sorted(poses.items())),
        tracks=tracks,
        # An image sequence has no rate of its own: it plays at the scene's.
        fps=fps if fps > 0.0 else scene_fps(scene.render.fps, scene.render.fps_base),
    )


def solve_placement(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> FloatArray:
    """(4, 4) from the solve's coordinates to the scene's: the following camera's own transform."""
    camera = scene.camera
    for constraint in () if camera is None else camera.constraints:
        if constraint.type != "CAMERA_SOLVER" or constraint.mute:
            continue
        if (scene.active_clip if constraint.use_active_clip else constraint.clip) != clip:
            continue
        parent = np.eye(4)
        if camera.parent is not None:
            parent = np.array(camera.parent.matrix_world @ camera.matrix_parent_inverse)
        return np.asarray(parent @ np.array(camera.matrix_basis, dtype=np.float64))
    return np.eye(4)


def unscaled(pose: FloatArray) -> FloatArray:
    """A camera-to-world matrix (4, 4) without the scale of its axes."""
    pose = pose.copy()
    pose[:3, :3] /= np.linalg.norm(pose[:3, :3], axis=0)
    return pose


def lens_entry(camera: bpy.types.MovieTrackingCamera, width: int, height: int) -> dict[str, Any]:
    """A clip's lens as a camera file tells it: ``OPENCV`` for Blender's Polynomial and Brown models.

    Blender's models (``intern/libmv/libmv/simple_pipeline/distortion_models.h``) have y up and the unit of
    length of a pixel's width: the polynomial is OpenCV's with ``k1 k2 k3``; Brown's ``p1 p2`` are OpenCV's
    ``p2`` and ``-p1``.

    Raises:
        AddonError: the lens is of another model, or has Brown's ``k4``, which OpenCV has not.
    """
    x, y = camera.principal_point_pixels
    entry: dict[str, Any] = {
        "w": width,
        "h": height,
        "fl_x": camera.focal_length_pixels,
        "fl_y": camera.focal_length_pixels * camera.pixel_aspect,
        "cx": x,
        "cy": height - y,
        "camera_model": "OPENCV",
    }
    model = camera.distortion_model
    if model == "POLYNOMIAL":
        return {**entry, "k1": camera.k1, "k2": camera.k2, "k3": camera.k3, "p1": 0.0, "p2": 0.0}
    if model == "BROWN" and camera.brown_k4 == 0.0:
        radial = {"k1": camera.brown_k1, "k2": camera.brown_k2, "k3": camera.brown_k3}
        return {**entry, **radial, "p1": -camera.brown_p2, "p2": camera.brown_p1}
    if model == "DIVISION" and camera.division_k1 == camera.division_k2 == 0.0:
        return {**entry, "camera_model": "PINHOLE"}
    name = "Brown with k4" if model == "BROWN" else model.capitalize()
    raise AddonError(
        f"The clip's lens distortion is {name}, which a capture cannot tell; set it to Polynomial or Brown "
        "in the Movie Clip editor and solve again"
    )
