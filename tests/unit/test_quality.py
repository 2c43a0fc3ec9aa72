"""How good the predictions are where a velocity is known, against NumPy, SciPy and by hand."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mwatlas.astrometry.frames import spherical_velocity
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.ledger import Measurement
from mwatlas.predictive import CENTRAL, normal
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.accumulate import empty_statistics
from mwatlas.studies.line_of_sight.debris import accumulate_debris
from mwatlas.studies.line_of_sight.debris_numbers import survey_measurements
from mwatlas.studies.line_of_sight.numbers import measure
from mwatlas.studies.line_of_sight.quality import (
    Known,
    accumulate_quality,
    accumulate_survey_check,
)

from .line_of_sight_samples import STUDY, make_view, match

FOLDS = STUDY.cross_validation.folds


def _known(
    eccentricity: Any,
    drawn: Any,
    *,
    eccentricity_pred: Any = None,
    v_los_kms: Any = None,
    mean_kms: Any = None,
    sigma_kms: Any = 1.0,
    fold: Any = 0,
    **phase: Any,
) -> Known:
    """Stars with a true and drawn eccentricities; their pulls spread over several bins."""
    true, drawn = np.asarray(eccentricity, dtype=float), np.asarray(drawn, dtype=float)
    number = true.size
    velocity = np.zeros(number) if v_los_kms is None else v_los_kms
    mean = np.linspace(-2, 2, number) if mean_kms is None else mean_kms
    return Known(
        make_view("rv", true[:, None], v_los_kms=velocity[:, None], fold=fold, **phase),
        make_view("test_set", drawn, fold=fold, **phase),
        normal(mean, np.broadcast_to(sigma_kms, number)),
        true if eccentricity_pred is None else np.asarray(eccentricity_pred, dtype=float),
    )


def _statistics(*known: Known, study: LineOfSight = STUDY) -> Statistics:
    out = empty_statistics(study)
    for stars in known:
        for view in (stars.truth, stars.drawn):
            accumulate_debris(view, study, out)
        accumulate_quality(stars, study, out)
    return out


def _numbers(*known: Known, study: LineOfSight = STUDY) -> dict[str, Measurement]:
    return {m.quantity: m for m in measure(_statistics(*known, study=study), study)}


def test_contamination_by_hand() -> None:
    drawn = np.array([[0.9] * 5, [0.1] * 5, [0.9, 0.1, 0.1, 0.1, 0.1], [0.81] * 5])
    number = _numbers(_known([0.9, 0.85, 0.1, 0.95], drawn, eccentricity_pred=drawn[:, 0]))
    # The third star, in one draw of five and with the mean prediction.
    draws, point = (number[f"contamination_high_{kind}"] for kind in ("draws", "point"))
    assert draws.value == pytest.approx(0.2 / 4)
    assert draws.error == pytest.approx(
        math.hypot(math.sqrt(0.05 * 0.95 / 4), np.std([0.25, 0, 0, 0, 0]))
    )
    assert point.value == pytest.approx(1 / 4)
    assert number["contamination_moderate_draws"].value == pytest.approx(0.2 / 4)


def test_stars_lost_by_sampling_by_hand() -> None:
    """Complete stars of high predicted eccentricity, in the draws where it is not high."""
    drawn = np.array([[0.9, 0.1, 0.1, 0.8, 0.9], [0.1] * 5, [0.1] * 5, [0.1] * 5])
    known = _known(
        [0.9, 0.9, 0.9, 0.1],
        drawn,
        eccentricity_pred=[0.9, 0.9, 0.7, 0.85],
        complete=[True, False, True, True],
    )
    m = _numbers(known)["count_lost_by_sampling"]
    # The last star in every draw, the first in three of five; the second is not complete, the
    # third is not high.
    each = np.array([1, 2, 2, 2, 1])
    assert (m.value, m.rows) == (pytest.approx(1.6), 3)
    assert m.error == pytest.approx(math.hypot(math.sqrt(1.6), each.std()))


def test_quadrants_by_hand() -> None:
    pairs = np.array([[0.9, 0.9], [0.9, 0.7], [0.7, 0.9], [0.65, 0.7], [0.75, 0.9], [0.3, 0.9]])
    number = _numbers(_known(pairs[:, 0], np.repeat(pairs[:, 1:], 5, axis=1)))
    # Five of six lie on axes that begin at 0.6.
    assert number["eccentricities_shown"].value == 5
    assert number["share_upper_right"].value == pytest.approx(1 / 5)
    assert number["share_upper_left"].value == pytest.approx(1 / 5)
    assert number["share_lower_right"].value == pytest.approx(2 / 5)
    # Their true eccentricities are 0.7, which is not above 0.7, and 0.75.
    assert number["share_lower_right_moderate"].value == pytest.approx(1 / 2)


def test_quality_numbers_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    number = 2000
    columns = []
    known = []
    for fold in range(FOLDS):
        true = rng.normal(0, 40, number)
        mean, sigma = true + rng.normal(0, 20, number), rng.uniform(15, 25, number)
        e = rng.uniform(0, 1, number)
        e_pred = np.clip(e + rng.normal(0, 0.1, number), 0, 1)
        drawn = np.clip(e[:, None] + rng.normal(0, 0.1, (number, 5)), 0, 1)
        columns.append((true, mean, sigma, e, e_pred, drawn[:, 0]))
        known.append(
            _known(
                e,
                drawn,
                eccentricity_pred=e_pred,
                v_los_kms=true,
                mean_kms=mean,
                sigma_kms=sigma,
                fold=fold,
            )
        )
    each = [_expected(*c) for c in columns]
    together = _expected(*(np.concatenate(c) for c in zip(*columns, strict=True)))
    found = _numbers(*known)
    for name, value in together.items():
        m = found[name]
        # Sums are exact to 1e-12 of their unit; variances lose up to four digits of it.
        assert (m.value, m.rows) == (pytest.approx(value, rel=1e-9), FOLDS * number)
        scatter = np.std([c[name] for c in each], ddof=1)
        assert m.error == pytest.approx(scatter / math.sqrt(FOLDS), rel=1e-6)
    pull = np.concatenate([(mean - true) / sigma for true, mean, sigma, *_ in columns])
    # Both estimate the width of nearly the same normal distribution of 10,000 stars; bins of 0.1
    # add 0.1**2 / 24.
    assert found["pull_width"].value == pytest.approx(pull.std(), abs=0.003)
    assert abs(found["pull_mean"].value - pull.mean()) < 0.003
    # A percentile's error is sqrt(0.133 / N) / 0.24 = 0.015, of half a distance 0.011.
    assert found["pull_width_percentiles"].value == pytest.approx(pull.std(), abs=4 * 0.011)


def _expected(true: Any, mean: Any, sigma: Any, e: Any, e_pred: Any, e_draw: Any) -> dict:
    pull = (mean - true) / sigma
    return {
        "nll_mean": -stats.norm.logpdf(true, mean, sigma).mean(),
        "nll_constant": 0.5 * np.log(2 * np.pi * np.e * true.var()),
        "residual_rms": np.sqrt(np.mean((mean - true) ** 2)),
        "velocity_correlation": np.corrcoef(true, mean)[0, 1],
        "eccentricity_correlation": np.corrcoef(e, e_pred)[0, 1],
        "eccentricity_correlation_draw": np.corrcoef(e, e_draw)[0, 1],
        "coverage_68": (np.abs(pull) < 1).mean(),
        "coverage_95": (np.abs(pull) < 2).mean(),
        "pull_average": pull.mean(),
    }


def test_the_integral_transform_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    mean, velocity = rng.normal(0, 50, (2, 500))
    known = _known(
        np.zeros(500), np.zeros((500, 5)), v_los_kms=velocity, mean_kms=mean, sigma_kms=50.0
    )
    counts = _statistics(known).histograms["pit/0"].counts
    expected, _ = np.histogram(stats.norm.cdf(velocity, mean, 50), counts.size, (0, 1))
    np.testing.assert_array_equal(counts, expected)


def test_uncertainties_of_spherical_velocities_are_those_of_a_sample() -> None:
    """The predicted spread of v_r, v_theta and v_phi is what draws of the density have."""
    rng = np.random.default_rng(2)
    number, draws = 400, 400
    sight = rng.normal(size=(number, 3))
    phase = {
        "offset_kpc": rng.normal(0, 2, (number, 3)),
        "rest_kms": rng.normal(0, 50, (number, 3)),
        "sight": sight / np.linalg.norm(sight, axis=1, keepdims=True),
    }
    mean, sigma = rng.normal(0, 20, number), rng.uniform(10, 60, number)
    known = _known(np.zeros(number), np.zeros((number, 5)), mean_kms=mean, sigma_kms=sigma, **phase)
    statistics = _statistics(known)
    sample = known.predictive.draw(1, draws, np.arange(number))
    spread = {}
    for component in ("v_r", "v_theta", "v_phi"):
        error = statistics.histograms[f"fig01/error/{component}"]
        assert error.counts.sum() + error.outside == number
        spread[component] = (error.axes[1].centres * error.counts.sum(axis=0)).sum() / number
    drawn = spherical_velocity(
        known.truth.phase.position_kpc, known.truth.phase.velocity_kms(sample)
    ).std(axis=1)
    for i, value in enumerate(spread.values()):
        # Each spread is known to 1 / sqrt(2 draws), their mean to that over sqrt(number) and,
        # as they differ among stars by their own size, 1.2 times it; bins of 0.5 km/s add
        # 0.5 / sqrt(12 number).
        tolerance = 4 * 1.2 * drawn[:, i].mean() / math.sqrt(2 * draws * number)
        assert abs(value - drawn[:, i].mean()) < tolerance + 4 * 0.5 / math.sqrt(12 * number)


def test_figure_1_sets_draws_against_the_truth() -> None:
    rng = np.random.default_rng(5)
    number = 50
    known = _known(np.zeros(number), np.zeros((number, 5)), v_los_kms=rng.normal(0, 100, number))
    heat = _statistics(known).histograms["fig01/v_r"]
    # The drawn velocity of these stars is zero: one column of bins.
    assert heat.counts.sum() == 5 * number
    assert (heat.counts.sum(axis=1) > 0).sum() == 1
    true = -known.truth.v_los_kms[:, 0]
    expected, _ = np.histogram(true, heat.axes[1].edges)
    # The stars stand on the line from the centre through the Sun, but for 0.1 degrees: a few
    # change their bin of 10 km/s.
    assert np.abs(heat.counts.sum(axis=0) / 5 - expected).sum() <= 4


# Stars without a Gaia velocity that another survey has measured


def test_the_survey_check_by_hand() -> None:
    measured = np.array([10.0, -20.0, np.nan, 0.0])
    mean, sigma = np.array([0.0, -25.0, 5.0, 30.0]), np.array([20.0, 4.0, 5.0, 10.0])
    seen = match(4, matched=np.isfinite(measured), survey_radial_velocity=measured)
    view = make_view("ml_rv", np.full((4, 5), 0.5), fold=-1, apogee=seen)
    statistics = empty_statistics(STUDY)
    accumulate_survey_check(view, normal(mean, sigma), STUDY, statistics)
    number = {m.quantity: m for m in survey_measurements(statistics)}
    # Residuals of -10, -5 and 30, which are 0.5, 1.25 and 3 standard deviations.
    assert number["apogee_rms"].value == pytest.approx(math.sqrt((100 + 25 + 900) / 3))
    assert number["apogee_rms"].rows == 3
    assert number["apogee_coverage_68"].value == pytest.approx(1 / 3)
    assert number["apogee_coverage_95"].value == pytest.approx(2 / 3)
    known = np.isfinite(measured)
    loss = -stats.norm.logpdf(measured[known], mean[known], sigma[known]).mean()
    assert number["apogee_nll"].value == pytest.approx(loss, rel=1e-10)
    pull = statistics.histograms["survey/apogee/pull"]
    expected, _ = np.histogram([-0.5, -1.25, 3], pull.axes[0].edges)
    np.testing.assert_array_equal(pull.counts, expected)
    assert all(math.isnan(number[f"galah_{n}"].value) for n in ("rms", "nll", "coverage_68"))


def test_predictions_that_are_right_pass_the_survey_check() -> None:
    rng = np.random.default_rng(7)
    number = 20_000
    mean, sigma = rng.normal(0, 30, number), rng.uniform(10, 40, number)
    velocity = rng.normal(mean, sigma)
    view = make_view(
        "ml_rv",
        np.full((number, 5), 0.5),
        fold=-1,
        galah=match(number, matched=np.ones(number, bool), survey_radial_velocity=velocity),
    )
    statistics = empty_statistics(STUDY)
    accumulate_survey_check(view, normal(mean, sigma), STUDY, statistics)
    found = {m.quantity: m.value for m in survey_measurements(statistics)}
    for level, (low, high) in CENTRAL.items():
        share = high - low
        error = math.sqrt(share * (1 - share) / number)
        assert abs(found[f"galah_coverage_{level}"] - share) < 4 * error
    # The variance of squared residuals over their mean squared is 2 for a normal; sigmas of 10 to
    # 40 km/s raise it to 3.2.
    rms = math.sqrt((sigma**2).mean())
    assert found["galah_rms"] == pytest.approx(rms, rel=4 * 0.5 * math.sqrt(3.2 / number))
