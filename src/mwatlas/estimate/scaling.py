"""Cost of a job from that of smaller ones, and the time of many."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

SIZES_APART = 4.0
"""Jobs whose sizes differ by this factor tell start-up from cost per row."""


@dataclass(frozen=True)
class Line:
    """Cost of a job as ``start + slope * work``."""

    start: float
    slope: float

    def at(self, work: float) -> float:
        """Cost of a job with that much work."""
        return self.start + self.slope * work

    @classmethod
    def through(cls, work: Sequence[float], cost: Sequence[float], start: float) -> Line:
        """Fit the cost of finished jobs; neither start nor slope is negative.

        Parameters
        ----------
        work, cost
            Of each job.
        start
            Cost of a job without work, where sizes differ by less than :data:`SIZES_APART`.
        """
        if not any(work):
            return cls(float(np.mean(cost)), 0.0)
        if apart(work):
            # In units of the largest job, or the solver's tolerance hides the smaller column.
            unit = max(work)
            columns = np.column_stack([np.ones(len(work)), np.asarray(work) / unit])
            (fitted, slope), _ = nnls(columns, np.asarray(cost, dtype=float))
            return cls(float(fitted), float(slope) / unit)
        start = min(start, *cost)
        return cls(start, (sum(cost) - start * len(cost)) / sum(work))


def apart(sizes: Sequence[float]) -> bool:
    """Whether sizes differ enough to tell start-up from cost per row."""
    return max(sizes) >= SIZES_APART * min(sizes) > 0


def makespan(durations: Sequence[float], cores: int) -> float:
    """Time that jobs of one core each take together, the longest started first."""
    busy = [0.0] * cores
    for duration in sorted(durations, reverse=True):
        heapq.heapreplace(busy, busy[0] + duration)
    return max(busy)
