"""Capture Tracked Clip: Blender's own camera solve, written as a capture to train on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..capturing.clip_captures import ClipCapture
from ..capturing.plan import check_folder
from ..capturing.tracked_clips import solved_clip
from ..errors import AddonError
from ..fields import file_stem, output_folder
from .blender_work import BlenderWorkOperator, CancelOperator

TASK = "clip_capture"


class NEURALRENDER_OT_capture_clip(BlenderWorkOperator, bpy.types.Operator):
    """Write a tracked movie clip as a capture: its frames, lens, solved cameras, points and masks"""

    bl_idname = "neural_render.capture_clip"
    bl_label = "Capture Tracked Clip"
    task_name = TASK

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        self.capture = plan_clip(context)
        return self._work(self.capture)

    def _work(self, capture: ClipCapture) -> Iterator[float]:
        for part in capture.steps():
            if part < 1.0:
                self.check_stopped(
                    f"Capture Tracked Clip was cancelled; {len(capture.entries)} frames are kept"
                )
            yield part

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        capture = self.capture
        self.report(
            {"INFO"},
            f"{len(capture.entries)} frames and {len(capture.solve.tracks)} points of {capture.clip} are in "
            f"{capture.folder}; Import Capture reads it",
        )

    def finish_early(self, _context: bpy.types.Context) -> None:
        """What is written is a capture already."""
        capture = getattr(self, "capture", None)
        if capture is None or not capture.entries:
            return
        try:
            capture.write_lists()
        except AddonError as error:
            self.report({"WARNING"}, str(error))


class NEURALRENDER_OT_capture_clip_cancel(CancelOperator, bpy.types.Operator):
    """Cancel Capture Tracked Clip after the frame that is being written; written frames are kept"""

    bl_idname = "neural_render.capture_clip_cancel"
    bl_label = "Cancel Capture Tracked Clip"
    watched = TASK


def plan_clip(context: bpy.types.Context) -> ClipCapture:
    """What to write, from the settings; in the Movie Clip editor, of the clip and the mask that it shows.

    Raises:
        AddonError: there is no solved clip, or the output folder is unknown or holds something else.
    """
    scene, settings = context.scene, context.scene.neural_render.capture.clip
    clip, mask, space = settings.clip, settings.mask, context.space_data
    if space is not None and space.type == "CLIP_EDITOR":
        clip, mask = space.clip or clip, space.mask or mask
    if clip is None:
        raise AddonError("No movie clip is chosen; choose a clip whose camera Blender has solved")
    folder = output_folder(settings.folder, "captures", file_stem(clip.name))
    check_folder(folder, is_n3dv=False)
    return ClipCapture(
        clip=clip.name,
        solve=solved_clip(clip, scene),
        folder=folder,
        stem=file_stem(clip.name.partition(".")[0]),
        frame_step=settings.frame_step,
        every_nth_test=settings.every_nth_test,
        is_still=settings.is_still,
        mask=mask.name if mask is not None else "",
        is_mask_ignored=settings.mask_use == "IGNORED",
    )


CLASSES = (NEURALRENDER_OT_capture_clip, NEURALRENDER_OT_capture_clip_cancel)
