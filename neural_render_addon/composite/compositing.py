"""Sets a field's rendered frames up in a scene's compositor, and takes them out again.

Every field has one node of our own in the tree, between the CG render and whatever it fed. Nothing of the
artist's is deleted or moved; what is changed (links of the Render Layers node, render settings) is written
down in custom properties, so that removal restores it in another session or another copy of the add-on too.
"""

from __future__ import annotations

import bpy

from .. import versions
from .compositor_nodes import FRAMES_NODE, SCALE_NODE, build_group
from .layers import FrameSequence, frame_size, gap_warning, has_depth_layers, sequence_image
from .render_settings import apply_settings, created_tree, note_created_tree, restore_settings

# Custom properties: on a group, the field object it shows; on nodes, that we made them; on our node, that we
# connected the output because nothing else did.
FIELD_KEY = "neural_render_field"
OWNED_KEY = "neural_render_owned"
CONNECTED_KEY = "neural_render_connected"


def find_node(scene: bpy.types.Scene, field: bpy.types.Object) -> bpy.types.Node | None:
    """The field's node in the scene's compositor tree, if it is set up."""
    return next((node for node in _our_nodes(scene) if node.node_tree[FIELD_KEY] == field), None)


def set_up(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    field: bpy.types.Object,
    frames: FrameSequence,
) -> list[str]:
    """Merge ``frames`` with the scene's CG render by depth, or around it as layers; run again, it updates.

    Returns warnings, one sentence each.

    Raises:
        LayerError: a frame cannot be read or lacks a pass.
    """
    size, in_layers = frame_size(frames, with_depth=True), has_depth_layers(frames)
    node = find_node(scene, field)
    old_image = node.node_tree.nodes[FRAMES_NODE].image if node is not None else None
    image = sequence_image(old_image, frames, f"{field.name} Frames")

    apply_settings(scene, view_layer)
    tree, created = versions.ensure_compositor_tree(scene)
    if created:
        for made in tree.nodes:
            made[OWNED_KEY] = True
        note_created_tree(scene)

    if node is None:
        group = bpy.data.node_groups.new(f"Neural Render {field.name}", "CompositorNodeTree")
        group[FIELD_KEY] = field
    else:
        group = node.node_tree
    image_node = build_group(group, image, in_layers)
    _set_frame_range(image_node, frames)
    _drive_scale(group, field)

    warnings = [gap_warning(frames)]
    if node is None:
        warnings.append(_insert(tree, group, scene, view_layer))
    warnings.append(_size_warning(scene, size))
    return [warning for warning in warnings if warning]


def remove(scene: bpy.types.Scene, field: bpy.types.Object | None = None) -> int:
    """Take out the node of ``field``, or of every field, and restore what was there before; returns how many.

    What the artist connected to our node since then is fed by what fed our node.
    """
    nodes = [node for node in _our_nodes(scene) if field is None or node.node_tree[FIELD_KEY] == field]
    tree = versions.compositor_tree(scene)
    if tree is None:
        return 0
    for node in nodes:
        _bypass(tree, node)
        group, image = node.node_tree, node.node_tree.nodes[FRAMES_NODE].image
        tree.nodes.remove(node)
        if group.users == 0:
            bpy.data.node_groups.remove(group)
        if image is not None and image.users == 0:
            bpy.data.images.remove(image)
    if nodes and not is_set_up(scene):
        _remove_owned_nodes(scene, tree)
        restore_settings(scene)
    return len(nodes)


def is_set_up(scene: bpy.types.Scene) -> bool:
    """Whether any field, also one whose object is deleted, is in the scene's compositor."""
    return bool(_our_nodes(scene))


def _our_nodes(scene: bpy.types.Scene) -> list[bpy.types.Node]:
    tree = versions.compositor_tree(scene)
    if tree is None:
        return []
    return [
        node for node in tree.nodes if node.type == "GROUP" and node.node_tree and FIELD_KEY in node.node_tree
    ]


# What the group shows


def _set_frame_range(image_node: bpy.types.Node, frames: FrameSequence) -> None:
    """Show file ``n`` at scene frame ``n``; Blender shows nothing before the first, and holds the last."""
    image_node.frame_duration = frames.duration
    image_node.frame_start = frames.start
    image_node.frame_offset = frames.start - 1  # added to 1 at frame_start
    image_node.use_cyclic = False
    image_node.use_auto_refresh = True


def _drive_scale(group: bpy.types.NodeTree, field: bpy.types.Object) -> None:
    """Keep the group's scale at the field object's world scale, also when the artist changes it later."""
    group.animation_data_clear()
    socket = group.nodes[SCALE_NODE].outputs[0]
    socket.default_value = field.matrix_world.median_scale
    driver = socket.driver_add("default_value").driver
    driver.type = "AVERAGE"
    variable = driver.variables.new()
    variable.type = "TRANSFORMS"
    target = variable.targets[0]
    target.id, target.transform_type, target.transform_space = field, "SCALE_AVG", "WORLD_SPACE"


