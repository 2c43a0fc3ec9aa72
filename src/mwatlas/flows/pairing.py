"""Which normal deviate belongs to which star: minibatch optimal transport.

Pairs that lie close make the paths of the flow straighter (Tong et al. 2024, TMLR; Kalda & Green
2026, for the spatial flow only).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from mwatlas.errors import ConfigError
from mwatlas.random import block_generator

Singles = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class OptimalTransport:
    """Minibatch optimal transport.

    Parameters
    ----------
    batch
        Stars paired with as many deviates at a time.
    passes
        Pairings of all stars that are made; epochs use them in turn. Each takes
        4 (D + 2) bytes a star of memory.
    """

    batch: int = 256
    passes: int = 8

    def __post_init__(self) -> None:
        for name in ("batch", "passes"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    "optimal transport needs stars and passes",
                    item=name,
                    found=getattr(self, name),
                    expected="a whole number from 1 on",
                    remedy=f"set {name} to 1 or more",
                )


class Pairings:
    """The passes of one flow, each made when it is first asked for and then kept.

    Parameters
    ----------
    z1
        Data in standard units; shape (N, D).
    weights
        How often a row is drawn, with a mean of one; shape (N,).
    settings
        How many, and how large.
    seed
        A pass is a function of data, weights, seed and its number.
    """

    def __init__(
        self, z1: Singles, weights: NDArray[np.float64], settings: OptimalTransport, seed: int
    ) -> None:
        self._z1, self._weights, self._settings, self._seed = z1, weights, settings, seed
        self._made: dict[int, tuple[Rows, Singles]] = {}

    def of_epoch(self, epoch: int) -> tuple[Rows, Singles]:
        """Rows of the data, shape (N,), and their normal deviates, (N, D).

        A row of weight w appears w times, give or take one: the deviates of a batch are normal
        only if all pairs of a pass count alike, so weights cannot enter the loss.
        """
        number = epoch % self._settings.passes
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> tuple[Rows, Singles]:
        rng = block_generator(self._seed, "flows/pairing", number)
        rows = rng.permutation(systematic_rows(self._weights, rng.random()))
        z0 = rng.standard_normal(self._z1.shape, dtype=np.float32)
        for start in range(0, rows.size, self._settings.batch):
            part = slice(start, start + self._settings.batch)
            z0[part] = z0[part][optimal_partners(self._z1[rows[part]], z0[part])]
        return rows, z0


def optimal_partners(z1: Singles, z0: Singles) -> Rows:
    """For each row of ``z1`` its row of ``z0``, with the least sum of squared distances.

    Both of shape (B, D).
    """
    return linear_sum_assignment(cdist(z1, z0, "sqeuclidean"))[1].astype(np.int64)


def systematic_rows(weights: NDArray[np.float64], offset: float) -> Rows:
    """N rows drawn from N in proportion to their weights, with the least noise.

    Parameters
    ----------
    weights
        With a mean of one; shape (N,).
    offset
        A uniform number from 0 to 1.

    Returns
    -------
    int64, shape (N,)
        Each row floor(w) or ceil(w) times, with expectation w.
    """
    edges = np.cumsum(weights)
    edges *= weights.size / edges[-1]
    rows = np.searchsorted(edges, np.arange(weights.size) + offset, side="right")
    return np.minimum(rows, weights.size - 1).astype(np.int64)
