"""Run by the server's Python: writes one tiny capture of every format below FOLDER, or those that are named.

python tests/addon/make_captures.py FOLDER [NAME ...]
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from textured_room import room_picture, room_rig
from tiny_capture import (
    FOCAL,
    FPS,
    HEIGHT,
    TIMESTEPS,
    WIDTH,
    picture,
    rig,
    write_n3dv,
    write_transforms,
    write_video,
)

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def write_blender_synthetic(folder: Path) -> None:
    """``transforms_train.json`` and ``_test.json`` with RGBA images."""
    angle = 2 * np.arctan(0.5 * WIDTH / FOCAL)
    for split, chosen in (("test", slice(0, 1)), ("train", slice(1, None))):
        (folder / split).mkdir(parents=True)
        frames = []
        for index, pose in enumerate(rig()[chosen]):
            rgba = np.dstack([picture(pose, 0.0)[..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
            cv2.imwrite(str(folder / split / f"r_{index}.png"), rgba)
            frames.append({"file_path": f"./{split}/r_{index}", "transform_matrix": pose.tolist()})
        content = json.dumps({"camera_angle_x": angle, "frames": frames})
        (folder / f"transforms_{split}.json").write_text(content)


def write_colmap(folder: Path) -> None:
    """A text model with one camera, the images and points on the floor."""
    sparse, images = folder / "sparse" / "0", folder / "images"
    sparse.mkdir(parents=True)
    images.mkdir()
    (sparse / "cameras.txt").write_text(
        f"1 PINHOLE {WIDTH} {HEIGHT} {FOCAL} {FOCAL} {WIDTH / 2} {HEIGHT / 2}\n"
    )
    lines = []
    for index, pose in enumerate(rig()):
        world_to_camera = np.linalg.inv(pose @ OPENGL_TO_OPENCV)
        values = [*quaternion(world_to_camera[:3, :3]), *world_to_camera[:3, 3]]
        lines.append(f"{index + 1} {' '.join(map(repr, map(float, values)))} 1 view{index:02d}.png\n\n")
        cv2.imwrite(str(images / f"view{index:02d}.png"), picture(pose, 0.0)[..., ::-1])
    (sparse / "images.txt").write_text("".join(lines))
    points = [f"{i + 1} {0.1 * i} {0.05 * i} 0.0 {10 * i} 20 30 0.5\n" for i in range(20)]
    (sparse / "points3D.txt").write_text("".join(points))


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(w, x, y, z) of a rotation matrix: the eigenvector of Bar-Itzhack's symmetric matrix (2000)."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    values, vectors = np.linalg.eigh(k / 3.0)
    x, y, z, w = vectors[:, np.argmax(values)]
    return np.array([w, x, y, z])


def write_easymocap(folder: Path) -> None:
    """``intri.yml``, ``extri.yml`` and ``videos/``."""
    (folder / "videos").mkdir(parents=True)
    intri = cv2.FileStorage(str(folder / "intri.yml"), cv2.FILE_STORAGE_WRITE)
    extri = cv2.FileStorage(str(folder / "extri.yml"), cv2.FILE_STORAGE_WRITE)
    poses = rig()[:4]
    for storage in (intri, extri):
        storage.startWriteStruct("names", cv2.FileNode_SEQ)
        for index in range(len(poses)):
            storage.write("", f"{index:02d}")
        storage.endWriteStruct()
    for index, pose in enumerate(poses):
        world_to_camera = np.linalg.inv(pose @ OPENGL_TO_OPENCV)
        matrix = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
        intri.write(f"K_{index:02d}", matrix)
        intri.write(f"dist_{index:02d}", np.zeros((1, 5)))
        extri.write(f"R_{index:02d}", cv2.Rodrigues(world_to_camera[:3, :3])[0])
        extri.write(f"Rot_{index:02d}", world_to_camera[:3, :3])
        extri.write(f"T_{index:02d}", world_to_camera[:3, 3:])
        pictures = [picture(pose, step / FPS) for step in range(TIMESTEPS)]
        write_video(folder / "videos" / f"{index:02d}.mp4", pictures)
    intri.release()
    extri.release()


def write_room(folder: Path) -> None:
    """Photos of the textured room, without poses."""
    folder.mkdir(parents=True)
    for index, pose in enumerate(room_rig(6)):
        cv2.imwrite(str(folder / f"photo{index}.png"), room_picture(pose)[..., ::-1])


WRITERS = {
    "n3dv": write_n3dv,
    "transforms": write_transforms,
    "moving": partial(write_transforms, dynamic=True),
    "synthetic": write_blender_synthetic,
    "colmap": write_colmap,
    "easymocap": write_easymocap,
    "room": write_room,
}


def main() -> None:
    folder, *names = sys.argv[1:]
    for name in names or WRITERS:
        WRITERS[name](Path(folder, name))


if __name__ == "__main__":
    main()
