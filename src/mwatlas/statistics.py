"""Mergeable statistics: what a figure or a number needs, and nothing per star.

Each partition job accumulates histograms, counts and sums; merging adds them. Counts are
integers. Sums are kept as whole multiples of :data:`RESOLUTION`, which can be added in any
order, so the result has the same bits whatever the partitioning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.errors import InputError
from mwatlas.files import atomic_path

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

RESOLUTION = 2.0**-40
"""Sums of a cell are rounded to multiples of this, about 1e-12 of whatever unit they have."""


@dataclass(frozen=True)
class Bins:
    """Equal bins of one quantity: ``bins`` between ``low`` and ``high``."""

    low: float
    high: float
    bins: int

    @property
    def edges(self) -> Floats:
        """Bin edges, shape (bins + 1,)."""
        return np.linspace(self.low, self.high, self.bins + 1)

    @property
    def centres(self) -> Floats:
        """Bin centres, shape (bins,)."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def index(self, values: ArrayLike) -> NDArray[np.int64]:
        """Bin of each value; -1 outside the range and for NaN. The upper edge is inside."""
        values = np.asarray(values, dtype=float)
        with np.errstate(invalid="ignore"):
            inside = (values >= self.low) & (values <= self.high)
        scaled = (np.where(inside, values, self.low) - self.low) / (self.high - self.low)
        bins = np.minimum((scaled * self.bins).astype(np.int64), self.bins - 1)
        return np.where(inside, bins, -1)


@dataclass
class Histogram:
    """Integer counts over one or two binned quantities.

    Parameters
    ----------
    axes
        Bins of each quantity.
    counts
        Counts in the bins; shape ``(axes[0].bins, ...)``.
    outside
        Number of entries outside the bins. Missing values (NaN) are no entries.
    """

    axes: tuple[Bins, ...]
    counts: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    outside: int = 0

    def __post_init__(self) -> None:
        if not self.counts.size:
            self.counts = np.zeros([axis.bins for axis in self.axes], dtype=np.int64)

    def fill(self, *values: ArrayLike) -> None:
        """Count entries; one array of equal shape for each axis."""
        columns = [np.ravel(np.asarray(v, dtype=float)) for v in values]
        index = [axis.index(v) for axis, v in zip(self.axes, columns, strict=True)]
        inside = np.logical_and.reduce([i >= 0 for i in index])
        missing = np.logical_or.reduce([np.isnan(v) for v in columns])
        flat = np.ravel_multi_index([i[inside] for i in index], self.counts.shape)
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.outside += int(inside.size - inside.sum() - missing.sum())


@dataclass
class Sums:
    """Sums of one quantity, one for each column such as an error draw.

    Parameters
    ----------
    number
        Values added; shape (D,).
    total
        Their sum in units of :data:`RESOLUTION`, as whole numbers of any size; length D.
    """

    number: Counts
    total: list[int]

    def __add__(self, other: Sums) -> Sums:
        """Sums over both sets of values."""
        total = [a + b for a, b in zip(self.total, other.total, strict=True)]
        return Sums(self.number + other.number, total)


