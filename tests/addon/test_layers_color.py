"""Colour: an 8-bit pixel goes in, through our EXR, the compositor and the Standard view, and comes out."""

import bpy
import numpy as np
import pytest

from neural_render_addon.composite import compositing, strips
from neural_render_addon.composite.layers import find_frames
from tests.addon.layers_support import field_object, render_scene, small_scene, write_frame


def srgb_to_linear(encoded: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, values in [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("way", ["compositor", "sequencer"])
def test_pixel_in_pixel_out_within_one_level(tmp_path, way):
    generator = np.random.default_rng(0)
    levels = np.concatenate([np.repeat(np.arange(256)[:, None], 3, 1), generator.integers(0, 256, (256, 3))])
    levels = levels.reshape(16, 32, 3)
    rgba = np.ones((16, 32, 4), np.float32)
    rgba[..., :3] = srgb_to_linear(levels / 255.0)
    write_frame(tmp_path / "stage_0001.exr", rgba, np.full((16, 32), 3.0, np.float32))

    scene = small_scene(32, 16)
    scene.render.dither_intensity = 0.0
    frames, field = find_frames(tmp_path, "stage_", 1, 1), field_object(scene)
    if way == "compositor":
        compositing.set_up(scene, scene.view_layers[0], field, frames)
    else:
        strips.add_strip(scene, field, frames)
        scene.render.use_sequencer = True
    assert scene.view_settings.view_transform == "Standard"
    saved = bpy.data.images.load(str(render_scene(scene, tmp_path / "out.png", "PNG")))
    saved.colorspace_settings.name = "Non-Color"
    pixels = np.array(saved.pixels[:], np.float32).reshape(16, 32, 4)[::-1]
    difference = np.abs(np.rint(pixels[..., :3] * 255).astype(int) - levels)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.95
    assert np.all(pixels[..., 3] == 1.0)
