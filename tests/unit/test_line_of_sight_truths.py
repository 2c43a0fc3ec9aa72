"""What a run's numbers should be on the embedded sky, and which verdicts follow."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mwatlas.config import Settings
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.ledger import Measurement, Row, Truth, judge
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.closure import (
    optimum_measurements,
    recovery_measurements,
    truths,
)
from mwatlas.studies.line_of_sight.comparison import eccentricity_bins
from mwatlas.studies.line_of_sight.debris import accumulate_debris, draw_bins
from mwatlas.studies.line_of_sight.debris_numbers import VIEWS, debris_measurements
from mwatlas.studies.line_of_sight.numbers import row_counts
from mwatlas.studies.line_of_sight.views import View

from .line_of_sight_samples import STUDY, make_view, match

MIXTURE = STUDY.variant("mixture")


def _comparison(stars: int = 4000) -> Statistics:
    """An optimum that is normal with sigma 40 about means that scatter by 30."""
    statistics = Statistics()
    rng = np.random.default_rng(0)
    mean = rng.normal(0, 30, stars)
    velocity = rng.normal(mean, 40)
    pull = np.abs(velocity - mean) / 40
    loss = 0.5 * pull**2 + math.log(40 * math.sqrt(2 * math.pi))
    for name, values in (
        ("excess", np.full(stars, 0.05) + rng.normal(0, 0.1, stars)),
        ("loss", loss),
        ("velocity", velocity),
        ("velocity_square", velocity**2),
        ("distance_square", np.full(stars, 25.0)),
        ("mean", mean),
        ("mean_square", mean**2),
        ("log_sigma_ratio", np.full(stars, math.log(1.05))),
        ("inside_68", pull < 1),
        ("inside_95", pull < 2),
    ):
        statistics.add(f"optimum/{name}", values)
        if name == "excess":
            statistics.add("optimum/excess_square", values**2)
    return statistics


STARS = 3000


def _catalogue(name: str, draws: int, fold: Any, tilt: float = 60.0) -> View:
    """Stars of high eccentricity: an ellipsoid of positions, abundances, measured velocities."""
    rng = np.random.default_rng(8)
    angle = math.radians(tilt)
    major = np.array([0, math.cos(angle), math.sin(angle)])
    offset = rng.normal(0, 0.4, (STARS, 3)) + rng.normal(0, 0.8, (STARS, 1)) * major
    fe_h, mg_fe = rng.normal(-1, 0.4, STARS), rng.normal(0.3, 0.1, STARS)
    seen = match(STARS, matched=np.ones(STARS, bool), fe_h=fe_h, mg_fe=mg_fe)
    velocity = rng.normal(0, 150, (STARS, 1))
    e = np.where(np.arange(STARS) < STARS // 2, 0.9, 0.1)[:, None]
    return make_view(
        name,
        np.repeat(e, draws, axis=1),
        offset_kpc=offset,
        rest_kms=rng.normal(0, 60, (STARS, 3)),
        v_los_kms=np.repeat(velocity, draws, axis=1),
        fold=fold,
        galah=seen,
        apogee=seen,
    )


def _revealed() -> Statistics:
    statistics = Statistics()
    accumulate_debris(_catalogue("true_rv", 1, np.arange(STARS) % 5), STUDY, statistics)
    accumulate_debris(_catalogue("true_ml_rv", 1, -1), STUDY, statistics)
    return statistics


def _measured() -> list[Measurement]:
    """A run that is right in everything."""
    statistics = Statistics()
    fold = np.arange(STARS) % 5
    for view in (
        _catalogue("rv", 1, fold),
        _catalogue("test_set", 5, fold),
        _catalogue("ml_rv", 5, -1),
    ):
        accumulate_debris(view, STUDY, statistics)
    quality = [
        Measurement("fig02", name, name, "", value, 0.01, STARS)
        for name, value in (
            ("pull_mean", 0.01),
            ("pull_width", 1.02),
            ("coverage_68", 0.683),
            ("coverage_95", 0.954),
        )
    ]
    return [
        *row_counts(statistics, STUDY.cuts, VIEWS),
        *debris_measurements(statistics, STUDY),
        *quality,
    ]


def _verdicts(
    settings: Settings, measured: list[Measurement], study: LineOfSight = STUDY
) -> dict[str, Row]:
    true = truths(_revealed(), _comparison(), study, measured)
    return {
        row.quantity: row for row in judge("line_of_sight", measured, [], true, settings.adapter)
    }


def _changed(quantity: str, **changes: Any) -> list[Measurement]:
    return [replace(m, **changes) if m.quantity == quantity else m for m in _measured()]


def test_a_run_that_equals_the_truth_agrees_in_everything(settings: Settings) -> None:
    rows = _verdicts(settings, _measured())
    judged = {name: row for name, row in rows.items() if math.isfinite(row.truth)}
    assert {row.verdict for row in judged.values()} == {"agrees"}
    for view in VIEWS:
        assert {f"count_{view}_{row}" for row in ("row2", "row3", "row4", "row0_high")} <= set(
            judged
        )
        for name in [
            "dispersion_v_r",
            "tilt_5kpc",
            "axis_ratio_b_a_2.5kpc",
            "energy_low",
            "l_z_high",
            "sqrt_j_r_low",
            "mdf_mean_apogee",
            "mdf_sigma_galah",
            "high_alpha_share",
        ]:
            assert f"{name}_{view}" in judged
    # What has no truth of its own is not judged by it.
    assert "count_rv_row0" not in judged
    assert "share_rv_row2" not in judged


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_count_that_is_off_is_not_recovered(settings: Settings, factor: float) -> None:
    # Allowed are 20 per cent and twice the Poisson noise of 1500, which is 5 per cent.
    value = factor * STARS / 2
    row = _verdicts(settings, _changed("count_ml_rv_row2", value=value))["count_ml_rv_row2"]
    assert row.verdict == "not recovered"
    assert row.truth == STARS / 2
    assert "20%" in row.reason
    near = _verdicts(settings, _changed("count_ml_rv_row2", value=1.15 * STARS / 2))
    assert near["count_ml_rv_row2"].verdict == "agrees"


def test_measured_counts_are_allowed_less(settings: Settings) -> None:
    value = 1.15 * STARS / 2
    assert _verdicts(settings, _changed("count_rv_row2", value=value))["count_rv_row2"].verdict == (
        "not recovered"
    )


@pytest.mark.parametrize(
    ("quantity", "change"),
    [
        ("dispersion_v_r_ml_rv", lambda v: 1.2 * v),
        ("energy_low_ml_rv", lambda v: v - 0.3),
        ("axis_ratio_b_a_5kpc_ml_rv", lambda v: v + 0.2),
        ("tilt_5kpc_ml_rv", lambda v: v + 30),
        ("mdf_mean_apogee_ml_rv", lambda v: v + 0.15),
        ("high_alpha_share_ml_rv", lambda v: v + 0.15),
    ],
)
def test_numbers_that_are_off_are_not_recovered(
    settings: Settings, quantity: str, change: Any
) -> None:
    right = next(m.value for m in _measured() if m.quantity == quantity)
    rows = _verdicts(settings, _changed(quantity, value=change(right)))
    assert rows[quantity].verdict == "not recovered"
    assert [n for n, r in rows.items() if r.verdict == "not recovered"] == [quantity]


def test_tilts_of_179_and_1_degree_agree(settings: Settings) -> None:
    """An axis turned by half a turn is the same."""
    revealed = Statistics()
    for name, fold in (("true_rv", np.arange(STARS) % 5), ("true_ml_rv", -1)):
        accumulate_debris(_catalogue(name, 1, fold, tilt=1.0), STUDY, revealed)
    true_tilt = next(
        m.value
        for m in debris_measurements(revealed, STUDY, ["true_ml_rv"])
        if m.quantity.startswith("tilt_5kpc")
    )
    for ours, verdict in ((179.0, "agrees"), (1.0, "agrees"), (90.0, "not recovered")):
        measured = _changed("tilt_5kpc_ml_rv", value=ours)
        (truth,) = (
            t
            for t in truths(revealed, _comparison(), STUDY, measured)
            if t.quantity == "tilt_5kpc_ml_rv"
        )
        (m,) = (m for m in measured if m.quantity == truth.quantity)
        (row,) = judge("line_of_sight", [m], [], [truth], settings.adapter)
        assert row.verdict == verdict
        assert abs(math.remainder(truth.value - true_tilt, 180.0)) < 1e-9
        assert abs(truth.value - ours) <= 90


def test_numbers_of_no_stars_have_no_truth() -> None:
    measured = _changed("mdf_mean_galah_ml_rv", value=math.nan, error=None)
    known = {t.quantity for t in truths(_revealed(), _comparison(), STUDY, measured)}
    assert "mdf_mean_galah_ml_rv" not in known
    assert "mdf_mean_galah_test_set" in known


@pytest.mark.parametrize("study", [STUDY, MIXTURE])
def test_coverage_should_be_that_of_the_optimum_or_nominal(study: LineOfSight) -> None:
    comparison = _comparison()
    known = {t.quantity: t for t in truths(_revealed(), comparison, study, _measured())}
    share = known["coverage_68"].value
    if study.network.kind == "mixture":
        assert share == pytest.approx(0.6827, abs=1e-4)
    else:
        assert share == comparison.mean("optimum/inside_68")
    error = math.sqrt(share * (1 - share) / 4000)
    assert known["coverage_68"].tolerance == pytest.approx(0.02 + 2 * error)


# Recovery of the selection


def test_completeness_and_purity_by_hand() -> None:
    draws = STUDY.error_sampling.draws
    statistics = Statistics()
    axis = eccentricity_bins(STUDY)
    # Of 8 stars of GSE 5 have a true high eccentricity, as have 5 others.
    for catalogue in ("rv", "test_set", "ml_rv"):
        number = 1 if catalogue == "rv" else draws
        axes = (draw_bins(number), axis)
        statistics.count(f"recovery/{catalogue}/gse", 8)
        statistics.fill(f"recovery/{catalogue}/high", (axis,), np.full(10, 0.9))
        statistics.fill(f"recovery/{catalogue}/high_gse", (axis,), np.full(5, 0.9))
        # Each draw selects 8, of which 6 are right and 4 of GSE.
        for name, each in (("selected", 8), ("right", 6), ("true_gse", 4)):
            which = np.repeat(np.arange(number), each)
            statistics.fill(f"recovery/{catalogue}/{name}", axes, which, np.full(which.size, 0.9))
    found = {m.quantity: m for m in recovery_measurements(statistics)}
    for catalogue in ("rv", "test_set", "ml_rv"):
        for name, part, whole in (
            ("high_completeness", 6, 10),
            ("high_purity", 6, 8),
            ("gse_completeness", 4, 8),
            ("gse_purity", 4, 8),
            ("gse_completeness_limit", 5, 8),
            ("gse_purity_limit", 5, 10),
        ):
            m = found[f"{name}_{catalogue}"]
            assert (m.value, m.rows) == (part / whole, whole)
            assert m.error == pytest.approx(math.sqrt(part * (whole - part) / whole**3))


def test_the_optimum_sets_the_scales() -> None:
    comparison = _comparison()
    measured, true = optimum_measurements(comparison, STUDY.closure)
    number = {m.quantity: m for m in measured}
    known: dict[str, Truth] = {t.quantity: t for t in true}
    assert number["excess_loss_over_optimum"].value == pytest.approx(0.05, abs=4 * 0.1 / 63)
    assert number["excess_loss_over_optimum"].error == pytest.approx(0.1 / 63.2, rel=0.05)
    assert number["distance_from_optimal_mean"].value == pytest.approx(5)
    assert number["sigma_over_optimal_sigma"].value == pytest.approx(1.05)
    # A normal of sigma 50 for all against sigma 40 about known means: ln(50 / 40) nats, known to
    # about 1 / sqrt(N); the optimal means scatter by 30.
    gain = known["excess_loss_over_optimum"].tolerance / (1 - STUDY.closure.least_gain)
    assert gain == pytest.approx(math.log(50 / 40), abs=4 / math.sqrt(4000))
    miss = known["distance_from_optimal_mean"].tolerance / STUDY.closure.largest_miss
    assert miss == pytest.approx(30, rel=4 / math.sqrt(2 * 4000))
