"""Add Strip: the frames in the sequencer at their frames, with alpha and the right colour, once."""

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from neural_render_addon.composite import strips
from neural_render_addon.composite.layers import find_frames
from tests.addon.layers_support import field_object, read_rgba, render_scene, small_scene, write_frame

WIDTH, HEIGHT = 16, 12
COLOR = (0.25, 0.5, 0.125, 0.5)  # premultiplied


def write_frames(folder, numbers):
    for number in numbers:
        rgba = np.zeros((HEIGHT, WIDTH, 4), np.float32)
        rgba[: HEIGHT // 2] = COLOR
        rgba[HEIGHT // 2 :] = (number / 100.0, 0.0, 0.0, 1.0)
        write_frame(folder / f"stage_{number:04d}.exr", rgba, np.full((HEIGHT, WIDTH), 2.0, np.float32))
    return find_frames(folder, "stage_", 1, 100)


@pytest.fixture
def scene():
    return small_scene(WIDTH, HEIGHT)


def test_strip_shows_every_frame_with_alpha(scene, tmp_path):
    strips.add_strip(scene, field_object(scene), write_frames(tmp_path, range(5, 9)))
    scene.render.use_sequencer = True
    for frame in (5, 8):
        scene.frame_set(frame)
        result = read_rgba(render_scene(scene, tmp_path / "out.exr"))
        # 4.5's sequencer works in sRGB floats: exact to 2e-5, while 8-bit steps are 4e-3.
        assert result[2, 2] == pytest.approx(COLOR, abs=1e-4)
        assert result[-2, 2] == pytest.approx((frame / 100.0, 0.0, 0.0, 1.0), abs=1e-4)
    scene.frame_set(9)
    assert read_rgba(render_scene(scene, tmp_path / "after.exr"))[-2, 2, 3] == pytest.approx(0.0)


def test_added_again_it_is_replaced_on_its_channel(scene, tmp_path):
    field = field_object(scene)
    editor = scene.sequence_editor_create()
    other = editor.strips.new_effect("Title", "COLOR", 3, 1, **_effect_length(10))
    strips.add_strip(scene, field, write_frames(tmp_path, [1, 2]))
    first = strips.find_strips(scene, field)
    assert len(first) == 1 and first[0].channel == 4
    field.name = "Renamed"
    strips.add_strip(scene, field, write_frames(tmp_path, [1, 2, 3]))
    (strip,) = strips.find_strips(scene, field)
    assert (strip.channel, len(strip.elements), len(editor.strips)) == (4, 3, 2)
    assert strips.remove_strips(scene, field) == 1
    assert list(editor.strips) == [other]
    assert strips.remove_strips(scene, field) == 0


def test_the_3d_render_goes_on(scene, tmp_path):
    """A scene with strips would render its sequencer; the shot's scene must not change what it renders."""
    assert scene.render.use_sequencer
    field = field_object(scene)
    warnings = strips.add_strip(scene, field, write_frames(tmp_path, [1]))
    assert any("Post Processing" in warning for warning in warnings)
    scene.render.film_transparent = True
    assert read_rgba(render_scene(scene, tmp_path / "out.exr"))[-2, 2, 3] == 0.0  # the empty 3D scene
    assert strips.add_strip(scene, field, write_frames(tmp_path, [1])) == []
    strips.remove_strips(scene, field)
    assert scene.render.use_sequencer


def test_an_edit_scene_without_camera_keeps_rendering_its_sequencer(scene, tmp_path):
    edit = bpy.data.scenes.new("Edit")
    assert strips.add_strip(edit, field_object(scene), write_frames(tmp_path, [1])) == []
    assert edit.render.use_sequencer


def test_gaps_are_told(scene, tmp_path):
    warnings = strips.add_strip(scene, field_object(scene), write_frames(tmp_path, [1, 4]))
    assert any("2 frames between 1 and 4" in warning for warning in warnings)


def _effect_length(length):
    return {"length": length} if versions.IS_5 else {"frame_end": 1 + length}
