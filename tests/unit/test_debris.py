"""Counts of Table 1, and what is measured of stars of high eccentricity, in closed form."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.ledger import Measurement
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.debris import accumulate_debris, inside
from mwatlas.studies.line_of_sight.debris_numbers import debris_measurements, share
from mwatlas.studies.line_of_sight.numbers import count_error, row_counts
from mwatlas.studies.line_of_sight.views import View

from .line_of_sight_samples import STUDY, SUN_KPC, make_view, match

HIGH, LOW = 0.9, 0.5


def _statistics(*views: View, study: LineOfSight = STUDY) -> Statistics:
    out = Statistics()
    for view in views:
        accumulate_debris(view, study, out)
    return out


def _debris(*views: View) -> dict[str, Measurement]:
    names = tuple(dict.fromkeys(view.name for view in views))
    return _named(debris_measurements(_statistics(*views), STUDY, names))


def _named(measurements: Iterable[Measurement]) -> dict[str, Measurement]:
    return {m.quantity: m for m in measurements}


# Table 1


def _catalogue(name: str, fold: list[int]) -> View:
    """Four stars with two velocities each."""
    return make_view(
        name,
        [[0.9, 0.9], [0.9, 0.1], [0.1, 0.1], [0.9, 0.9]],
        fold=fold,
        complete=[True, True, True, False],
        galah=match(4, matched=[True, True, True, True]),
        apogee=match(4, matched=[False, True, False, True]),
    )


def test_table_1_counts_by_draw_and_subset() -> None:
    counts = _statistics(_catalogue("test_set", [0, 1, 1, 4])).counts
    expected = {
        # One row for each of five subsets and for stars without one, one column for each draw.
        "row0": [[1, 1], [2, 2], [0, 0], [0, 0], [1, 1], [0, 0]],
        "row1": [[1, 1], [2, 2], [0, 0], [0, 0], [0, 0], [0, 0]],
        "row2": [[1, 1], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]],
        "row3": [[1, 1], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]],
        "row4": [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]],
        "row0_high": [[1, 1], [1, 0], [0, 0], [0, 0], [1, 1], [0, 0]],
    }
    for row, number in expected.items():
        np.testing.assert_array_equal(counts[f"table1/test_set/{row}"], number)


def test_stars_without_a_subset_are_counted_last() -> None:
    counts = _statistics(_catalogue("ml_rv", [-1, -1, -1, -1])).counts["table1/ml_rv/row2"]
    np.testing.assert_array_equal(counts, [[0, 0]] * 5 + [[2, 1]])


def test_table_1_numbers_are_means_over_draws() -> None:
    measured = make_view("rv", [[0.9], [0.1], [0.95], [0.85]], complete=[True, True, True, False])
    statistics = _statistics(
        measured, _catalogue("test_set", [0, 1, 1, 4]), _catalogue("ml_rv", [-1] * 4)
    )
    names = {"rv": "RV", "test_set": "Test-Set", "ml_rv": "ML-RV"}
    numbers = _named(row_counts(statistics, STUDY.cuts, names))
    expected = {
        "rv": {"row0": 4, "row1": 3, "row2": 2, "row3": 0, "row4": 0, "row0_high": 3},
        "test_set": {"row0": 4, "row1": 3, "row2": 1.5, "row3": 1.5, "row4": 0.5, "row0_high": 2.5},
    }
    expected["ml_rv"] = expected["test_set"]
    for view, rows in expected.items():
        for row, number in rows.items():
            m = numbers[f"count_{view}_{row}"]
            assert (m.value, m.rows, m.item) == (number, 4, f"tab01.{row}")
            assert (m.error is None) == (row in ("row0", "row1"))
        assert numbers[f"share_{view}_row2"].value == rows["row2"] / 3
        assert numbers[f"share_{view}_row0_high"].value == rows["row0_high"] / 4


def test_an_eccentricity_at_the_limit_is_not_high() -> None:
    limit = STUDY.cuts.high_eccentricity
    counts = _statistics(make_view("rv", [[limit], [np.nextafter(limit, 1)], [np.nan]])).counts
    assert counts["table1/rv/row2"].sum() == 1


def test_the_error_of_a_count_is_poisson_noise_or_the_scatter_of_subsets() -> None:
    # 100 stars, 20 in each subset and in each of two draws: Poisson noise, no other scatter.
    even = np.array([[20.0, 20.0]] * 5 + [[0.0, 0.0]])
    assert count_error(even) == 10
    # Draws of 90 and 110 add their scatter.
    drawn = even + np.array([[-2.0, 2.0]] * 5 + [[0.0, 0.0]])
    assert count_error(drawn) == pytest.approx(math.hypot(10, 10))
    # Subsets of 0, 10, 20, 30 and 40 scatter by sqrt(250), their sum by sqrt(5) times that.
    uneven = np.array([[0.0], [10], [20], [30], [40], [0]])
    assert count_error(uneven) == pytest.approx(math.sqrt(5 * 250))
    # Stars of one network have no subsets to compare.
    assert count_error(np.array([[0.0, 0.0]] * 5 + [[25.0, 25.0]])) == 5


def test_the_error_of_a_count_has_the_right_size() -> None:
    """Subsets whose networks differ by ten per cent: the sum scatters by what is stated."""
    rng = np.random.default_rng(0)
    trials, mean = 4000, 400.0
    networks = mean * (1 + 0.1 * rng.normal(size=(trials, 5, 1)))
    counts = np.concatenate([rng.poisson(networks), np.zeros((trials, 1, 1))], axis=1)
    stated = np.array([count_error(c) for c in counts])
    true = counts.sum(axis=(1, 2)).std()
    assert true == pytest.approx(math.sqrt(5 * (mean + 40**2)), rel=3 / math.sqrt(2 * trials))
    # Root mean square, as variances are unbiased; four degrees of freedom give each a relative
    # error of sqrt(2 / 4). The floor of Poisson noise, a share 1 / 5 of the variance, is reached
    # from below in some of the trials and adds 1 to 2 per cent.
    ratio = math.sqrt((stated**2).mean()) / true
    assert ratio == pytest.approx(1.01, abs=0.5 * math.sqrt(0.5 / trials) * 4)


def test_shares_by_hand() -> None:
    m = share("i", "q", "m", [10, 30], [100, 100])
    # Binomial noise of 0.2 in 100, and a scatter of 0.1 among the draws.
    assert m.value == pytest.approx(0.2)
    assert m.error == pytest.approx(math.hypot(0.04, 0.1))
    assert m.rows == 100
    none = share("i", "q", "m", [0, 0], [5, 0])
    assert math.isnan(none.value)
    assert (none.error, none.rows) == (None, 0)


# Velocities


# Velocities are binned to 10 km/s and spread evenly within a bin: an end of a range lies within
# a bin's width of the sample's own quantile, and on average much closer.
BIN_KMS = 10.0
LEVELS = [15.865525, 84.134475]


def test_dispersions_are_those_of_the_velocities() -> None:
    """The line of sight of these stars is the radius, and their rest frame adds nothing to it."""
    velocity = np.random.default_rng(2).normal(0, 120, 4001)
    e = np.where(np.arange(4001) < 4000, HIGH, LOW)
    # The star of low eccentricity does not count.
    velocity[-1] = 450.0
    number = _debris(make_view("rv", e[:, None], v_los_kms=velocity[:, None], rest_kms=(0, 0, 0)))
    # At (x, 0, z0) with x < 0 a velocity along x has v_r = -v cos(latitude), v_theta = v sin.
    x, z0 = abs(SUN_KPC[0]) + 1, SUN_KPC[2]
    m = number["dispersion_v_r_rv"]
    low, high = np.percentile(velocity[:-1], LEVELS) * x / math.hypot(x, z0)
    # Bins of about 100 stars follow the normal law to a tenth, so quantiles to a tenth of a bin.
    assert m.value == pytest.approx((high - low) / 2, abs=0.1 * BIN_KMS)
    assert m.error == pytest.approx(0.9617 * m.value / math.sqrt(4000), rel=1e-3)
    assert m.rows == 4000
    for component in ("v_theta", "v_phi"):
        assert number[f"dispersion_{component}_rv"].value < BIN_KMS


def test_a_few_wild_velocities_do_not_change_a_dispersion() -> None:
    velocity = np.random.default_rng(3).normal(0, 80, 2000)
    wild = np.where(np.arange(2000) < 20, 480.0, velocity)
    calm, shaken = (
        _debris(make_view("rv", np.full((2000, 1), HIGH), v_los_kms=v[:, None]))[
            "dispersion_v_r_rv"
        ].value
        for v in (velocity, wild)
    )
    # One per cent of outliers moves the ends of the range by about one per cent of the rest.
    assert shaken == pytest.approx(calm, rel=0.03)
    assert wild.std() > 1.15 * velocity.std()


def test_dispersions_of_draws_are_averaged() -> None:
    rng = np.random.default_rng(1)
    velocity = rng.normal(0, [50, 100, 150], (2000, 3))
    m = _debris(make_view("test_set", np.full((2000, 3), HIGH), v_los_kms=velocity))[
        "dispersion_v_r_test_set"
    ]
    low, high = np.percentile(velocity, LEVELS, axis=0)
    each = (high - low) / 2
    assert m.value == pytest.approx(each.mean(), abs=0.1 * BIN_KMS)
    stated = (0.9617 * each / math.sqrt(2000)).mean()
    assert m.error == pytest.approx(math.hypot(stated, each.std()), rel=0.02)


def test_only_complete_stars_of_high_eccentricity_are_measured() -> None:
    e = [[HIGH], [HIGH], [LOW], [HIGH]]
    complete = [True, True, True, False]
    offset = np.array([[0, 3.0, 0], [0, -3, 0], [0, 0, 4], [0, 0, 4]])
    statistics = _statistics(make_view("rv", e, complete=complete, offset_kpc=offset))
    assert statistics.number("debris/rv/within5/x") == 2
    assert statistics.total("debris/rv/within5/zz") == 0
    plane = statistics.histograms["velocity/low/vr_vphi/rv"]
    assert plane.counts.sum() + plane.outside == 1


# Abundances


def test_normal_fits_recover_a_known_distribution() -> None:
    rng = np.random.default_rng(2)
    stars, draws = 4000, 3
    fe_h = rng.normal(-1.1, 0.4, stars)
    e = np.where(rng.random((stars, draws)) < 0.8, HIGH, LOW)
    number = _debris(
        make_view("ml_rv", e, fold=-1, apogee=match(stars, matched=fe_h < 9, fe_h=fe_h))
    )
    selected = 0.8 * stars
    for name, true, error in (
        ("mean", -1.1, 0.4 / math.sqrt(selected)),
        ("sigma", 0.4, 0.4 / math.sqrt(2 * selected)),
    ):
        m = number[f"mdf_{name}_apogee_ml_rv"]
        assert abs(m.value - true) < 4 * error
        # The draws share most of their stars: their scatter adds less than half of the error.
        assert error * 0.97 < m.error < 1.2 * error
    assert math.isnan(number["mdf_mean_galah_ml_rv"].value)


def test_the_share_of_the_high_alpha_disc() -> None:
    # Inside, outside in either, at the lower and at the upper edges, and without [Mg/Fe].
    fe_h = np.array([-0.5, -1.0, -0.5, -0.75, 0.0, -0.5, -0.5])
    mg_fe = np.array([0.3, 0.3, 0.1, 0.2, 0.3, 0.45, np.nan])
    expected = [True, False, False, True, False, False, False]
    np.testing.assert_array_equal(inside(STUDY.debris.high_alpha, fe_h, mg_fe), expected)
    e = np.full((7, 2), HIGH)
    e[3, 1] = LOW
    known = match(7, matched=np.ones(7, dtype=bool), fe_h=fe_h, mg_fe=mg_fe)
    m = _debris(make_view("test_set", e, apogee=known))["high_alpha_share_test_set"]
    # Two of six in the first draw, one of five in the second.
    shares = np.array([2 / 6, 1 / 5])
    assert m.value == pytest.approx(shares.mean())
    binomial = math.sqrt(m.value * (1 - m.value) / 5.5)
    assert m.error == pytest.approx(math.hypot(binomial, shares.std()))


def test_a_catalogue_without_stars_has_no_numbers() -> None:
    number = _debris(make_view("rv", [[LOW]]))
    assert all(math.isnan(m.value) and m.error is None for m in number.values())
    assert {m.rows for m in number.values()} == {0}
