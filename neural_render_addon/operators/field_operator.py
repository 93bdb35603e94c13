"""What the operators share that work on the chosen field at once, without the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import bpy

from ..errors import AddonError
from ..fields import chosen_field


class FieldOperator:
    """Needs a chosen field, and tells failures as reports."""

    if TYPE_CHECKING:  # of bpy.types.Operator

        @classmethod
        def poll_message_set(cls, message: str) -> None: ...

        def report(self, kinds: set[str], message: str) -> None: ...

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if chosen_field(context, required=False) is None:
            cls.poll_message_set("Import a capture, or choose a field object in the Capture panel")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            warnings = self.work(context)
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for warning in warnings:
            self.report({"WARNING"}, warning)
        return {"FINISHED"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        """Do the operator's work; returns warnings, one sentence each."""
        raise NotImplementedError
