"""A CG scene is filmed by a rig, trained through the service, and seen by the camera that was held out."""

from pathlib import Path

import bpy
import numpy as np
import OpenEXR

from neural_render_addon.capturing.pictures import stored_pixels
from tests.addon.film_set import build_film_set

HELD_OUT = "cam03"


def psnr(one, other):
    return float(-10.0 * np.log10(np.mean((one - other) ** 2)))


def test_film_train_and_look_through_the_held_out_camera(connected, tmp_path):
    scene = bpy.context.scene
    build_film_set(scene)
    scene.render.resolution_x, scene.render.resolution_y = 48, 36
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0.0, 0.0, 0.0))
    target = bpy.context.object
    target.hide_render = True
    bpy.ops.neural_render.add_rig(
        shape="ARC", target=target.name, count=7, radius=4.5, angle=0.6, elevation=0.35, lens=28.0
    )
    settings = scene.neural_render.capture
    settings.folder, settings.frame_step = str(tmp_path / "film"), 3
    settings.split, settings.test_camera = "CAMERA", bpy.data.objects[HELD_OUT]
    assert bpy.ops.neural_render.render_capture() == {"FINISHED"}

    assert bpy.ops.neural_render.import_capture(filepath=settings.folder) == {"FINISHED"}
    train = scene.neural_render.train
    train.budget, train.steps, train.preset, train.folder = "STEPS", 100, "small", str(tmp_path / "field")
    assert bpy.ops.neural_render.train() == {"FINISHED"}

    pictures = tmp_path / "film" / "images"
    truth = stored_pixels(pictures / f"{HELD_OUT}_0004.png")[..., :3]
    neighbour = stored_pixels(pictures / "cam04_0004.png")[..., :3]
    scene.camera = bpy.data.objects[HELD_OUT]
    scene.frame_start = scene.frame_end = 4
    scene.neural_render.render.folder = str(tmp_path / "frames")
    scene.neural_render.render.background = "field"
    assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
    seen = psnr(as_srgb(next((tmp_path / "frames").glob("*_0004.exr"))), truth)
    print(f"held-out camera: {seen:.2f} dB; its neighbour's picture: {psnr(neighbour, truth):.2f} dB")
    # Seen through the rig's own camera in Blender, not the capture's, what is told wrong moves the picture,
    # also where it is wrong for all cameras alike. Measured on the true picture: a pixel aside gives 20.2 dB,
    # half a pixel 26.2, a lens 5% too long 23.7, the other moment 27.3, upside down 11.2; the field had 29.2.
    assert seen > 27.5
    assert seen > psnr(neighbour, truth) + 8.0


def as_srgb(path: Path) -> np.ndarray:
    """(H, W, 3) of a rendered frame's combined pass, sRGB-encoded."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        linear = np.stack([channels[f"ViewLayer.Combined.{name}"].pixels for name in "RGB"], axis=-1)
    linear = np.clip(linear, 1e-8, 1.0)
    return np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
