"""Settings of what makes CG belong in the field: the proxy mesh and the light probe."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

PROXY_MOMENTS = (
    ("CURRENT", "This Frame", "The moment that the field shows at this frame"),
    ("ANY", "Range: At Any Time", "All that is solid at any moment of the frame range: where actors go, too"),
    ("ALWAYS", "Range: Always", "What is solid all the time: the set without the actors"),
)

PROXY_ROLES = (
    (
        "SHADOW",
        "Shadow Catcher",
        "Invisible, but CG casts its shadows on it; it keeps no light away from CG (Cycles)",
    ),
    ("HOLDOUT", "Holdout", "Cuts a hole into CG that is behind it; for renders without depth merge"),
    ("NONE", "Plain Mesh", "An object like any other"),
)


class ProxyProperties(bpy.types.PropertyGroup):
    """Settings of Make Proxy Mesh."""

    moment: EnumProperty(name="Moment", description="When the field is looked at", items=PROXY_MOMENTS)
    samples: IntProperty(
        name="Moments",
        description="Moments looked at, evenly over the frame range; each takes as long as one",
        default=5,
        min=2,
        max=100,
    )
    role: EnumProperty(name="Role", description="What the mesh does in a render", items=PROXY_ROLES)
    use_collision: BoolProperty(
        name="Collisions", description="Make it a passive rigid body, on which simulated CG lands"
    )
    faces: IntProperty(
        name="Faces",
        description="Triangles that the mesh is decimated to; it keeps fewer if it has fewer",
        default=20000,
        min=100,
        soft_max=200000,
    )
    resolution: IntProperty(
        name="Resolution",
        description=(
            "Voxels along the longest side of what the cameras see, or its crop objects keep; twice as "
            "many show details half as large, and take eight times the memory"
        ),
        default=128,
        min=8,
        max=512,
    )


class ProbeProperties(bpy.types.PropertyGroup):
    """Settings of Light CG by Field."""

    place: PointerProperty(
        name="Place",
        description="The object whose origin the light is taken at; empty is the active object",
        type=bpy.types.Object,
    )
    target: EnumProperty(
        name="Set As",
        description="How the light reaches the CG",
        items=(
            ("WORLD", "World", "The scene's world: as from far away, for Cycles and EEVEE"),
            (
                "DOME",
                "Dome Light",
                "A shining sphere around the place, beside all other light: as from the sphere's distance "
                "(Cycles)",
            ),
        ),
    )
    radius: FloatProperty(
        name="Radius",
        description="The dome's radius: about how far away what lights the CG is",
        default=5.0,
        min=0.01,
        unit="LENGTH",
    )
    is_animated: BoolProperty(
        name="Animated",
        description="One picture a frame of the frame range, so that fire flickers and shadows wander",
    )
    width: IntProperty(
        name="Width",
        description="Pixels around; 256 lights well, mirrors show 1024 and more",
        default=256,
        min=16,
        max=8192,
    )
    fill: EnumProperty(
        name="Unseen",
        description="What lights from where the field is not: behind the cameras, and above",
        items=(
            ("EXTEND", "Extend Field", "The field's own colours go on smoothly"),
            ("BLACK", "Black", "Nothing"),
        ),
    )
    background: EnumProperty(
        name="Background",
        description="Whether the background colour that the field learned lights, too",
        items=(
            ("transparent", "Unseen", "It does not; what is unseen is filled"),
            ("field", "Learned Colour", "Everywhere behind the field"),
        ),
    )
    use_expansion: BoolProperty(
        name="Guess Highlights",
        description=(
            "8-bit footage ends at white, however bright a lamp was. This makes bright parts brighter by "
            "undoing a usual tone curve: a guess, for what was clipped is lost. Mid-tones grow, too"
        ),
    )
    white: FloatProperty(
        name="White Is",
        description="Luminance that the footage's white stands for, where 1 is a white wall in full light",
        default=10.0,
        min=1.01,
        soft_max=100.0,
    )
    folder: StringProperty(
        name="Output",
        description="Folder for the pictures; empty is light/FIELD in neural_render beside the .blend",
        subtype="DIR_PATH",
    )


CLASSES = (ProxyProperties, ProbeProperties)
