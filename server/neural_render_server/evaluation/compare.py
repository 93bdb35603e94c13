"""Several scenes of one capture, judged on the same views."""

from __future__ import annotations

from typing import Any

from .evaluate import Evaluation
from .measures import MEASURES
from .page import best_scene


def comparison(evaluation: Evaluation) -> dict[str, Any]:
    """``{capture, split, scenes: [...], best: {measure: scene}}``, the scenes as ``eval`` tells them."""
    best = {measure.key: best_scene(evaluation.scenes, measure) for measure in MEASURES}
    return {
        "capture": str(evaluation.capture.path),
        "split": evaluation.split,
        "scenes": [scene.to_json() for scene in evaluation.scenes],
        "best": {
            key: str(evaluation.scenes[number].path) for key, number in best.items() if number is not None
        },
    }
