"""What the scripts that run inside a real Blender share.

A script is a generator of steps that yields while Blender draws and handles events.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

SETTINGS: dict[str, Any] = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text())
OUT = Path(SETTINGS["out"])
EXTENSION = "bl_ext.user_default.neural_render"

TICK = 0.05
# Patience, not a measurement: the machine may be busy.
PATIENCE = 200.0

Steps = Iterator[None]
longest_tick = 0.0


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def viewport() -> bpy.types.Area:
    return max(
        (area for area in window().screen.areas if area.type == "VIEW_3D"),
        key=lambda area: area.width * area.height,
    )


def region(kind: str) -> bpy.types.Region:
    """The viewport's region of a kind: WINDOW or UI."""
    return next(region for region in viewport().regions if region.type == kind)


def pause(ticks: int = 4) -> Steps:
    for _ in range(ticks):
        yield


def wait_for(condition: Callable[[], object], what: str) -> Steps:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"gave up waiting for {what}"
        yield


def screenshot(name: str, part: bpy.types.Region | None = None) -> Path:
    """The whole screen, or a region of it. Blender's own screenshots are black without a GPU."""
    path = OUT / f"{name}.png"
    subprocess.run(["import", "-window", "root", str(path)], check=True)
    if part is not None:
        top = window().height - part.y - part.height
        box = f"{part.width}x{part.height}+{part.x}+{top}"
        subprocess.run(["convert", str(path), "-crop", box, "+repage", str(path)], check=True)
    return path


def toggle_maximised() -> Steps:
    """The viewport alone, where it has all the room, or the usual layout again."""
    with bpy.context.temp_override(window=window(), area=viewport()):
        bpy.ops.screen.screen_full_area(use_hide_panels=False)
    yield from pause(10)


def enable_addon() -> None:
    """The add-on on, its preferences at the server that the settings name, and an empty scene."""
    bpy.context.preferences.view.show_splash = False
    bpy.context.preferences.view.show_tooltips = False
    bpy.ops.preferences.addon_enable(module=EXTENSION)
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.host, preferences.port = SETTINGS["host"], SETTINGS["port"]
    preferences.token = SETTINGS["token"]
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)


def run(steps: Steps, tick: float = TICK) -> None:
    """Let Blender run the steps, and leave it with exit code 0 if they all came through."""
    last = time.perf_counter()

    def step() -> float:
        nonlocal last
        global longest_tick
        longest_tick = max(longest_tick, time.perf_counter() - last)
        try:
            next(steps)
        except StopIteration:
            code = 0
        except BaseException:
            traceback.print_exc()
            code = 1
        else:
            last = time.perf_counter()
            return tick
        sys.stdout.flush()
        sys.stderr.flush()
        # At once: the exit code reaches whoever started Blender, and no dialog asks to save.
        os._exit(code)

    bpy.app.timers.register(step, first_interval=1.0)
