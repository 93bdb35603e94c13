"""Depth-sorted merging and the passes from depth, against a plane and spheres worked out by hand."""

import numpy as np
import pytest

from neural_render_addon.cameras.projections import Projection
from neural_render_addon.engine.passes import EMPTY_DEPTH, Layer, merge, mist, normals, vectors

PINHOLE = Projection(40, 30, 50.0, 48.0, 19.0, 16.0)
PROJECTIONS = {
    "pinhole": PINHOLE,
    "orthographic": Projection(40, 30, 9.0, 9.0, 19.0, 16.0, "ORTHOGRAPHIC"),
    "equirectangular": Projection(40, 20, 40 / (2 * np.pi), 20 / np.pi, 20.0, 10.0, "EQUIRECTANGULAR"),
}


def layer(color, alpha, depth):
    combined = np.full((2, 3, 4), alpha, dtype=np.float32)
    combined[..., :3] = np.float32(color) * np.float32(alpha)
    return Layer(combined, np.full((2, 3), depth, dtype=np.float32))


def plane_depth(projection, normal, offset):
    """Depth of the plane ``normal . p = offset`` in camera axes."""
    origin = projection.points(np.zeros((projection.height, projection.width)))
    step = projection.points(np.ones((projection.height, projection.width))) - origin
    return ((offset - origin @ normal) / (step @ normal)).astype(np.float32)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_points_and_pixels_are_inverse(name):
    projection = PROJECTIONS[name]
    depth = np.random.default_rng(1).uniform(1, 9, (projection.height, projection.width))
    rows, columns = np.indices(depth.shape) + 0.5
    assert projection.pixels(projection.points(depth)) == pytest.approx(np.stack([columns, rows], -1))


def test_a_cut_sees_the_same_points():
    depth = np.full((30, 40), 3.0)
    part = PINHOLE.cut(5, 7, 11, 9).cut(1, 2, 4, 3)
    assert part.window == (6, 9, 40, 30)
    assert part.points(np.full((3, 4), 3.0)) == pytest.approx(PINHOLE.points(depth)[9:12, 6:10])


def test_the_nearer_layer_is_over_the_other_pixel_by_pixel():
    near, far = layer([1, 0, 0], 0.25, 1.0), layer([0, 1, 0], 0.5, 2.0)
    far.depth[0, 0] = 0.5
    for order in ([near, far], [far, near]):
        merged = merge(order)
        assert merged.combined[1, 1] == pytest.approx([0.25, 0.375, 0.0, 0.625])
        assert merged.combined[0, 0] == pytest.approx([0.125, 0.5, 0.0, 0.625])
        assert merged.depth[1, 1] == 1.0
        assert merged.depth[0, 0] == 0.5
        assert order[merged.nearest[0, 0]] is far


@pytest.mark.parametrize("name", ["pinhole", "orthographic"])
def test_normals_of_a_plane(name):
    normal = np.array([0.3, 0.2, 0.9]) / np.linalg.norm([0.3, 0.2, 0.9])
    depth = plane_depth(PROJECTIONS[name], normal, -5.0)
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    found = normals(depth, PROJECTIONS[name], pose)
    assert found.reshape(-1, 3) == pytest.approx(np.tile(pose[:3, :3] @ normal, (1200, 1)), abs=2e-3)


def test_an_edge_keeps_both_its_normals_and_nothing_has_none():
    depth = np.full((30, 40), 4.0, dtype=np.float32)
    depth[:, 20:] = 9.0
    depth[:10] = EMPTY_DEPTH
    found = normals(depth, PINHOLE, np.eye(4))
    assert found[12:] == pytest.approx(np.tile([0, 0, 1], (18, 40, 1)), abs=1e-4)
    assert (found[:10] == 0).all()


def test_mist_is_blenders():
    """The distance along the ray counts, and an empty pixel is all mist; Cycles gave 0.37344 here."""
    projection = Projection(80, 60, 50 / 36 * 80, 50 / 36 * 80, 40.0, 30.0)
    depth = np.full((60, 80), EMPTY_DEPTH, dtype=np.float32)
    depth[5, 5] = 4.4244018
    combined = np.zeros((60, 80, 4), dtype=np.float32)
    combined[5, 5, 3] = 1.0
    found = mist(combined, depth, projection, 1.0, 10.0, "LINEAR")
    assert found[5, 5, 0] == pytest.approx(0.37344, abs=1e-5)
    assert found[0, 0, 0] == 1.0
    combined[5, 5, 3] = 0.5
    assert mist(combined, depth, projection, 1.0, 10.0, "QUADRATIC")[5, 5, 0] == pytest.approx(
        1 - 0.5 * (1 - 0.37344**2), abs=1e-5
    )


def test_vectors_are_cycles():
    """A plane seen by a camera that moves; Cycles 4.5 and 5.2 wrote these values at two of its pixels."""
    projection = Projection(80, 60, 50 / 36 * 80, 50 / 36 * 80, 40.0, 30.0)
    depth = np.full((60, 80), EMPTY_DEPTH, dtype=np.float32)
    depth[30, 40], depth[5, 5] = 5.022515, 4.4244018
    # The camera moved by (0.1, 0.03) up to this frame and moves by (0.2, 0.17) to the next.
    found = vectors(
        depth,
        projection,
        lambda points: projection.pixels(points + np.array([0.1, 0.03, 0.0])),
        lambda points: projection.pixels(points - np.array([0.2, 0.17, 0.0])),
    )
    assert found[30, 40] == pytest.approx([2.2122612, 0.66368103, 4.4245224, 3.7608414], abs=1e-3)
    assert found[5, 5] == pytest.approx([2.5113282, 0.7533989, 5.022645, 4.269249], abs=1e-3)
    assert (found[0, 0] == 0).all()
