"""Minibatch optimal transport."""

from itertools import permutations

import numpy as np
import pytest

from mwatlas.errors import ConfigError
from mwatlas.flows.pairing import OptimalTransport, Pairings, optimal_partners, systematic_rows


def test_partners_have_the_least_cost_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        z1, z0 = rng.normal(size=(2, 6, 3)).astype(np.float32)
        costs = [((z1 - z0[list(order)]) ** 2).sum() for order in permutations(range(6))]
        assert ((z1 - z0[optimal_partners(z1, z0)]) ** 2).sum() == pytest.approx(min(costs))


def test_in_one_dimension_partners_are_of_the_same_rank() -> None:
    z1, z0 = np.random.default_rng(1).normal(size=(2, 100, 1)).astype(np.float32)
    partner = z0[optimal_partners(z1, z0), 0]
    np.testing.assert_array_equal(np.argsort(z1[:, 0]), np.argsort(partner))


def test_rows_are_drawn_as_often_as_they_weigh() -> None:
    weights = np.random.default_rng(2).exponential(size=1000)
    weights /= weights.mean()
    draws = [
        np.bincount(systematic_rows(weights, offset), minlength=1000)
        for offset in (np.arange(400) + 0.5) / 400
    ]
    for counts in draws:
        assert counts.sum() == 1000
        assert (np.abs(counts - weights) < 1 + 1e-9).all()
    # Offsets on a grid of 400: each edge of a row is met within 1/400, and it has two.
    np.testing.assert_allclose(np.mean(draws, axis=0), weights, atol=2 / 400 + 1e-9)


def test_equal_weights_draw_each_row_once() -> None:
    np.testing.assert_array_equal(systematic_rows(np.ones(777), 0.999), np.arange(777))


def _pairings(z1: np.ndarray, weights: np.ndarray, seed: int = 0) -> Pairings:
    return Pairings(z1.astype(np.float32), weights, OptimalTransport(64, 2), seed)


def test_a_pass_has_every_star_and_normal_deviates() -> None:
    rng = np.random.default_rng(3)
    z1 = rng.normal(size=(1000, 2))
    pairings = _pairings(z1, np.ones(1000))
    rows, z0 = pairings.of_epoch(0)
    np.testing.assert_array_equal(np.sort(rows), np.arange(1000))
    # Mean and variance of 1000 normal deviates: errors of 0.032 and 0.045; four of them.
    np.testing.assert_allclose(z0.mean(axis=0), 0, atol=4 * 0.032)
    np.testing.assert_allclose(z0.var(axis=0), 1, atol=4 * 0.045)
    assert ((z1[rows] - z0) ** 2).sum() < 0.3 * ((z1 - rng.normal(size=z1.shape)) ** 2).sum()


def test_passes_are_used_in_turn_and_differ_by_number_and_seed() -> None:
    z1 = np.random.default_rng(4).normal(size=(200, 2))
    pairings = _pairings(z1, np.ones(200))
    assert pairings.of_epoch(2) is pairings.of_epoch(0)
    assert not np.array_equal(pairings.of_epoch(0)[1], pairings.of_epoch(1)[1])
    again, other = _pairings(z1, np.ones(200)), _pairings(z1, np.ones(200), seed=1)
    np.testing.assert_array_equal(again.of_epoch(1)[1], pairings.of_epoch(1)[1])
    assert not np.array_equal(other.of_epoch(1)[1], pairings.of_epoch(1)[1])


@pytest.mark.parametrize("name", ["batch", "passes"])
def test_there_is_no_transport_without_stars_or_passes(name: str) -> None:
    with pytest.raises(ConfigError, match=f"key: *{name}"):
        OptimalTransport(**{name: 0})