@dataclass
class Statistics:
    """Everything accumulated from a set of stars; see the module's docstring."""

    histograms: dict[str, Histogram] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)

    def fill(self, name: str, axes: tuple[Bins, ...], *values: ArrayLike) -> None:
        """Add entries to histogram ``name``, which is made on first use."""
        self.histograms.setdefault(name, Histogram(axes)).fill(*values)

    def count(self, name: str, number: ArrayLike) -> None:
        """Add whole numbers to counter ``name``, a scalar or an array such as one per draw."""
        number = np.asarray(number, dtype=np.int64)
        self.counts[name] = self.counts[name] + number if name in self.counts else number.copy()

    def add(
        self, name: str, values: ArrayLike, column: ArrayLike | None = None, columns: int = 1
    ) -> None:
        """Add the finite ``values`` of one cell to sum ``name``.

        Parameters
        ----------
        name
            Of the sum, which is made on first use.
        values
            All of a cell's, so that their rounding does not depend on how cells are grouped;
            shape (N,).
        column, columns
            Column each value belongs to, shape (N,), and how many there are; one by default.
        """
        array = np.ravel(np.asarray(values, dtype=float))
        which = np.zeros(array.size, dtype=np.int64) if column is None else np.ravel(column)
        finite = np.isfinite(array)
        array, which = array[finite], which[finite]
        new = Sums(
            np.bincount(which, minlength=columns).astype(np.int64),
            [round(math.fsum(array[which == k].tolist()) / RESOLUTION) for k in range(columns)],
        )
        self.sums[name] = self.sums[name] + new if name in self.sums else new

    def number(self, name: str) -> int:
        """Number of values in all columns of sum ``name``."""
        return int(self.sums[name].number.sum()) if name in self.sums else 0

    def total(self, name: str) -> float:
        """Sum of the values in all columns of sum ``name``."""
        return sum(self.sums[name].total) * RESOLUTION if name in self.sums else 0.0

    def mean(self, name: str) -> float:
        """Mean of the values in sum ``name``; NaN without any."""
        n = self.number(name)
        return self.total(name) / n if n else math.nan

    def means(self, name: str) -> Floats:
        """Mean of the values in each column of sum ``name``; NaN without any; shape (D,)."""
        sums = self.sums[name]
        return np.array(
            [
                total * RESOLUTION / n if n else math.nan
                for total, n in zip(sums.total, sums.number.tolist(), strict=True)
            ]
        )

    def merge(self, other: Statistics) -> None:
        """Add the statistics of another set of stars."""
        for name, histogram in other.histograms.items():
            mine = self.histograms.setdefault(name, Histogram(histogram.axes))
            if mine.axes != histogram.axes:
                raise ValueError(f"histogram {name!r} has other bins: delete the older file")
            mine.counts += histogram.counts
            mine.outside += histogram.outside
        for name, number in other.counts.items():
            self.count(name, number)
        for name, sums in other.sums.items():
            self.sums[name] = self.sums[name] + sums if name in self.sums else sums

    def save(self, path: str | Path) -> None:
        """Write to HDF5, atomically and with the same bytes for the same content."""
        with atomic_path(path) as partial, h5py.File(partial, "w") as file:
            for name in sorted(self.histograms):
                histogram = self.histograms[name]
                item = file.create_dataset(f"histograms/{name}", data=histogram.counts)
                item.attrs["outside"] = histogram.outside
                axes = [(a.low, a.high, a.bins) for a in histogram.axes]
                item.attrs["axes"] = np.array(axes, dtype=float)
            for name in sorted(self.counts):
                file.create_dataset(f"counts/{name}", data=self.counts[name])
            for name in sorted(self.sums):
                sums = self.sums[name]
                item = file.create_dataset(f"sums/{name}", data=sums.number)
                # HDF5 has no whole numbers of any size.
                item.attrs["total"] = " ".join(map(str, sums.total))

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is absent or not readable as HDF5.
        """
        out = cls()
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise InputError(
                "statistics cannot be read",
                file=path,
                found=str(error),
                expected="an HDF5 file of this workflow",
                remedy="delete the file and run again",
            ) from error
        with file:
            for name, item in _datasets(file, "histograms"):
                axes = tuple(Bins(float(a), float(b), int(n)) for a, b, n in item.attrs["axes"])
                out.histograms[name] = Histogram(axes, item[...], int(item.attrs["outside"]))
            for name, item in _datasets(file, "counts"):
                out.counts[name] = np.asarray(item[()], dtype=np.int64)
            for name, item in _datasets(file, "sums"):
                total = [int(digits) for digits in item.attrs["total"].split()]
                out.sums[name] = Sums(item[...], total)
        return out


def _datasets(file: h5py.File, group: str) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []
    if group in file:
        file[group].visititems(
            lambda name, item: (
                found.append((name, item)) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def merge_all(paths: Iterable[str | Path]) -> Statistics:
    """Merge the statistics in several files."""
    out = Statistics()
    for path in paths:
        out.merge(Statistics.load(path))
    return out
