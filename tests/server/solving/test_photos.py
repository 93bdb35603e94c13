"""Photos as cameras write them: held upright, or brighter than white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image
from solved_poses import errors_against_truth, run
from textured_room import room_picture, room_rig

from neural_render_server.cameras import Camera
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.transfer import srgb_to_linear
from neural_render_server.solving.orientation import quarter_turns, upright
from neural_render_server.solving.pictures import exposed

# As a photo is shown -> as its pixels lie, and what EXIF then says.
TURNED = {1: 0, 6: 1, 3: 2, 8: 3}


def write_photo(path: Path, shown: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.rot90(shown, TURNED[orientation]).copy()).save(path, quality=97, exif=exif)


@pytest.mark.parametrize("orientation", list(TURNED))
def test_the_upright_camera_is_that_of_the_photo_as_it_is_shown(tmp_path: Path, orientation: int) -> None:
    shown = room_picture(room_rig(3)[1])
    write_photo(tmp_path / "photo.jpg", shown, orientation)
    turns = quarter_turns(tmp_path / "photo.jpg")
    assert turns == TURNED[orientation]
    height, width = np.rot90(shown, turns).shape[:2]
    as_stored = Camera(width, height, 300.0, 310.0, width / 2 + 7, height / 2 - 4, room_rig(3)[1])
    as_shown = upright(as_stored, turns)
    assert (as_shown.width, as_shown.height) == (320, 240)
    # A pixel of the photo as it is shown and the one that it comes from lie on the same ray.
    marks = np.arange(320 * 240).reshape(240, 320)
    stored_rows, stored_columns = np.nonzero(np.rot90(marks, turns) == marks[30, 50])
    rays_stored, rays_shown = as_stored.rays()[1], as_shown.rays()[1]
    assert rays_shown[30, 50] == pytest.approx(rays_stored[stored_rows[0], stored_columns[0]], abs=1e-5)


def test_photos_held_upright_and_of_high_dynamic_range_are_solved_with_up_up(tmp_path: Path) -> None:
    """Half of the photos lie on their side in their files; two are EXR, three stops brighter than white."""
    footage, poses = tmp_path / "photos", room_rig(7)
    footage.mkdir()
    for index, pose in enumerate(poses):
        shown = room_picture(pose)
        if index in (2, 5):
            linear = 8.0 * srgb_to_linear(shown.astype(np.float32) / np.float32(255.0))
            with OpenEXR.File({}, {"RGB": np.ascontiguousarray(linear)}) as file:
                file.write(str(footage / f"{index}.exr"))
        else:
            write_photo(footage / f"{index}.jpg", shown, 6 if index % 2 else 1)
    out = tmp_path / "capture"
    result, _ = run(footage, out, intrinsics="separate")
    assert len(result["registered"]) == len(poses)
    capture = open_capture(out)
    assert [camera.name for camera in capture.cameras] == [str(index) for index in range(7)]
    assert [view.source.path.suffix for view in capture.views].count(".exr") == 2
    turns = [1 if index in (1, 3) else 0 for index in range(7)]
    shown_cameras = [upright(camera, own) for camera, own in zip(capture.cameras, turns, strict=True)]
    rotation, position = errors_against_truth(
        np.array([camera.camera_to_world for camera in shown_cameras]), np.array(poses)
    )
    assert rotation < 2.0 and position < 0.04
    assert min(camera.camera_to_world[2, 1] for camera in shown_cameras) > 0.8  # the world's z is up


def test_a_bright_picture_is_exposed_so_that_hardly_anything_clips() -> None:
    bright = (np.linspace(0.1, 0.9, 300).reshape(10, 30, 1) * np.ones(3) * 20000).astype(np.uint16)
    pixels = exposed(bright)
    assert 0 < (pixels == 255).mean() < 0.05 and len(np.unique(pixels)) > 100
    assert np.array_equal(exposed(pixels), pixels)  # what has 8 bits stays as it is
