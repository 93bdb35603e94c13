"""The installation: Python and the packages the server needs. Needs none of them itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys

from .. import __version__
from .finding import Finding

DISTRIBUTION = "neural-render-server"

# Some packages are imported under another name than they are installed by.
_IMPORT_NAMES = {"opencv-python-headless": "cv2", "pillow": "PIL", "scikit-image": "skimage"}

REPAIR = "press Repair Server, or install the server again with pip"


def check_versions() -> Finding:
    """Python and every package that the server's own metadata asks for, each imported."""
    text = f"server {__version__}, Python {platform.python_version()} on {platform.platform(terse=True)}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("versions", "error", text, "install the server with Python 3.11, 3.12 or 3.13")
    try:
        asked = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            "versions", "warning", f"{text}; {DISTRIBUTION} is run without being installed", REPAIR
        )
    missing: list[str] = []
    for requirement in asked:
        if "extra ==" in requirement:
            continue
        name = _name_of(requirement)
        try:
            importlib.import_module(_IMPORT_NAMES.get(name, name))
        except (ImportError, OSError) as error:
            missing.append(f"{name} ({error})")
    if missing:
        return Finding("versions", "error", f"{text}; broken: {', '.join(missing)}", REPAIR)
    shown = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("torch", "numpy", "numba", "av")
    )
    return Finding("versions", "ok", f"{text}; {shown}")


def _name_of(requirement: str) -> str:
    """``torch`` of ``torch>=2.6``."""
    end = next((index for index, letter in enumerate(requirement) if letter in " <>=!~;[("), len(requirement))
    return requirement[:end]


def check_proxies() -> Finding | None:
    """A proxy that would come between programs and this machine; our own clients leave it aside."""
    proxy = next((os.environ[name] for name in ("HTTP_PROXY", "http_proxy") if os.environ.get(name)), None)
    excepted = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    if proxy is None or "127.0.0.1" in excepted or "localhost" in excepted:
        return None
    remedy = "set NO_PROXY=127.0.0.1,localhost for other programs that shall talk to the server"
    return Finding("proxy", "warning", f"requests go through {proxy}", remedy)
