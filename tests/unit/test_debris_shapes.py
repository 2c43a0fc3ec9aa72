"""Table 2 and the ranges of Figure 7: ellipsoids of positions, ranges of integrals of motion."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from mwatlas.distributions import principal_axes, tilt_deg
from mwatlas.ledger import Measurement
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.debris import INTEGRALS, accumulate_debris, bins, draw_bins
from mwatlas.studies.line_of_sight.debris_numbers import (
    covariances,
    debris_measurements,
    tilt_error_deg,
)
from mwatlas.studies.line_of_sight.views import empty_view

from .line_of_sight_samples import STUDY, make_view

HIGH, LOW = 0.9, 0.5


def _rotation(degrees: float) -> np.ndarray:
    """About the x axis, from y towards z."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _ellipsoid(axes: tuple[float, float, float], tilt: float) -> np.ndarray:
    """Six stars at the ends of the axes: the covariance is diag(axes**2) / 3, turned."""
    ends = np.concatenate([np.diag(axes), -np.diag(axes)])
    return ends @ _rotation(tilt).T


def _measured(offset: np.ndarray, eccentricity: np.ndarray) -> dict[str, Measurement]:
    statistics = Statistics()
    accumulate_debris(
        make_view("ml_rv", eccentricity, offset_kpc=offset, fold=-1), STUDY, statistics
    )
    return {m.quantity: m for m in debris_measurements(statistics, STUDY, ["ml_rv"])}


@pytest.mark.parametrize("tilt", [0.0, 30.0, 59.0, -60.0, -0.1])
def test_an_ellipsoid_is_measured_exactly(tilt: float) -> None:
    # The longest axis is the one that is tilted in the y-z plane.
    number = _measured(_ellipsoid((1.0, 2.0, 0.5), tilt), np.full((6, 1), HIGH))
    for within in ("5", "3.5", "2.5"):
        m = number[f"tilt_{within}kpc_ml_rv"]
        # Sums are whole multiples of 1e-12 kpc**2, so an angle has an error of about 1e-11 rad.
        assert m.value == pytest.approx(tilt, abs=1e-8)
        # Standard deviations of 2 and 0.5: s1 s2 / (s1**2 - s2**2) / sqrt(N) radians.
        assert m.error == pytest.approx(math.degrees(1 / 3.75 / math.sqrt(6)), rel=1e-9)
        assert (m.rows, m.item, m.unit) == (6, "tab02", "deg")
        assert number[f"axis_ratio_b_a_{within}kpc_ml_rv"].value == pytest.approx(0.5, abs=1e-10)
        assert number[f"axis_ratio_c_a_{within}kpc_ml_rv"].value == pytest.approx(0.25, abs=1e-10)


def test_only_stars_within_the_distance_count() -> None:
    near, far = _ellipsoid((1.0, 2.0, 0.5), 30), _ellipsoid((3.0, 3.1, 4.9), 60)
    number = _measured(np.concatenate([near, far]), np.full((12, 1), HIGH))
    assert number["tilt_2.5kpc_ml_rv"].value == pytest.approx(30, abs=1e-8)
    assert number["tilt_2.5kpc_ml_rv"].rows == 6
    # Of the far stars, those at 3 and 3.1 kpc are within 3.5 kpc, but not those at 4.9.
    assert [number[f"tilt_{w}kpc_ml_rv"].rows for w in ("3.5", "5")] == [10, 12]
    covariance = (6 * _turned((1.0, 2.0, 0.5), 30) + 6 * _turned((3.0, 3.1, 4.9), 60)) / 12
    assert number["tilt_5kpc_ml_rv"].value == pytest.approx(tilt_deg(covariance[1:, 1:]), abs=1e-8)


def _turned(axes: tuple[float, float, float], tilt: float) -> np.ndarray:
    rotation = _rotation(tilt)
    return rotation @ np.diag(np.square(axes) / 3) @ rotation.T


