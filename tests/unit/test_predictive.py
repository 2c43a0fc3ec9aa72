"""Predictive densities and their calibration, against SciPy and closed forms."""

import numpy as np
import pytest
from scipy import integrate, stats

from mwatlas.calibration import SigmaMap, calibrated, fit_calibration
from mwatlas.predictive import (
    CENTRAL,
    MIXTURE_COLUMNS,
    Predictive,
    in_interval,
    mixture,
    normal,
    predictive_of,
)
from mwatlas.random import keyed_normal

STARS, COMPONENTS = 200, 4
LEVELS = np.array([0.9772, 0.001, 0.5, 0.1587, 0.999])


@pytest.fixture
def densities() -> Predictive:
    rng = np.random.default_rng(3)
    return mixture(
        rng.dirichlet(np.full(COMPONENTS, 0.5), STARS),
        rng.normal(0, 60, (STARS, COMPONENTS)),
        np.exp(rng.uniform(0, 5, (STARS, COMPONENTS))),
    )


def test_density_and_probability_are_those_of_scipy(densities: Predictive) -> None:
    velocity = np.random.default_rng(0).normal(0, 80, STARS)
    parts = stats.norm(densities.means, densities.sigmas)
    density = (densities.weights * parts.pdf(velocity[:, None])).sum(axis=1)
    probability = (densities.weights * parts.cdf(velocity[:, None])).sum(axis=1)
    # Far tails of narrow components cancel nothing: relative rounding only.
    np.testing.assert_allclose(densities.log_prob(velocity), np.log(density), rtol=1e-12)
    np.testing.assert_allclose(densities.cdf(velocity), probability, rtol=1e-13)
    np.testing.assert_array_equal(
        densities.cdf(np.column_stack([velocity, velocity]))[:, 1], densities.cdf(velocity)
    )


def test_the_density_of_a_far_star_is_tiny_not_zero() -> None:
    # 1e4 sigma away: the density itself underflows, its logarithm does not.
    log_prob = mixture([[0.5, 0.5]], [[0.0, 1.0]], [[1.0, 1.0]]).log_prob([1e4])
    expected = np.log(0.5) + stats.norm.logpdf(1e4, 1, 1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-12)


def test_moments_are_integrals_of_the_density(densities: Predictive) -> None:
    for star in range(5):
        one = densities[star : star + 1]
        low, high = one.quantile([1e-12, 1 - 1e-12])[0]
        velocity = np.linspace(low, high, 200_001)
        many = Predictive(*(np.repeat(x, velocity.size, axis=0) for x in _parts(one)))
        weight = np.exp(many.log_prob(velocity))
        mean = integrate.simpson(weight * velocity, x=velocity)
        variance = integrate.simpson(weight * (velocity - mean) ** 2, x=velocity)
        # The tails left out hold 1e-12 of the stars; the grid resolves the narrowest part.
        assert one.mean()[0] == pytest.approx(mean, abs=1e-6)
        assert one.std()[0] == pytest.approx(np.sqrt(variance), rel=1e-6)


def _parts(densities: Predictive) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return densities.weights, densities.means, densities.sigmas


def test_quantiles_invert_the_probability(densities: Predictive) -> None:
    quantiles = densities.quantile(LEVELS)
    assert quantiles.shape == (STARS, LEVELS.size)
    # Between well separated components the density all but vanishes and velocities of one
    # probability to 1e-10 are many: the probability is what is met.
    np.testing.assert_allclose(
        densities.cdf(quantiles), np.broadcast_to(LEVELS, quantiles.shape), atol=1e-10
    )
    rising = quantiles[:, np.argsort(LEVELS)]
    assert (np.diff(rising, axis=1) >= 0).all()


def test_quantiles_of_a_normal_in_closed_form() -> None:
    density = normal([3.0, -7.0], [2.0, 1e-3])
    expected = stats.norm.ppf(LEVELS, [[3.0], [-7.0]], [[2.0], [1e-3]])
    np.testing.assert_allclose(density.quantile(LEVELS), expected, rtol=1e-14)


