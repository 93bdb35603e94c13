"""Depth layers against CG: the CG's depth rendered, the field split at it, front over CG over behind."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector

from neural_render_addon import versions
from neural_render_addon.composite import compositing
from neural_render_addon.composite.cg_depth import find_depth_files, render_depth
from neural_render_addon.composite.layers import LayerError, find_frames
from neural_render_addon.errors import AddonError
from tests.addon.conftest import use_server
from tests.addon.layers_support import (
    field_object,
    read_channels,
    read_rgba,
    render_scene,
    small_scene,
    write_frame,
)

WIDTH, HEIGHT = 32, 24


def over(front: np.ndarray, back: np.ndarray) -> np.ndarray:
    return front + (1.0 - front[..., 3:]) * back


def card(scene, alpha: float, location=(0.0, 0.0, 2.0), size: float = 1.5):
    """A red card that faces the camera and lets light through; it shines, so it needs no lamp."""
    bpy.ops.mesh.primitive_plane_add(size=size, location=location)
    material = bpy.data.materials.new("Card")
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Emission Color"].default_value = (0.8, 0.2, 0.1, 1.0)
    shader.inputs["Emission Strength"].default_value = 1.0
    shader.inputs["Alpha"].default_value = alpha
    bpy.context.object.data.materials.append(material)
    return bpy.context.object


def render_settings(scene) -> list:
    layer = scene.view_layers[0]
    render, image = scene.render, scene.render.image_settings
    return [
        (render.filepath, render.film_transparent, render.use_compositing, render.use_sequencer),
        (image.file_format, image.color_mode, image.color_depth, image.exr_codec),
        (layer.use_pass_z, layer.pass_alpha_threshold, scene.cycles.samples, scene.frame_current),
    ]


def test_depth_is_rendered_also_where_cg_is_faint_and_settings_are_put_back(tmp_path):
    scene = small_scene(WIDTH, HEIGHT)
    scene.view_layers[0].pass_alpha_threshold = 0.5
    scene.frame_set(7)
    plane = card(scene, 0.25, size=0.6)
    plane.keyframe_insert("location", frame=1)
    plane.location.z = 3.0
    plane.keyframe_insert("location", frame=2)
    before = render_settings(scene)
    assert list(render_depth(scene, scene.view_layers[0], (1, 2), tmp_path / "cg")) == [1, 2]
    assert render_settings(scene) == before
    files = find_depth_files(tmp_path / "cg", (1, 2))
    assert sorted(path.name for path in (tmp_path / "cg").iterdir()) == ["cg_0001.exr", "cg_0002.exr"]
    for frame, distance in ((1, 3.0), (2, 2.0)):
        depths = read_channels(files[frame])["ViewLayer.Depth.Z"]
        assert depths[HEIGHT // 2, WIDTH // 2] == pytest.approx(distance, abs=1e-5)
        assert depths[0, 0] >= 1e9
    with pytest.raises(AddonError, match=r"no CG depth of frame 3 \(2 frames are missing\)"):
        find_depth_files(tmp_path / "cg", (1, 2, 3, 4))
    (tmp_path / "cg" / "other_2.exr").write_bytes(b"")
    with pytest.raises(AddonError, match="both of frame 2"):
        find_depth_files(tmp_path / "cg", (1, 2))
    with pytest.raises(AddonError, match="no such folder"):
        find_depth_files(tmp_path / "none", (1,))


def test_layers_are_composited_front_over_cg_over_behind(tmp_path):
    scene = small_scene(WIDTH, HEIGHT)
    card(scene, 0.5)
    random = np.random.default_rng(0)
    alphas = random.random((2, HEIGHT, WIDTH, 1)).astype(np.float32)
    front, behind = (np.concatenate([a * random.random((HEIGHT, WIDTH, 3)), a], -1) for a in alphas)
    frame, depth = over(front, behind), np.full((HEIGHT, WIDTH), 2.5, np.float32)
    for number in (1, 2):
        write_frame(tmp_path / f"stage_{number:04d}.exr", frame, depth, Front=front, Behind=behind)
    field, layer = field_object(scene), scene.view_layers[0]
    for _ in range(2):
        assert compositing.set_up(scene, layer, field, find_frames(tmp_path, "stage_", 1, 2)) == []
    assert sum(node.type == "GROUP" for node in versions.compositor_tree(scene).nodes) == 1
    composite = read_rgba(render_scene(scene, tmp_path / "composite.exr"))
    scene.render.use_compositing = False
    cg = read_rgba(render_scene(scene, tmp_path / "cg.exr"))
    assert 0.4 < cg[HEIGHT // 2, WIDTH // 2, 3] < 0.6
    np.testing.assert_allclose(composite, over(front, over(cg, behind)), atol=1e-5)
    # frames without layers, rendered again in their place, are merged by depth by the same node
    write_frame(tmp_path / "stage_0002.exr", frame, depth)
    with pytest.raises(LayerError, match=r"stage_0002\.exr has no depth layers"):
        compositing.set_up(scene, layer, field, find_frames(tmp_path, "stage_", 1, 2))
    write_frame(tmp_path / "stage_0001.exr", frame, depth)
    compositing.set_up(scene, layer, field, find_frames(tmp_path, "stage_", 1, 2))
    scene.render.use_compositing = True
    merged = read_rgba(render_scene(scene, tmp_path / "merged.exr"))
    np.testing.assert_allclose(merged, over(frame, cg), atol=1e-5)  # the field is nearer than the card
    assert compositing.remove(scene, field) == 1
    assert not versions.uses_compositor_tree(scene) and scene.view_layers[0].pass_alpha_threshold > 0.0


@pytest.fixture
def shot(connected, tiny, trained, tmp_path):
    """A trained field at twice its size, seen by one of its cameras, with a card in its middle."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    use_server(connected)
    scene = bpy.context.scene
    bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv"), set_scene=True)
    scene.camera = next(obj for obj in scene.objects if obj.name.startswith("cam01"))
    field = scene.neural_render.field
    field.neural_render.scene_path = str(trained.path)
    field.scale = (2.0, 2.0, 2.0)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 4, False
    scene.frame_start, scene.frame_end = 2, 3
    bpy.context.view_layer.update()
    middle = scene.camera.matrix_world @ Vector((0.0, 0.0, -3.0))  # twice as far in the scene
    plane = card(scene, 0.5, middle, 1.5)
    plane.rotation_euler = scene.camera.matrix_world.to_euler()
    return scene