def test_the_centre_need_not_be_the_sun() -> None:
    shifted = _ellipsoid((0.5, 1.0, 0.25), 70) + np.array([0.3, -0.4, 0.5])
    statistics = Statistics()
    accumulate_debris(make_view("rv", np.full((6, 1), HIGH), offset_kpc=shifted), STUDY, statistics)
    mean, covariance = covariances(statistics, "rv", 5.0)
    np.testing.assert_allclose(mean[0], [0.3, -0.4, 0.5], atol=1e-11)
    np.testing.assert_allclose(covariance[0], _turned((0.5, 1.0, 0.25), 70), atol=1e-11)


@pytest.mark.parametrize("pair", [(179.0, 1.0), (1.0, 179.0), (170.0, 4.0), (88.0, 92.0)])
def test_tilts_of_draws_are_averaged_as_axes(pair: tuple[float, float]) -> None:
    """The mean of 179 and 1 degree is 0 or 180, not 90; its scatter is 1 degree, not 89."""
    offset = np.concatenate([_ellipsoid((0.5, 2.0, 0.2), tilt) for tilt in pair])
    drawn = np.repeat([[HIGH, LOW], [LOW, HIGH]], 6, axis=0)
    m = _measured(offset, drawn)["tilt_5kpc_ml_rv"]
    apart = (pair[0] - pair[1] + 90) % 180 - 90
    middle = pair[1] + apart / 2
    assert abs((m.value - middle + 90) % 180 - 90) < 1e-7
    each = math.degrees(0.4 / 3.96 / math.sqrt(6))
    assert m.error == pytest.approx(math.hypot(each, apart / 2), rel=1e-6)


def test_a_sphere_has_no_direction() -> None:
    number = _measured(_ellipsoid((1.0, 1.0, 1.0), 0), np.full((6, 1), HIGH))
    assert number["tilt_5kpc_ml_rv"].error == 90
    assert number["axis_ratio_c_a_5kpc_ml_rv"].value == pytest.approx(1, abs=1e-10)


def test_three_stars_have_no_ellipsoid() -> None:
    number = _measured(_ellipsoid((1.0, 2.0, 0.5), 30)[:3], np.full((3, 1), HIGH))
    for name in ("tilt_5kpc", "axis_ratio_b_a_5kpc", "axis_ratio_c_a_5kpc"):
        m = number[f"{name}_ml_rv"]
        assert math.isnan(m.value)
        assert (m.error, m.rows) == (None, 3)


def test_stars_on_a_line_have_a_direction() -> None:
    """Rounding may make the shorter axis negative; it must not make the error NaN."""
    for tilt in np.linspace(-89, 90, 60):
        along = np.linspace(-2, 2, 9)[:, None] * (_rotation(tilt) @ [0, 1, 0])
        m = _measured(along, np.full((9, 1), HIGH))["tilt_5kpc_ml_rv"]
        assert m.value == pytest.approx(tilt, abs=1e-8)
        assert m.error == pytest.approx(0, abs=1e-3)


AXES = np.array([0.6, 1.0, 0.5])
TRIALS, STARS = 200, 1500


def test_errors_of_tilt_and_axis_ratios_have_the_right_size() -> None:
    """Of normal positions: the scatter over 200 trials is what each trial states."""
    rng = np.random.default_rng(4)
    position = (rng.normal(size=(TRIALS, STARS, 3)) * AXES) @ _rotation(30).T
    centred = position - position.mean(axis=1, keepdims=True)
    covariance = np.einsum("tni,tnj->tij", centred, centred) / STARS
    tilt, for_one = tilt_deg(covariance[:, 1:, 1:]), tilt_error_deg(covariance)
    lengths, _ = principal_axes(covariance)
    for value, stated, true in (
        (tilt, for_one / math.sqrt(STARS), 30.0),
        *(
            # The statement of debris_numbers: a relative error of 1 / sqrt(N).
            (lengths[:, k] / lengths[:, 0], lengths[:, k] / lengths[:, 0] / math.sqrt(STARS), r)
            for k, r in ((1, 0.6), (2, 0.5))
        ),
    ):
        scatter = value.std()
        # The mean of the trials has the error of one over sqrt(200); eigenvalues of a sample are
        # pushed apart by 1 / N in relative size, a fortieth of their error.
        assert abs(value.mean() - true) < 4 * scatter / math.sqrt(TRIALS) + scatter / 40
        # The scatter itself is known to 1 / sqrt(2 * 200) = 5 per cent.
        assert stated.mean() == pytest.approx(scatter, rel=4 * 0.05)


