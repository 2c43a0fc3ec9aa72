"""Samples gathered in cells: nothing is lost that moments need."""

import numpy as np
import pytest

from mwatlas.flows.cells import gather

RNG = np.random.default_rng(6)
GIVEN = RNG.normal(size=(5000, 3)) * [3.0, 1.0, 0.3]
X = RNG.normal(size=(5000, 2)) + GIVEN[:, :1]
WEIGHTS = RNG.uniform(0.5, 2.0, 5000)


def test_a_row_by_itself_is_a_cell() -> None:
    cells = gather(X, GIVEN, WEIGHTS, 1)
    np.testing.assert_array_equal(cells.mean, X)
    np.testing.assert_array_equal(cells.given, GIVEN)
    assert not cells.covariance.any()
    np.testing.assert_allclose(cells.weights, WEIGHTS / WEIGHTS.mean())


@pytest.mark.parametrize("rows", [2, 16, 700])
def test_cells_have_the_moments_of_all_samples(rows: int) -> None:
    cells = gather(X, GIVEN, WEIGHTS, rows)
    assert 5000 / (2 * rows) <= len(cells.weights) <= 5000 / rows
    assert cells.weights.mean() == pytest.approx(1)
    # Sums of doubles, in another order.
    mean = np.average(X, axis=0, weights=WEIGHTS)
    np.testing.assert_allclose(np.average(cells.mean, axis=0, weights=cells.weights), mean)
    np.testing.assert_allclose(
        np.average(cells.given, axis=0, weights=cells.weights),
        np.average(GIVEN, axis=0, weights=WEIGHTS),
    )
    # The law of total covariance.
    apart = cells.mean - mean
    between = apart[:, :, None] * apart[:, None, :]
    whole = np.average(between + cells.covariance, axis=0, weights=cells.weights)
    np.testing.assert_allclose(whole, np.cov(X.T, aweights=WEIGHTS, ddof=0), rtol=1e-10)


def test_cells_are_small_along_every_condition() -> None:
    cells = gather(GIVEN, GIVEN, WEIGHTS, 8)
    # 512 cells share the volume: each has about an eighth of every width that is not yet equal
    # to the others'; without splitting an axis its scatter would stay whole.
    scatter = np.sqrt(np.average(cells.covariance, axis=0, weights=cells.weights).diagonal())
    assert (scatter < [0.6, 0.5, 0.3]).all()
    assert np.median(scatter / GIVEN.std(axis=0)) < 0.5


def test_fewer_samples_than_a_cell_has_are_one() -> None:
    cells = gather(X[:10], GIVEN[:10], WEIGHTS[:10], 16)
    assert cells.mean.shape == (1, 2)
    np.testing.assert_allclose(cells.mean[0], np.average(X[:10], axis=0, weights=WEIGHTS[:10]))
