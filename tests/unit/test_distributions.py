"""Quantiles and fits."""

import numpy as np
import pytest

from mwatlas.distributions import (
    fit_normal,
    fit_normal_least_squares,
    histogram_quantile,
)
from mwatlas.errors import InputError

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


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
