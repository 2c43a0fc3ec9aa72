"""Cells and partitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwatlas.healpix import (
    balanced_partitions,
    cell_of_position,
    cell_of_source,
    number_of_cells,
)


def test_source_id_and_position_agree_on_the_sky(sky_stars: tuple) -> None:
    stars, _ = sky_stars
    for order in (0, 1, 5, 12):
        assert (
            cell_of_source(stars["source_id"], order)
            == cell_of_position(stars["ra"], stars["dec"], order)
        ).all()


def test_real_source_ids_hold_their_position(survey_data) -> None:
    from astropy.table import Table

    stars = Table.read(survey_data / "gdr3_sm.fits", unit_parse_strict="silent")
    from_id = cell_of_source(np.asarray(stars["source_id"]), 8)
    # The identifier was fixed from an earlier position: a few stars lie across an edge.
    assert (from_id == cell_of_position(stars["ra"], stars["dec"], 8)).mean() > 0.99


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=60).flatmap(
        lambda counts: st.tuples(st.just(counts), st.integers(1, len(counts)))
    )
)
def test_every_cell_is_in_one_partition(case: tuple[list[int], int]) -> None:
    counts, partitions = case
    ranges = balanced_partitions(counts, partitions)
    assert len(ranges) == partitions
    assert all(len(cells) for cells in ranges)
    assert [cell for cells in ranges for cell in cells] == list(range(len(counts)))


def test_partitions_hold_similar_numbers() -> None:
    counts = np.random.default_rng(1).poisson(100, 768)
    held = [counts[r.start : r.stop].sum() for r in balanced_partitions(counts, 16)]
    # A partition is off by at most one cell at each end.
    assert max(held) - min(held) <= 4 * counts.max()


@pytest.mark.parametrize("partitions", [0, 13])
def test_impossible_partitions_are_refused(partitions: int) -> None:
    with pytest.raises(ValueError, match="12 cells"):
        balanced_partitions(np.ones(number_of_cells(0)), partitions)
