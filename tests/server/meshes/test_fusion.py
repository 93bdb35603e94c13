"""The mesh lies on the surfaces that the depth pictures show, faces outwards, and knows moments apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gaussian_scene import rig

from neural_render_server.cameras import Camera
from neural_render_server.meshes.fusion import Fusion, Grid, OverTime
from neural_render_server.meshes.surface import Mesh, without_small_pieces, zero_level
from neural_render_server.meshes.views import between, box_of, fusion_cameras

RADIUS = 0.5


def ball_depth(camera: Camera, center: np.ndarray) -> np.ndarray:
    """Planar depth of a ball, infinite around it: the rays' own length at unit planar depth."""
    origin, direction = (array.astype(np.float64) for array in camera.rays())
    to_ball = origin - center
    a, b = (direction**2).sum(-1), (direction * to_ball).sum(-1)
    root = b**2 - a * ((to_ball**2).sum(-1) - RADIUS**2)
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf).astype(np.float32)


def fused(center: np.ndarray, grid: Grid) -> Fusion:
    fusion = Fusion(grid, torch.device("cpu"))
    for camera in rig():
        fusion.add(camera, ball_depth(camera, center))
    return fusion


def mesh_of(fusion: Fusion | OverTime, seen: torch.Tensor, grid: Grid) -> Mesh:
    return zero_level(fusion.distance.numpy(), seen.numpy(), grid)


@pytest.fixture
def grid() -> Grid:
    return Grid.around(np.array([-1.2, -0.8, -0.8]), np.array([1.2, 0.8, 0.8]), 48)


def test_the_mesh_lies_on_the_ball_and_faces_outwards(grid: Grid) -> None:
    center = np.array([0.3, 0.1, -0.05])
    fusion = fused(center, grid)
    mesh = mesh_of(fusion, fusion.weight > 0, grid)
    distance = np.linalg.norm(mesh.vertices - center, axis=1) - RADIUS
    assert len(mesh.faces) > 1000
    assert np.abs(np.mean(distance)) < 0.2 * grid.voxel and np.abs(distance).max() < 1.5 * grid.voxel
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normals * (corners.mean(axis=1) - center)).sum(-1) > 0).mean() > 0.99


def test_any_and_always_over_time(grid: Grid) -> None:
    first, second = np.array([-0.25, 0.0, 0.0]), np.array([0.25, 0.0, 0.0])
    sizes = {}
    for always in (False, True):
        over_time = OverTime(always)
        for center in (first, second):
            over_time.add(fused(center, grid))
        assert over_time.seen is not None
        sizes[always] = mesh_of(over_time, over_time.seen, grid).vertices
    # the two balls' union reaches to both far sides, what they share to the near ones
    reach = {always: (v[:, 0].min(), v[:, 0].max()) for always, v in sizes.items()}
    assert reach[False] == pytest.approx((-0.75, 0.75), abs=1.5 * grid.voxel)
    assert reach[True] == pytest.approx((-0.25, 0.25), abs=1.5 * grid.voxel)


def test_small_pieces_are_dropped_and_vertices_numbered_anew() -> None:
    strip = np.stack([np.arange(300), np.arange(300) + 1, np.arange(300) + 2], axis=1)
    lone = np.array([[302, 303, 304]])
    vertices = np.arange(305 * 3, dtype=np.float32).reshape(-1, 3)
    mesh = without_small_pieces(Mesh(vertices, np.concatenate([lone, strip]).astype(np.int32)), 0.01)
    assert len(mesh.faces) == 300 and len(mesh.vertices) == 302
    assert np.array_equal(mesh.vertices[mesh.faces], vertices[strip])


def test_cameras_between_look_half_way() -> None:
    cameras = rig(4)
    middle = between([cameras[0], cameras[2]])
    assert len(middle) == 1 and np.allclose(
        middle[0].position, (cameras[0].position + cameras[2].position) / 2
    )
    turned = between(cameras)
    assert 2 <= len(turned) <= 4
    for camera in turned:  # they look at the same place as their neighbours
        assert np.allclose(np.cross(camera.forward, -camera.position), 0.0, atol=0.25)
    assert len(fusion_cameras(rig(200), 64, False)) <= 48


def test_the_box_is_around_what_is_seen() -> None:
    center = np.array([0.3, 0.1, -0.05])
    cameras = rig()
    low, high = box_of(cameras, [ball_depth(camera, center) for camera in cameras])
    assert np.allclose(low, center - RADIUS, atol=0.06) and np.allclose(high, center + RADIUS, atol=0.06)
