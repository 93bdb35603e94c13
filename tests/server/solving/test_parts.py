"""The small parts of a solve: sharp frames, what stands still, the world's axes, and the report's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from ball_views import camera_at
from textured_room import room_picture, room_rig
from tiny_capture import camera_to_world

from neural_render_server.cameras import Camera
from neural_render_server.captures.similarity import moved_camera, moved_points
from neural_render_server.errors import OptionError, SolveError
from neural_render_server.solving.colmap_process import logged_progress
from neural_render_server.solving.footage import find_footage
from neural_render_server.solving.model import SolvedModel, SolvedPicture, coverage
from neural_render_server.solving.output import bring
from neural_render_server.solving.report import make_report
from neural_render_server.solving.sharpness import choose_sharp, sharpness
from neural_render_server.solving.stages import Stages
from neural_render_server.solving.still_parts import stands_still, still_mask, still_picture
from neural_render_server.solving.world import alignment_from, cameras_up, guess_world


def test_blur_lowers_sharpness_and_contrast_does_not() -> None:
    picture = room_picture(room_rig()[0])
    blurred = cv2.GaussianBlur(picture, (0, 0), 2.0)
    pale = (picture // 2 + 64).astype(np.uint8)
    assert sharpness(blurred) < 0.4 * sharpness(picture)
    assert sharpness(pale) == pytest.approx(sharpness(picture), rel=0.1)


def test_the_sharpest_frame_of_each_part_is_chosen_and_blurred_parts_are_left_out() -> None:
    measures = np.array([1.0, 3.0, 2.0, 2.0, 1.0, 4.0, 0.1, 0.2, 0.1, 3.0, 2.9, 1.0])
    assert choose_sharp(measures, 4) == [1, 5, 9]
    assert choose_sharp(measures, 1) == [5]
    assert choose_sharp(np.array([1.0, 1.0]), 10) == [0, 1]


def test_what_moves_is_masked_and_gone_from_the_still() -> None:
    pose = room_rig()[3]
    empty = room_picture(pose)
    frames = [room_picture(pose, np.array([x, 0.6, 0.9])) for x in np.linspace(-1.2, 1.2, 7)]
    mask, still = still_mask(frames), still_picture(frames)
    moved = np.any([(frame != empty).any(axis=-1) for frame in frames], axis=0)
    assert moved.any() and not mask[moved].any()
    assert mask.mean() > 0.4
    assert (still == empty).all(axis=-1).mean() > 0.99


def test_a_camera_stands_still_whatever_moves_before_it() -> None:
    poses = room_rig()
    before = room_picture(poses[3], np.array([-0.8, 0.6, 0.9]))
    assert stands_still(before, room_picture(poses[3], np.array([0.8, 0.6, 0.9])))
    assert not stands_still(before, room_picture(poses[4]))


def test_footage_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SolveError, match="no such file"):
        find_footage(tmp_path / "none")
    with pytest.raises(SolveError, match="holds no photos"):
        find_footage(tmp_path)
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SolveError, match="single photo"):
        find_footage(tmp_path)
    cv2.imwrite(str(tmp_path / "two.png"), np.zeros((8, 8, 3), np.uint8))
    footage = find_footage(tmp_path)
    assert footage.kind == "photos" and footage.describe() == "2 photos"


def room_points(random: np.random.Generator) -> np.ndarray:
    """Points on the floor and the back wall, and some stray ones."""
    floor = np.column_stack([random.uniform(-2, 2, (300, 2)), random.normal(0.0, 0.01, 300)])
    wall = np.column_stack([random.uniform(-2, 2, 200), np.full(200, 2.0), random.uniform(0, 2, 200)])
    return np.concatenate([floor, wall, random.uniform(-3, 3, (20, 3))])


def test_up_ground_and_direction_are_guessed_in_any_world_that_a_solve_may_give() -> None:
    random = np.random.default_rng(3)
    cameras = [Camera(320, 240, 300.0, 300.0, 160.0, 120.0, pose) for pose in room_rig()]
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    elsewhere = np.eye(4)
    elsewhere[:3, :3] = 0.2 * turn * np.sign(np.linalg.det(turn))
    elsewhere[:3, 3] = 5.0, -3.0, 1.0
    solved = [moved_camera(camera, elsewhere) for camera in cameras]
    guess = guess_world(solved, moved_points(room_points(random), elsewhere))
    whole = guess.matrix @ elsewhere  # from the true room to the guessed one
    up = whole[:3, 2] / np.linalg.norm(whole[:3, 2])
    assert np.degrees(np.arccos(up[2])) < 0.5 and guess.up_from == "the ground's plane"
    floor = moved_points(np.array([[0.5, 1.0, 0.0], [-1.0, -1.0, 0.0]]), whole)
    assert np.abs(floor[:, 2]).max() < 0.05
    heights = [moved_camera(camera, whole).position[2] for camera in cameras]
    assert np.median(heights) == pytest.approx(1.5, abs=0.05)
    ahead = np.mean([moved_camera(camera, whole).forward for camera in cameras], axis=0)
    assert ahead[1] > 0.8 and abs(ahead[0]) < 0.1


def test_up_comes_from_level_cameras_even_when_all_are_tilted() -> None:
    tilted = [
        camera_to_world(np.array([3 * np.cos(a), 3 * np.sin(a), 4.0]), np.zeros(3))
        for a in np.linspace(0, 5, 9)
    ]
    up, source = cameras_up([replace(camera_at(0.0), camera_to_world=pose) for pose in tilted])
    assert up == pytest.approx([0, 0, 1], abs=1e-6) and source == "the cameras' sides"
    up, source = cameras_up([camera_at(0.0), camera_at(0.01)])
    assert up == pytest.approx([0, 0, 1], abs=1e-6) and source == "the cameras' ups"


def test_an_artist_sets_up_origin_and_scale() -> None:
    matrix = alignment_from([0, 1, 0], [1, 2, 3], [[0, 0, 0], [0, 0, 4]], 2.0)
    assert moved_points(np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 3.0]]), matrix) == pytest.approx(
        np.array([[0, 0, 0], [0, 0, 1.0]])
    )
    for wrong in (
        (None, None, None, None),
        (None, None, [[0, 0, 0], [1, 0, 0]], None),
        (None, None, [[1, 1, 1], [1, 1, 1]], 2.0),
        ([0, 0, 0], None, None, None),
    ):
        with pytest.raises(OptionError):
            alignment_from(*wrong)


def solved(*names: str, error: float = 0.5, observations: int = 500, covered: float = 0.6) -> SolvedModel:
    camera = camera_at(0.0)
    pictures = tuple(SolvedPicture(name, camera, observations, error, covered) for name in names)
    return SolvedModel(pictures, np.zeros((10, 3)), np.zeros((10, 3), np.uint8), error)


def test_the_report_says_who_did_not_join_and_why() -> None:
    names = [f"cam{index:02d}.png" for index in range(12)]
    joined, out = names[:4] + names[7:], names[4:7]
    matches = {frozenset((names[3], names[4])): 12, frozenset((names[4], names[5])): 300}
    report = make_report([solved(*joined)], names, matches, "camera")
    assert report.warnings == (
        "3 of 12 cameras did not join (cam04, cam05, cam06): too little overlap between cam03 and cam04 "
        "(12 matching points); add a camera between them.",
    )
    assert report.missing == tuple(out) and report.coverage == pytest.approx(0.6)
    assert report.headline("camera").startswith("9 of 12 cameras joined, 0.50 px")


def test_the_report_tells_groups_apart_weak_cameras_and_large_errors() -> None:
    names = [f"{index}.jpg" for index in range(8)]
    warnings = make_report([solved(*names[:4]), solved(*names[4:])], names, {}, "photo").warnings
    assert "no matching points" in warnings[0]
    assert warnings[1].startswith("4 photos form a group of their own (4, 5, 6, 7)")
    assert "3.00 px" in make_report([solved("a", "b", error=3.0)], ["a", "b"], {}, "photo").warnings[0]
    weak = make_report([solved("a", "b", observations=20)], ["a", "b"], {}, "photo").warnings
    assert "a, b are only weakly held" in weak[0]
    wrong = solved(*names)
    wrong = replace(wrong, pictures=(*wrong.pictures[:-1], replace(wrong.pictures[-1], error=1.2)))
    assert make_report([wrong], names, {}, "photo").warnings[0].startswith("7 is only weakly held")
    assert make_report([solved(*names)], names, {}, "photo").warnings == ()


def test_coverage_counts_the_cells_that_are_seen() -> None:
    assert coverage(np.zeros((0, 2)), 80, 80) == 0.0
    assert coverage(np.array([[1.0, 1.0], [5.0, 5.0], [79.0, 79.0]]), 80, 80) == 2 / 64


def test_progress_is_read_from_the_log() -> None:
    assert logged_progress("I2026 f.cc:270] Processed file [3/12]") == 0.25
    assert logged_progress("I2026 p.cc:214] Processing block [2/4, 3/4]") == pytest.approx(6 / 16)
    assert logged_progress("Placed image [12/12]") == 1.0
    assert logged_progress("I2026 b.cc] Termination [1/2]: CONVERGENCE") is None


def test_finished_stages_are_kept_until_what_they_rest_on_changes(tmp_path: Path) -> None:
    def run(*inputs: int) -> list[str]:
        stages, done = Stages(tmp_path), []
        for name, value in zip(("a", "b", "c"), inputs, strict=True):
            if stages.begin(name, value):
                done.append(name)
                stages.finish(name)
        return done

    assert run(1, 1, 1) == ["a", "b", "c"]
    assert run(1, 1, 1) == []
    assert run(1, 2, 1) == ["b", "c"]
    stages = Stages(tmp_path)
    assert not stages.begin("a", 1) and stages.begin("b", 3)  # begun and cut off
    assert run(1, 2, 1) == ["b", "c"]
    (tmp_path / "solve" / "stages.json").write_text("{")
    assert run(1, 2, 1) == ["a", "b", "c"]


def test_what_a_symbolic_link_points_to_is_brought_along(tmp_path: Path) -> None:
    """A capture with links that lead out of its folder would be refused."""
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "A001.mp4").write_bytes(b"film")
    (tmp_path / "cam00.mp4").symlink_to(tmp_path / "card" / "A001.mp4")
    assert bring(tmp_path / "cam00.mp4", tmp_path / "out" / "videos", tmp_path / "out") == "videos/cam00.mp4"
    brought = tmp_path / "out" / "videos" / "cam00.mp4"
    assert not brought.is_symlink() and brought.read_bytes() == b"film"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"done": 3}', '{"done": [[]]}', '{"done": {"a": 1}}', "[" * 100_000]
)
def test_a_damaged_list_of_stages_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "solve").mkdir()
    (tmp_path / "solve" / "stages.json").write_text(content)
    assert Stages(tmp_path).begin("pictures", [])
