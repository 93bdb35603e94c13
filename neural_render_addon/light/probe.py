"""Light from all around a place in the field: the camera that sees it, and the world or dome that gives it.

Blender's Environment Texture shows +x in the middle of the picture, -y at its right and +z above (Cycles,
kernel/camera/projection.h, ``direction_to_equirectangular``); so looks the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bmesh
import bpy
import numpy as np

from ..cameras.camera import Matrix, to_capture
from ..cameras.projections import Projection
from ..composite.layers import COLOR_SPACE
from ..errors import AddonError
from ..fields import field_seconds

# Custom properties: on what is ours, a mark; on the scene, the world that was there before.
OURS_KEY = "neural_render_probe"
WORLD_BEFORE_KEY = "neural_render_world_before"
TEXTURE_NODE = "Neural Render Probe"
NAME = "Field Light"
# Rings of triangles: enough for the dome to look round where CG mirrors it; the picture has the detail.
DOME_SUBDIVISIONS = 4


def panorama(width: int) -> Projection:
    """All around in a picture of ``width`` x ``width / 2`` pixels."""
    return Projection(
        width, width // 2, width / (2.0 * math.pi), width / (2.0 * math.pi), width / 2.0, width / 4.0,
        "EQUIRECTANGULAR",
    )  # fmt: skip


def probe_pose(place: Sequence[float]) -> Matrix:
    """Camera-to-world (4, 4) at ``place``, in scene units: looking along +x, z up."""
    pose: Matrix = np.array([[0, 0, -1, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
    pose[:3, 3] = place
    return pose


def probe_entry(
    context: bpy.types.Context, place: bpy.types.Object, field: bpy.types.Object, width: int
) -> dict[str, Any]:
    """The camera file's entry of a probe at the object ``place``, at the frame that the scene is at.

    Raises:
        CameraError: the field's scale is not uniform.
    """
    depsgraph = context.evaluated_depsgraph_get()
    pose = probe_pose(place.evaluated_get(depsgraph).matrix_world.translation)
    matrix = to_capture(pose, field.evaluated_get(depsgraph).matrix_world, field.name)
    seconds = field_seconds(field, context.scene)
    return {**panorama(width).entry(), "transform_matrix": matrix.tolist(), "time": seconds}


def load_pictures(files: Sequence[Path], first_frame: int) -> bpy.types.Image:
    """The probe's picture, or its sequence from ``first_frame`` on.

    Raises:
        AddonError: the first file cannot be read.
    """
    try:
        image = bpy.data.images.load(str(files[0]))
    except RuntimeError as error:
        raise AddonError(f"{files[0]} cannot be read ({error}); render the light probe again") from error
    image.name, image[OURS_KEY] = NAME, first_frame
    image.colorspace_settings.name = COLOR_SPACE
    if len(files) > 1:
        image.source = "SEQUENCE"
    return image


def set_world(scene: bpy.types.Scene, image: bpy.types.Image, count: int) -> None:
    """Light the scene by ``image``, of ``count`` frames; the artist's own world is kept aside.

    A world made before keeps what the artist changed about it, but for its picture.
    """
    world = scene.world
    if world is None or OURS_KEY not in world:
        scene[WORLD_BEFORE_KEY] = world if world is not None else ""
        world = scene.world = bpy.data.worlds.new(NAME)
        world[OURS_KEY] = True
        if world.node_tree is None:
            world.use_nodes = True
        tree = world.node_tree
        tree.nodes.clear()
        texture = tree.nodes.new("ShaderNodeTexEnvironment")
        background, output = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("Background", "OutputWorld"))
        tree.links.new(texture.outputs["Color"], background.inputs["Color"])
        tree.links.new(background.outputs[0], output.inputs["Surface"])
        _arrange(texture, background, output)
    _show(world.node_tree, image, count)
    remove_dome(scene)


def set_dome(
    scene: bpy.types.Scene, image: bpy.types.Image, count: int, place: bpy.types.Object, radius: float
) -> None:
    """Light what is within ``radius`` of ``place`` by a sphere that shows ``image``, besides other light.

    The sphere lets light through and casts no shadow. It follows the object without turning.
    """
    dome = find_dome(scene)
    if dome is None:
        mesh = bpy.data.meshes.new(NAME)
        shape = bmesh.new()
        bmesh.ops.create_icosphere(shape, subdivisions=DOME_SUBDIVISIONS, radius=1.0)
        shape.to_mesh(mesh)
        shape.free()
        mesh.materials.append(_dome_material())
        dome = bpy.data.objects.new(NAME, mesh)
        dome[OURS_KEY] = True
        dome.display_type = "WIRE"
        dome.hide_select = True
        dome.visible_camera = dome.visible_shadow = False
        dome.constraints.new("COPY_LOCATION")
        scene.collection.objects.link(dome)
    dome.constraints[0].target = place
    dome.scale = (radius,) * 3
    _show(dome.data.materials[0].node_tree, image, count)
    remove_world(scene)


def find_dome(scene: bpy.types.Scene) -> bpy.types.Object | None:
    return next((obj for obj in scene.objects if obj.type == "MESH" and OURS_KEY in obj), None)


def is_set_up(scene: bpy.types.Scene) -> bool:
    return (scene.world is not None and OURS_KEY in scene.world) or find_dome(scene) is not None


def remove_world(scene: bpy.types.Scene) -> None:
    """Give the scene back the world that it had; nothing happens where ours is not in use."""
    world = scene.world
    if world is not None and OURS_KEY in world:
        scene.world = scene.get(WORLD_BEFORE_KEY) or None
        images = _images(world.node_tree)
        if world.users == 0:
            bpy.data.worlds.remove(world)
        _drop(images)
    if WORLD_BEFORE_KEY in scene:
        del scene[WORLD_BEFORE_KEY]


def remove_dome(scene: bpy.types.Scene) -> None:
    dome = find_dome(scene)
    if dome is None:
        return
    mesh, material = dome.data, dome.data.materials[0]
    images = _images(material.node_tree)
    bpy.data.objects.remove(dome)
    if mesh.users == 0:
        bpy.data.meshes.remove(mesh)
    if material.users == 0:
        bpy.data.materials.remove(material)
    _drop(images)


def _dome_material() -> bpy.types.Material:
    """Emission by direction, added to what shines through."""
    material = bpy.data.materials.new(NAME)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    names = ("TexCoord", "TexEnvironment", "Emission", "BsdfTransparent", "AddShader", "OutputMaterial")
    nodes = {name: tree.nodes.new(f"ShaderNode{name}") for name in names}
    # Its own coordinates: from its middle outwards, in the scene's axes, for it does not turn.
    tree.links.new(nodes["TexCoord"].outputs["Object"], nodes["TexEnvironment"].inputs["Vector"])
    tree.links.new(nodes["TexEnvironment"].outputs["Color"], nodes["Emission"].inputs["Color"])
    tree.links.new(nodes["Emission"].outputs[0], nodes["AddShader"].inputs[0])
    tree.links.new(nodes["BsdfTransparent"].outputs[0], nodes["AddShader"].inputs[1])
    tree.links.new(nodes["AddShader"].outputs[0], nodes["OutputMaterial"].inputs["Surface"])
    _arrange(*nodes.values())
    return material


def _show(tree: bpy.types.NodeTree, image: bpy.types.Image, count: int) -> None:
    """Give the tree's texture ``image``; of a sequence, file ``n`` at scene frame ``n``."""
    texture = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeTexEnvironment")
    texture.name = texture.label = TEXTURE_NODE
    old, texture.image = texture.image, image
    user, first = texture.image_user, int(image[OURS_KEY])
    user.frame_duration, user.frame_start, user.frame_offset = count, first, first - 1
    user.use_auto_refresh, user.use_cyclic = True, False
    if old is not None and old != image:
        _drop([old])


def _images(tree: bpy.types.NodeTree) -> list[bpy.types.Image]:
    return [node.image for node in tree.nodes if getattr(node, "image", None) is not None]


def _drop(images: Sequence[bpy.types.Image]) -> None:
    for image in images:
        if image.users == 0:
            bpy.data.images.remove(image)


def _arrange(*nodes: bpy.types.Node) -> None:
    for index, node in enumerate(nodes):
        node.location = (220.0 * index, 0.0)