def test_close_levels_do_not_change_places(densities: Predictive) -> None:
    levels = 0.5 + np.arange(-20, 21) * 1e-16
    assert (np.diff(densities.quantile(levels), axis=1) >= 0).all()


@pytest.mark.parametrize("level", [0.0, 1.0, np.nan])
def test_there_are_no_quantiles_at_the_ends(densities: Predictive, level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        densities.quantile([level])


def test_draws_follow_the_density(densities: Predictive) -> None:
    one = densities[:1]
    stars = np.arange(1, 20_001)
    many = Predictive(*(np.repeat(x, stars.size, axis=0) for x in _parts(one)))
    draws = many.draw(5, 3, stars)
    # A wrong density fails; a right one does so with probability 1e-3, and the seed is fixed.
    probability = many.cdf(draws)
    assert stats.kstest(probability.ravel(), "uniform").pvalue > 1e-3
    # Draws of a star are independent.
    assert abs(np.corrcoef(probability.T)[0, 1:]).max() < 4 / np.sqrt(stars.size)


def test_draws_belong_to_the_star(densities: Predictive) -> None:
    stars = np.arange(STARS) * 977 + 5
    draws = densities.draw(1, 4, stars)
    order = np.random.default_rng(0).permutation(STARS)
    np.testing.assert_array_equal(densities[order].draw(1, 6, stars[order])[:, :4], draws[order])


def test_draws_of_a_normal_keep_their_bits() -> None:
    rng = np.random.default_rng(0)
    mean, sigma, stars = rng.normal(0, 40, 50), rng.uniform(10, 60, 50), np.arange(50)
    noise = keyed_normal(9, "line_of_sight/draw", stars[:, None], np.arange(5))
    expected = mean[:, None] + sigma[:, None] * noise
    np.testing.assert_array_equal(normal(mean, sigma).draw(9, 5, stars), expected)
    # A mixture of equal components differs from it in nothing but rounding of the weights.
    equal = [np.repeat(x[:, None], 3, axis=1) for x in (np.full(50, 1 / 3), mean, sigma)]
    np.testing.assert_array_equal(mixture(*equal).draw(9, 5, stars), expected)


def test_a_table_keeps_the_density(densities: Predictive) -> None:
    columns = dict(zip(MIXTURE_COLUMNS, _parts(densities), strict=True))
    singles = {name: values.astype(np.float32) for name, values in columns.items()}
    again = predictive_of(singles)
    np.testing.assert_allclose(again.weights.sum(axis=1), 1, rtol=1e-15)
    # Single precision of means up to 200 km/s and of narrow sigmas.
    np.testing.assert_allclose(again.mean(), densities.mean(), atol=1e-4)
    mean, sigma = np.float32([1.5, -3.25]), np.float32([20.1, 33.3])
    plain = predictive_of({"vlos_pred": mean, "sigma_los": sigma})
    np.testing.assert_array_equal(plain.mean(), mean)
    np.testing.assert_array_equal(plain.std(), sigma)


def test_coverage_counts_both_ends() -> None:
    assert in_interval([0.1, 0.2, 0.5, 0.8, 0.9], (0.2, 0.8)).mean() == 0.6
    velocity = np.linspace(-3, 3, 6001)
    probability = normal(np.zeros(6001), np.ones(6001)).cdf(velocity)
    # One and two sigma of a normal, on a grid of steps of 0.001.
    assert in_interval(probability, CENTRAL[68]).mean() == pytest.approx(2 / 6, abs=2e-3 / 6)
    assert in_interval(probability, CENTRAL[95]).mean() == pytest.approx(4 / 6, abs=2e-3 / 6)


def _too_sure(number: int, seed: int) -> tuple[Predictive, np.ndarray]:
    """Predictions whose true scatter is 1.5 sigma for small and 0.8 sigma for large sigma."""
    rng = np.random.default_rng(seed)
    sigma, mean = rng.uniform(10, 50, number), rng.normal(0, 30, number)
    factor = np.where(sigma < 20, 1.5, 0.8)
    return normal(mean, sigma), rng.normal(mean, factor * sigma)


def test_conformal_widths_cover_what_they_say() -> None:
    number = 40_000
    by = fit_calibration(*_too_sure(number, 0), "conformal", 20)
    density, velocity = _too_sure(number, 1)
    after = calibrated(density, by)
    np.testing.assert_array_equal(after.mean(), density.mean())
    np.testing.assert_allclose(after.std(), by.slopes[0] * density.std(), rtol=1e-14)
    # Sampling error of both shares together: 0.0033.
    assert abs(in_interval(density.cdf(velocity), CENTRAL[68]).mean() - 0.6827) > 0.02
    assert abs(in_interval(after.cdf(velocity), CENTRAL[68]).mean() - 0.6827) < 3 * 0.0033


def test_conformal_calibration_of_a_skew_mixture() -> None:
    number = 40_000
    rng = np.random.default_rng(4)
    wide = mixture(*(np.tile(x, (number, 1)) for x in ([0.7, 0.3], [-10.0, 40], [15.0, 60])))
    velocity = wide.draw(3, 1, np.arange(number))[:, 0] + rng.normal(0, 1e-6, number)
    by = fit_calibration(wide.widened(0.6), velocity, "conformal", 20)
    # The density stretched by 1/0.6 is the true one. The factor's error is that of a quantile,
    # sqrt(p (1 - p) / N) / (density of the scores, about 0.5 at 1.7) = 0.005.
    assert by.slopes[0] == pytest.approx(1 / 0.6, abs=3 * 0.005)


def test_isotonic_widths_cover_what_they_say_at_every_sigma() -> None:
    number = 80_000
    by = fit_calibration(*_too_sure(number, 0), "isotonic", 40)
    density, velocity = _too_sure(number, 1)
    after = calibrated(density, by)
    sigma = np.sort(density.std())
    assert (np.diff(by(sigma)) > -1e-12).all()  # flat pieces, to rounding
    # Sigma = 17 has a true scatter of 25, sigma = 25 of 20: a rising function cannot serve both,
    # and pools them; far from there it can.
    probability = after.cdf(velocity)
    for low, high in ((10, 12), (35, 50)):
        mine = (density.std() > low) & (density.std() < high)
        share = in_interval(probability[mine], CENTRAL[68]).mean()
        # Sampling error of the share, of the factors, and half a group's width of 1 km/s.
        assert abs(share - 0.6827) < 3 * np.hypot(0.0075, 0.0075) + 0.005


def test_a_sigma_map_is_made_of_straight_pieces() -> None:
    by = SigmaMap(np.array([0.0, 10.0, 20.0]), np.array([2.0, 0.5, 1.0]))
    np.testing.assert_allclose(by(np.array([5.0, 10, 14, 30])), [10, 20, 22, 35])


def test_calibration_keeps_a_calibrated_prediction() -> None:
    rng = np.random.default_rng(0)
    sigma, mean = rng.uniform(10, 50, 50_000), rng.normal(0, 30, 50_000)
    density, velocity = normal(mean, sigma), rng.normal(mean, sigma)
    for method, groups in (("conformal", 1), ("isotonic", 10)):
        factor = calibrated(density, fit_calibration(density, velocity, method, groups))
        ratio = factor.std() / density.std()
        # Error of a 68 per cent quantile of the scores of 5,000 stars: sqrt(0.22 / N) / 0.48.
        assert np.abs(ratio - 1).max() < 4 * 0.0137


def test_isotonic_calibration_of_equal_sigmas_is_one_factor() -> None:
    velocity = np.random.default_rng(0).normal(0, 30, 40_000)
    density = normal(np.zeros(velocity.size), np.full(velocity.size, 20.0))
    by = fit_calibration(density, velocity, "isotonic", 10)
    # Mean of ten 68 per cent quantiles of 4,000 scores each.
    np.testing.assert_allclose(by(np.array([10.0, 20, 40])), [15, 30, 60], rtol=4 * 0.0048)