def test_a_shot_with_depth_layers(shot, tmp_path):
    render = bpy.ops.neural_render.render_frames
    assert render() == {"FINISHED"}
    settings = shot.neural_render.field.neural_render
    folder = Path(settings.render_folder)
    plain = read_rgba(folder / "n3dv_0002.exr", "ViewLayer.Combined.")
    shot.neural_render.render.use_depth_layers = True
    with pytest.raises(RuntimeError, match="press Render CG Depth"):
        render()
    assert bpy.ops.neural_render.render_cg_depth() == {"FINISHED"}
    assert (tmp_path / "neural_render" / "cg_depth" / "Scene" / "cg_0003.exr").is_file()
    assert render() == {"FINISHED"}
    front, behind = (
        read_rgba(folder / "n3dv_0002.exr", f"ViewLayer.{name}.") for name in ("Front", "Behind")
    )
    np.testing.assert_allclose(over(front, behind), plain, atol=1e-4)
    # the card hangs in the field: some of it is before, some behind
    rows, columns = slice(20, 28), slice(28, 36)
    assert behind[rows, columns, 3].mean() > 0.3
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}
    shot.frame_set(2)
    composite = read_rgba(render_scene(shot, tmp_path / "composite.exr"))
    shot.render.use_compositing = False
    cg = read_rgba(render_scene(shot, tmp_path / "cg.exr"))
    assert cg[24, 32, 3] > 0.2
    np.testing.assert_allclose(composite, over(front, over(cg, behind)), atol=1e-4)
    assert bpy.ops.neural_render.remove_compositing() == {"FINISHED"}


def test_depth_layers_with_depth_of_field(shot):
    """The layers' sum is the blurred frame, of which the card's front part is in front."""
    render, settings = bpy.ops.neural_render.render_frames, shot.neural_render.render
    shot.frame_end, settings.samples = 2, 4
    dof = shot.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 3.0, 0.1
    assert render() == {"FINISHED"}
    file = Path(shot.neural_render.field.neural_render.render_folder) / "n3dv_0002.exr"
    plain = read_rgba(file, "ViewLayer.Combined.")
    settings.use_depth_layers = True
    assert bpy.ops.neural_render.render_cg_depth() == {"FINISHED"}
    assert render() == {"FINISHED"}
    front, behind = (read_rgba(file, f"ViewLayer.{name}.") for name in ("Front", "Behind"))
    np.testing.assert_allclose(over(front, behind), plain, atol=1e-4)
    assert behind[20:28, 28:36, 3].mean() > 0.3 and front[..., 3].max() > 0.5


def test_cg_depth_needs_an_engine_and_a_camera(shot):
    shot.render.engine = "BLENDER_WORKBENCH"
    shot.camera = None
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.neural_render.render_cg_depth()
