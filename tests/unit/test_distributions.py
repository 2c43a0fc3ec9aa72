"""Quantiles and fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwatlas.distributions import (
    fit_normal,
    fit_normal_least_squares,
    histogram_quantile,
    weighted_quantile,
)
from mwatlas.errors import InputError

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def test_equal_weights_give_numpys_definition_5() -> None:
    values = np.random.default_rng(0).normal(size=101)
    np.testing.assert_allclose(
        weighted_quantile(values, np.full(101, 3.0), LEVELS),
        np.quantile(values, LEVELS, method="hazen"),
        rtol=1e-12,
    )


def test_a_weight_of_zero_removes_a_value() -> None:
    values = np.array([1.0, 2.0, 3.0, 1e9])
    kept = weighted_quantile(values[:3], np.ones(3), LEVELS)
    np.testing.assert_array_equal(weighted_quantile(values, [1, 1, 1, 0], LEVELS), kept)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(0.1, 10))
def test_quantiles_do_not_depend_on_order_or_scale_of_weights(values, factor) -> None:
    weights = np.arange(1, len(values) + 1)
    forward = weighted_quantile(values, weights, LEVELS)
    backward = weighted_quantile(values[::-1], weights[::-1] * factor, LEVELS)
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-9)
    assert min(values) <= forward.min()
    assert forward.max() <= max(values)


@pytest.mark.parametrize("weights", [[-1, 1], [0, 0]])
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        weighted_quantile([1, 2], weights, [0.5])


def test_quantiles_of_bins_are_those_of_the_values_within_a_bin() -> None:
    values = np.random.default_rng(1).gamma(2, 10, 50_000)
    counts, edges = np.histogram(values, 400, (0, 200))
    # Interpolation inside a bin is off by at most its width.
    np.testing.assert_allclose(
        histogram_quantile(edges, counts, LEVELS), np.quantile(values, LEVELS), atol=0.5
    )


def test_quantiles_of_a_uniform_bin_in_closed_form() -> None:
    np.testing.assert_allclose(
        histogram_quantile([0, 1, 2, 3, 4], [0, 0, 8, 0], [0.0, 0.25, 0.5, 1.0]),
        [2.0, 2.25, 2.5, 3.0],
    )


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert np.isnan(histogram_quantile([0, 1, 2], [0, 0], [0.5])).all()


@pytest.mark.parametrize("fit", [fit_normal, fit_normal_least_squares])
@pytest.mark.parametrize(("mean", "sigma"), [(0.01, 0.9), (-0.3, 1.3)])
def test_a_normal_sample_is_recovered(fit, mean: float, sigma: float) -> None:
    number = 200_000
    sample = np.random.default_rng(2).normal(mean, sigma, number)
    counts, edges = np.histogram(sample, 100, (-5, 5))
    result = fit(edges, counts)
    # Errors of mean and width of a normal sample; least squares is less efficient.
    assert abs(result.mean - mean) < 5 * sigma / np.sqrt(number)
    assert abs(result.sigma - sigma) < 5 * sigma / np.sqrt(number)


def test_truncation_does_not_bias_the_likelihood_fit() -> None:
    sample = np.random.default_rng(3).normal(0, 1, 400_000)
    counts, edges = np.histogram(sample, 60, (-1.5, 1.5))
    # Truncation at 1.5 sigma inflates the error of the width by about 3.
    assert fit_normal(edges, counts).sigma == pytest.approx(1, abs=0.015)


def test_the_fits_differ_for_heavy_tails() -> None:
    sample = np.random.default_rng(4).standard_t(4, 200_000)
    counts, edges = np.histogram(sample, 100, (-5, 5))
    assert fit_normal_least_squares(edges, counts).sigma < fit_normal(edges, counts).sigma - 0.05


def test_too_few_bins_are_refused() -> None:
    with pytest.raises(InputError, match="what to do"):
        fit_normal([0, 1, 2, 3], [5, 0, 0])