def _size_warning(scene: bpy.types.Scene, size: tuple[int, int]) -> str | None:
    """Frames of another size than the render do not lie over it."""
    render = scene.render
    percentage = render.resolution_percentage
    expected = (render.resolution_x * percentage // 100, render.resolution_y * percentage // 100)
    if size == expected:
        return None
    return (
        f"The frames are {size[0]}x{size[1]} and the render is {expected[0]}x{expected[1]}; "
        "run Render Frames again at the render's size"
    )


# Where the node sits


def _insert(
    tree: bpy.types.NodeTree,
    group: bpy.types.NodeTree,
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
) -> str | None:
    """Put a node of ``group`` between the CG render and what it feeds; returns a warning or None."""
    layers = _render_layers_node(tree, scene, view_layer)
    image, depth = layers.outputs["Image"], layers.outputs["Depth"]
    while (follower := _our_follower(image)) is not None:  # another field is merged already: come after it
        image, depth = follower.outputs["Image"], follower.outputs["Depth"]

    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = group
    node.name = node.label = group.name
    node.width = 200.0
    node.location = (image.node.location.x + image.node.width + 60.0, image.node.location.y)
    node[OWNED_KEY] = True

    targets = [link.to_socket for link in image.links]
    tree.links.new(image, node.inputs["Image"])
    tree.links.new(depth, node.inputs["Depth"])
    catcher = layers.outputs.get("Shadow Catcher")
    if catcher is not None and catcher.enabled:
        tree.links.new(catcher, node.inputs["Shadow Catcher"])
    for target in targets:
        tree.links.new(node.outputs["Image"], target)
    if targets:
        return None

    output, output_created = versions.ensure_output_node(tree)
    if output_created:
        output[OWNED_KEY] = True
    if OWNED_KEY in output:
        output.location = (node.location.x + 280.0, node.location.y)
    if output.inputs[0].is_linked:
        return (
            f"The compositor's output is fed by other nodes; connect the Image of {node.name!r} "
            "where the field belongs"
        )
    tree.links.new(node.outputs["Image"], output.inputs[0])
    node[CONNECTED_KEY] = True
    return None


def _render_layers_node(
    tree: bpy.types.NodeTree, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer
) -> bpy.types.Node:
    """The artist's Render Layers node of this view layer, rather one that is in use, or a new one."""
    nodes = [
        node
        for node in tree.nodes
        if node.bl_idname == "CompositorNodeRLayers" and node.scene == scene and node.layer == view_layer.name
    ]
    for node in nodes:
        if node.outputs["Image"].is_linked:
            return node
    if nodes:
        return nodes[0]
    node = tree.nodes.new("CompositorNodeRLayers")
    node.scene, node.layer = scene, view_layer.name
    node[OWNED_KEY] = True
    return node


def _our_follower(image: bpy.types.NodeSocket) -> bpy.types.Node | None:
    for link in image.links:
        tree = getattr(link.to_node, "node_tree", None)
        if tree is not None and FIELD_KEY in tree and link.to_socket.name == "Image":
            return link.to_node
    return None


def _bypass(tree: bpy.types.NodeTree, node: bpy.types.Node) -> None:
    """Connect what feeds our node straight to what it feeds, and cut the output we connected ourselves."""
    connected = bool(node.get(CONNECTED_KEY, False))
    for name in ("Image", "Depth"):
        source = node.inputs[name].links[0].from_socket if node.inputs[name].is_linked else None
        for link in list(node.outputs[name].links):
            target = link.to_socket
            follower = getattr(target.node, "node_tree", None)
            if connected and follower is not None and FIELD_KEY in follower:
                target.node[CONNECTED_KEY] = True
            elif source is None or (connected and target.node == versions.output_node(tree)):
                continue
            if source is not None:
                tree.links.new(source, target)


def _remove_owned_nodes(scene: bpy.types.Scene, tree: bpy.types.NodeTree) -> None:
    """Delete the nodes we made that nobody uses, and the tree if it is ours and holds nothing else."""
    was_created = created_tree(scene)
    for node in [node for node in tree.nodes if OWNED_KEY in node]:
        in_use = any(socket.is_linked for socket in (*node.inputs, *node.outputs))
        if not in_use and not (was_created and node == versions.output_node(tree)):
            tree.nodes.remove(node)
    # a newer Blender gives an older file's tree another output node, without our mark
    output = versions.output_node(tree)
    if was_created and all(OWNED_KEY in node or node == output for node in tree.nodes):
        versions.delete_compositor_tree(scene)
        return
    for node in tree.nodes:  # what the artist uses from here on is the artist's
        if OWNED_KEY in node:
            del node[OWNED_KEY]
