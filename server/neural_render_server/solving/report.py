"""How well a solve went, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .model import SolvedModel

# A camera needs about this many matches with one that is placed: COLMAP's abs_pose_min_num_inliers.
ENOUGH_MATCHES = 30

# A mean reprojection error above this many pixels, and this part of the picture's width, is told: good solves
# stay well below.
LARGEST_ERROR, LARGEST_PART = 1.0, 1.5e-3

# A placed camera with fewer points, less of its picture covered, or an error so many times the others', is
# weakly held: on `lund` the one photo that was placed wrong had 2.2 times their error.
FEW_POINTS, LITTLE_COVERAGE, MUCH_ERROR = 50, 0.15, 2.0

_NAMES_LISTED = 6


@dataclass(frozen=True)
class SolveReport:
    """``error`` in pixels, ``coverage`` in [0, 1]: mean over the cameras; ``warnings`` are sentences."""

    registered: tuple[str, ...]
    missing: tuple[str, ...]
    error: float
    coverage: float
    points: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "registered": list(self.registered),
            "missing": list(self.missing),
            "reprojection_error": self.error,
            "coverage": self.coverage,
            "points": self.points,
            "warnings": list(self.warnings),
        }

    def headline(self, noun: str) -> str:
        """``13 of 29 photos joined, 0.62 px reprojection error, 41% of the pictures covered...``."""
        total = len(self.registered) + len(self.missing)
        return (
            f"{len(self.registered)} of {total} {noun}s joined, {self.error:.2f} px reprojection error, "
            f"{self.coverage:.0%} of the pictures covered, {self.points} points"
        )


def make_report(
    models: Sequence[SolvedModel], names: Sequence[str], matches: Mapping[frozenset[str], int], noun: str
) -> SolveReport:
    """Judge the first of ``models``, of pictures called ``names`` in the order they were taken.

    ``matches`` are the verified ones of each pair. ``noun`` is what a picture is called: photo, camera or
    frame.
    """
    best = models[0]
    joined = set(best.names)
    missing = [name for name in names if name not in joined]
    warnings = []
    if missing:
        warnings.append(missing_sentence(missing, names, joined, matches, noun))
    warnings += apart_sentences(models[1:], joined, noun)
    width = max(picture.camera.width for picture in best.pictures)
    if best.error > max(LARGEST_ERROR, LARGEST_PART * width):
        warnings.append(
            f"The reprojection error is large ({best.error:.2f} px); check that only the camera moved, "
            "or solve with another lens model."
        )
    weak = [
        shown(picture.name)
        for picture in best.pictures
        if picture.observations < FEW_POINTS
        or picture.coverage < LITTLE_COVERAGE
        or picture.error > MUCH_ERROR * best.error
    ]
    if weak:
        verb = "is" if len(weak) == 1 else "are"
        warnings.append(
            f"{listed(weak)} {verb} only weakly held (few points, in one corner, or that fit "
            "badly); check the pose by eye."
        )
    return SolveReport(
        registered=tuple(name for name in names if name in joined),
        missing=tuple(missing),
        error=best.error,
        coverage=sum(picture.coverage for picture in best.pictures) / len(best.pictures),
        points=len(best.positions),
        warnings=tuple(warnings),
    )


def missing_sentence(
    missing: Sequence[str],
    names: Sequence[str],
    joined: set[str],
    matches: Mapping[frozenset[str], int],
    noun: str,
) -> str:
    """Which pictures did not join and why, by the joined and the missing one that share most."""
    start = f"{len(missing)} of {len(names)} {noun}s did not join ({listed(map(shown, missing))})"
    pairs = [
        (matches.get(frozenset((out, one)), 0), out, one) for out in missing for one in names if one in joined
    ]
    if not pairs:
        return f"{start}."
    order = {name: index for index, name in enumerate(names)}
    # Of equally many matches, those that were taken next to each other.
    count, out, one = max(pairs, key=lambda pair: (pair[0], -abs(order[pair[1]] - order[pair[2]])))
    first, second = sorted((out, one), key=order.__getitem__)
    between = f"{shown(first)} and {shown(second)}"
    if count < ENOUGH_MATCHES:
        seen = f"{count} matching points" if count else "no matching points"
        return f"{start}: too little overlap between {between} ({seen}); add a {noun} between them."
    return (
        f"{start}: {between} share {count} points, which do not fix the position; add a {noun} between them, "
        "from another side."
    )


def apart_sentences(others: Sequence[SolvedModel], joined: set[str], noun: str) -> list[str]:
    """Groups that were solved by themselves but could not be joined to the largest."""
    sentences = []
    for model in others:
        own = [name for name in model.names if name not in joined]
        if len(own) >= 3:
            sentences.append(
                f"{len(own)} {noun}s form a group of their own ({listed(map(shown, own))}); "
                f"add {noun}s that see both groups, or solve them separately."
            )
    return sentences


def shown(name: str) -> str:
    """A picture's name without folder or suffix where the folder says nothing more."""
    path = Path(name)
    return str(path.with_suffix("")) if len(path.parts) > 1 else path.stem


def listed(names: Any) -> str:
    """``a, b and 3 more``."""
    names = list(names)
    more = len(names) - _NAMES_LISTED
    return ", ".join(names[:_NAMES_LISTED]) + (f" and {more} more" if more > 0 else "")
