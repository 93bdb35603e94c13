"""A client for ``benchmarks.kills`` to kill: Blender without a window, with the add-on, at work on a job.

It runs in the Python of a ``bpy`` wheel; its one argument is JSON: ``{zip, address, token, state_dir, kind,
capture, scene, out, steps, seed, frames}``. It prints ``ready`` before it starts its job.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="neural-render-kills-")

import bpy

EXTENSION = "bl_ext.user_default.neural_render"


def main() -> None:
    task = json.loads(sys.argv[-1])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(
        filepath=task["zip"], repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.state_dir = task["state_dir"]
    bpy.ops.neural_render.import_capture(filepath=task["capture"], use_clips=False, set_scene=True)
    scene = bpy.context.scene
    if task["kind"] == "train":
        train = scene.neural_render.train
        train.budget, train.steps, train.seed, train.preset = "STEPS", task["steps"], task["seed"], "small"
        train.folder = task["scene"]
    else:
        scene.neural_render.field.neural_render.scene_path = task["scene"]
        scene.camera = next(one for one in scene.objects if one.type == "CAMERA")
        render = scene.neural_render.render
        render.folder, render.use_scene_range = task["out"], False
        render.frame_start, render.frame_end = 1, task["frames"]
    print("ready", flush=True)
    operator = bpy.ops.neural_render.train if task["kind"] == "train" else bpy.ops.neural_render.render_frames
    print(operator(), flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the wheel may hang in its own clean-up
