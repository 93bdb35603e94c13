"""Training pixels chosen evenly from all views."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..base import TrainingViews
from .rays import IntArray, Pixels

# Views that one batch is drawn from, at most; and their pixels together, at most, where frames are read
# from disk for each batch (16 million pixels are 50 MB).
MOST_VIEWS = 128
MOST_PIXELS = 16_000_000
# Draws before a view is taken for masked out everywhere.
MASK_TRIES = 16


class UniformSampler:
    """Every usable pixel of every view (of ``views_used``, default all) is equally likely over many batches.

    Given ``central`` below 1, ``sample`` keeps to that share of the width and height around the middle, as
    NeRF does in its first steps.
    """

    def __init__(self, views: TrainingViews, views_used: IntArray | None = None) -> None:
        self._views = views
        self._used = np.arange(len(views)) if views_used is None else views_used
        sizes = [(views.cameras[c].height, views.cameras[c].width) for c in views.camera_indices]
        self._sizes = np.array(sizes, dtype=np.int64)
        areas = self._sizes[self._used].prod(axis=1).astype(np.float64)
        self._shares = areas / areas.sum()
        self._most = int(np.clip(MOST_PIXELS // max(1.0, areas.mean()), 4, MOST_VIEWS))

    def sample(self, random: np.random.Generator, count: int, central: float = 1.0) -> Pixels:
        views = np.sort(self._choose_views(random, count))
        sizes = self._sizes[views]
        margin = 0.5 * (1.0 - central)

        def draw(index: npt.NDArray[np.int64]) -> IntArray:
            places = (margin + central * random.random((len(index), 2))) * sizes[index]
            return np.minimum(places.astype(np.int64), sizes[index] - 1)

        places = draw(np.arange(count))
        kept = np.ones(count, dtype=bool)
        for view in np.unique(views):
            mask = self._views.mask(int(view))
            if mask is None:
                continue
            own = np.flatnonzero(views == view)
            for _ in range(MASK_TRIES):
                out = own[~mask[places[own, 0], places[own, 1]]]
                if not len(out):
                    break
                places[out] = draw(out)
            kept[own] = mask[places[own, 0], places[own, 1]]
        if not kept.all() and kept.any():  # keep the batch's size: repeat usable pixels
            repeated = random.choice(np.flatnonzero(kept), count)
            kept_or_repeated = np.where(kept, np.arange(count), repeated)
            views, places = views[kept_or_repeated], places[kept_or_repeated]
        return Pixels(views, places[:, 0], places[:, 1])

    def _choose_views(self, random: np.random.Generator, count: int) -> IntArray:
        """(count,) views, of which few differ, so that few frames are read."""
        if len(self._used) <= self._most:
            return np.asarray(random.choice(self._used, count, p=self._shares))
        few = random.choice(self._used, self._most, p=self._shares)
        return np.asarray(few[random.integers(0, len(few), count)])
