"""HEALPix cells: the fixed unit of per-star work, and how cells are shared among partitions.

Gaia's ``source_id`` carries the nested HEALPix index of level 12 in its upper bits
(Gaia DR3 documentation, 20.1.1). A *cell* is a pixel of a coarser level, fixed by the
release. All per-star work is done cell by cell, and a *partition* is a run of
neighbouring cells, so that the partitioning cannot change a result.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

SOURCE_ID_ORDER = 12
SOURCE_ID_SHIFT = 35


def number_of_cells(order: int) -> int:
    """Number of HEALPix pixels on the sphere at ``order``."""
    return 12 * 4**order


def cell_of_source(source_id: ArrayLike, order: int) -> NDArray[np.int64]:
    """Nested HEALPix index at ``order`` (at most 12) of each Gaia ``source_id``."""
    shift = SOURCE_ID_SHIFT + 2 * (SOURCE_ID_ORDER - order)
    return np.asarray(source_id, dtype=np.int64) >> shift


def cell_of_position(ra: ArrayLike, dec: ArrayLike, order: int) -> NDArray[np.int64]:
    """Nested HEALPix index at ``order`` of ICRS positions in degrees."""
    # It loads matplotlib, which the many that only count cells need not wait for.
    import healpy

    return healpy.ang2pix(2**order, np.asarray(ra), np.asarray(dec), nest=True, lonlat=True)


def balanced_partitions(counts: ArrayLike, partitions: int) -> list[range]:
    """Split cells into runs of neighbours that hold similar numbers of stars.

    Parameters
    ----------
    counts
        Number of stars in each cell, in nested order; shape (cells,).
    partitions
        Number of runs; at most the number of cells.

    Returns
    -------
    list of range
        The cells of each partition. Every cell is in exactly one; a run is never empty.
    """
    counts = np.asarray(counts)
    if not 1 <= partitions <= counts.size:
        raise ValueError(f"cannot split {counts.size} cells into {partitions} partitions")
    cumulative = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)])
    targets = cumulative[-1] * np.arange(1, partitions) / partitions
    edges = np.searchsorted(cumulative, targets)
    # Leave at least one cell to every run, also where a single cell holds most stars.
    edges = np.maximum.accumulate(np.maximum(edges - np.arange(1, partitions), 0))
    edges = np.minimum(edges, counts.size - partitions) + np.arange(1, partitions)
    bounds = [0, *edges.tolist(), counts.size]
    return [range(low, high) for low, high in pairwise(bounds)]
