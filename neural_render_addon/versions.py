"""Every difference between Blender 4.5 LTS and 5.x that the add-on meets, and nothing else.

Each function hides one difference, so that the rest of the add-on reads as if there were one Blender.
"""

from __future__ import annotations

from typing import NamedTuple

import bpy

IS_5 = bpy.app.version >= (5, 0, 0)


class MixSockets(NamedTuple):
    """A colour mix node and its sockets, which the two versions name and number differently."""

    node: bpy.types.Node
    factor: bpy.types.NodeSocket
    a: bpy.types.NodeSocket
    b: bpy.types.NodeSocket
    result: bpy.types.NodeSocket


class AlphaOverSockets(NamedTuple):
    """An Alpha Over node and its sockets; ``result`` is ``foreground`` over ``background``."""

    node: bpy.types.Node
    background: bpy.types.NodeSocket
    foreground: bpy.types.NodeSocket
    result: bpy.types.NodeSocket


# Compositor trees


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The scene's compositor tree, also when compositing is switched off; None where there is none."""
    return scene.compositing_node_group if IS_5 else scene.node_tree


def uses_compositor_tree(scene: bpy.types.Scene) -> bool:
    """Whether a render of this scene goes through its compositor tree."""
    if not scene.render.use_compositing or compositor_tree(scene) is None:
        return False
    return True if IS_5 else scene.use_nodes


def ensure_compositor_tree(scene: bpy.types.Scene) -> tuple[bpy.types.NodeTree, bool]:
    """The scene's compositor tree, switched on, and whether it had to be made.

    A tree made here holds an output node and nothing else.
    """
    tree = compositor_tree(scene)
    created = tree is None
    if IS_5:
        if created:
            tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            tree.nodes.new("NodeGroupOutput")
            scene.compositing_node_group = tree
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        if created:  # 4.5 fills a new tree with Render Layers, a reroute, Composite and Viewer
            tree.nodes.clear()
            tree.nodes.new("CompositorNodeComposite")
    return tree, created


def delete_compositor_tree(scene: bpy.types.Scene) -> None:
    """Take away a tree that ``ensure_compositor_tree`` made.

    4.5 cannot delete a scene's tree: it gets back what a new one holds, a render that goes straight through,
    and the caller switches ``use_nodes`` off.
    """
    tree = compositor_tree(scene)
    if tree is None:
        return
    if IS_5:
        scene.compositing_node_group = None
        if tree.users == 0:
            bpy.data.node_groups.remove(tree)
        return
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    composite = tree.nodes.new("CompositorNodeComposite")
    composite.location.x = 400.0
    tree.links.new(layers.outputs["Image"], composite.inputs["Image"])


def output_node(tree: bpy.types.NodeTree) -> bpy.types.Node | None:
    """The node whose first input is what the render saves; None where the tree has none."""
    kind = "NodeGroupOutput" if IS_5 else "CompositorNodeComposite"
    nodes = [node for node in tree.nodes if node.bl_idname == kind]
    active = [node for node in nodes if getattr(node, "is_active_output", True)]
    return (active or nodes or [None])[0]


def ensure_output_node(tree: bpy.types.NodeTree) -> tuple[bpy.types.Node, bool]:
    """The tree's output node, with an image input, and whether it had to be made."""
    node = output_node(tree)
    if node is not None and len(node.inputs) > (1 if IS_5 else 0):  # 5.x ends with a virtual socket
        return node, False
    if IS_5 and not any(getattr(item, "in_out", "") == "OUTPUT" for item in tree.interface.items_tree):
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    if node is not None:
        return node, False
    return tree.nodes.new("NodeGroupOutput" if IS_5 else "CompositorNodeComposite"), True


# Compositor nodes


def math_node(tree: bpy.types.NodeTree, operation: str, clamp: bool = False) -> bpy.types.Node:
    """A Math node: 5.x has the shader one only, 4.5 runs the compositor's own."""
    node = tree.nodes.new("ShaderNodeMath" if IS_5 else "CompositorNodeMath")
    node.operation = operation
    node.use_clamp = clamp
    return node


def value_node(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """A Value node."""
    return tree.nodes.new("ShaderNodeValue" if IS_5 else "CompositorNodeValue")


def mix_node(tree: bpy.types.NodeTree, blend_type: str) -> MixSockets:
    """A colour mix node, unclamped; its result keeps the alpha of ``a``."""
    if IS_5:
        node = tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        node.clamp_factor = node.clamp_result = False
        by_identifier = {socket.identifier: socket for socket in node.inputs}
        result = next(socket for socket in node.outputs if socket.identifier == "Result_Color")
        factor, a, b = (by_identifier[name] for name in ("Factor_Float", "A_Color", "B_Color"))
    else:
        node = tree.nodes.new("CompositorNodeMixRGB")
        result = node.outputs[0]
        factor, a, b = node.inputs
    node.blend_type = blend_type
    factor.default_value = 1.0
    return MixSockets(node, factor, a, b, result)


def alpha_over_node(tree: bpy.types.NodeTree) -> AlphaOverSockets:
    """An Alpha Over node for premultiplied layers."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    background, foreground = (0, 1) if IS_5 else (1, 2)
    return AlphaOverSockets(node, node.inputs[background], node.inputs[foreground], node.outputs[0])


def erode_node(tree: bpy.types.NodeTree, radius: int) -> bpy.types.Node:
    """A Dilate/Erode node that gives each pixel the least value within ``radius`` pixels (a square)."""
    node = tree.nodes.new("CompositorNodeDilateErode")
    if IS_5:
        node.inputs["Type"].default_value = "Steps"
    else:
        node.mode = "STEP"
    node.inputs["Size"].default_value = -radius
    return node


# Materials


def node_material(name: str) -> bpy.types.Material:
    """A new material that shades by its nodes: in 5.x all do."""
    material = bpy.data.materials.new(name)
    if not IS_5:
        material.use_nodes = True
    return material


# Rendering and the sequencer


def set_image_format(settings: bpy.types.ImageFormatSettings, file_format: str) -> None:
    """Choose an output format; 5.x must be told the kind of media first."""
    if IS_5:
        media = {"OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE", "FFMPEG": "VIDEO"}
        settings.media_type = media.get(file_format, "IMAGE")
    settings.file_format = file_format


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequencer the artist edits: 5.x lets a workspace pin one."""
    workspace = getattr(context, "workspace", None)
    return getattr(workspace, "sequencer_scene", None) or context.scene
