"""The depth merge, pixel by pixel: what Blender's compositor saves against the formula in numpy."""

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from neural_render_addon.composite import compositing
from neural_render_addon.composite.compositor_nodes import INPUTS, build_group
from neural_render_addon.composite.layers import FrameSequence, find_frames
from tests.addon.layers_support import (
    BACKGROUND,
    field_object,
    merge,
    read_channels,
    read_rgba,
    render_scene,
    small_scene,
    write_frame,
)

# (field rgba, field depth), (CG rgba, CG depth), what must come out; premultiplied, depths in metres.
OPAQUE, HALF = (0.2, 0.4, 0.8, 1.0), (0.1, 0.2, 0.4, 0.5)
CG, CG_EDGE, NOTHING = (0.9, 0.5, 0.1, 1.0), (0.45, 0.25, 0.05, 0.5), (0.0, 0.0, 0.0, 0.0)
CASES = {
    "opaque field in front": ((OPAQUE, 2.0), (CG, 3.0), OPAQUE),
    "CG in front of opaque field": ((OPAQUE, 3.0), (CG, 2.0), CG),
    "half-transparent field over CG": ((HALF, 2.0), (CG, 3.0), (0.55, 0.45, 0.45, 1.0)),
    "CG over half-transparent field": ((HALF, 3.0), (CG, 2.0), CG),
    "antialiased CG edge over field": ((OPAQUE, 3.0), (CG_EDGE, 2.0), (0.55, 0.45, 0.45, 1.0)),
    "antialiased CG edge behind field": ((OPAQUE, 2.0), (CG_EDGE, 3.0), OPAQUE),
    "both half, field first": ((HALF, 2.0), (CG_EDGE, 3.0), (0.325, 0.325, 0.425, 0.75)),
    "both half, CG first": ((HALF, 3.0), (CG_EDGE, 2.0), (0.5, 0.35, 0.25, 0.75)),
    "field alone": ((HALF, 2.0), (NOTHING, BACKGROUND), HALF),
    "CG alone": ((NOTHING, BACKGROUND), (CG_EDGE, 2.0), CG_EDGE),
    "nothing": ((NOTHING, BACKGROUND), (NOTHING, BACKGROUND), NOTHING),
    "nothing, but depths": ((NOTHING, 2.0), (NOTHING, 3.0), NOTHING),
    "field alone behind a catcher's depth": ((OPAQUE, 4.0), (NOTHING, 3.0), OPAQUE),
    "same depth": ((OPAQUE, 2.0), (CG, 2.0), (0.55, 0.45, 0.45, 1.0)),
}
BLOCK = 4  # pixels a case, so that a neighbour's depth cannot reach the middle of another case


def composite_layers(tmp_path, field, field_depth, cg, cg_depth, inputs=None, output="Image"):
    """Run the group alone, with the CG layer from a file, and read back what it gives."""
    height, width = cg_depth.shape
    scene = small_scene(width, height)
    write_frame(tmp_path / "field_0001.exr", field, field_depth)
    write_frame(tmp_path / "cg.exr", cg, cg_depth)
    tree, _ = versions.ensure_compositor_tree(scene)
    group = bpy.data.node_groups.new("Merge", "CompositorNodeTree")
    build_group(group, bpy.data.images.load(str(tmp_path / "field_0001.exr")))
    group.nodes["Field Scale"].outputs[0].default_value = 1.0
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = group
    layer = tree.nodes.new("CompositorNodeImage")
    layer.image = bpy.data.images.load(str(tmp_path / "cg.exr"))
    tree.links.new(layer.outputs["Combined"], node.inputs["Image"])
    tree.links.new(layer.outputs["Depth"], node.inputs["Depth"])
    for name, value in (inputs or {}).items():
        node.inputs[name].default_value = value
    tree.links.new(node.outputs[output], versions.ensure_output_node(tree)[0].inputs[0])
    return read_rgba(render_scene(scene, tmp_path / "out.exr"))


