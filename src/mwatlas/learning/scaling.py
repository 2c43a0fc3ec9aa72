"""Standardisation of inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each column; shape (C,)."""

    mean: Floats
    std: Floats

    def apply(self, values: Floats) -> NDArray[np.float32]:
        """Standardise values of shape (N, C)."""
        return ((values - self.mean) / self.std).astype(np.float32)


def fit_scaling(values: Floats, names: Sequence[str], where: str) -> Scaling:
    """Measure the scaling of a training set.

    Parameters
    ----------
    values
        Shape (N, C).
    names
        Names of the columns, for errors.
    where
        File the values come from, for errors.

    Raises
    ------
    InputError
        If a column has missing values or does not vary.
    """
    for name, column in zip(names, values.T, strict=True):
        if not np.isfinite(column).all():
            raise InputError(
                "an input of the network has missing values",
                file=where,
                item=name,
                found=f"{int((~np.isfinite(column)).sum())} of {column.size} values",
                expected="none missing",
                remedy="remove those stars with a cut, or repair the column in the input",
            )
        if column.size < 2 or column.min() == column.max():
            raise InputError(
                "an input of the network does not vary",
                file=where,
                item=name,
                found=f"{column.size} stars with the value {column[0] if column.size else 'none'}",
                expected="at least two different values",
                remedy="check how this column is mapped in the release adapter; "
                "a constant carries no information",
            )
    return Scaling(values.mean(axis=0), values.std(axis=0))
