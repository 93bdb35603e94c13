"""A job of the server's queue, as the panel shows it."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from .progress import WithProgress

STATES = (
    ("RUNNING", "Running", "The server works on it"),
    ("QUEUED", "Queued", "It waits for those before it"),
    ("PAUSED", "Paused", "It waits until it is resumed"),
    ("DONE", "Done", "It has come to its end"),
    ("FAILED", "Failed", "It ended early; Resume goes on from what was finished"),
    ("CANCELLED", "Cancelled", "It was cancelled; Resume goes on from what was finished"),
)


class QueuedJob(WithProgress, bpy.types.PropertyGroup):
    """``name`` is the job's id in the server."""

    kind: StringProperty(name="Kind", description="What is done: train, render, mesh or solve")
    target: StringProperty(
        name="Target", description="The file or folder that it writes", subtype="FILE_PATH"
    )
    state: EnumProperty(name="State", description="How far the job is", items=STATES)
    priority: IntProperty(
        name="Priority", description="Of the queued jobs of a kind the one of the highest comes next"
    )
    message: StringProperty(name="Message", description="What is being done, or why it failed")


CLASSES = (QueuedJob,)
