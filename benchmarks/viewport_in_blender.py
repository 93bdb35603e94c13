"""Run inside a Blender with a window by ``benchmarks.viewport``: turns the view and times its pictures.

A picture counts from the change of the view to the end of the redraw that shows it. Of the first one it is
also told when the engine had drawn it: what follows is Blender's own overlays and gizmos.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import bpy
from mathutils import Matrix, Quaternion

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "gui"))
import driver
from driver import EXTENSION, OUT, SETTINGS, Steps, pause, viewport, wait_for

MOVES = 50
WARM_UP = 5
# Radians: each move shows what the last picture did not.
TURN = 0.02


class Clock:
    """Sees each redraw of the viewport, and what the engine showed in it."""

    def __init__(self) -> None:
        self.viewport = None
        self.moved_at = 0.0
        self.before = None
        self.first = self.full = self.drawn = self.first_drawn = 0.0
        self.first_divisor = 0

    def watch(self) -> None:
        """See each end of the engine's own drawing."""
        engine = sys.modules[f"{EXTENSION}.neural_render_addon.engine.viewport"].Viewport
        draw = engine.draw

        def timed(viewport, context, depsgraph) -> None:
            draw(viewport, context, depsgraph)
            self.drawn = time.perf_counter()

        engine.draw = timed

    def start(self) -> None:
        self.before = self.viewport._refinement._shown.view
        self.first = self.full = 0.0
        self.moved_at = time.perf_counter()

    def redrawn(self) -> None:
        own = list(sys.modules[f"{EXTENSION}.neural_render_addon.engine.viewport"]._viewports)
        self.viewport = own[0] if own else None
        shown = self.viewport._refinement._shown if own else None
        if shown is None or self.viewport._picture is not None or shown.view == self.before:
            return  # nothing new, or not drawn yet
        now = time.perf_counter() - self.moved_at
        if not self.first:
            self.first, self.first_divisor = now, shown.divisor
            self.first_drawn = self.drawn - self.moved_at
        if not self.full and shown.divisor == 1:
            self.full = now


def set_up() -> Steps:
    driver.enable_addon()
    yield from pause()
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "viewport.blend"))
    assert bpy.ops.neural_render.open_scene(filepath=SETTINGS["scene"]) == {"FINISHED"}
    scene = bpy.context.scene
    scene.render.engine = "NEURAL_RENDER"
    space = viewport().spaces.active
    space.show_region_ui = space.show_region_toolbar = False
    yield from driver.toggle_maximised()
    region_3d = viewport().spaces.active.region_3d
    region_3d.view_perspective = "PERSP"
    region_3d.view_matrix = Matrix(SETTINGS["camera"]["transform_matrix"]).inverted()
    viewport().spaces.active.shading.type = "RENDERED"


def move(clock: Clock, angle: float) -> None:
    view = viewport().spaces.active.region_3d
    clock.start()
    view.view_rotation = Quaternion((0.0, 0.0, 1.0), angle) @ view.view_rotation


def everything() -> Steps:
    clock = Clock()
    yield from set_up()
    clock.watch()
    handler = bpy.types.SpaceView3D.draw_handler_add(clock.redrawn, (), "WINDOW", "POST_PIXEL")
    yield from wait_for(lambda: clock.full, "the first full picture")
    rows = []
    for index in range(WARM_UP + MOVES):
        yield from wait_for(lambda: not clock.viewport._refinement.is_busy, "the viewport to settle")
        move(clock, TURN if index % 2 else -TURN)
        yield from wait_for(lambda: clock.full, "the full picture")
        if index >= WARM_UP:
            times = {"drawn": clock.first_drawn, "first": clock.first, "full": clock.full}
            rows.append({**times, "divisor": clock.first_divisor})
    bpy.types.SpaceView3D.draw_handler_remove(handler, "WINDOW")
    region = driver.region("WINDOW")
    result = {"width": region.width, "height": region.height, "moves": rows}
    (OUT / "viewport.json").write_text(json.dumps(result))
    driver.screenshot("viewport", region)


driver.run(everything(), tick=0.02)
