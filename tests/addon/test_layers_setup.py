"""Set Up Compositing in a scene: beside and between the artist's nodes, twice, and gone without a trace."""

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from neural_render_addon.composite import compositing
from neural_render_addon.composite.compositor_nodes import FRAMES_NODE
from neural_render_addon.composite.layers import LayerError, find_frames
from tests.addon.layers_support import (
    field_object,
    merge,
    read_rgba,
    render_scene,
    small_scene,
    write_frame,
)

WIDTH, HEIGHT = 16, 12


def write_frames(folder, numbers, depth=2.0, name="stage_"):
    """Opaque frames whose red tells their number, on the lower half; nothing on the upper."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        rgba = np.zeros((HEIGHT, WIDTH, 4), np.float32)
        rgba[HEIGHT // 2 :] = (number / 100.0, 0.25, 0.5, 1.0)
        planes = np.where(rgba[..., 3] > 0, np.float32(depth), np.float32(1e10))
        write_frame(folder / f"{name}{number:04d}.exr", rgba, planes)
    return folder


def render_red(scene, tmp_path, frame):
    scene.frame_set(frame)
    return read_rgba(render_scene(scene, tmp_path / f"out{frame}.exr"))[HEIGHT - 2, 2, 0]


def listing(scene):
    """All nodes, links and settings of the scene that setting up may touch."""
    tree = versions.compositor_tree(scene)
    layer = scene.view_layers[0]
    settings = (
        scene.render.film_transparent,
        scene.render.use_compositing,
        scene.render.compositor_device,
        layer.use_pass_z,
        round(layer.pass_alpha_threshold, 6),
        layer.cycles.use_pass_shadow_catcher,
        versions.uses_compositor_tree(scene),
        sorted(key for key in scene.keys() if key.startswith("neural_render")),  # noqa: SIM118 (an ID)
    )
    images = sum(image.source in {"FILE", "SEQUENCE"} for image in bpy.data.images)
    if tree is None:
        return settings, None, None, len(bpy.data.node_groups), images
    nodes = sorted(
        (node.bl_idname, node.name, tuple(node.location), sorted(node.keys())) for node in tree.nodes
    )
    links = sorted(
        (link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier)
        for link in tree.links
    )
    return settings, nodes, links, len(bpy.data.node_groups), images


def artists_tree(scene, with_layers=True):
    """Render Layers > Blur > output, and Render Layers > Viewer; Depth into a Normalize."""
    if versions.IS_5:
        tree = bpy.data.node_groups.new("Grade", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    exposure = tree.nodes.new("CompositorNodeExposure")
    exposure.inputs["Exposure"].default_value = 1.0
    tree.links.new(exposure.outputs[0], output.inputs[0])
    if with_layers:
        scene.view_layers[0].use_pass_z = True
        layers = tree.nodes.new("CompositorNodeRLayers")
        viewer = tree.nodes.new("CompositorNodeViewer")
        normalize = tree.nodes.new("CompositorNodeNormalize")
        tree.links.new(layers.outputs["Image"], exposure.inputs["Image"])
        tree.links.new(layers.outputs["Image"], viewer.inputs["Image"])
        tree.links.new(layers.outputs["Depth"], normalize.inputs[0])
    return tree, exposure


def set_up(scene, field, folder, start=1, end=100, name="stage_"):
    frames = find_frames(folder, name, start, end)
    return compositing.set_up(scene, scene.view_layers[0], field, frames)


@pytest.fixture
def scene():
    return small_scene(WIDTH, HEIGHT)


def test_every_scene_frame_shows_its_own_file(scene, tmp_path):
    folder = write_frames(tmp_path / "frames", range(7, 12))
    assert set_up(scene, field_object(scene), folder) == []
    for frame in (7, 9, 11):
        assert render_red(scene, tmp_path, frame) == pytest.approx(frame / 100, abs=1e-6)
    # Not cyclic: nothing before the first frame, and the last is held.
    assert render_red(scene, tmp_path, 3) == 0.0
    assert render_red(scene, tmp_path, 14) == pytest.approx(0.11, abs=1e-6)


def test_frames_from_zero(scene, tmp_path):
    folder = write_frames(tmp_path / "frames", range(3))
    set_up(scene, field_object(scene), folder, 0, 2)
    reds = [render_red(scene, tmp_path, frame) for frame in (0, 1, 2)]
    assert reds == pytest.approx([0.0, 0.01, 0.02], abs=1e-6)


def test_in_an_empty_scene_and_removed(scene, tmp_path):
    before = listing(scene)
    field = field_object(scene)
    set_up(scene, field, write_frames(tmp_path / "frames", [1, 2]))
    assert listing(scene) != before
    assert scene.render.film_transparent and versions.uses_compositor_tree(scene)
    assert compositing.remove(scene, field) == 1
    after = listing(scene)
    if versions.IS_5:
        assert after == before
    else:  # 4.5 keeps a scene's tree once made, switched off, as Blender's own Use Nodes button leaves it
        assert after[0] == before[0] and after[3:] == before[3:]
        assert [node[0] for node in after[1]] == ["CompositorNodeComposite", "CompositorNodeRLayers"]
    assert compositing.remove(scene, field) == 0


def test_between_the_artists_nodes_and_removed(scene, tmp_path):
    tree, exposure = artists_tree(scene)
    before = listing(scene)
    field = field_object(scene)
    assert set_up(scene, field, write_frames(tmp_path / "frames", [1, 2])) == []
    node = compositing.find_node(scene, field)
    assert exposure.inputs["Image"].links[0].from_node == node
    # One stop of the artist's exposure lies on top of the merged layers.
    assert render_red(scene, tmp_path, 2) == pytest.approx(0.04, abs=1e-6)
    assert len(tree.nodes) == len(before[1]) + 1
    compositing.remove(scene, field)
    assert listing(scene) == before


def test_twice_is_once_and_keeps_the_artists_values(scene, tmp_path):
    artists_tree(scene)
    field = field_object(scene)
    folder = write_frames(tmp_path / "frames", [1, 2])
    set_up(scene, field, folder)
    compositing.find_node(scene, field).inputs["Softness"].default_value = 0.5
    once = listing(scene)
    write_frames(folder, [3, 4])
    set_up(scene, field, folder)
    assert listing(scene) == once
    node = compositing.find_node(scene, field)
    assert node.inputs["Softness"].default_value == 0.5
    assert node.node_tree.nodes[FRAMES_NODE].frame_duration == 4
    assert render_red(scene, tmp_path, 4) == pytest.approx(0.08, abs=1e-6)


def test_output_fed_by_other_nodes_is_left_alone(scene, tmp_path):
    artists_tree(scene, with_layers=False)
    before = listing(scene)
    field = field_object(scene)
    warnings = set_up(scene, field, write_frames(tmp_path / "frames", [1]))
    assert len(warnings) == 1 and "connect the Image of" in warnings[0]
    assert not compositing.find_node(scene, field).outputs["Image"].is_linked
    compositing.remove(scene, field)
    assert listing(scene) == before


def test_what_the_artist_adds_behind_survives_removal(scene, tmp_path):
    field = field_object(scene)
    set_up(scene, field, write_frames(tmp_path / "frames", [1]))
    tree = versions.compositor_tree(scene)
    node, output = compositing.find_node(scene, field), versions.output_node(tree)
    exposure = tree.nodes.new("CompositorNodeExposure")
    tree.links.new(node.outputs["Image"], exposure.inputs["Image"])
    tree.links.new(exposure.outputs[0], output.inputs[0])
    compositing.remove(scene, field)
    assert versions.compositor_tree(scene) == tree
    assert exposure.inputs["Image"].links[0].from_node.bl_idname == "CompositorNodeRLayers"
    assert output.inputs[0].links[0].from_node == exposure
    assert scene.render.film_transparent is False


@pytest.mark.parametrize("first_removed", [0, 1])
def test_two_fields_merge_in_turn(scene, tmp_path, first_removed):
    artists_tree(scene)
    before = listing(scene)
    fields = [field_object(scene), field_object(scene)]
    near = write_frames(tmp_path / "near", [1], depth=2.0, name="a_")
    far = write_frames(tmp_path / "far", [1], depth=3.0, name="b_")
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    rgba[:] = (0.3, 0.3, 0.3, 1.0)
    write_frame(far / "b_0001.exr", rgba, np.full((HEIGHT, WIDTH), 3.0, np.float32))
    set_up(scene, fields[0], near, name="a_")
    set_up(scene, fields[1], far, name="b_")
    result = read_rgba(render_scene(scene, tmp_path / "out.exr"))
    # The near one in front, one stop up.
    assert result[HEIGHT - 2, 2] == pytest.approx((0.02, 0.5, 1.0, 1.0), abs=1e-5)
    assert result[2, 2] == pytest.approx((0.6, 0.6, 0.6, 1.0), abs=1e-5)
    compositing.remove(scene, fields[first_removed])
    other = fields[1 - first_removed]
    assert compositing.find_node(scene, other).outputs["Image"].is_linked
    compositing.remove(scene, other)
    assert listing(scene) == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_fields_in_an_empty_scene_leave_nothing(scene, tmp_path, order):
    before = listing(scene)[0]
    folder = write_frames(tmp_path / "frames", [1])
    fields = [field_object(scene), field_object(scene)]
    for field in fields:
        set_up(scene, field, folder)
    for index in order:
        compositing.remove(scene, fields[index])
    assert listing(scene)[0] == before
    if versions.IS_5:
        assert versions.compositor_tree(scene) is None


def test_depth_follows_the_field_objects_scale(scene, tmp_path):
    """The same frames go behind a CG plane when the artist scales the field up after setting up."""
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, 0, 2))  # 3 m in front of the camera
    material = bpy.data.materials.new("Red")
    plane = bpy.context.object
    plane.data.materials.append(material)
    field = field_object(scene)
    set_up(scene, field, write_frames(tmp_path / "frames", [1], depth=2.0))
    in_front = read_rgba(render_scene(scene, tmp_path / "front.exr"))
    parent = field_object(scene, 2.0)
    field.parent = parent  # world scale 2: the field is 4 m away
    behind = read_rgba(render_scene(scene, tmp_path / "behind.exr"))
    assert in_front[HEIGHT - 2, 2] == pytest.approx((0.01, 0.25, 0.5, 1.0), abs=1e-5)
    assert behind[HEIGHT - 2, 2, 2] == pytest.approx(0.0, abs=1e-3)  # the unlit plane


def test_formula_in_the_real_scene(scene, tmp_path):
    """Beside the group alone (test_layers_merge), the same numbers through the operator's own wiring."""
    folder = write_frames(tmp_path / "frames", [50])
    set_up(scene, field_object(scene), folder)
    scene.frame_set(50)
    field = read_rgba(folder / "stage_0050.exr", "ViewLayer.Combined.")
    nothing = np.zeros_like(field)
    depth = np.full((HEIGHT, WIDTH), 1e10, np.float32)
    expected = merge(field, depth, nothing, depth)
    np.testing.assert_allclose(read_rgba(render_scene(scene, tmp_path / "out.exr")), expected, atol=1e-6)


