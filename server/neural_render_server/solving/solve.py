"""From footage to a posed capture on disk: pictures, features, matches, poses, world, report."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..cameras import Camera
from ..captures.amendments import Amendments, read_amendments, write_amendments
from ..captures.checks import read_json_object
from ..captures.detect import open_capture
from ..captures.image import image_header
from ..errors import SolveError
from ..files import check_room, write_json
from ..progress import Control, Event, OnEvent
from .colmap_process import run_stage
from .footage import Footage, find_footage
from .model import SolvedModel, read_models, shared_matches
from .options import SolveOptions
from .orientation import quarter_turns, upright
from .output import write_capture
from .pictures import Pictures, fixed_pictures, moving_pictures, photo_pictures
from .report import SolveReport, make_report
from .stages import FOLDER, Stages
from .synchronise import Recording, synchronise_capture, synchronise_recordings
from .world import guess_world

# All pairs are matched up to so many pictures; beyond, those near each other in order. The frames of a
# video follow each other closely, so that fewer pairs do.
EXHAUSTIVE = {"photos": 200, "fixed": 200, "moving": 60}
NEIGHBOURS = 10

# Pictures of at most this side have few features, so that fainter ones are taken too: on `stage` (320x240)
# the mean rotation error falls from 1.21 to 0.64 degrees.
SMALL = 640

# Fewer placed pictures than this are no capture.
LEAST_PLACED = 2

# The part of the whole work that each stage is taken for, by what solves of photos take.
_PARTS = {"pictures": 0.1, "features": 0.2, "matches": 0.4, "mapping": 0.25, "writing": 0.05}
NOUNS = {"photos": "photo", "moving": "frame", "fixed": "camera"}


def solve(options: SolveOptions, on_event: OnEvent, control: Control) -> dict[str, Any]:
    """Solve the cameras of ``options.footage`` and write the capture to ``options.out``.

    What an earlier, interrupted solve of the same footage finished there is kept. Returns ``{capture,
    footage, registered, missing, reprojection_error, coverage, points, warnings, world, seconds}``.

    Raises:
        SolveError, CaptureError: nothing can be solved from the footage.
        SceneError: the capture cannot be written.
        Cancelled: the user cancelled; finished stages are kept.
    """
    started = time.monotonic()
    out = Path(options.out)
    work = _Work(options, out, on_event, control)
    check_out(out)
    work.stage("pictures", "Looking at the footage")
    footage = find_footage(Path(options.footage), options.motion)
    pictures = work.pictures(footage)
    models, report = work.model(footage, pictures)
    work.stage("writing", "Writing the capture")
    guess = guess_world(_shown(footage, pictures, models[0]), models[0].positions)
    write_capture(out, footage, pictures, models[0], guess.matrix)
    result = {"footage": footage.describe(), **report.to_json(), "world": guess.to_json()}
    kept, dropped = kept_amendments(read_amendments(out), footage, work.clocks is not None)
    report = replace(report, warnings=(*report.warnings, *work.warnings, *dropped))
    write_amendments(out, replace(kept, solve=result, synchronisation=work.clocks or kept.synchronisation))
    if work.clocks is not None:
        result["synchronisation"] = work.clocks
    elif options.synchronise != "none" and not footage.is_moving_rig:
        try:  # the poses are found; they are kept whether the clocks can be or not
            synchronised = synchronise_capture(out, options.synchronise, work.last_part, control)
            result["synchronisation"] = synchronised
            more = synchronised["warnings"]
        except SolveError as error:
            more = [f"The cameras are not synchronised: {error}."]
        report = replace(report, warnings=(*report.warnings, *more))
    open_capture(out)  # what was written must read
    for warning in report.warnings:
        on_event(Event("message", {"level": "warning", "message": warning}))
    on_event(Event("message", {"level": "info", "message": report.headline(NOUNS[footage.kind])}))
    return {
        **result,
        "capture": str(out),
        "warnings": list(report.warnings),
        "seconds": time.monotonic() - started,
    }


def kept_amendments(before: Amendments, footage: Footage, has_clocks: bool) -> tuple[Amendments, list[str]]:
    """What was set beside a capture and still holds when its cameras are solved anew, and what is dropped.

    Clocks and readouts are the recordings' own and stay; ``has_clocks`` says that the clocks were found anew.
    """
    names = {recording.name for recording in footage.recordings}
    dropped = []
    if before.alignment is not None:
        dropped.append("The alignment set before is dropped, as the cameras were solved anew; align again.")
    offsets = {name: value for name, value in before.time_offsets.items() if name in names and not has_clocks}
    readouts = {name: value for name, value in before.readouts.items() if name in names}
    gone = sorted((set(before.time_offsets) - set(offsets)) | (set(before.readouts) - set(readouts)))
    if gone:
        why = "the clocks were found anew" if has_clocks else "these recordings are no longer there"
        dropped.append(f"What was set of the time of {', '.join(gone)} is dropped, as {why}.")
    synchronisation = before.synchronisation if offsets else None
    kept = Amendments(None, offsets, synchronisation, fps=before.fps, readouts=readouts)
    return kept, dropped


def _shown(footage: Footage, pictures: Pictures, model: SolvedModel) -> list[Camera]:
    """The solved cameras as their pictures are shown, from which up is told."""
    if footage.kind != "photos":
        return [picture.camera for picture in model.pictures]
    photos = {item.name: footage.photos[item.source] for item in pictures.items}
    return [upright(picture.camera, quarter_turns(photos[picture.name])) for picture in model.pictures]


def check_out(out: Path) -> None:
    """
    Raises:
        SolveError: something else is in the folder ``out``.
    """
    try:
        taken = out.exists() and (out.is_file() or any(out.iterdir()))
        taken = taken and not (out / FOLDER).is_dir() and read_amendments(out).solve is None
    except OSError as error:
        raise SolveError(f"{out}: cannot be read ({error.strerror}); choose another folder") from error
    for name in (FOLDER, "images", "videos"):
        if (out / name).is_symlink():
            raise SolveError(
                f"{out / name}: leads to another folder, whose files a solve would remove; choose another one"
            )
    if taken:
        raise SolveError(
            f"{out}: exists and is no solved capture, so nothing is written there; choose another folder"
        )


@dataclass
class _Work:
    """The stages of one solve, each told as it goes on."""

    options: SolveOptions
    out: Path
    on_event: OnEvent
    control: Control

    def __post_init__(self) -> None:
        self._stages = Stages(self.out)
        self._stage, self._message, self._started = "pictures", "", time.monotonic()
        # Of moving cameras, whose frames are chosen by them.
        self.clocks: dict[str, Any] | None = None
        self.warnings: list[str] = []

    def stage(self, name: str, message: str) -> None:
        self._stage, self._message, self._started = name, message, time.monotonic()
        self.tell(0.0)

    def tell(self, part: float) -> None:
        """Tell the stage's part done and its time left.

        Raises:
            Cancelled: the user cancelled.
        """
        self.control.check()
        names = list(_PARTS)
        before = sum(_PARTS[name] for name in names[: names.index(self._stage)])
        elapsed = time.monotonic() - self._started
        left = elapsed * (1.0 - part) / part if part > 0.02 else None
        data = {
            "fraction": before + _PARTS[self._stage] * part,
            "time_left": left,
            "message": f"{self._message}, {part:.0%}",
        }
        self.on_event(Event("progress", data))

    def last_part(self, event: Event) -> None:
        """Tell progress of what follows the capture's writing as a part of that stage."""
        if event.kind == "progress":
            part = 1.0 - _PARTS["writing"] * (1.0 - event.data["fraction"])
            event = Event("progress", {**event.data, "fraction": part})
        self.on_event(event)

    def pictures(self, footage: Footage) -> Pictures:
        options = self.options
        kept = self._stages.folder / "pictures.json"
        if footage.is_moving_rig and options.synchronise != "none":
            self._find_clocks(footage)
        if footage.kind != "photos":
            self.stage("pictures", "Choosing sharp frames")
        if self._stages.begin("pictures", [_signature(footage), footage.kind, options.frames]):
            if footage.kind == "moving":
                folder = self.out / "images"
                shutil.rmtree(folder, ignore_errors=True)
                offsets = {} if self.clocks is None else self.clocks["offsets"]
                pictures = moving_pictures(footage, folder, options.frames, offsets, self.tell)
            elif footage.kind == "photos":
                pictures = photo_pictures(footage, self._stages.folder / "photos", self.tell)
            else:
                pictures = fixed_pictures(footage, self._stages.clean("stills"), self.tell)
            write_json(kept, pictures.to_json())
            self._stages.finish("pictures")
        return Pictures.from_json(read_json_object(kept))

    def _find_clocks(self, footage: Footage) -> None:
        self.stage("pictures", f"Synchronising by {self.options.synchronise}")
        kept = self._stages.folder / "clocks.json"
        if self._stages.begin("clocks", [_signature(footage), self.options.synchronise]):
            recordings = [Recording(sequence.name, sequence) for sequence in footage.recordings]
            by, found = self.options.synchronise, {}
            try:  # the poses can be found whether the clocks can be or not
                found = synchronise_recordings(footage.path, recordings, by, self.tell, moving=True)
            except SolveError as error:
                found = {"failed": f"The cameras are not synchronised: {error}."}
            write_json(kept, found)
            self._stages.finish("clocks")
        found = read_json_object(kept)
        if "failed" in found:
            self.warnings.append(found["failed"])
        else:
            self.clocks = found
            self.warnings += found["warnings"]

    def model(self, footage: Footage, pictures: Pictures) -> tuple[list[SolvedModel], SolveReport]:
        """Features, matches and poses; the best model comes first.

        Raises:
            SolveError: no two pictures could be placed.
        """
        options, stages, names = self.options, self._stages, pictures.names
        database = stages.folder / "database.db"
        common = {"database": str(database), "pictures": str(pictures.folder), "threads": os.cpu_count() or 1}
        mode, lens = self._lens(footage, pictures)
        noun = NOUNS[footage.kind]

        self.stage("features", f"Looking for features in {len(names)} {noun}s")
        extraction: dict[str, Any] = {
            "names": names,
            "masks": None if pictures.masks is None else str(pictures.masks),
            "camera_mode": mode,
            "lens": lens,
            "max_size": options.picture_size,
            "max_features": options.features,
        }
        if max(max(image_header(pictures.folder / name)[:2]) for name in names) <= SMALL:
            extraction["faint"] = True
        if stages.begin("features", extraction):
            stages.folder.mkdir(parents=True, exist_ok=True)
            self._run({"stage": "features", **common, **extraction})
            stages.finish("features")

        self.stage("matches", f"Matching {noun}s")
        is_exhaustive = options.matching == "exhaustive" or (
            options.matching == "auto" and len(names) <= EXHAUSTIVE[footage.kind]
        )
        pairing = {"count": len(names), "neighbours": None if is_exhaustive else NEIGHBOURS}
        if stages.begin("matches", pairing):
            self._run({"stage": "matches", **common, **pairing})
            stages.finish("matches")

        self.stage("mapping", "Placing cameras")
        matches = shared_matches(database)
        models: list[SolvedModel] = []
        attempts = [False, True] if options.mapper == "incremental" else [False]
        for patient in attempts:
            name = "patient" if patient else options.mapper
            if stages.begin(name, None):
                job = {
                    "stage": "mapping",
                    "out": str(stages.clean(name)),
                    "mapper": options.mapper,
                    "patient": patient,
                    "count": len(names),
                }
                self._run({**common, **job})
                stages.finish(name)
            found = read_models(stages.folder / name)
            if found and (not models or len(found[0].pictures) > len(models[0].pictures)):
                models = found
            if models and len(models[0].pictures) == len(names):
                break
        if not models or len(models[0].pictures) < LEAST_PLACED:
            best = max(matches.values(), default=0)
            raise SolveError(
                f"{options.footage}: no {noun}s could be placed (the best pair shares {best} points); "
                f"add {noun}s with more overlap, of something with texture"
            )
        return models, make_report(models, names, matches, noun)

    def _run(self, job: dict[str, Any]) -> None:
        """A stage of COLMAP.

        Raises:
            SolveError: it failed; SceneError: for want of room on the disk, of which COLMAP says nothing.
        """
        try:
            run_stage(job, self.control, self.tell)
        except SolveError:
            check_room(self._stages.folder)
            raise

    def _lens(self, footage: Footage, pictures: Pictures) -> tuple[str, str]:
        """COLMAP's camera mode and model for these pictures."""
        asked = self.options.intrinsics
        sizes = {image_header(pictures.folder / name)[:2] for name in pictures.names}
        is_shared = asked == "shared" or (asked == "auto" and len(sizes) == 1)
        if is_shared and len(sizes) > 1:
            raise SolveError(
                f"{footage.path}: the pictures have {len(sizes)} sizes, so they cannot share one lens; "
                "solve with separate intrinsics"
            )
        has_own = footage.kind == "moving" and len(footage.recordings) > 1
        if asked != "shared" and has_own:
            mode = "PER_FOLDER"
        else:
            mode = "SINGLE" if is_shared else "PER_IMAGE"
        # One radial term: with two, a walk straight ahead (`lund`) placed 2 photos of 29 instead of all.
        lens = "simple_radial" if self.options.lens == "auto" else self.options.lens
        return mode, lens.upper()


def _signature(footage: Footage) -> list[Any]:
    """What tells whether the footage has changed: names, sizes and times of its files."""
    files = [*footage.photos, *(image for r in footage.recordings for image in r.images or (r.path,))]
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
