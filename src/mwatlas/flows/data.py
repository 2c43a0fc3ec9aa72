"""Rows a flow learns from or is asked about: checks, and standard units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standard:
    """Shift and scale of each column.

    Parameters
    ----------
    mean, std
        Shape (D,), in the units of the columns.
    """

    mean: Floats
    std: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats, item: str) -> Standard:
        """Weighted mean and standard deviation of columns.

        Parameters
        ----------
        values, weights
            Shapes (N, D) and (N,).
        item
            Name of the array for the error.

        Raises
        ------
        InputError
            If a column is constant.
        """
        share = weights / weights.sum()
        mean = share @ values
        std = np.sqrt(share @ (values - mean) ** 2)
        # A constant column is left with the rounding of its mean.
        constant = np.flatnonzero(std <= 1e-12 * np.abs(mean))
        if constant.size:
            raise InputError(
                "a column to learn from is constant",
                item=f"{item}[:, {constant[0]}]",
                found=f"the value {mean[constant[0]]:g} in all of {len(values)} rows",
                expected="values that differ",
                remedy="leave the column out, or look for what made it constant",
            )
        return cls(mean, std)

    def apply(self, values: Floats) -> Floats:
        """Values in standard units."""
        return (values - self.mean) / self.std

    def invert(self, values: Floats) -> Floats:
        """Values in the units of the data."""
        return self.mean + self.std * values


@dataclass(frozen=True)
class Samples:
    """Rows that passed :func:`checked_samples`; shapes (N, D), (N, C) or None, and (N,)."""

    x: Floats
    given: Floats | None
    weights: Floats


def checked_pair(
    x: ArrayLike, given: ArrayLike | None, dimension: int, given_dimension: int
) -> tuple[Floats, Floats | None]:
    """``x`` (N, D) and ``given`` (N, C) as finite float64, or an InputError that says why not."""
    rows = _finite_rows(x, dimension, "x")
    condition = checked_given(given, given_dimension)
    if condition is not None and len(condition) != len(rows):
        raise InputError(
            "samples and their conditions do not go together",
            item="given",
            found=f"{len(condition)} rows",
            expected=f"{len(rows)} rows, as in x",
            remedy="pass one condition for each sample",
        )
    return rows, condition


def checked_given(given: ArrayLike | None, dimension: int) -> Floats | None:
    """Conditions (N, C) as finite float64, None if C is zero, or an InputError."""
    if (given is None) != (dimension == 0):
        raise InputError(
            "the density is conditional and got no conditions"
            if given is None
            else "the density is unconditional and got conditions",
            item="given",
            found="None" if given is None else f"shape {np.shape(given)}",
            expected=f"shape (N, {dimension})" if dimension else "None",
            remedy="pass what the density was made for, or make it with another given_dimension",
        )
    return None if given is None else _finite_rows(given, dimension, "given")


def checked_samples(
    x: ArrayLike,
    given: ArrayLike | None,
    weights: ArrayLike | None,
    dimension: int,
    given_dimension: int,
) -> Samples:
    """What a flow can learn from: finite rows of positive weight.

    Parameters
    ----------
    x, given, weights
        Shapes (N, D), (N, C) or None, (N,) or None for equal weights.
    dimension, given_dimension
        D and C.

    Returns
    -------
    Samples
        Without the rows of weight zero; weights have a mean of one.

    Raises
    ------
    InputError
        If there are no rows, if shapes do not fit, if anything is not finite, if a weight is
        negative, or if none is positive.
    """
    rows, condition = checked_pair(x, given, dimension, given_dimension)
    weight = np.ones(len(rows)) if weights is None else _real_numbers(weights, "weights")
    if weight.shape != (len(rows),):
        raise InputError(
            "samples and their weights do not go together",
            item="weights",
            found=f"shape {weight.shape}",
            expected=f"shape ({len(rows)},)",
            remedy="pass one weight for each row of x",
        )
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if bad.size:
        raise InputError(
            "weights must be numbers from zero on",
            item="weights",
            found=f"{weight[bad[0]]} in row {bad[0]}, and {bad.size} such rows of {weight.size}",
            expected="finite weights, none negative",
            remedy="look at what made them; a selection function of zero gives infinite weights",
        )
    kept = weight > 0
    if not kept.any():
        raise InputError(
            "there is nothing to learn from",
            item="weights" if len(rows) else "x",
            found=f"{len(rows)} rows, none of positive weight",
            expected="at least two different rows of positive weight",
            remedy="look at the cuts and weights before this step",
        )
    if not kept.all():
        rows, weight = rows[kept], weight[kept]
        condition = None if condition is None else condition[kept]
    return Samples(rows, condition, weight / weight.mean())


def _real_numbers(values: ArrayLike, item: str) -> Floats:
    # Masked values are missing, and neither imaginary parts nor texts are dropped unsaid.
    if isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.nan, values.data)
    found = np.asarray(values)
    if found.dtype.kind not in "biuf":
        raise InputError(
            "an array does not hold real numbers",
            item=item,
            found=f"type {found.dtype}",
            expected="real numbers",
            remedy="convert the column before this step",
        )
    return np.asarray(found, dtype=np.float64)


def _finite_rows(values: ArrayLike, dimension: int, item: str) -> Floats:
    rows = _real_numbers(values, item)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise InputError(
            "an array has the wrong dimension",
            item=item,
            found=f"shape {rows.shape}",
            expected=f"shape (N, {dimension})",
            remedy="pass one row a star; the density was made for this number of columns",
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise InputError(
            "rows are not finite",
            item=item,
            found=f"{bad.size} of {len(rows)} rows, the first is row {bad[0]}: {rows[bad[0]]}",
            expected="finite numbers",
            remedy="drop the stars with missing values before this step",
        )
    return rows