def test_gaps_and_sizes_are_told(scene, tmp_path):
    scene.render.resolution_x = 32
    warnings = set_up(scene, field_object(scene), write_frames(tmp_path / "frames", [1, 2, 5]))
    assert any("2 frames between 1 and 5" in warning for warning in warnings)
    assert any("16x12" in warning and "32x12" in warning for warning in warnings)


def test_frames_that_are_not_there_or_not_ours(scene, tmp_path):
    with pytest.raises(LayerError, match="run Render Frames first"):
        find_frames("", "stage_", 1, 2)
    with pytest.raises(LayerError, match="is gone"):
        find_frames(tmp_path / "nowhere", "stage_", 1, 2)
    with pytest.raises(LayerError, match="run Render Frames first"):
        find_frames(tmp_path, "stage_", 1, 2)
    before = listing(scene)
    (tmp_path / "stage_0001.exr").write_bytes(b"no picture")
    with pytest.raises(LayerError, match=r"stage_0001\.exr cannot be read"):
        set_up(scene, field_object(scene), tmp_path)
    scene.render.filepath = str(tmp_path / "stage_0001.exr")
    render_scene(scene, tmp_path / "stage_0001.exr")  # a plain EXR with channels R, G, B, A
    with pytest.raises(LayerError, match="Combined"):
        set_up(scene, field_object(scene), tmp_path)
    assert listing(scene) == before