def test_a_random_ellipsoid_is_measured_within_its_errors() -> None:
    rng = np.random.default_rng(5)
    # The longest axis has a standard deviation of a fifth of the limit: none is cut off.
    offset = (rng.normal(size=(STARS, 3)) * AXES) @ _rotation(-60).T
    number = _measured(offset, np.full((STARS, 1), HIGH))
    for name, true in (("tilt", -60.0), ("axis_ratio_b_a", 0.6), ("axis_ratio_c_a", 0.5)):
        m = number[f"{name}_5kpc_ml_rv"]
        assert abs(m.value - true) < 4 * m.error
        assert m.rows == STARS


# Ranges


def _ranges(draw: Callable[[np.random.Generator, int], np.ndarray], stars: int, seed: int) -> dict:
    """Measurements of draws of a distribution in place of each integral."""
    rng = np.random.default_rng(seed)
    statistics = Statistics()
    accumulate_debris(empty_view("rv", 1), STUDY, statistics)
    for name in INTEGRALS:
        axes = (draw_bins(1), bins(getattr(STUDY.binning, name)))
        statistics.fill(f"debris/rv/{name}", axes, np.zeros(stars), draw(rng, stars))
    return {m.quantity: m for m in debris_measurements(statistics, STUDY, ["rv"])}


def test_ranges_hold_the_central_part() -> None:
    stars, mean, sigma = 20_000, -1.2, 0.2
    number = _ranges(lambda rng, n: rng.normal(mean, sigma, n), stars, 0)
    for end, level in (("low", 0.05), ("high", 0.95)):
        expected = stats.norm.ppf(level, mean, sigma)
        # sqrt(p (1 - p) / N) over the density at the end.
        error = math.sqrt(0.0475 / stars) / stats.norm.pdf(expected, mean, sigma)
        for name in ("energy", "l_z"):
            m = number[f"{name}_{end}_rv"]
            edges = bins(getattr(STUDY.binning, name)).edges
            # Uniform bins err by at most (slope / density) width**2 / 8, and the logarithm of a
            # normal density has the slope 1.64 / sigma there.
            binned = 1.645 / sigma * (edges[1] - edges[0]) ** 2 / 8
            assert abs(m.value - expected) < 4 * error + binned
            # The slope of the density over the interval of the error; an l_z bin is 16 errors
            # wide, and its density at most 1.645 width / sigma / 2 = 20 per cent off.
            assert m.error == pytest.approx(error, rel=0.25)
            assert m.rows == stars


def test_errors_of_ranges_have_the_right_size() -> None:
    stars = 2000
    rows = [_ranges(lambda rng, n: rng.normal(-1.2, 0.2, n), stars, seed) for seed in range(1, 101)]
    for end in ("low", "high"):
        value = np.array([r[f"energy_{end}_rv"].value for r in rows])
        stated = np.array([r[f"energy_{end}_rv"].error for r in rows])
        # The scatter of 100 trials is known to 7 per cent, bins of 0.1 sigma change little.
        assert stated.mean() == pytest.approx(value.std(), rel=4 * 0.07)


def test_ranges_are_those_of_the_integrals() -> None:
    """Stars of one energy and angular momentum: both ends lie in its bin."""
    stars = make_view("rv", np.full((50, 1), HIGH), rest_kms=(0, 100.0, 0))
    statistics = Statistics()
    accumulate_debris(stars, STUDY, statistics)
    number = {m.quantity: m for m in debris_measurements(statistics, STUDY, ["rv"])}
    l_z = stars.phase.position_kpc[0, 0] * 100 / 1e3
    width = 8 / 160
    assert abs(number["l_z_low_rv"].value - l_z) <= width
    assert abs(number["l_z_high_rv"].value - l_z) <= width
    assert number["energy_low_rv"].value < number["energy_high_rv"].value < 0
