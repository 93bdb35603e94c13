"""The node group that lays a field's rendered frames and the CG render into each other.

With premultiplied layers F (field) and C (CG), alphas a_F and a_C, and planar depths z_F and z_C, a pixel is

    out = w (F over C) + (1 - w) (C over F),    X over Y = X + (1 - a_X) Y        (Porter and Duff 1984)
    w   = t^2 (3 - 2 t),    t = clamp((z_C - z_F) / softness + 1/2, 0, 1)

so w is 1 where the field is nearer by half the softness or more, 0 where the CG is, and in between the order
fades, which keeps the line where two surfaces cut each other smooth. Both orders have the alpha
a_F + a_C - a_F a_C, so w never leaks into alpha; where one layer is empty both orders are the other layer,
whatever the depths say.

Three things make it exact on real renders:

- the field's depth is in capture units and is multiplied by the field object's world scale;
- Cycles writes the depth of a pixel's *first* sample, which at an antialiased edge may well have missed the
  object. Where a_C < 1 the nearest depth of the pixel's neighbours stands in (Cycles' pixel filter is 1.5
  pixels wide, so what covers a pixel is hit in it or next to it);
- the light that CG takes from a shadow catcher (Cycles' Shadow Catcher pass, a factor) is multiplied onto the
  field before the merge, and fades out where the field stands in front of the catcher, so that the shadow on
  the floor behind an actor does not fall on the actor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import bpy

from .. import versions

# What Cycles and our frames write where a pixel shows nothing.
BACKGROUND_DEPTH = 1e10
# Three pixels square: see the module's text.
EDGE_RADIUS = 1

FRAMES_NODE = "Field Frames"
SCALE_NODE = "Field Scale"

Socket: TypeAlias = bpy.types.NodeSocket


@dataclass(frozen=True)
class GroupInput:
    """One input of the group as the artist sees it on the node."""

    name: str
    socket_type: str
    default: object
    description: str
    minimum: float = 0.0
    maximum: float = 1e6


WHITE = (1.0, 1.0, 1.0, 1.0)
INPUTS = (
    GroupInput("Image", "NodeSocketColor", (0.0, 0.0, 0.0, 0.0), "The CG render, with a transparent film"),
    GroupInput(
        "Depth", "NodeSocketFloat", BACKGROUND_DEPTH, "The CG render's Depth pass", 0.0, BACKGROUND_DEPTH
    ),
    GroupInput("Shadow Catcher", "NodeSocketColor", WHITE, "The CG render's Shadow Catcher pass"),
    GroupInput(
        "Softness",
        "NodeSocketFloat",
        0.05,
        "Depth range, in scene units, over which field and CG fade into each other where they cut",
    ),
    GroupInput("Shadow", "NodeSocketFloat", 1.0, "How strongly CG shadows darken the field", 0.0, 1.0),
    GroupInput(
        "Shadow Reach",
        "NodeSocketFloat",
        0.5,
        "How far in front of the shadow catcher, in scene units, the field still receives its shadow",
    ),
)
OUTPUTS = (
    ("Image", "NodeSocketColor", "Field and CG merged by depth, premultiplied"),
    ("Depth", "NodeSocketFloat", "The nearer depth of the two, in scene units; 1e10 where nothing is"),
    ("Field", "NodeSocketColor", "The field alone, with the CG's shadows"),
)


def ensure_interface(group: bpy.types.NodeTree) -> None:
    """Give the group its inputs and outputs; those it has keep their values on the nodes that use it."""
    present = {(item.in_out, item.name) for item in group.interface.items_tree if item.item_type == "SOCKET"}
    for name, socket_type, description in OUTPUTS:
        if ("OUTPUT", name) not in present:
            group.interface.new_socket(
                name, description=description, in_out="OUTPUT", socket_type=socket_type
            )
    for entry in INPUTS:
        if ("INPUT", entry.name) in present:
            continue
        item = group.interface.new_socket(
            entry.name, description=entry.description, in_out="INPUT", socket_type=entry.socket_type
        )
        item.default_value = entry.default
        if entry.socket_type == "NodeSocketFloat":
            item.min_value, item.max_value = entry.minimum, entry.maximum


class _Builder:
    """Adds nodes to a tree column by column and links what it is given: a socket, or a plain value."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self.column = 0
        self.row = 0

    def next_column(self) -> None:
        self.column, self.row = self.column + 1, 0

    def place(self, node: bpy.types.Node, label: str = "") -> bpy.types.Node:
        node.location = (220.0 * self.column, -190.0 * self.row)
        node.label = label
        self.row += 1
        return node

    def connect(self, value: Socket | float, socket: Socket) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def add(self, kind: str, label: str = "") -> bpy.types.Node:
        return self.place(self.tree.nodes.new(kind), label)

    def math(
        self, operation: str, a: Socket | float, b: Socket | float, label: str = "", clamp: bool = False
    ) -> Socket:
        node = self.place(versions.math_node(self.tree, operation, clamp), label)
        self.connect(a, node.inputs[0])
        self.connect(b, node.inputs[1])
        return node.outputs[0]

    def choose(self, factor: Socket, zero: Socket | float, one: Socket | float, label: str) -> Socket:
        """``zero`` where ``factor`` is 0, ``one`` where it is 1, as products: exact at both ends, so that a
        background depth of 1e10 cannot swallow the other depth's digits."""
        kept = self.math("MULTIPLY", self.math("SUBTRACT", 1.0, factor), zero)
        return self.math("ADD", kept, self.math("MULTIPLY", factor, one), label)

    def smoothstep(self, difference: Socket, width: Socket, offset: float, label: str) -> Socket:
        """3 t^2 - 2 t^3 of t = clamp(difference / width + offset, 0, 1)."""
        # A width of zero is a hard edge; 1e-6 keeps the quotient finite.
        ratio = self.math("DIVIDE", difference, self.math("MAXIMUM", width, 1e-6))
        t = self.math("ADD", ratio, offset, clamp=True)
        slope = self.math("SUBTRACT", 3.0, self.math("MULTIPLY", t, 2.0))
        return self.math("MULTIPLY", self.math("MULTIPLY", t, t), slope, label)

    def mix(
        self,
        blend_type: str,
        factor: Socket | float,
        a: Socket,
        b: Socket | tuple[float, ...],
        label: str = "",
    ) -> Socket:
        sockets = versions.mix_node(self.tree, blend_type)
        self.place(sockets.node, label)
        self.connect(factor, sockets.factor)
        self.connect(a, sockets.a)
        self.connect(b, sockets.b)
        return sockets.result

    def over(self, foreground: Socket, background: Socket, label: str) -> Socket:
        sockets = versions.alpha_over_node(self.tree)
        self.place(sockets.node, label)
        self.connect(foreground, sockets.foreground)
        self.connect(background, sockets.background)
        return sockets.result

    def alpha(self, image: Socket) -> Socket:
        node = self.add("CompositorNodeSeparateColor")
        self.connect(image, node.inputs[0])
        return node.outputs["Alpha"]


