"""How far any work is: properties that several groups have alike."""

from __future__ import annotations

from bpy.props import FloatProperty


class WithProgress:
    """Inherited by property groups, which take over its annotations."""

    progress: FloatProperty(
        name="Progress", description="Part of the work that is done", min=0.0, max=1.0, subtype="FACTOR"
    )
    time_left: FloatProperty(
        name="Time Left",
        description="Seconds until it is done; negative where unknown",
        default=-1.0,
        unit="TIME_ABSOLUTE",
    )
