"""The HTML report: a folder that opens from disk, with nothing fetched from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..files import write_bytes, write_json
from .evaluate import Evaluation
from .page import page
from .pictures import shown_views, write_pictures

# Views with pictures; 96 of them are about 90 MB at 1352x1014.
DEFAULT_PICTURES = 96

DATA_NAME = "report.json"


def check_folder(folder: Path) -> None:
    """Raise OptionError where ``folder`` holds files that are no report's."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DATA_NAME).is_file():
        raise OptionError(f"{folder}: holds other files; choose a new or empty folder for the report")
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"{folder}: is a file; choose a new or empty folder for the report")


def write_report(
    evaluation: Evaluation, folder: Path, data: dict[str, Any], limit: int = DEFAULT_PICTURES
) -> Path:
    """Write ``index.html``, ``report.json`` (which is ``data``) and ``pictures/``; returns the page's path.

    Raises:
        OptionError: the folder holds other files.
        SceneError: a file cannot be written.
    """
    check_folder(folder)
    write_json(folder / DATA_NAME, data)
    views = shown_views(evaluation, limit)
    pictures = write_pictures(evaluation, folder, views)
    text = page(evaluation, dict(zip(views, pictures, strict=True)))
    index = folder / "index.html"
    write_bytes(index, text.encode("utf-8"))
    return index
