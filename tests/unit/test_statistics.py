"""Mergeable statistics."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mwatlas.statistics import Bins, Histogram, Statistics, merge_all

AXIS = Bins(-2, 2, 8)


def _cells(number: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=rng.integers(1, 400)) * 10.0 ** rng.integers(-3, 4) for _ in range(number)
    ]


def _accumulate(cells: list[np.ndarray]) -> Statistics:
    statistics = Statistics()
    for values in cells:
        statistics.fill("h", (AXIS,), values)
        statistics.fill("h2", (AXIS, AXIS), values, -values)
        statistics.count("c", [values.size, 1])
        statistics.add("s/deep", values)
        statistics.add("s/columns", values, np.arange(values.size) % 3, 3)
    return statistics


@pytest.mark.parametrize("cuts", [[], [5], [1, 2, 3, 7, 11]])
def test_the_merge_equals_the_whole_to_the_last_bit(tmp_path: Path, cuts: list[int]) -> None:
    cells = _cells()
    _accumulate(cells).save(tmp_path / "whole.h5")
    bounds = [0, *cuts, len(cells)]
    paths = []
    for low, high in pairwise(bounds):
        paths.append(tmp_path / f"{low}.h5")
        _accumulate(cells[low:high]).save(paths[-1])
    merge_all(paths).save(tmp_path / "merged.h5")
    assert (tmp_path / "merged.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_counts_are_numpys() -> None:
    values = np.concatenate(_cells())
    statistics = _accumulate([values])
    expected, _ = np.histogram(values, AXIS.edges)
    np.testing.assert_array_equal(statistics.histograms["h"].counts, expected)
    both, _, _ = np.histogram2d(values, -values, [AXIS.edges, AXIS.edges])
    np.testing.assert_array_equal(statistics.histograms["h2"].counts, both)
    assert statistics.histograms["h"].outside == values.size - expected.sum()
    assert statistics.mean("s/deep") == pytest.approx(values.mean(), rel=1e-12)


def test_edges_and_missing_values() -> None:
    np.testing.assert_array_equal(
        AXIS.index([-2, 2, 2.0001, -2.0001, np.nan, 0]), [0, 7, -1, -1, -1, 4]
    )


def test_missing_values_are_not_summed() -> None:
    statistics = Statistics()
    statistics.add("s", [1.0, np.nan, 3.0])
    assert (statistics.number("s"), statistics.total("s")) == (2, 4.0)
    assert np.isnan(statistics.mean("absent"))


def test_columns_are_summed_apart() -> None:
    statistics = Statistics()
    statistics.add("s", [1.0, 2.0, 5.0], [0, 2, 2], 3)
    statistics.add("s", [3.0], [0], 3)
    np.testing.assert_array_equal(statistics.means("s"), [2.0, np.nan, 3.5])
    assert statistics.mean("s") == 2.75


def test_sums_keep_what_floats_lose() -> None:
    statistics = Statistics()
    for value in (1e18, 1.0, -1e18):
        statistics.add("s", [value])
    assert statistics.total("s") == 1.0


def test_other_bins_are_refused() -> None:
    statistics, other = Statistics(), Statistics()
    statistics.histograms["h"] = Histogram((AXIS,))
    other.histograms["h"] = Histogram((Bins(-2, 2, 9),))
    with pytest.raises(ValueError, match="other bins"):
        statistics.merge(other)