def test_every_case_of_order_and_coverage(tmp_path):
    def column(side, index):
        rows = np.array([CASES[name][side][index] for name in CASES], dtype=np.float32)
        return np.repeat(np.repeat(rows[:, None], BLOCK, axis=0), 8, axis=1)

    result = composite_layers(tmp_path, column(0, 0), column(0, 1), column(1, 0), column(1, 1))
    middle = result[BLOCK // 2 :: BLOCK, 4]
    for name, pixel in zip(CASES, middle, strict=True):
        assert pixel == pytest.approx(CASES[name][2], abs=1e-5), name


def random_layers(seed, height=24, width=32):
    """Layers with every kind of pixel: transparent, half, opaque, empty, near each other in depth and far."""
    generator = np.random.default_rng(seed)
    layers = []
    for _ in range(2):
        alpha = np.clip(generator.uniform(-0.5, 1.5, (height, width, 1)), 0.0, 1.0)
        rgba = np.concatenate([generator.uniform(0.0, 2.0, (height, width, 3)) * alpha, alpha], axis=-1)
        depth = np.where(alpha[..., 0] > 0, generator.uniform(1.0, 3.0, (height, width)), BACKGROUND)
        layers += [rgba.astype(np.float32), depth.astype(np.float32)]
    return layers


@pytest.mark.parametrize("softness", [0.02, 1.5])
def test_random_layers_equal_the_formula(tmp_path, softness):
    field, field_depth, cg, cg_depth = random_layers(3)
    result = composite_layers(tmp_path, field, field_depth, cg, cg_depth, {"Softness": softness})
    expected = merge(field, field_depth, cg, cg_depth, softness)
    # float32 differences of depths near 3, divided by the softness, are the largest rounding on the way.
    np.testing.assert_allclose(result, expected, atol=2e-5 if softness > 1 else 2e-4)


def test_order_fades_over_the_softness(tmp_path):
    """Along a row the CG surface cuts the field's: the order changes gradually, alpha not at all."""
    width = 64
    cg_depth = np.broadcast_to(np.linspace(1.5, 2.5, width, dtype=np.float32), (8, width))
    field = np.broadcast_to(np.float32(OPAQUE), (8, width, 4))
    cg = np.broadcast_to(np.float32(CG), (8, width, 4))
    depth = np.full((8, width), 2.0, np.float32)
    result = composite_layers(tmp_path, field, depth, cg, cg_depth, {"Softness": 0.4})
    red = result[4, :, 0]
    assert red[0] == pytest.approx(CG[0], abs=1e-5) and red[-1] == pytest.approx(OPAQUE[0], abs=1e-5)
    assert np.all(np.diff(red) <= 1e-6)
    assert 20 <= np.count_nonzero((red > OPAQUE[0] + 1e-4) & (red < CG[0] - 1e-4)) <= 26  # 0.4 of 1 m in 64
    np.testing.assert_allclose(result[..., 3], 1.0, atol=1e-6)


def test_group_gives_the_nearer_depth(tmp_path):
    field, field_depth, cg, cg_depth = random_layers(5)
    cg[..., 3] = (cg[..., 3] > 0.5).astype(np.float32)
    result = composite_layers(tmp_path, field, field_depth, cg, cg_depth, output="Depth")[..., 0]
    expected = np.minimum(
        np.where(field[..., 3] > 0, field_depth, BACKGROUND), np.where(cg[..., 3] > 0, cg_depth, BACKGROUND)
    )
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_shadow_falls_on_the_field_by_the_catcher_but_not_on_what_stands_before_it(tmp_path):
    height, width = 4, 40
    catcher_depth = np.full((height, width), 5.0, np.float32)
    field = np.broadcast_to(np.float32(OPAQUE), (height, width, 4))
    field_depth = np.broadcast_to(np.linspace(4.0, 6.0, width, dtype=np.float32), (height, width))
    nothing = np.zeros((height, width, 4), np.float32)
    inputs = {"Shadow Catcher": (0.25, 0.5, 0.75, 1.0), "Shadow Reach": 0.5, "Shadow": 0.8}
    result = composite_layers(tmp_path, field, field_depth, nothing, catcher_depth, inputs)
    expected = merge(
        field,
        field_depth,
        nothing,
        catcher_depth,
        catcher=np.array([0.25, 0.5, 0.75]),
        shadow=0.8,
        reach=0.5,
    )
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert result[2, 0, 0] == pytest.approx(OPAQUE[0], abs=1e-6)  # a metre before the floor: no shadow
    assert result[2, -1, 0] == pytest.approx(OPAQUE[0] * (0.2 + 0.8 * 0.25), abs=1e-5)


def test_inputs_are_documented():
    assert all(entry.description for entry in INPUTS)


@pytest.fixture(scope="module")
def cycles_layers(tmp_path_factory):
    """A sphere over a shadow catcher in Cycles: composited with a field of scale 0.5, and its bare passes."""
    folder = tmp_path_factory.mktemp("cycles")
    scene = small_scene(64, 48)
    bpy.ops.mesh.primitive_plane_add(size=20)
    bpy.context.object.is_shadow_catcher = True
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.8, location=(0.3, 0.0, 1.2))
    bpy.ops.object.light_add(type="SUN", rotation=(0.5, -0.6, 0.0))
    bpy.context.object.data.energy = 3.0
    field = field_object(scene, 0.5)
    # The field: a half-transparent slanted sheet cutting through the sphere, over an opaque floor.
    x = np.broadcast_to(np.linspace(0.0, 1.0, 64, dtype=np.float32), (48, 64))
    sheet = np.zeros((48, 64, 4), np.float32)
    sheet[:] = (0.1, 0.3, 0.5, 1.0)
    sheet[12:30, :, :] = (0.3, 0.1, 0.05, 0.5)
    depth = np.full((48, 64), 10.0, np.float32)
    depth[12:30] = (2.0 * (2.9 + 1.6 * x))[12:30]
    for frame in (1, 2):
        write_frame(folder / f"stage_{frame:04d}.exr", sheet * np.float32(frame), depth)
    warnings = compositing.set_up(scene, scene.view_layers[0], field, find_frames(folder, "stage_", 1, 2))
    assert warnings == []
    composite = read_rgba(render_scene(scene, folder / "composite.exr"))
    scene.render.use_compositing = False
    channels = read_channels(render_scene(scene, folder / "passes.exr", "OPEN_EXR_MULTILAYER"))
    cg = np.stack([channels[f"ViewLayer.Combined.{name}"] for name in "RGBA"], axis=-1)
    catcher = np.stack([channels[f"ViewLayer.Shadow Catcher.{name}"] for name in "RGB"], axis=-1)
    return composite, sheet, depth, cg, channels["ViewLayer.Depth.Z"], catcher


