"""What the demo adds to the filmed set: two CG props, their shadow catcher, lights, and the camera's move.

Places are in metres in the set of ``examples/stage24`` (z up, floor at 0): the flame stands at (-0.7, -0.2),
the head's pedestal at (0, 1.1), the cameras about 4.4 m before them, looking along +y.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Vector

KNOT_PLACE = Vector((-0.45, 0.35, 0.45))  # behind the flame, before the pedestal
RING_PLACE = Vector((0.02, 1.15, 1.15))  # around the head
FLAME = Vector((-0.73, -0.1, 0.55))
LOOK_AT = Vector((-0.1, 0.6, 0.8))


def torus_knot(name: str, radius: float, tube: float, turns: tuple[int, int] = (2, 3)) -> bpy.types.Object:
    """A smooth (p, q) torus knot as a curve with a round profile, about ``radius`` metres large."""
    p, q = turns
    phi = np.linspace(0.0, 2.0 * math.pi, 160, endpoint=False)
    ring = 2.0 + np.cos(q * phi)
    points = np.stack([ring * np.cos(p * phi), np.sin(q * phi), ring * np.sin(p * phi)], axis=1) * (
        radius / 3
    )
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution = "3D", tube, 6
    spline = curve.splines.new("POLY")
    spline.points.add(len(points) - 1)
    spline.points.foreach_set("co", np.concatenate([points, np.ones((len(points), 1))], 1).ravel())
    spline.use_cyclic_u = spline.use_smooth = True
    return bpy.data.objects.new(name, curve)


def metal(name: str, color: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Metallic"].default_value = 1.0
    shader.inputs["Roughness"].default_value = roughness
    return material


def add_props(scene: bpy.types.Scene) -> None:
    """A golden torus knot on the floor, and a copper ring that turns around the filmed head."""
    knot = torus_knot("Torus Knot", radius=0.42, tube=0.075)
    knot.location = KNOT_PLACE
    knot.data.materials.append(metal("Gold", (1.0, 0.62, 0.2), 0.18))
    scene.collection.objects.link(knot)
    bpy.ops.mesh.primitive_torus_add(
        location=RING_PLACE, major_radius=0.62, minor_radius=0.035, major_segments=96, minor_segments=24
    )
    ring = bpy.context.object
    ring.name = "Ring"
    ring.data.shade_smooth()
    ring.data.materials.append(metal("Copper", (0.95, 0.38, 0.22), 0.25))
    first, last = scene.frame_start, scene.frame_end
    for frame, turn in ((first, 0.0), (last + 1, 1.0)):
        knot.rotation_euler = (0.0, 0.0, math.pi * turn)
        knot.keyframe_insert("rotation_euler", frame=frame)
        ring.rotation_euler = (math.radians(24.0), math.radians(18.0 - 36.0 * turn), 0.0)
        ring.keyframe_insert("rotation_euler", frame=frame)


def add_shadow_catcher(scene: bpy.types.Scene) -> None:
    """The filmed floor as a plane that shows nothing but the shadows of CG."""
    bpy.ops.mesh.primitive_plane_add(size=12.0, location=(0.0, 0.0, 0.0))
    bpy.context.object.name = "Floor Shadow Catcher"
    bpy.context.object.is_shadow_catcher = True


def add_lights(scene: bpy.types.Scene) -> None:
    """Light like the set's: a key from the left, the flame's glow, a sky for metals to mirror."""
    key = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "SUN"))
    key.data.energy, key.data.angle = 3.0, math.radians(6.0)
    key.rotation_euler = Vector((0.7, 0.0, -0.75)).to_track_quat("-Z", "Y").to_euler()
    flame = bpy.data.objects.new("Flame Light", bpy.data.lights.new("Flame Light", "POINT"))
    flame.data.energy, flame.data.color, flame.data.shadow_soft_size = 25.0, (1.0, 0.55, 0.2), 0.15
    flame.location = FLAME
    for light in (key, flame):
        scene.collection.objects.link(light)
    world = bpy.data.worlds.new("Set")
    if world.node_tree is None:
        world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    up = nodes.new("ShaderNodeSeparateXYZ")
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Generated"], up.inputs[0])
    ramp = nodes.new("ShaderNodeValToRGB")  # the floor's brown below, the wall's brick, a pale ceiling
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[0].color = 0.0, (0.30, 0.21, 0.14, 1.0)
    ramp.color_ramp.elements[1].position, ramp.color_ramp.elements[1].color = 0.9, (0.85, 0.88, 0.95, 1.0)
    ramp.color_ramp.elements.new(0.25).color = (0.35, 0.14, 0.10, 1.0)
    links.new(up.outputs["Z"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], nodes["Background"].inputs["Color"])
    nodes["Background"].inputs["Strength"].default_value = 0.6
    scene.world = world


def add_camera_move(scene: bpy.types.Scene) -> bpy.types.Object:
    """An arc from the right to the left within the filmed views, while the camera comes closer and sinks."""
    camera = bpy.data.objects.new("Shot Camera", bpy.data.cameras.new("Shot Camera"))
    camera.data.sensor_width, camera.data.lens = 36.0, 30.0  # the filming cameras' focal length
    scene.collection.objects.link(camera)
    first, last = scene.frame_start, scene.frame_end
    for frame in range(first, last + 1):
        t = (frame - first) / max(last - first, 1)
        eased = t * t * (3.0 - 2.0 * t)
        angle, radius = math.radians(20.0 - 48.0 * eased), 4.9 - 0.7 * eased
        camera.location = LOOK_AT + Vector(
            (radius * math.sin(angle), -radius * math.cos(angle), 0.75 - 0.4 * eased)
        )
        camera.rotation_euler = (LOOK_AT - camera.location).to_track_quat("-Z", "Y").to_euler()
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    scene.camera = camera
    return camera
