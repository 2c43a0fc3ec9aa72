"""Keyed random numbers."""

import numpy as np
import pytest
from scipy import stats

from mwatlas.random import (
    block_generator,
    keyed_normal,
    keyed_uniform,
    philox_first_word,
    purpose_key,
)


@pytest.mark.parametrize("star", [1, 5, 2**40 + 7, 6917505000000000000])
@pytest.mark.parametrize("draw", [0, 1, 4096])
def test_the_bits_are_those_of_numpy(star: int, draw: int) -> None:
    key = np.array([99, purpose_key("test")], dtype=np.uint64)
    # NumPy steps its 256-bit counter before the first output.
    counter = star + (draw << 64) - 1
    words = np.array([counter >> 64 * i & 2**64 - 1 for i in range(4)], dtype=np.uint64)
    expected = np.random.Philox(key=key, counter=words).random_raw()
    got = philox_first_word(
        key[0], key[1], np.array([star], dtype=np.uint64), np.array([draw], dtype=np.uint64)
    )
    assert got[0] == expected


def test_a_draw_depends_on_its_star_alone() -> None:
    stars = np.arange(1, 1000) * 7919
    shuffled = np.random.default_rng(0).permutation(stars)
    numbers = dict(zip(stars, keyed_normal(3, "a", stars), strict=True))
    assert [numbers[s] for s in shuffled] == list(keyed_normal(3, "a", shuffled))


def test_seed_purpose_and_draw_all_matter() -> None:
    stars = np.arange(1, 20_000)
    base = keyed_normal(3, "a", stars, 0)
    for other in (
        keyed_normal(4, "a", stars, 0),
        keyed_normal(3, "b", stars, 0),
        keyed_normal(3, "a", stars, 1),
    ):
        # The correlation of n independent pairs has a standard error of n ** -0.5.
        assert abs(np.corrcoef(base, other)[0, 1]) < 4 / np.sqrt(stars.size)


def test_uniform_numbers_are_uniform_and_open() -> None:
    numbers = keyed_uniform(1, "u", np.arange(200_000))
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3


def test_normal_numbers_are_normal() -> None:
    assert stats.kstest(keyed_normal(1, "n", np.arange(200_000)), "norm").pvalue > 1e-3


def test_shapes_broadcast() -> None:
    assert keyed_normal(1, "n", np.arange(4)[:, None], np.arange(5)).shape == (4, 5)


def test_block_generators_are_reproducible_and_differ() -> None:
    first = block_generator(1, "x", 3).random(5)
    assert (first == block_generator(1, "x", 3).random(5)).all()
    assert (first != block_generator(1, "x", 4).random(5)).all()
    assert (first != block_generator(1, "x", 3, step=1).random(5)).all()
