"""Medians, running medians and their errors against what statistics says."""

import numpy as np
import pytest

from mwatlas.studies.conditional_potential import profiles


def test_the_error_of_a_median_is_its_scatter_among_samples() -> None:
    rng = np.random.default_rng(1)
    number, samples = 900, 600
    values = rng.standard_normal((samples, number))
    found = [profiles.median_and_error(row) for row in values]
    scatter = np.std([median for median, _ in found])
    # A normal distribution's median has the error 1.2533 / sqrt(N).
    assert scatter == pytest.approx(1.2533 / np.sqrt(number), rel=4 / np.sqrt(2 * samples))
    # The error of one sample scatters by a quarter; its mean over 600 is known to 2 per cent.
    assert np.mean([error for _, error in found]) == pytest.approx(scatter, rel=0.15)


def test_medians_of_few_values() -> None:
    assert np.isnan(profiles.median_and_error(np.empty(0))[0])
    assert profiles.median_and_error(np.array([1.0, 2.0, 5.0])) == (2.0, None)


def test_how_far_an_error_stays_small() -> None:
    place = np.linspace(0, 8, 4001)
    error = np.where(place < 3, 0.05, 0.2)
    found = profiles.reach(place, error, 0.1, 101, 0.0)
    # The running median turns where half of the window has.
    assert found.value == pytest.approx(3.0, abs=2 * 8 / 4000)
    assert found.error == pytest.approx(50 * 8 / 4000 / 2, rel=0.05)
    backwards = profiles.reach(-place, error, 0.1, 101, -8.0)
    assert backwards.value == -8.0
    everywhere = profiles.reach(place, error, 0.3, 101, 0.0)
    assert (everywhere.value, everywhere.error) == (8.0, None)


def test_a_single_wrong_place_ends_nothing() -> None:
    place = np.arange(200.0)
    error = np.zeros(200)
    error[20] = 1.0
    assert profiles.reach(place, error, 0.1, 11, 0.0).value == 199.0


@pytest.mark.parametrize("number", [1, 2, 5])
def test_windows_wider_than_the_sample(number: int) -> None:
    place = np.arange(float(number))
    assert profiles.reach(place, np.zeros(number), 0.1, 401, 0.0).value == number - 1
    assert profiles.reach(place, np.ones(number), 0.1, 401, 0.0).value == 0.0


def test_shells_share_no_place_and_miss_none() -> None:
    radius = np.linspace(0, 8, 33)
    edges = profiles.shells_of_radius(8.0, 8)
    inside = np.array([mask for _, _, mask in profiles.masks(radius, edges)])
    assert (inside.sum(axis=0) == 1).all()


def test_a_scale_that_cannot_be_observed_is_removed() -> None:
    true = np.array([1.0, 2.0, 3.0, 4.0])
    where = np.array([True, True, True, False])
    np.testing.assert_allclose(profiles.scaled(7 * true, true, where), true)
    model = 7 * true * np.array([1.0, 1.1, 0.9, 50.0])
    np.testing.assert_allclose(profiles.scaled(model, true, where)[0], 1.0)
    np.testing.assert_allclose(profiles.scaled(7 * true, true, np.zeros(4, bool)), true)
