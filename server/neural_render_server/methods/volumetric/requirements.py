"""What volumetric methods need of a capture."""

from __future__ import annotations

import numpy as np

from ...errors import CaptureError
from ..base import Method, TrainingViews


def check_views(method: Method, views: TrainingViews) -> None:
    """Refuse what ``method`` cannot learn from, for callers other than the trainer, which checks captures.

    Raises:
        CaptureError: too few views, or a single moment where the method needs several.
    """
    if len(views) < method.least_views:
        raise CaptureError(
            f"the method {method.name} needs at least {method.least_views} views to train on, but there are "
            f"{len(views)}; film from more places or hold out fewer"
        )
    if method.needs_times and len(np.unique(views.timestep_indices)) < 2:
        raise CaptureError(
            f"the method {method.name} needs a moving capture, but the views to train on show a single "
            "moment; choose a method for still captures, or give its frames times"
        )