def build_group(group: bpy.types.NodeTree, image: bpy.types.Image, in_layers: bool = False) -> bpy.types.Node:
    """Fill ``group`` with the merge described above; returns its Image node.

    ``in_layers``: the frames have the passes Front and Behind, split at the CG's own depth; the picture is
    front over CG over behind, with no softness to choose.

    Whatever the group held is replaced, its interface is kept. The Image node's frame range and the Value
    node named ``SCALE_NODE`` (capture units to scene units) are the caller's to set.
    """
    ensure_interface(group)
    group.nodes.clear()
    b = _Builder(group)

    cg = b.add("NodeGroupInput", "CG")
    frames = b.add("CompositorNodeImage", "Field")
    frames.name, frames.image = FRAMES_NODE, image
    scale = b.place(versions.value_node(group), "Capture units to scene units")
    scale.name = SCALE_NODE

    b.next_column()
    cg_alpha, field_alpha = b.alpha(cg.outputs["Image"]), b.alpha(frames.outputs["Combined"])
    cg_covered = b.math("GREATER_THAN", cg_alpha, 0.0, "CG covers")
    cg_partly = b.math("LESS_THAN", cg_alpha, 1.0, "CG edge")
    field_covered = b.math("GREATER_THAN", field_alpha, 0.0, "Field covers")

    b.next_column()
    near = b.place(versions.erode_node(group, EDGE_RADIUS), "Nearest neighbour")
    b.connect(cg.outputs["Depth"], near.inputs["Mask"])
    edge_depth = b.choose(cg_partly, cg.outputs["Depth"], near.outputs[0], "Edge depth")
    cg_depth = b.choose(cg_covered, BACKGROUND_DEPTH, edge_depth, "CG depth")

    b.next_column()
    scaled = b.math("MULTIPLY", frames.outputs["Depth"], scale.outputs[0], "To scene units")
    field_depth = b.choose(field_covered, BACKGROUND_DEPTH, scaled, "Field depth")

    b.next_column()
    if not in_layers:
        difference = b.math("SUBTRACT", cg_depth, field_depth, "CG behind field by")
        field_in_front = b.smoothstep(difference, cg.outputs["Softness"], 0.5, "Field in front")

    b.next_column()
    gap = b.math("SUBTRACT", cg.outputs["Depth"], field_depth, "Catcher behind field by")
    clear_of_catcher = b.smoothstep(gap, cg.outputs["Shadow Reach"], 0.0, "Clear of catcher")
    touching = b.math("SUBTRACT", 1.0, clear_of_catcher)
    shade = b.math("MULTIPLY", touching, cg.outputs["Shadow"], "Shadow amount")

    b.next_column()
    catcher = cg.outputs["Shadow Catcher"]
    field = b.mix("MULTIPLY", shade, frames.outputs["Combined"], catcher, "Shadows on field")
    if in_layers:
        front = b.mix("MULTIPLY", shade, frames.outputs["Front"], catcher, "Shadows on front")
        behind = b.mix("MULTIPLY", shade, frames.outputs["Behind"], catcher, "Shadows on what is behind")
        b.next_column()
        cg_first = b.over(cg.outputs["Image"], behind, "CG over what is behind")
        b.next_column()
        merged = b.over(front, cg_first, "Front over CG")
    else:
        field_first = b.over(field, cg.outputs["Image"], "Field over CG")
        cg_first = b.over(cg.outputs["Image"], field, "CG over field")
        b.next_column()
        merged = b.mix("MIX", field_in_front, cg_first, field_first, "Order by depth")
    nearest = b.math("MINIMUM", cg_depth, field_depth, "Nearest depth")

    b.next_column()
    out = b.add("NodeGroupOutput")
    b.connect(merged, out.inputs["Image"])
    b.connect(nearest, out.inputs["Depth"])
    b.connect(field, out.inputs["Field"])
    return frames
