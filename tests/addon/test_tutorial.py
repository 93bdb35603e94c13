"""The tutorial is a program: its scripts, run one after the other as they stand, on a smaller film."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view

from tests.addon.conftest import REPOSITORY, RunningServer, use_server

TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
STEPS = 80


def scripts(capture: Path) -> list[tuple[str, str]]:
    """(heading, script) of each step, on ``capture`` and for a training of seconds."""
    smaller = {
        '"examples/stage24"': repr(str(capture)),
        'train.budget = "MINUTES"': 'train.budget = "STEPS"',
        "train.minutes = 2.0": f"train.steps = {STEPS}",
        "cycles.samples = 32": "cycles.samples = 4",
    }
    text = TUTORIAL.read_text(encoding="utf-8")
    for original, replacement in smaller.items():
        assert text.count(original) == 1, f"the tutorial no longer says {original}"
        text = text.replace(original, replacement)
    steps = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = [(step.splitlines()[0], re.findall(r"```python\n(.*?)```", step, re.DOTALL)) for step in steps]
    assert all(len(blocks) == 1 for _, blocks in found), "a step of the tutorial has no script"
    return [(heading, blocks[0]) for heading, blocks in found]


@pytest.fixture
def finished(connected: RunningServer, tiny: Path, tmp_path: Path) -> dict[str, Any]:
    """The names that the tutorial leaves behind."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    use_server(connected)
    names: dict[str, Any] = {}
    for heading, script in scripts(tiny / "n3dv"):
        if heading.startswith("1."):  # the test's server is running; a start finds it or uses it as it is
            names["bpy"] = bpy
            continue
        exec(compile(script, f"tutorial, step {heading}", "exec"), names)
    return names


def rendered(path: Path) -> np.ndarray:
    """(H, W, 4) of a PNG, rows from the bottom."""
    image = bpy.data.images.load(str(path))
    return np.array(image.pixels).reshape(image.size[1], image.size[0], 4)


def test_every_step_works(finished: dict[str, Any], tmp_path: Path) -> None:
    scene = finished["scene"]
    field = finished["field"].neural_render
    assert scene.neural_render.field == finished["field"]
    frames = sorted((tmp_path / "neural_render" / "frames").rglob("*.exr"))
    color_frames = [path for path in frames if path.parent.name == "n3dv"]
    assert len(color_frames) == scene.frame_end - scene.frame_start + 1
    assert field.speed == 0.5 and scene.camera == finished["camera"]
    shot = rendered(tmp_path / "shot.png")
    assert (shot[..., 3] > 0.9).mean() > 0.4  # the field is behind the ball; the tiny room has ends
    assert shot[..., :3].std() > 0.05  # before a room, not before nothing
    finished["ball"].hide_render = True
    scene.render.filepath = str(tmp_path / "without.png")
    bpy.ops.render.render(write_still=True)
    changed = np.abs(shot - rendered(tmp_path / "without.png"))[..., :3].max(axis=-1) > 0.05
    x, y, _ = world_to_camera_view(scene, scene.camera, finished["ball"].location)
    assert changed[int(y * shot.shape[0]), int(x * shot.shape[1])]  # the ball stands where it was put
    assert 0.005 < changed.mean() < 0.3  # and changes nothing but itself and its shadow
    assert [strip.name for strip in scene.sequence_editor.strips]
    assert os.path.getsize(tmp_path / "shot.blend") > 0


def test_the_server_starts_as_the_tutorial_says(preferences: Any, tiny: Path) -> None:
    heading, script = scripts(tiny / "n3dv")[0]
    assert heading.startswith("1.")
    names: dict[str, Any] = {}
    exec(compile(script, "tutorial, step 1", "exec"), names)
    assert bpy.context.window_manager.neural_render.server_state == "RUNNING"
    assert bpy.ops.neural_render.server_stop() == {"FINISHED"}
