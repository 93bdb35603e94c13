"""A field's rendered frames as an image strip in the sequencer.

Blender's sequencer reads the colour of our multilayer frames as they are (4.5 and 5.2), premultiplied and
scene-linear, so nothing is converted. A scene that has strips renders its sequencer instead of its 3D view
and compositor: where the strip goes into a scene with a camera, that is switched off until it is removed.
"""

from __future__ import annotations

import bpy

from .layers import COLOR_SPACE, FrameSequence, frame_size, gap_warning

# Custom properties: on a strip, the field object; on the scene, that we switched Use Sequencer off.
FIELD_KEY = "neural_render_field"
BEFORE_KEY = "neural_render_sequencer_before"


def find_strips(scene: bpy.types.Scene, field: bpy.types.Object | None = None) -> list[bpy.types.Strip]:
    """The strips of ``field``, or of every field, in the scene's sequencer, meta strips not searched."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return [
        strip
        for strip in editor.strips
        if FIELD_KEY in strip and (field is None or strip[FIELD_KEY] == field)
    ]


def add_strip(scene: bpy.types.Scene, field: bpy.types.Object, frames: FrameSequence) -> list[str]:
    """Put ``frames`` at their scene frames on a channel of their own; a strip added before is replaced.

    Returns warnings, one sentence each.

    Raises:
        LayerError: the first frame cannot be read.
    """
    frame_size(frames, with_depth=False)
    editor = scene.sequence_editor or scene.sequence_editor_create()
    old = find_strips(scene, field)
    channel = old[0].channel if old else _free_channel(editor)
    for strip in old:
        editor.strips.remove(strip)

    first = str(frames.path(frames.start))
    strip = editor.strips.new_image(field.name, first, channel, frames.start, fit_method="FIT")
    for frame in range(frames.start + 1, frames.end + 1):
        strip.elements.append(frames.name(frame))
    strip.colorspace_settings.name = COLOR_SPACE
    strip[FIELD_KEY] = field

    warnings = [gap_warning(frames)]
    if scene.render.use_sequencer and scene.camera is not None and BEFORE_KEY not in scene:
        scene[BEFORE_KEY] = True
        scene.render.use_sequencer = False
        warnings.append(
            "Render keeps rendering the 3D scene; to render the edit instead, turn on Sequencer in "
            "Output > Post Processing"
        )
    return [warning for warning in warnings if warning]


def remove_strips(scene: bpy.types.Scene, field: bpy.types.Object | None = None) -> int:
    """Take out the strips of ``field``, or of every field; returns how many."""
    strips = find_strips(scene, field)
    for strip in strips:
        scene.sequence_editor.strips.remove(strip)
    if strips and not find_strips(scene) and BEFORE_KEY in scene:
        scene.render.use_sequencer = bool(scene[BEFORE_KEY])
        del scene[BEFORE_KEY]
    return len(strips)


def _free_channel(editor: bpy.types.SequenceEditor) -> int:
    """The channel above everything that is there."""
    return 1 + max((strip.channel for strip in editor.strips), default=0)
