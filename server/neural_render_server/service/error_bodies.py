"""Errors as the service and the command line tell them: a code and one sentence with the remedy."""

from __future__ import annotations

import re
from typing import Any

from ..errors import NeuralRenderError


def error_code(error: NeuralRenderError) -> str:
    """A stable code for a kind of error: its class in snake case, ``CameraFileError`` -> ``camera_file``."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def error_body(code: str, message: str) -> dict[str, Any]:
    """The JSON of every error answer."""
    return {"error": {"code": code, "message": message}}


class HttpError(NeuralRenderError):
    """A request that is answered with ``status`` (4xx) and one sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
