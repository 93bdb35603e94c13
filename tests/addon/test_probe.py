"""Light CG by Field: Cycles pixels of a white diffuse ball, lit by a field whose light is known."""

import bpy
import numpy as np
import pytest
from mathutils import Vector

from neural_render_addon.light import probe
from tests.addon.conftest import EXTENSION
from tests.addon.layers_support import read_rgba, render_scene
from tests.addon.test_undo import check_undo_and_redo

SIZE = 32
ALBEDO = 0.8
# gaussian_scene.red_and_green: a ball of radius 0.8 at distance 1.5 along the capture's x, encoded red
# (1, 0.1, 0.1) at second 0, nothing at second 1, green (0.05, 0.4, 0.05) at second 2.
SINE_SQUARED = (0.8 / 1.5) ** 2
RED, GREEN = (1.0, 0.0100, 0.0100), (0.0039, 0.1329, 0.0039)
TOWARDS = Vector((0.36, 0.48, 0.8))  # where the field's x axis points to in the scene


@pytest.fixture(scope="module")
def probed(server, lit_scene, addon, tmp_path_factory):
    """The shot, saved after one animated probe was rendered for it."""
    folder = tmp_path_factory.mktemp("probe")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if EXTENSION not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=EXTENSION)
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.port, preferences.token = server.port, server.token
    scene = bpy.context.scene
    bpy.ops.neural_render.open_scene(filepath=str(lit_scene))
    field = scene.neural_render.field
    field.scale = (2.0, 2.0, 2.0)
    field.rotation_euler = TOWARDS.to_track_quat("X", "Z").to_euler()
    field.location = (3.0, -1.0, 0.5)
    bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=24, radius=0.2, location=field.location)
    ball = bpy.context.object
    ball.data.shade_smooth()
    material = bpy.data.materials.new("White")
    if material.node_tree is None:
        material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (ALBEDO,) * 3 + (1.0,)
    shader.inputs["Specular IOR Level"].default_value = 0.0
    ball.data.materials.append(material)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 0.4
    camera.location = ball.location + Vector((0.0, 0.0, 2.0))
    scene.camera = camera
    scene.render.fps, scene.frame_start, scene.frame_end = 1, 1, 3
    scene.render.engine, scene.render.film_transparent = "CYCLES", True
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = 64, False, 1
    scene.world = bpy.data.worlds.new("Own")
    settings = scene.neural_render.probe
    settings.is_animated, settings.fill, settings.folder = True, "BLACK", str(folder / "light")
    bpy.context.view_layer.objects.active = ball
    check_undo_and_redo(bpy.ops.neural_render.light_probe)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return folder / "shot.blend"


@pytest.fixture
def shot(probed):
    """The shot as it was saved, opened again."""
    bpy.ops.wm.open_mainfile(filepath=str(probed))
    return bpy.context.scene


def lit(scene, frame, path):
    """The ball's colour (H, W, 3), and where its surface faces (H, W, 3)."""
    scene.frame_set(frame)
    rgba = read_rgba(render_scene(scene, path))
    grid = (np.arange(SIZE) + 0.5) / SIZE * 2.0 - 1.0
    x, y = np.meshgrid(grid, -grid)
    z = np.sqrt(np.maximum(0.0, 1.0 - x**2 - y**2))
    return np.where((z > 0.3)[..., None], rgba[..., :3], 0.0), np.stack([x, y, z], axis=-1)


def facing(color, normal):
    """The colour where the ball faces the field's ball, and the direction that is lit most."""
    towards = (normal @ np.array(TOWARDS)) > 0.97
    light = color.sum(-1, keepdims=True) ** 4  # the brightest part counts
    return color[towards].mean(axis=0), (light * normal).sum((0, 1)) / np.linalg.norm(
        (light * normal).sum((0, 1))
    )


def check_red_then_dark_then_green(scene, tmp_path, tolerance):
    color, normal = lit(scene, 1, tmp_path / "red.exr")
    bright, direction = facing(color, normal)
    expected = ALBEDO * SINE_SQUARED * np.array(RED)
    print("lit", bright, "expected", expected, "from", direction, "expected", list(TOWARDS))
    assert bright[0] == pytest.approx(expected[0], rel=tolerance)
    assert bright[1] < 0.03 * bright[0] and bright[2] < 0.03 * bright[0]
    assert direction @ np.array(TOWARDS) > 0.95
    away = (normal @ np.array(TOWARDS)) < -0.6
    assert away.any() and color[away].max() < 0.02 * bright[0]
    assert lit(scene, 2, tmp_path / "dark.exr")[0].max() < 0.01
    green, _ = facing(*lit(scene, 3, tmp_path / "green.exr"))
    assert green[1] == pytest.approx(ALBEDO * SINE_SQUARED * GREEN[1], rel=tolerance)
    assert green[0] < 0.1 * green[1]


def test_the_world_lights_from_the_right_side_in_the_right_colour(shot, tmp_path):
    """And follows the field's time, also in a file that was saved and opened."""
    assert shot.world.name == probe.NAME
    check_red_then_dark_then_green(shot, tmp_path, 0.12)


def test_a_dome_lights_beside_the_artists_world(shot, tmp_path):
    texture = shot.world.node_tree.nodes[probe.TEXTURE_NODE]
    image, ball = texture.image, shot.objects["Sphere"]
    probe.set_dome(shot, image, 3, ball, 50.0)
    assert shot.world.name == "Own"
    shot.world.color = (0.0, 0.0, 0.0)
    if shot.world.node_tree is not None:
        for node in shot.world.node_tree.nodes:
            if node.bl_idname == "ShaderNodeBackground":
                node.inputs["Strength"].default_value = 0.0
    shot.cycles.samples = 128
    check_red_then_dark_then_green(shot, tmp_path, 0.15)


def test_removing_leaves_what_was_there(shot):
    assert bpy.ops.neural_render.remove_light_probe() == {"FINISHED"}
    assert shot.world.name == "Own" and probe.WORLD_BEFORE_KEY not in shot
    assert [world.name for world in bpy.data.worlds] == ["Own"]
    assert not [image for image in bpy.data.images if image.name.startswith(probe.NAME)]
    assert not bpy.ops.neural_render.remove_light_probe.poll()


def test_a_deleted_place_is_told(shot):
    shot.neural_render.probe.place = shot.objects["Sphere"]
    shot.collection.objects.unlink(shot.objects["Sphere"])
    with pytest.raises(RuntimeError, match="'Sphere' is not in this scene any more"):
        bpy.ops.neural_render.light_probe()
    assert shot.world.name == probe.NAME, "the light that was there stays"


def test_a_light_that_was_set_before_keeps_its_strength(shot):
    background = next(n for n in shot.world.node_tree.nodes if n.bl_idname == "ShaderNodeBackground")
    background.inputs["Strength"].default_value = 2.5
    image = shot.world.node_tree.nodes[probe.TEXTURE_NODE].image
    world, count = shot.world, len(bpy.data.images)
    probe.set_world(shot, probe.load_pictures([bpy.path.abspath(image.filepath)], 1), 1)
    assert shot.world == world and background.inputs["Strength"].default_value == 2.5
    assert len(bpy.data.images) == count
