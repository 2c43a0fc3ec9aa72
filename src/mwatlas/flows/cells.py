"""Samples gathered in cells of their conditions: all that their moments need, in far fewer rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Rows that tell how wide a part is.
_LOOKED_AT = 4096


@dataclass(frozen=True)
class Cells:
    """Moments of samples in each of K cells.

    Parameters
    ----------
    given
        Mean conditions; shape (K, C).
    mean, covariance
        Of the samples, about their mean; shapes (K, D) and (K, D, D).
    weights
        Of the cells, with a mean of one; shape (K,).
    """

    given: Floats
    mean: Floats
    covariance: Floats
    weights: Floats


def gather(x: Floats, given: Floats, weights: Floats, rows: int) -> Cells:
    """Gather samples with similar conditions.

    Parts are halved across their widest condition until halves would be smaller than asked for.

    Parameters
    ----------
    x, given
        Samples (N, D) and their conditions (N, C), on scales that can be compared.
    weights
        Of the samples, positive; shape (N,).
    rows
        Fewest samples of a cell, unless there are fewer in all; each is a cell by itself with 1.

    Returns
    -------
    Cells
    """
    number, dimension = x.shape
    if rows == 1:
        return Cells(given, x, np.zeros((number, dimension, dimension)), weights / weights.mean())
    cells = _halves(given, np.arange(number), rows)
    order = np.concatenate(cells)
    x, given, weights = x[order], given[order], weights[order]
    starts = np.cumsum([0, *(len(cell) for cell in cells[:-1])])
    total = np.add.reduceat(weights, starts)

    def mean(values: Floats) -> Floats:
        sums = np.add.reduceat(weights[:, None] * values, starts, axis=0)
        return sums / total[:, None]

    middle = mean(x)
    covariance = np.empty((len(cells), dimension, dimension))
    for row in range(dimension):
        second = mean(x[:, row, None] * x)
        covariance[:, row] = second - middle[:, row, None] * middle
    return Cells(mean(given), middle, covariance, total / total.mean())


def _halves(given: Floats, part: NDArray[np.intp], rows: int) -> list[NDArray[np.intp]]:
    """Rows of each cell within a part."""
    if len(part) < 2 * rows:
        return [part]
    some = given[part[:: max(1, len(part) // _LOOKED_AT)]]
    widest = int(np.argmax(np.ptp(some, axis=0)))
    middle = len(part) // 2
    sides = np.argpartition(given[part, widest], middle)
    return [
        *_halves(given, part[sides[:middle]], rows),
        *_halves(given, part[sides[middle:]], rows),
    ]
