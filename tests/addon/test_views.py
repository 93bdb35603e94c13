"""Colour and Blender's view transforms: the field's linear light is the same under every view, and the view's
inverse makes a plate of it that shows as it was filmed (docs/light.md, Colour)."""

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from neural_render_addon.composite import compositing
from neural_render_addon.composite.layers import find_frames
from tests.addon.layers_support import field_object, read_rgba, render_scene, small_scene, write_frame
from tests.addon.test_layers_color import srgb_to_linear

SHAPE = (16, 32)
# AgX pales what is bright and colourful: beyond these it cannot show a filmed colour at all, so there is no
# inverse (measured: some come back 185 levels off on 4.5, 62 on 5.2). The other views can.
AGX_BRIGHTEST, AGX_LEAST = 170, 0.55  # levels; the darkest channel's share of the brightest
# View: the colour space that undoes it, and the most levels of 255 that a plate may be off. Khronos PBR
# Neutral bends colours above 0.8 and has no exact inverse in Blender's configuration.
VIEWS = {
    "Standard": ("sRGB", 0),
    "Filmic": ("Filmic sRGB", 1),
    "AgX": ("AgX Base sRGB", 2),
    "ACES 1.3": ("ACES 1.3 sRGB", 1),
    "ACES 2.0": ("ACES 2.0 sRGB", 1),
}


def filmed_levels() -> np.ndarray:
    """(16, 32, 3) 8-bit pixels: every grey, and colours that every view can show."""
    generator = np.random.default_rng(0)
    grey = np.arange(256)[:, None]
    brightest = generator.integers(8, AGX_BRIGHTEST, (256, 1))
    colours = np.rint(brightest * generator.uniform(AGX_LEAST, 1.0, (256, 3))).astype(int)
    return np.concatenate([np.repeat(grey, 3, 1), colours]).reshape(*SHAPE, 3)


def shown_levels(scene, path) -> np.ndarray:
    """The 8-bit pixels that the scene shows under its view."""
    image = bpy.data.images.load(str(render_scene(scene, path, "PNG")))
    image.colorspace_settings.name = "Non-Color"
    pixels = np.array(image.pixels[:], np.float32).reshape(*SHAPE, 4)[::-1]
    return np.rint(pixels[..., :3] * 255).astype(int)


def insert_plate_nodes(tree, space: str) -> None:
    """Before the output: to the filmed values, and from there through the view's inverse."""
    entry = versions.output_node(tree).inputs[0]
    source = entry.links[0].from_socket
    for spaces in (("Linear Rec.709", "sRGB"), (space, "Linear Rec.709")):
        node = tree.nodes.new("CompositorNodeConvertColorSpace")
        node.from_color_space, node.to_color_space = spaces
        tree.links.new(source, node.inputs[0])
        source = node.outputs[0]
    tree.links.new(source, entry)


@pytest.mark.parametrize("view", VIEWS)
def test_colour_survives_the_view(tmp_path, view):
    levels = filmed_levels()
    rgba = np.ones((*SHAPE, 4), np.float32)
    rgba[..., :3] = srgb_to_linear(levels / 255.0)
    write_frame(tmp_path / "stage_0001.exr", rgba, np.full(SHAPE, 3.0, np.float32))
    scene = small_scene(SHAPE[1], SHAPE[0])
    scene.render.dither_intensity = 0.0
    try:
        scene.view_settings.view_transform = view
    except TypeError:
        pytest.skip(f"Blender {bpy.app.version_string} has no view {view}")
    frames = find_frames(tmp_path, "stage_", 1, 1)
    compositing.set_up(scene, scene.view_layers[0], field_object(scene), frames)
    linear = read_rgba(render_scene(scene, tmp_path / "linear.exr"))
    assert np.array_equal(linear, rgba), "the view is no part of the data"
    plain = np.abs(shown_levels(scene, tmp_path / "plain.png") - levels)
    space, tolerance = VIEWS[view]
    insert_plate_nodes(versions.compositor_tree(scene), space)
    plate = np.abs(shown_levels(scene, tmp_path / "plate.png") - levels)
    print(
        f"{view}: as it is off by {plain.mean():.1f} levels, {plain.max()} at most; as a plate {plate.max()}"
    )
    assert plate.max() <= tolerance
    assert (plain.max() <= 1) == (view == "Standard")
