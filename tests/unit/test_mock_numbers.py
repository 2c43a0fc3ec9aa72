"""Numbers of made-up runs, whose errors are known."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.errors import InputError
from mwatlas.ledger import Measurement
from mwatlas.studies.conditional_potential.density_numbers import (
    calibrated_share,
    expected_stars,
    volume_of_points,
    volumes_of_profile,
)
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.field_numbers import residuals
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.studies.conditional_potential.numbers import measure

from . import mock_runs

# Median size of normal numbers.
MEDIAN = 0.6745


def _numbers(**options: object) -> dict[str, Measurement]:
    dusty = bool(options.get("dusty", True))
    run = mock_runs.evaluated(**options)
    return {m.quantity: m for m in measure(run, mock_runs.counts(dusty), mock_runs.STUDY)}


@pytest.fixture(scope="module")
def numbers() -> dict[str, Measurement]:
    return _numbers()


@pytest.fixture(scope="module")
def exact() -> dict[str, Measurement]:
    return _numbers(exact=True)


@pytest.fixture(scope="module")
def dust_free() -> dict[str, Measurement]:
    return _numbers(dusty=False)


def test_exact_fields_have_no_errors(exact: dict[str, Measurement]) -> None:
    for quantity, m in exact.items():
        if "_error" in quantity and "ratio" not in quantity and math.isfinite(m.value):
            # Logarithms and back, and a median of ratios.
            assert m.value == pytest.approx(0, abs=1e-12), quantity
    for method in METHODS:
        assert exact[f"density_share_{method}"].value == 1.0
        # The last of 8192 places is at a radius of 8 (1 - 1 / 3 / 8192), give or take as much.
        assert exact[f"density_radius_{method}"].value == pytest.approx(8, abs=0.003)
        assert exact[f"density_selection_{method}"].value == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_those_that_were_made_up(numbers: dict[str, Measurement], method: str) -> None:
    m = numbers[f"density_error_{method}_s0.5_1"]
    assert m.error is not None
    # They grow by up to 2.7 per cent where half of the stars are observed.
    made_up = MEDIAN * mock_runs.ERRORS[method]
    assert made_up - 4 * m.error < m.value < 1.027 * made_up + 4 * m.error


@pytest.mark.parametrize("method", METHODS)
def test_negative_densities_are_counted(numbers: dict[str, Measurement], method: str) -> None:
    points = mock_runs.evaluated().points
    # Normal errors of this size take the density below zero with this probability.
    size = mock_runs.ERRORS[method] * mock_runs.scatter(points["selection_true"])
    share = norm.cdf(-1 / size)
    m = numbers[f"density_negative_{method}"]
    assert m.value == pytest.approx(
        share.mean(), abs=4 * np.sqrt((share * (1 - share)).sum()) / share.size
    )


def test_the_better_a_method_the_farther_it_reaches(numbers: dict[str, Measurement]) -> None:
    radius = [numbers[f"density_radius_{m}"].value for m in METHODS]
    share = [numbers[f"density_share_{m}"].value for m in METHODS]
    down_to = [numbers[f"density_selection_{m}"].value for m in METHODS]
    assert radius == sorted(radius)
    assert share == sorted(share)
    assert down_to == sorted(down_to, reverse=True)
    assert (radius[0], down_to[0]) == (0.0, 1.0)
    assert 3 < radius[1] < 6
    # 0.6745 * 0.05 * (1 + 0.3 log10(S)^2) is 0.1 at S = 0.0026; the window spans a factor of 2.
    assert 0.0015 < down_to[1] < 0.0045
    assert radius[2] == pytest.approx(8, abs=0.003)


def test_stars_add_up(numbers: dict[str, Measurement]) -> None:
    shells = [f"density_error_vanilla_{i}_{i + 1}kpc" for i in range(8)]
    edges = mock_runs.STUDY.comparison.selection_edges
    bins = [f"density_error_vanilla_s{a:g}_{b:g}" for a, b in pairwise(edges)]
    for names in (shells, bins):
        total = sum(numbers[name].rows for name in names)
        # 8192 places whose densities scatter by about 3.5 times their mean.
        assert total == pytest.approx(mock_runs.OBSERVED, rel=4 * 3.5 / np.sqrt(8192))
    assert numbers[shells[1]].rows > numbers[shells[6]].rows


def test_expected_stars_of_uniform_places() -> None:
    volume = 4 / 3 * np.pi * 8.0**3
    radius = 8.0 * (np.arange(1000) + 0.5) / 1000
    places = {"observed_density_true": np.full(1000, 1 / volume), "radius_kpc": radius}
    half = np.arange(1000) < 500
    uniform = volume_of_points(places, 8.0)
    assert expected_stars(places, uniform, half, 2000) == pytest.approx(1000)
    # Half the radius has an eighth of the volume; the midpoint rule errs by 1 / (8 N^2) of it.
    shells = volumes_of_profile(places, 8.0)
    assert expected_stars(places, shells, half, 2000) == pytest.approx(250, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spreads", [1, 2])
def test_coverage_is_that_of_normal_errors(
    numbers: dict[str, Measurement], method: str, spreads: int
) -> None:
    m = numbers[f"spread_coverage_{spreads}_{method}"]
    assert m.error is not None
    ratio = spreads * mock_runs.SPREADS[method] / math.sqrt(2)
    assert m.value == pytest.approx(math.erf(ratio), abs=4 * m.error + 1e-3)
    width = numbers[f"pull_width_{method}"].value
    # Half the central 68 per cent of 750 places is known to about 4 per cent.
    assert width == pytest.approx(1 / mock_runs.SPREADS[method], rel=0.16)


def test_few_members_tell_their_spread_badly() -> None:
    # Of two members, the difference is as likely below the error as above it.
    assert calibrated_share(1, 2) == pytest.approx(0.5)
    rng = np.random.default_rng(1)
    spread = rng.standard_normal((20_000, 5)).std(axis=1, ddof=1)
    share = (np.abs(rng.standard_normal(20_000)) < 2 * spread).mean()
    # Binomial: 0.0023 for a share near 0.88; four of them.
    assert calibrated_share(2, 5) == pytest.approx(share, abs=0.0092)
    assert calibrated_share(1, 1000) == pytest.approx(0.6827, abs=1e-3)


def test_errors_of_s_and_n(numbers: dict[str, Measurement]) -> None:
    for name, made_up in (
        ("selection", mock_runs.SELECTION_ERROR),
        ("tracers", mock_runs.TRACER_ERROR),
        ("weighted", 0.1),
        ("derived", math.hypot(0.03, mock_runs.TRACER_ERROR)),
    ):
        m = numbers[f"{name}_error"]
        assert m.error is not None
        assert m.value == pytest.approx(MEDIAN * made_up, abs=4 * m.error)
        # All over the volume n_obs is worse, for its flow leaks at the edge.
        allowed = 0.2 if name == "derived" else 0.1
        volume = numbers[f"{name}_error_volume"].value
        assert volume == pytest.approx(MEDIAN * made_up, rel=allowed)
    expected = mock_runs.TRACER_ERROR / mock_runs.SELECTION_ERROR
    # Medians and widths of about 750 places: 5 per cent each.
    assert numbers["error_ratio_tracers_selection"].value == pytest.approx(expected, rel=0.25)
    assert numbers["roughness_ratio_tracers_selection"].value == pytest.approx(expected, rel=0.25)
    assert numbers["tracers_roughness"].value == pytest.approx(mock_runs.TRACER_ERROR, rel=0.2)


def test_fields_where_no_star_can_be_observed_are_nan() -> None:
    places = mock_runs.evaluated().points
    places["selection_true"][:5] = 0.0
    found = residuals(places, 0.05)
    assert np.isnan(found["selection"][:5]).all()
    assert np.isfinite(found["tracers"]).all()


def test_flows(numbers: dict[str, Measurement], dust_free: dict[str, Measurement]) -> None:
    m = numbers["velocity_density_error"]
    assert m.error is not None
    assert m.value == pytest.approx(MEDIAN * mock_runs.VELOCITY_ERROR, abs=4 * m.error)
    bias = numbers["velocity_density_bias"]
    assert bias.error is not None
    assert bias.value == pytest.approx(0, abs=4 * bias.error)
    trend, none = numbers["phase_density_trend"], dust_free["phase_density_trend"]
    assert trend.error is not None
    assert none.error is not None
    assert trend.value > 5 * trend.error
    assert abs(none.value) < 4 * none.error
    assert numbers["error_ratio_phase_velocity"].value > 3
    # The running median of 1 per cent never reaches 2: both readings go down to the faintest star.
    faintest = mock_runs.evaluated().phase["selection_true"].min()
    for name in ("velocity_density_selection", "velocity_density_bias_selection"):
        assert numbers[name].value == pytest.approx(faintest)


def test_moments_of_velocities(numbers: dict[str, Measurement]) -> None:
    for power, name in ((2, "second"), (4, "fourth")):
        found = [numbers[f"velocity_{name}_moment_bias_{i}_{i + 1}kpc"] for i in range(8)]
        for m in found:
            assert m.error is not None
            assert m.value == pytest.approx(mock_runs.MOMENT_ERRORS[power], abs=4 * m.error)
            # 1024 places, whose two norms scatter by 5 per cent and moments by a quarter: their
            # products are what remains when the means are divided out.
            assert m.error == pytest.approx(0.05 * 0.25 * 2**0.5 / 32, rel=0.2)


def test_the_mock(numbers: dict[str, Measurement]) -> None:
    # 32 cells over 16 kpc.
    assert numbers["dust_structure"].value == pytest.approx(1.0)
    assert numbers["dust_angle_8kpc"].value == pytest.approx(7.162, abs=1e-3)
    assert numbers["count_observed"].value == 2**22
    assert 0.1 < numbers["share_observed"].value < 0.5
    assert numbers["parameters_ratio"].value == pytest.approx(1_337_857 / 47_281)
    # 128 cells, as in the paper.
    run = mock_runs.evaluated()
    paper = {m.quantity: m for m in measure(run, mock_runs.counts(), ConditionalPotential())}
    assert paper["dust_structure"].value == 0.25
    assert paper["dust_angle_1kpc"].value == pytest.approx(14.3, abs=0.05)


def test_a_run_of_one_method(dust_free: dict[str, Measurement]) -> None:
    for absent in ("vanilla", "selection"):
        assert f"density_error_{absent}" not in dust_free
        assert f"spread_coverage_1_{absent}" not in dust_free
    assert "density_error_conditional" in dust_free
    assert "selection_error" not in dust_free
    assert "parameters_selection" not in dust_free
    assert dust_free["error_ratio_edge_derived"].value > 3


def test_an_ensemble_of_one_has_no_calibration() -> None:
    run = mock_runs.evaluated()
    run.points["density_spread_vanilla"][:] = 0
    names = {m.quantity for m in measure(run, mock_runs.counts(), mock_runs.STUDY)}
    assert "spread_coverage_1_vanilla" not in names
    assert "spread_coverage_1_conditional" in names


def test_names_are_unique_and_numbers_finite(numbers: dict[str, Measurement]) -> None:
    run = mock_runs.evaluated()
    listed = measure(run, mock_runs.counts(), mock_runs.STUDY)
    assert len(listed) == len(numbers)
    assert [m.quantity for m in listed] == list(numbers)
    missing = [name for name, m in numbers.items() if not math.isfinite(m.value)]
    # With dust no place at the edge has S of 5 per cent.
    assert missing == ["derived_error_edge", "error_ratio_edge_derived"]


@pytest.mark.parametrize("counts", [{"drawn": 10, "observed": 0}, {"drawn": 5, "observed": 6}])
def test_impossible_counts_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(InputError, match="observed"):
        measure(mock_runs.evaluated(), counts, mock_runs.STUDY)


def test_evaluated_tables_are_read_back(tmp_path: Path) -> None:
    columns = mock_runs.tables(points=64, side=8)
    run = Evaluated.read(mock_runs.write(tmp_path, columns))
    np.testing.assert_array_equal(
        run.points["density_vanilla"], columns["points"]["density_vanilla"]
    )
    assert np.isnan(run.plane["density_true"]).any()
    assert run.methods == tuple(METHODS)


def test_a_field_that_failed_at_some_places_is_refused(tmp_path: Path) -> None:
    columns = mock_runs.tables(points=64, side=8)
    columns["points"]["density_conditional"][3] = np.nan
    with pytest.raises(InputError, match="1 of 64"):
        Evaluated.read(mock_runs.write(tmp_path, columns))


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    columns = mock_runs.tables(points=64, side=8)
    columns["phase"] = {name: values[:0] for name, values in columns["phase"].items()}
    with pytest.raises(InputError, match="no rows"):
        Evaluated.read(mock_runs.write(tmp_path, columns))


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"points\.parquet"):
        Evaluated.read(tmp_path)


def test_without_the_density_of_observed_stars_its_numbers_are_left_out(
    dust_free: dict[str, Measurement],
) -> None:
    run = mock_runs.without_observed(mock_runs.evaluated(dusty=False))
    found = {m.quantity: m for m in measure(run, mock_runs.counts(False), mock_runs.STUDY)}
    lost = set(dust_free) - set(found)
    assert all("derived" in name or "observed_" in name or "phase" in name for name in lost)
    assert {"derived_error", "phase_density_error", "observed_density_error"} <= lost
    for name in ("velocity_density_error", "tracers_error", "density_error_conditional"):
        assert found[name] == dust_free[name]
