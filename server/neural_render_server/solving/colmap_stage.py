"""One stage of pycolmap's work, in a process of its own.

A fault in the native code then ends this process only, and a cancel can end it at any moment. It is
started as ``python -m neural_render_server.solving.colmap_stage``. The one line on its stdin is the stage,
``{"stage": "features" | "matches" | "mapping", ...}``; it ends when stdin does, which is when its parent
has died. COLMAP's log, on stderr, tells how far it is. A stage cut off is taken up again: pairs that are
matched are not matched again.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import IO, Any

import pycolmap

SEED = 0

# The contrast of a feature in a small picture, of which there are few: COLMAP's default asks for 0.0067.
FAINT_PEAK = 0.002

# Pairs are matched block by block of pictures, so many a side: each one is told in the log.
_BLOCKS = 8

# Small steps and motion along the view give initial pairs of little angle, weakly seen cameras few inliers:
# what COLMAP's defaults (16 degrees, 100 and 30 inliers, a quarter of the matches, 1.5 degrees) refuse.
PATIENT = {
    "init_min_tri_angle": 4.0,
    "init_max_forward_motion": 1.0,
    "init_min_num_inliers": 50,
    "abs_pose_min_num_inliers": 15,
    "abs_pose_min_inlier_ratio": 0.12,
    "filter_min_tri_angle": 0.7,
    "max_reg_trials": 10,
}
PATIENT_TRIANGULATION_ANGLE = 0.7

# A rig of few cameras is a model too; COLMAP's default asks for 10 pictures.
PATIENT_MODEL_SIZE = 3


def features(job: dict[str, Any]) -> None:
    """SIFT features of the named pictures into a new database."""
    database, names = Path(job["database"]), job["names"]
    database.unlink(missing_ok=True)  # a half made one would count its cameras twice
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = job["lens"]
    if job["masks"]:
        reader.mask_path = job["masks"]
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.use_gpu = False
    extraction.num_threads = job["threads"]
    extraction.max_image_size = job["max_size"]
    extraction.sift.max_num_features = job["max_features"]
    if job.get("faint"):
        extraction.sift.peak_threshold = FAINT_PEAK
    pycolmap.extract_features(
        database,
        job["pictures"],
        image_names=names,
        camera_mode=getattr(pycolmap.CameraMode, job["camera_mode"]),
        reader_options=reader,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )


def matches(job: dict[str, Any]) -> None:
    """Verified feature matches of all pairs of pictures, or of those near each other in order."""
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu = False
    matching.num_threads = job["threads"]
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = SEED
    count, neighbours = job["count"], job["neighbours"]
    common: dict[str, Any] = {
        "matching_options": matching,
        "verification_options": verification,
        "device": pycolmap.Device.cpu,
    }
    if neighbours is None:
        every = pycolmap.ExhaustivePairingOptions()
        every.block_size = max(2, -(-count // _BLOCKS))
        pycolmap.match_exhaustive(job["database"], pairing_options=every, **common)
    else:
        near = pycolmap.SequentialPairingOptions()
        near.overlap = neighbours  # quadratic: also 2, 4, 8... frames on
        near.num_threads = job["threads"]
        pycolmap.match_sequential(job["database"], pairing_options=near, **common)


def mapping(job: dict[str, Any]) -> None:
    """Poses and points into ``out``, one numbered folder a model."""
    out = Path(job["out"])
    out.mkdir(parents=True, exist_ok=True)
    if job["mapper"] == "global":
        options = pycolmap.GlobalPipelineOptions()
        options.num_threads = job["threads"]
        options.random_seed = SEED
        pycolmap.global_mapping(job["database"], job["pictures"], out, options)
        return
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = job["threads"]
    options.random_seed = SEED
    if job["patient"]:
        options.min_model_size = PATIENT_MODEL_SIZE
        for name, value in PATIENT.items():
            setattr(options.mapper, name, value)
        options.triangulation.min_angle = PATIENT_TRIANGULATION_ANGLE
        options.triangulation.ignore_two_view_tracks = False
    placed = 2  # the initial pair

    def tell() -> None:
        nonlocal placed
        placed += 1
        print(f"Placed image [{min(placed, job['count'])}/{job['count']}]", file=sys.stderr, flush=True)

    pycolmap.incremental_mapping(
        job["database"],
        job["pictures"],
        out,
        options,
        next_image_callback=tell,
    )


def _end_with_parent(commands: IO[str]) -> None:
    commands.read()
    os._exit(1)


def main() -> int:
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(sys.stdin,), daemon=True).start()

    pycolmap.set_random_seed(SEED)
    {"features": features, "matches": matches, "mapping": mapping}[job["stage"]](job)
    return 0


if __name__ == "__main__":
    sys.exit(main())
