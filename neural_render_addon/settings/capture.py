"""``Scene.neural_render.capture``: settings of Render Capture and Capture Tracked Clip."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"}

MASK_USES = (
    ("USED", "Train on Inside", "Only what is inside the mask is trained on"),
    ("IGNORED", "Train on Outside", "What is inside the mask is left out of the training"),
)


def is_camera(_owner: object, candidate: bpy.types.Object) -> bool:
    return bool(candidate.type == "CAMERA")


class ClipProperties(bpy.types.PropertyGroup):
    """Settings of Capture Tracked Clip."""

    clip: PointerProperty(
        name="Clip", description="Movie clip whose camera Blender has solved", type=bpy.types.MovieClip
    )
    mask: PointerProperty(
        name="Mask",
        description="Mask from Blender's mask editor, at the clip's frames; empty uses every pixel",
        type=bpy.types.Mask,
    )
    mask_use: EnumProperty(
        name="Mask Means", description="Which side of the mask is trained on", items=MASK_USES
    )
    is_still: BoolProperty(
        name="Still Scene",
        description="Nothing but the camera moves: the frames are written without times, as one moment",
    )
    frame_step: IntProperty(name="Step", description="Take every n-th frame of the clip", default=1, min=1)
    every_nth_test: IntProperty(
        name="Every Nth Test",
        description="Hold out every n-th frame, from the first, to measure against; 0 holds out none",
        default=0,
        min=0,
    )
    folder: StringProperty(
        name="Output",
        description="Folder for the capture; empty is captures/CLIP in neural_render beside the .blend",
        subtype="DIR_PATH",
        options=RELATIVE,
    )


class CaptureProperties(bpy.types.PropertyGroup):
    """Settings of Render Capture."""

    cameras: EnumProperty(
        name="Cameras",
        description="Which cameras film the scene",
        items=(
            ("RIG", "Collection", "All cameras of a collection, such as Add Camera Rig makes"),
            ("SELECTED", "Selected", "The selected cameras"),
        ),
    )
    rig: PointerProperty(
        name="Collection", description="Collection of the cameras that film", type=bpy.types.Collection
    )
    use_scene_range: BoolProperty(
        name="Scene Range", description="Film the scene's own frame range", default=True
    )
    frame_start: IntProperty(name="Start", description="First scene frame to film", default=1, min=0)
    frame_end: IntProperty(name="End", description="Last scene frame to film", default=24, min=0)
    frame_step: IntProperty(name="Step", description="Film every n-th frame", default=1, min=1)
    format: EnumProperty(
        name="Format",
        description="What is written",
        items=(
            ("IMAGES", "Images", "PNG pictures and transforms.json: any camera, alpha, masks, any split"),
            (
                "N3DV",
                "Videos (N3DV)",
                "camNN.mp4 and poses_bounds.npy: cameras that stand still, with centred square pixels",
            ),
        ),
    )
    view: EnumProperty(
        name="Colors",
        description="How the scene's light becomes the pictures' colours",
        items=(
            (
                "STANDARD",
                "Standard",
                "Blender's Standard view: the trained field's light is the scene's own, up to white",
            ),
            ("SCENE", "As Rendered", "The scene's own view, look and exposure, as a filmed picture has"),
        ),
    )
    use_alpha: BoolProperty(
        name="Transparent", description="Leave the world out of the pictures, with alpha (images only)"
    )
    use_depth: BoolProperty(
        name="Depth",
        description="Also write each picture as an OpenEXR with its linear colours and depth, in scene units",
    )
    mask_objects: PointerProperty(
        name="Mask Objects",
        description="Collection whose objects the masks show; empty writes no masks (images only)",
        type=bpy.types.Collection,
    )
    mask_use: EnumProperty(
        name="Mask Means", description="Which side of the mask is trained on", items=MASK_USES
    )
    split: EnumProperty(
        name="Held Out",
        description="What is held out of the training, to measure against",
        items=(
            (
                "NONE",
                "Nothing",
                "Everything is trained on (of videos, the reader holds out the first camera)",
            ),
            ("CAMERA", "One Camera", "A chosen camera at all times"),
            ("EVERY_NTH", "Every Nth Camera", "Every n-th camera, from the first (images only)"),
        ),
    )
    test_camera: PointerProperty(
        name="Camera", description="The camera that is held out", type=bpy.types.Object, poll=is_camera
    )
    every_nth_test: IntProperty(name="N", description="Hold out every n-th camera", default=8, min=2)
    keep_frames: BoolProperty(
        name="Keep Rendered",
        description="Do not render again the pictures that are already in the folder, unless cameras, places "
        "of objects, lights or settings have changed since. Changes of materials, meshes and the world are "
        "not noticed: switch it off then",
    )
    folder: StringProperty(
        name="Output",
        description="Folder for the capture; empty is captures/SCENE in neural_render beside the .blend",
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    clip: PointerProperty(
        type=ClipProperties, name="Tracked Clip", description="Settings of Capture Tracked Clip"
    )


CLASSES = (ClipProperties, CaptureProperties)
