"""A small moving CG scene that shines by itself, so that a few samples a pixel show it without noise."""

from __future__ import annotations

import bpy

from neural_render_addon import versions

FRAMES = 4


def build_film_set(scene: bpy.types.Scene) -> bpy.types.Object:
    """A coloured room with a ball that moves along x over frames 1 to 4, for Cycles at 32 x 24; the ball.

    The artist's own settings are unlike what a capture needs, for tests that they are put back.
    """
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 4, False
    scene.render.resolution_x, scene.render.resolution_y = 32, 24
    scene.render.fps = 12
    scene.frame_start, scene.frame_end = 1, FRAMES
    for location, rotation in (
        ((0, 0, -1), (0, 0, 0)),
        ((0, 2.5, 1.5), (1.5708, 0, 0)),
        ((-2.5, 0, 1.5), (0, 1.5708, 0)),
    ):
        bpy.ops.mesh.primitive_plane_add(size=5, location=location, rotation=rotation)
        bpy.context.object.data.materials.append(patches("Room", 1.3))
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.8, segments=24, ring_count=12)
    ball = bpy.context.object
    ball.name = "Ball"
    ball.data.materials.append(patches("Ball", 3.0))
    for frame, x in ((1, -0.6), (FRAMES, 0.6)):
        ball.location.x = x
        ball.keyframe_insert("location", frame=frame)
    scene.frame_set(1)
    return ball


def patches(name: str, scale: float) -> bpy.types.Material:
    """A shining material of soft coloured patches, fixed to the object, no brighter than white."""
    material = versions.node_material(name)
    tree = material.node_tree
    tree.nodes.clear()
    place = tree.nodes.new("ShaderNodeTexCoord")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = scale
    noise.inputs["Detail"].default_value = 0.0
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(place.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Color"], emission.inputs["Color"])
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material
