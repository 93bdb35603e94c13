"""Make Proxy Mesh: a mesh where the field is, that takes shadows, cuts holes and stops what falls on it."""

import bpy
import numpy as np
import pytest
from mathutils import Vector

from neural_render_addon.errors import AddonError
from neural_render_addon.light.proxy import make_proxy, read_triangles, set_collision, set_role
from tests.addon.layers_support import field_object, read_rgba, render_scene, small_scene
from tests.addon.test_undo import check_undo_and_redo

# The ball of gaussian_scene.red_and_green in the scene: capture coordinates doubled and moved.
SCALE, MOVE = 2.0, Vector((-3.0, 0.0, 1.0))
CENTER, RADIUS = Vector((0.0, 0.0, 1.0)), 1.6


def test_the_proxy_is_the_ball_and_goes_with_the_field(connected, lit_scene):
    scene = bpy.context.scene
    bpy.ops.neural_render.open_scene(filepath=str(lit_scene))
    field = scene.neural_render.field
    field.location, field.scale = MOVE, (SCALE,) * 3
    scene.neural_render.proxy.faces, scene.neural_render.proxy.resolution = 600, 32
    bpy.ops.mesh.primitive_plane_add()
    active = bpy.context.object.name
    check_undo_and_redo(bpy.ops.neural_render.make_proxy)
    scene = bpy.context.scene
    proxy = scene.objects["lit Proxy"]
    bpy.context.view_layer.update()
    places = np.array([proxy.matrix_world @ vertex.co for vertex in proxy.data.vertices])
    distance = np.linalg.norm(places - np.array(CENTER), axis=1)
    assert np.median(distance) == pytest.approx(RADIUS, abs=0.2)
    assert 300 < len(proxy.data.polygons) <= 610 and proxy.is_shadow_catcher
    assert bpy.context.view_layer.objects.active.name == active
    scene.neural_render.field.location.x += 1.0
    bpy.context.view_layer.update()
    assert (proxy.matrix_world @ proxy.data.vertices[0].co).x == pytest.approx(places[0][0] + 1.0, abs=1e-5)
    # Again, from second 1, where there is no ball, back to second 0, where there is: the range has it.
    scene.render.fps, scene.frame_start, scene.frame_end = 10, 1, 11
    scene.frame_set(11)
    settings, meshes = scene.neural_render.proxy, len(bpy.data.meshes)
    settings.moment, settings.samples, settings.faces, settings.role = "ANY", 2, 200, "HOLDOUT"
    assert bpy.ops.neural_render.make_proxy() == {"FINISHED"}
    assert scene.objects["lit Proxy"] == proxy and len(bpy.data.meshes) == meshes
    assert 100 < len(proxy.data.polygons) <= 210 and proxy.is_holdout and not proxy.is_shadow_catcher
    assert scene.frame_current == 11


@pytest.fixture
def ball():
    """A scene with the proxy of a ball of radius 1.6 at the origin, seen from above by Cycles."""
    scene = small_scene(32, 24)
    scene.render.film_transparent = True
    scene.cycles.samples = 8
    scene.camera.location = (0.0, 0.0, 9.0)
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4, radius=1.6)
    mesh = bpy.context.object.data
    vertices = np.array([vertex.co for vertex in mesh.vertices], np.float32)
    faces = np.array([polygon.vertices for polygon in mesh.polygons], np.int32)
    bpy.data.objects.remove(bpy.context.object)
    return make_proxy(bpy.context, field_object(scene), vertices, faces, 600)


def alpha(path):
    return read_rgba(render_scene(bpy.context.scene, path))[..., 3]


def test_it_is_decimated_and_unwrapped(ball):
    assert len(ball.data.polygons) == pytest.approx(600, abs=10)
    uv = np.empty(2 * len(ball.data.loops), np.float32)
    ball.data.uv_layers.active.data.foreach_get("uv", uv)
    assert uv.min() > -1e-6 and uv.max() < 1.0 + 1e-6 and np.ptp(uv) > 0.5


def test_cg_casts_its_shadow_on_the_proxy(ball, tmp_path):
    set_role(ball, "SHADOW")
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    bpy.context.scene.collection.objects.link(sun)
    before = alpha(tmp_path / "without.exr")
    assert before.max() < 0.05, "an invisible proxy without CG shows nothing"
    bpy.ops.mesh.primitive_plane_add(size=1.0, location=(0.0, 0.0, 5.0))
    bpy.context.object.visible_camera = False
    shadow = alpha(tmp_path / "with.exr")
    assert shadow[11:13, 15:17].min() > 0.5 and shadow[:, :4].max() < 0.05
    # a lamp beyond the filmed ball lights CG that is inside of it
    bpy.context.object.visible_camera, bpy.context.object.location.z = True, 0.0
    bpy.context.scene.camera.location.z = 1.0
    inside = read_rgba(render_scene(bpy.context.scene, tmp_path / "inside.exr"))
    assert inside[12, 16, :3].min() > 0.1


def test_a_holdout_hides_cg_behind_it(ball, tmp_path):
    bpy.ops.mesh.primitive_plane_add(size=30.0, location=(0.0, 0.0, -4.0))
    set_role(ball, "HOLDOUT")
    assert ball.visible_shadow and ball.visible_diffuse
    hole = alpha(tmp_path / "hole.exr")
    assert hole[12, 16] == 0.0 and hole[0, 0] == 1.0


def test_what_falls_lands_on_the_proxy(ball):
    scene = bpy.context.scene
    set_collision(bpy.context, ball, True)
    assert ball.rigid_body.type == "PASSIVE"
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0.0, 0.0, 2.5))
    cube = bpy.context.object
    bpy.ops.rigidbody.object_add(type="ACTIVE")
    for frame in range(1, 16):
        scene.frame_set(frame)
    height = cube.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.translation.z
    assert height == pytest.approx(1.6 + 0.25, abs=0.2)  # in 14 frames it would have fallen 1.7 m
    set_collision(bpy.context, ball, False)
    assert ball.rigid_body is None


def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "mesh.ply"
    path.write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    with pytest.raises(AddonError, match="not a mesh of our server"):
        read_triangles(path)
    with pytest.raises(AddonError, match="cannot be read"):
        read_triangles(tmp_path / "none.ply")
