"""What every density learned from samples can do, whatever engine is behind it.

The rest of the package asks for these two protocols and never for an engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import TrainingError
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress

Floats = NDArray[np.float64]


class Density(Protocol):
    """A density p(x) or p(x | given) and its score, in the units of the data.

    ``dimension`` is the number D of columns of ``x``, ``given_dimension`` the number C of
    columns of ``given``; with C = 0 the density is unconditional and ``given`` is None.
    """

    dimension: int
    given_dimension: int

    def log_prob(self, x: Floats, given: Floats | None = None) -> Floats:
        """Ln of the density at ``x`` (N, D) with ``given`` (N, C); shape (N,).

        Its unit is one over the product of the units of the columns of ``x``.
        """
        ...

    def score(self, x: Floats, given: Floats | None = None) -> tuple[Floats, Floats | None]:
        """Derivatives of ln p by ``x``, shape (N, D), and by ``given``, (N, C) or None."""
        ...

    def save(self, path: str | Path) -> None:
        """Write a file whose bytes depend on the density alone."""
        ...

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Read what :meth:`save` wrote."""
        ...


class Flow(Density, Protocol):
    """A density that is learned from samples and can be sampled."""

    def fit(
        self,
        x: Floats,
        given: Floats | None = None,
        weights: Floats | None = None,
        *,
        progress: Progress,
        checkpoint: Checkpoint | None = None,
    ) -> list[float]:
        """Learn from samples.

        Parameters
        ----------
        x, given
            Samples; shapes (N, D) and (N, C).
        weights
            How many stars each row stands for, up to a common factor; shape (N,), all one if
            None.
        progress
            Where to report epochs.
        checkpoint
            Where to save, and continue from. The caller removes it once the flow is saved.

        Returns
        -------
        list of float
            The mean training loss of each epoch.

        Raises
        ------
        InputError
            If rows are missing, not finite or of another dimension, if no weight is above zero,
            or if a column is constant.
        TrainingError
            If the training diverges.
        """
        ...

    def sample(self, n: int, rng: np.random.Generator, given: Floats | None = None) -> Floats:
        """Draw ``n`` samples, one for each row of ``given`` (n, C) if any; shape (n, D)."""
        ...


def untrained_flow() -> TrainingError:
    """The error of a flow that has no weights yet."""
    return TrainingError(
        "a flow was asked before it learned anything",
        found="a flow without weights",
        expected="a fitted or a loaded flow",
        remedy="call fit, or read a trained flow with load",
    )
