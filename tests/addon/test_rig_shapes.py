"""Where a rig's cameras stand and look, and the spacing and overlap told, against hand-made cases."""

import math

import numpy as np
import pytest

from neural_render_addon.cameras.projections import Projection
from neural_render_addon.capturing.rig_shapes import arc, dome, even_places, grid, look_at, ring
from neural_render_addon.capturing.rig_spacing import measure_spacing

TURN = 2.0 * math.pi
SQUARE = Projection(100, 100, 100.0, 100.0, 50.0, 50.0)


def test_an_arc_stands_before_the_subject_and_spans_its_angle():
    offsets = arc(5, 2.0, TURN / 4, heading=0.0, elevation=0.0)
    assert np.linalg.norm(offsets, axis=1) == pytest.approx(2.0)
    assert offsets[2] == pytest.approx([0.0, -2.0, 0.0])
    assert offsets[0] == pytest.approx([-math.sqrt(2), -math.sqrt(2), 0.0])
    assert offsets[4] == pytest.approx([math.sqrt(2), -math.sqrt(2), 0.0])
    assert arc(1, 2.0, TURN / 4, 0.0, 0.0)[0] == pytest.approx([0.0, -2.0, 0.0])


def test_a_ring_goes_all_around_without_a_double():
    offsets = ring(8, 3.0, heading=TURN / 4, elevation=TURN / 12)
    assert offsets[0] == pytest.approx([3.0 * math.cos(TURN / 12), 0.0, 1.5])
    assert offsets.mean(axis=0) == pytest.approx([0.0, 0.0, 1.5])
    gaps = np.linalg.norm(offsets - np.roll(offsets, 1, axis=0), axis=1)
    assert gaps == pytest.approx(gaps[0])


def test_a_dome_is_even_and_stays_above_its_lowest_elevation():
    offsets = dome(200, 1.0, 0.0, lowest=0.0)
    assert np.linalg.norm(offsets, axis=1) == pytest.approx(1.0)
    assert offsets[:, 2].min() >= 0.0
    apart = np.linalg.norm(offsets[:, None] - offsets[None], axis=-1) + 9.0 * np.eye(200)
    nearest = apart.min(axis=1)
    # 200 equal caps of a half sphere are about 0.1 in radius; none is much nearer to another.
    assert nearest.min() > 0.5 * nearest.max() > 0.08


def test_a_grid_faces_the_subject_from_its_top_left_on():
    offsets = grid(3, 2, 4.0, 0.5, heading=0.0, elevation=0.0)
    assert offsets[0] == pytest.approx([-0.5, -4.0, 0.25])
    assert offsets[2] == pytest.approx([0.5, -4.0, 0.25])
    assert offsets[5] == pytest.approx([0.5, -4.0, -0.25])


@pytest.mark.parametrize("position", [(3.0, 1.0, 2.0), (0.0, 0.0, 5.0), (1.0, 1.0, -4.0), (1.0, 1.0, 1.0)])
def test_look_at_is_a_rotation_towards_the_target(position):
    target = np.array([1.0, 1.0, 1.0])
    pose = look_at(position, target)
    assert pose[:3, :3].T @ pose[:3, :3] == pytest.approx(np.eye(3))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    distance = np.linalg.norm(target - position)
    assert pose[:3, 3] - distance * pose[:3, 2] == pytest.approx(target)
    assert pose[2, 0] == pytest.approx(0.0)  # the horizon is level
    assert pose[2, 1] >= -1e-12


def test_places_on_a_path_are_equally_far_apart():
    x = np.array([0.0, 0.0, 1.0, 4.0, 4.0])  # rests, goes slowly, goes fast, rests
    positions = np.stack([x, 0 * x, 0 * x], axis=1)
    places = even_places(positions, 5)
    assert np.interp(places, np.arange(5), x) == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0])
    assert even_places(np.zeros((5, 3)), 3) == pytest.approx([0.0, 2.0, 4.0])


def test_spacing_of_an_arc():
    poses = [look_at(offset, np.zeros(3)) for offset in arc(4, 2.0, math.radians(30.0), 0.0, 0.2)]
    spacing = measure_spacing(poses, [SQUARE] * 4)
    chord = float(np.linalg.norm(poses[1][:3, 3] - poses[0][:3, 3]))
    assert spacing.distance == pytest.approx((chord,) * 3)
    assert spacing.focus == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    # Directions at one elevation differ by less than the headings do.
    assert spacing.angle[1] == pytest.approx(math.degrees(2 * math.asin(chord / 4)))
    assert 0.8 < spacing.overlap[0] <= spacing.overlap[2] < 1.0


def test_overlap_of_two_cameras_that_turn_to_one_point():
    """At distance 10 a picture is 10 wide. From a quarter turn aside, a point (x, y) of it is 10 - x away and
    seen where |y| is below half of that: everywhere for x < 0, on three quarters for x > 0."""
    near = [look_at((x, 0.0, 100.0), (0.0, 0.0, 0.0)) for x in (0.0, 1.0)]
    assert measure_spacing(near, [SQUARE] * 2).overlap[0] > 0.97
    aside = [look_at((0.0, 0.0, 10.0), (0.0, 0.0, 0.0)), look_at((10.0, 0.0, 0.0), (0.0, 0.0, 0.0))]
    assert measure_spacing(aside, [SQUARE] * 2).overlap[0] == pytest.approx(0.875, abs=0.01)


def test_cameras_that_meet_nowhere_have_no_overlap():
    parallel = [look_at((x, 0.0, 5.0), (x, 0.0, 0.0)) for x in (0.0, 1.0, 2.0)]
    spacing = measure_spacing(parallel, [SQUARE] * 3)
    assert spacing.overlap is None
    assert spacing.angle == pytest.approx((0.0, 0.0, 0.0), abs=1e-5)
    outwards = [look_at((x, 0.0, 0.0), (3 * x, 0.0, 0.0)) for x in (-1.0, 1.0)]
    assert measure_spacing(outwards, [SQUARE] * 2).overlap is None
    assert measure_spacing(parallel[:1], [SQUARE]) is None