def test_cycles_render_with_shadow_equals_the_formula(cycles_layers):
    composite, sheet, depth, cg, cg_depth, catcher = cycles_layers
    expected = merge(sheet, depth, cg, cg_depth, catcher=catcher, scale=0.5)
    assert 0.02 < np.mean((cg[..., 3] > 0) & (cg[..., 3] < 1)) < 0.2  # there are antialiased edges
    assert np.mean(catcher < 0.5) > 0.02  # and a shadow
    np.testing.assert_allclose(composite, expected, atol=3e-4)


def test_cycles_edges_in_front_of_the_field_stay_antialiased(cycles_layers):
    """Where an edge pixel's first sample missed the sphere, its own depth is the floor's."""
    composite, sheet, _, cg, cg_depth, catcher = cycles_layers
    alpha, upper = cg[..., 3], np.zeros_like(cg_depth, bool)
    upper[30:] = True  # rows of the opaque floor only: the sphere is in front of it
    missed = upper & (alpha > 0.05) & (alpha < 0.95) & (cg_depth > 4.5)
    assert missed.sum() >= 3
    floor = sheet[..., :3] * catcher
    np.testing.assert_allclose(
        composite[missed][:, :3], (cg[..., :3] + (1 - alpha[..., None]) * floor)[missed], atol=1e-4
    )


def test_frame_sequence_is_a_plain_record(tmp_path):
    frames = FrameSequence(tmp_path, "stage_", 3, 12)
    assert frames.duration == 10 and frames.path(3) == tmp_path / "stage_0003.exr"
