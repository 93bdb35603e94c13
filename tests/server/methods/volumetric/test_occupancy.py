"""The occupancy grid's update rule, as published."""

from __future__ import annotations

import numpy as np
import torch

from neural_render_server.cameras import Camera
from neural_render_server.methods.volumetric.bounds import SceneBounds
from neural_render_server.methods.volumetric.box import CascadeBox
from neural_render_server.methods.volumetric.occupancy import KEPT, OccupancyGrid
from neural_render_server.methods.volumetric.rays import step_random

CPU = torch.device("cpu")


def ball(points: torch.Tensor) -> torch.Tensor:
    return 100.0 * ((points - 0.5).norm(dim=-1) < 0.25)


def test_updates_find_the_ball_and_forget_slowly() -> None:
    grid = OccupancyGrid(1, 16, CPU)
    grid.update(0, ball, 0.01, step_random(0, 0))
    centers = torch.stack(torch.meshgrid(*[(torch.arange(16) + 0.5) / 16] * 3, indexing="ij"), -1)
    distance = (centers - 0.5).norm(dim=-1)
    assert grid.occupied[0][distance < 0.15].all()
    assert not grid.occupied[0][distance > 0.35].any()
    assert torch.equal(grid.thickness[0][distance < 0.15], torch.full_like(distance, 1.0)[distance < 0.15])
    grid.update(1, lambda points: torch.zeros(len(points)), 0.01, step_random(0, 1))
    assert torch.allclose(grid.thickness.max(), torch.tensor(KEPT))
    # 0.95^90 < 0.01: what has gone is forgotten
    for step in range(2, 110):
        grid.update(step, lambda points: torch.zeros(len(points)), 0.01, step_random(0, step))
    assert not (grid.thickness > 0.01).any()


def test_the_cadence_is_the_published_one() -> None:
    grid = OccupancyGrid(1, 8, CPU)
    due = [step for step in range(400) if grid.is_due(step)]
    assert due[:33] == [*list(range(32)), 32]
    assert [step for step in due if 32 <= step < 48] == list(range(32, 48, 2))
    assert [step for step in due if step >= 256] == list(range(256, 400, 16))


def test_later_updates_look_at_a_quarter_and_at_a_quarter_of_the_occupied() -> None:
    grid = OccupancyGrid(1, 16, CPU)
    grid.update(0, ball, 0.01, step_random(0, 0))
    looked: list[int] = []

    def counted(points: torch.Tensor) -> torch.Tensor:
        looked.append(len(points))
        return ball(points)

    grid.update(300, counted, 0.01, step_random(0, 300))
    occupied = int(grid.occupied.sum())
    assert 16**3 // 4 < looked[0] <= 16**3 // 4 + min(16**3 // 4, 2 * occupied)


def test_what_no_camera_sees_stays_closed() -> None:
    box = CascadeBox(np.array([1.0, 2.0, 3.0]), 4.0, 2)
    grid = OccupancyGrid(2, 16, CPU)
    pose = np.eye(4)
    pose[:3, 3] = [1.0, 2.0, 3.0]  # in the middle, looking down -z
    grid.mark_unseen([Camera(50, 50, 50.0, 50.0, 25.0, 25.0, pose)], box.to_unit_matrix(), 0.1)
    assert not grid.occupied[:, :, :, 12:].any()  # behind the camera
    assert grid.occupied[:, 8, 8, 1].all()
    assert not grid.occupied[1, 0, 8, 7]  # beside its picture
    grid.update(0, lambda points: torch.full((len(points),), 1e3), 0.01, step_random(0, 0))
    assert not grid.occupied[:, :, :, 12:].any()


def test_bits_survive_saving() -> None:
    grid = OccupancyGrid(2, 12, CPU)
    grid.update(0, ball, 0.01, step_random(0, 0))
    assert torch.equal(OccupancyGrid.from_tensors(grid.tensors(), CPU).occupied, grid.occupied)


def test_cascades_reach_as_far_as_the_scene() -> None:
    center = np.zeros(3)
    far = SceneBounds(0.1, 9.0, np.full(3, -7.0), np.full(3, 5.0), center, 2.0)
    box = CascadeBox.around(far, is_object=False)
    assert box.cascades == 3 and box.edge == 4.0  # 2, 4, 8 units to each side
    np.testing.assert_allclose(box.corners[1], 8.0)
    assert CascadeBox.around(far, is_object=True).cascades == 1
    rays_o, rays_d = box.rays_to_unit(torch.zeros(1, 3), torch.tensor([[4.0, 0.0, 0.0]]))
    torch.testing.assert_close(rays_o + rays_d, torch.tensor([[1.5, 0.5, 0.5]]))
    torch.testing.assert_close(
        box.unit_to_field(torch.tensor([[2.5, 0.5, -1.5]])), torch.tensor([[1.0, 0.5, 0.0]])
    )
