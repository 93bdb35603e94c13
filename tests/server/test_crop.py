"""Crops as the camera file and the service give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neural_render_server.camera_path import PathFrame
from neural_render_server.crop import Crop
from neural_render_server.errors import OptionError

BOX = {"shape": "box", "matrix": np.diag([1.0, 2.0, 3.0, 1.0]).tolist(), "name": "Set.001"}


def test_a_camera_entry_carries_its_crop() -> None:
    sphere = {**BOX, "shape": "sphere", "role": "remove", "name": "Lamp"}
    entry = {"w": 4, "h": 3, "fl_x": 4, "fl_y": 4, "cx": 2, "cy": 1.5, "transform_matrix": np.eye(4).tolist()}
    frame = PathFrame.from_json({**entry, "crop": [BOX, sphere]}, {}, 0.0, "", "frame 1")
    assert frame.crop is not None
    first, second = frame.crop.shapes
    assert (first.kind, first.role, second.kind, second.role) == ("box", "keep", "sphere", "remove")
    np.testing.assert_array_equal(first.to_shape, np.diag([1, 1 / 2, 1 / 3, 1]))
    assert frame.crop.matte_names == [] and frame.crop.matted(True).matte_names == ["Set_001"]
    assert PathFrame.from_json({**entry, "crop": []}, {}, 0.0, "", "frame 1").crop is None


def test_two_corners_are_a_box() -> None:
    crop = Crop.from_json({"min": [0, -1, 2], "max": [2, 1, 3]}, "crop")
    assert crop is not None
    corners = np.array([[-1, -1, -1, 1], [1, 1, 1, 1]]) @ crop.shapes[0].matrix.T
    np.testing.assert_allclose(corners[:, :3], [[0, -1, 2], [2, 1, 3]])


def test_the_bounds_are_around_all_that_is_kept() -> None:
    turned = np.eye(4)
    turned[:2, :2] = [[0.0, -2.0], [1.0, 0.0]]
    turned[:3, 3] = (5.0, 0.0, 0.0)
    diagonal = np.eye(4)
    diagonal[:2, :2] = [[1.0, 1.0], [-1.0, 1.0]]
    for shape, corner in (("box", (7.0, 2.0)), ("sphere", (7.0, np.sqrt(2.0)))):
        kept = [
            {"shape": shape, "matrix": matrix.tolist(), "name": str(index)}
            for index, matrix in enumerate((turned, diagonal))
        ]
        crop = Crop.from_json([*kept, {**BOX, "role": "remove"}], "crop")
        assert crop is not None and crop.bounds is not None
        np.testing.assert_allclose(crop.bounds[1][:2], corner)
        np.testing.assert_allclose(crop.bounds[0][:2], (-corner[1], -corner[1]))
    only_removed = Crop.from_json([{**BOX, "role": "remove"}], "crop")
    assert only_removed is not None and only_removed.bounds is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("box", "a list of shapes"),
        ([1], "must have shape and matrix"),
        ([{**BOX, "colour": 1}], "must have shape and matrix"),
        ([{**BOX, "shape": "cone"}], "box or sphere"),
        ([{**BOX, "role": "hide"}], "keep, remove, matte"),
        ([{**BOX, "matrix": [[1, 2], [3, 4]]}], "4x4"),
        ([{**BOX, "matrix": "unit"}], "4x4"),
        ([{**BOX, "matrix": np.diag([1, 1, np.nan, 1]).tolist()}], "4x4"),
        ([{**BOX, "matrix": np.diag([1, 1, 0, 1]).tolist()}], "'Set.001' has a scale of 0"),
        ([BOX, BOX], "same name"),
        ({"min": [1, 1, 1], "max": [0, 0, 0]}, "crop is no box"),
        ({"min": [1, 1]}, "min"),
    ],
)
def test_what_is_no_crop_is_told(value: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        Crop.from_json(value, "frame 7")
    assert str(error.value).startswith("frame 7")
