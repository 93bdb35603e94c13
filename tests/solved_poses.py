"""Solving footage whose true poses are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neural_render_server.progress import Control, Event
from neural_render_server.solving.options import SolveOptions
from neural_render_server.solving.solve import solve


def run(footage: Path, out: Path, **more: Any) -> tuple[dict[str, Any], list[Event]]:
    events: list[Event] = []
    options = SolveOptions.from_json({"footage": str(footage), "out": str(out), "features": 1500, **more})
    return solve(options, events.append, Control()), events


def errors_against_truth(solved: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Largest rotation (degrees) and position error (of the rig's size) after similarity alignment.

    Umeyama, Least-squares estimation of transformation parameters between two point patterns, 1991.
    """
    a, b = solved[:, :3, 3], truth[:, :3, 3]
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn, scale = u @ flip @ vt, (s * np.diag(flip)).sum() / (a**2).sum()
    away = np.linalg.norm(scale * a @ turn.T - b, axis=1).max()
    cosines = [
        (np.trace((turn @ x[:3, :3]).T @ y[:3, :3]) - 1) / 2 for x, y in zip(solved, truth, strict=True)
    ]
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max()), float(away / np.ptp(b, axis=0).max())
