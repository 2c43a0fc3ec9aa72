"""Stars of the mock: the same rows whatever the partitioning, and the numbers expected."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest

from mwatlas.config.conditional_mock import Magnitudes, MockDust, Tracer
from mwatlas.errors import ConfigError
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.expected import expected_share, stars_at_equal_density
from mwatlas.studies.conditional_potential.extinction import Extinction
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.selection import Selection
from mwatlas.studies.conditional_potential.stars import (
    BLOCK,
    block_sizes,
    draw_block,
    write_partition,
)
from mwatlas.studies.conditional_potential.tables import MOCK_STARS, MOCK_TRUTH
from mwatlas.tables.parquet import read_rows
from mwatlas.tables.table import Columns

PROGRESS = Progress("test", logging.getLogger("mwatlas"))
SEED = 20221
SPHERE = Plummer.of(Tracer())
NSIDE = 16


def _selection(strength: float, seed: int = SEED) -> Selection:
    settings = MockDust(modes=64, strength=strength)
    field = DustField.draw(settings, SPHERE.radius_kpc, seed)
    grid = Extinction.integrate(field.at, SPHERE.radius_kpc, 128, NSIDE, PROGRESS)
    return Selection(Magnitudes(), grid)


@pytest.fixture(scope="module")
def dusty() -> Selection:
    return _selection(1.0)


@pytest.fixture(scope="module")
def clear() -> Selection:
    return _selection(0.0)


def _blocks(selection: Selection, number: int) -> tuple[Columns, Columns, int]:
    parts = [draw_block(block, BLOCK, SPHERE, selection, SEED) for block in range(number)]
    stars, truth = (
        {name: np.concatenate([part[i][name] for part in parts]) for name in parts[0][i]}
        for i in (0, 1)
    )
    return stars, truth, sum(part[2] for part in parts)


@pytest.fixture(scope="module")
def mock(dusty: Selection) -> tuple[Columns, Columns, int]:
    return _blocks(dusty, 4)


def _positions(stars: Columns) -> NDArray[np.float64]:
    return np.stack([stars[f"{axis}_kpc"] for axis in "xyz"], axis=1)


def _velocities(stars: Columns) -> NDArray[np.float64]:
    return np.stack([stars[f"v{axis}_kms"] for axis in "xyz"], axis=1)


# --- rows


def test_blocks_hold_the_number_asked_for() -> None:
    assert block_sizes(2**22).tolist() == [BLOCK] * (2**22 // BLOCK)
    assert block_sizes(BLOCK + 3).tolist() == [BLOCK, 3]
    assert block_sizes(5).tolist() == [5]


def _write(
    folder: Path, selection: Selection, partitions: int, observed: int
) -> tuple[Columns, Columns, dict[str, int]]:
    paths = []
    counts = {"drawn": 0, "observed": 0}
    # Later partitions first: they do not need the earlier ones.
    for number in reversed(range(partitions)):
        names = {
            name: folder / f"{name}_{partitions}_{number}.{kind}"
            for name, kind in (("stars", "parquet"), ("truth", "parquet"), ("counts", "json"))
        }
        write_partition(
            number, partitions, observed, SPHERE, selection, SEED, **names, progress=PROGRESS
        )
        paths.insert(0, names)
        for name, value in json.loads(names["counts"].read_text()).items():
            counts[name] += value
    return (
        read_rows([p["stars"] for p in paths], MOCK_STARS.names),
        read_rows([p["truth"] for p in paths], MOCK_TRUTH.names),
        counts,
    )


def test_the_partitioning_changes_no_row(tmp_path: Path, dusty: Selection) -> None:
    observed = 2 * BLOCK + 500
    one = _write(tmp_path, dusty, 1, observed)
    for partitions in (2, 3):
        other = _write(tmp_path, dusty, partitions, observed)
        for ours, theirs in zip(one[:2], other[:2], strict=True):
            for name, values in ours.items():
                np.testing.assert_array_equal(theirs[name], values)
        assert other[2] == one[2]
    assert one[2]["observed"] == observed
    for table in one[:2]:
        np.testing.assert_array_equal(table["star_id"], np.arange(observed))
    # The same partition again has the same bytes.
    before = (tmp_path / "stars_3_1.parquet").read_bytes()
    _write(tmp_path, dusty, 3, observed)
    assert (tmp_path / "stars_3_1.parquet").read_bytes() == before


def test_a_smaller_mock_is_the_beginning_of_a_larger_one(
    dusty: Selection, mock: tuple[Columns, Columns, int]
) -> None:
    few, known, drawn = draw_block(1, 1000, SPHERE, dusty, SEED)
    for ours, theirs in zip((few, known), mock[:2], strict=True):
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name][BLOCK : BLOCK + 1000])
    assert 1000 <= drawn < mock[2]


def test_blocks_and_seeds_differ(dusty: Selection, mock: tuple[Columns, Columns, int]) -> None:
    x = mock[0]["x_kpc"].reshape(4, BLOCK)
    assert np.unique(x).size == x.size
    other, _, _ = draw_block(0, 100, SPHERE, dusty, SEED + 1)
    assert not np.isin(other["x_kpc"], x).any()


# --- what stars look like


def test_stars_are_brighter_than_the_limit_and_dimmed_as_the_truth_says(
    dusty: Selection, mock: tuple[Columns, Columns, int]
) -> None:
    stars, truth, _ = mock
    assert stars["magnitude"].max() < dusty.magnitudes.limit
    position = _positions(stars)
    distance = np.linalg.norm(position, axis=1)
    assert distance.max() <= SPHERE.radius_kpc * (1 + 1e-15)
    dimming = 5 * np.log10(100 * distance) + truth["extinction_true"]
    np.testing.assert_allclose(
        stars["magnitude"], truth["absolute_magnitude_true"] + dimming, atol=1e-12
    )
    np.testing.assert_array_equal(truth["log_selection_true"], dusty.log_probability(position))


def test_the_selection_leaves_velocities_alone(mock: tuple[Columns, Columns, int]) -> None:
    stars, truth, _ = mock
    radius = np.linalg.norm(_positions(stars), axis=1)
    bound = (_velocities(stars) ** 2).sum(axis=1) / SPHERE.escape_speed(radius) ** 2
    # Beta(3/2, 9/2) has mean 1/4 and variance 3/112, wherever stars are and however dimmed.
    hidden = truth["log_selection_true"] < np.log(0.3)
    for some in (hidden, ~hidden, radius < 2, radius > 4):
        assert some.sum() > 1000
        error = np.sqrt(3 / 112 / some.sum())
        assert bound[some].mean() == pytest.approx(0.25, abs=4 * error)


def test_without_dust_nothing_is_dimmed(clear: Selection) -> None:
    _, truth, _ = draw_block(0, 1000, SPHERE, clear, SEED)
    assert not truth["extinction_true"].any()


# --- how many


@pytest.mark.parametrize("which", ["dusty", "clear"])
def test_the_share_observed_is_the_expected_one(which: str, request: pytest.FixtureRequest) -> None:
    selection = request.getfixturevalue(which)
    _, _, drawn = _blocks(selection, 4)
    share = expected_share(SPHERE, selection)
    # Draws until the k-th success scatter as their binomial share, sqrt(p (1 - p) / n).
    error = np.sqrt(share * (1 - share) / drawn)
    assert error < 0.002
    # What the integral leaves out is measured below.
    assert 4 * BLOCK / drawn == pytest.approx(share, abs=4 * error + 3e-4)


def test_the_expected_share_has_converged(dusty: Selection, clear: Selection) -> None:
    """Quadrature of another kind, by random places: 800,000 leave an error of 4e-4."""
    for selection in (dusty, clear):
        share = expected_share(SPHERE, selection)
        assert expected_share(SPHERE, selection, 256) == pytest.approx(share, abs=1e-5)
        rng = np.random.default_rng(5)
        seen = np.concatenate(
            [selection.probability(SPHERE.draw_positions(100_000, rng)) for _ in range(8)]
        )
        error = seen.std() / np.sqrt(seen.size)
        assert error < 5e-4
        assert seen.mean() == pytest.approx(share, abs=4 * error)


def test_a_mock_without_dust_has_the_same_density_at_the_observer(
    dusty: Selection, clear: Selection
) -> None:
    shares = expected_share(SPHERE, dusty), expected_share(SPHERE, clear)
    observed = 2 * BLOCK
    matched = stars_at_equal_density(observed, *shares)
    # As many stars are drawn, so all of them have the same density.
    drawn = [_blocks(dusty, 2)[2], round(matched / shares[1])]
    error = np.sqrt(observed * (1 - shares[0])) / shares[0]
    assert drawn[0] == pytest.approx(drawn[1], abs=4 * error + 3e-4 / shares[0] * drawn[0])
    assert matched > 2 * observed


def test_observed_stars_follow_density_times_selection(
    dusty: Selection, mock: tuple[Columns, Columns, int]
) -> None:
    """Radii of the observed stars, against all stars weighted by the share observed."""
    rng = np.random.default_rng(6)
    # Radii of equal shares, directions at random: the sums err by a thousandth at most.
    share = (np.arange(400_000) + 0.5) / 400_000
    radius = SPHERE.radius_at(share)
    place = rng.normal(size=(radius.size, 3))
    place *= (radius / np.linalg.norm(place, axis=1))[:, None]
    weight = np.cumsum(dusty.probability(place))
    result = kstest(
        np.linalg.norm(_positions(mock[0]), axis=1),
        lambda r: np.interp(r, radius, weight / weight[-1]),
    )
    # The empirical distribution of 65,536 stars scatters by 4e-3; 1.95 / sqrt(n) is passed by
    # one in a thousand.
    assert result.statistic < 1.95 / np.sqrt(4 * BLOCK) + 1e-3


def test_a_mock_that_is_all_hidden_is_refused(dusty: Selection) -> None:
    hidden = Selection(Magnitudes(limit=-10.0), dusty.extinction)
    with pytest.raises(ConfigError, match=r"0 of 1048576 stars are brighter than -10\.0 mag"):
        draw_block(0, BLOCK, SPHERE, hidden, SEED)


def test_partitions_without_a_block_are_empty(tmp_path: Path, dusty: Selection) -> None:
    observed = BLOCK + 1
    one, three = (_write(tmp_path, dusty, partitions, observed) for partitions in (1, 3))
    assert three[2] == one[2]
    for ours, theirs in zip(three[:2], one[:2], strict=True):
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name])
    assert not read_rows([tmp_path / "stars_3_2.parquet"], ["star_id"])["star_id"].size
