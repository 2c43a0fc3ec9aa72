"""Ledger rows of the conditional-potential study: truth, paper, variants."""

from pathlib import Path

import pytest

from mwatlas.config import load_published
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.published import Published
from mwatlas.ledger import Row, read_measurements, write_measurements
from mwatlas.studies.conditional_potential.claims import (
    HEADLINES,
    ledger_rows,
    left_out,
    truths,
)
from mwatlas.studies.conditional_potential.numbers import measure

from . import mock_runs

PAPER_MOCK = ConditionalPotential.model_validate(
    {"mock": {"observed_stars": 2**22}, "flows": {"members": 8}}
)


@pytest.fixture(scope="module")
def published(root: Path) -> Published:
    return load_published("conditional_potential", root)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of made-up runs with the paper's settings, with and without dust."""
    folder = tmp_path_factory.mktemp("numbers")
    out = {}
    for name, dusty in (("", True), ("dust_free", False)):
        found = measure(mock_runs.evaluated(dusty=dusty), mock_runs.counts(dusty), PAPER_MOCK)
        out[name] = folder / f"{name or 'own'}.json"
        write_measurements(found, out[name])
    return out


@pytest.fixture(scope="module")
def rows(published: Published, numbers: dict[str, Path]) -> dict[str, Row]:
    return {row.quantity: row for row in ledger_rows(PAPER_MOCK, published, numbers)}


def test_every_number_of_the_paper_is_measured(published: Published, rows: dict[str, Row]) -> None:
    assert left_out(published, list(rows.values())) == {}
    for claim in published.claims:
        assert rows[claim.quantity].item == claim.item
        assert rows[claim.quantity].unit == claim.unit


def test_the_analytic_sphere_decides(rows: dict[str, Row]) -> None:
    good, bad = rows["density_error_conditional"], rows["density_error_vanilla"]
    assert (good.truth, good.verdict) == (0.0, "agrees")
    assert good.published == 0.1
    assert "at most" in good.published_where
    assert bad.verdict == "not recovered"
    assert "the paper, too, finds" in bad.reason
    assert rows["tracers_error"].verdict == "agrees"
    assert rows["velocity_density_error"].verdict == "agrees"
    assert rows["spread_coverage_1_selection"].verdict == "agrees"
    assert rows["spread_coverage_1_vanilla"].verdict == "not recovered"


def test_shells_of_few_stars_are_not_judged(rows: dict[str, Row]) -> None:
    row = rows["density_error_conditional_7_8kpc"]
    assert row.rows < PAPER_MOCK.comparison.fewest_stars
    assert row.verdict == "not comparable"
    assert rows["density_error_conditional_1_2kpc"].verdict == "agrees"


def test_lost_numbers_are_said(published: Published, rows: dict[str, Row]) -> None:
    lost = [claim for claim in published.claims if claim.value is None]
    assert len(lost) == 9
    for claim in lost:
        row = rows[claim.quantity]
        assert "not recovered" in row.published_where
        if row.quantity != "density_error_conditional_7_8kpc_dust_free":
            assert row.verdict == "not comparable"
            assert "published: not recovered" in row.reason
            assert claim.says in row.reason


def test_numbers_of_the_paper(rows: dict[str, Row]) -> None:
    for name in (
        "count_observed",
        "dust_structure",
        "dust_angle_1kpc",
        "dust_angle_8kpc",
        "parameters_selection",
        "parameters_tracers",
        "parameters_ratio",
        "error_ratio_tracers_selection",
        "roughness_ratio_tracers_selection",
        "error_ratio_phase_velocity",
        "phase_density_trend",
        "star_ratio_dust_free",
    ):
        assert rows[name].verdict == "agrees", rows[name].reason


def test_the_mock_without_dust(rows: dict[str, Row]) -> None:
    ratio = mock_runs.counts(False)["observed"] / mock_runs.OBSERVED
    assert rows["star_ratio_dust_free"].value == pytest.approx(ratio)
    for name in (
        "tracers_error_dust_free",
        "derived_error_dust_free",
        "error_ratio_edge_derived_dust_free",
    ):
        assert rows[name].item == "fig06"
        assert rows[name].verdict == "agrees"
    edge = rows["density_error_conditional_7_8kpc_dust_free"]
    assert edge.verdict == "agrees"


def test_without_the_variant_its_claims_are_left_out(
    published: Published, numbers: dict[str, Path]
) -> None:
    found = ledger_rows(PAPER_MOCK, published, {"": numbers[""]})
    missing = left_out(published, found)
    assert set(missing) == {c.quantity for c in published.claims if c.item == "fig06"}
    assert all("dust_free" in reason for reason in missing.values())


def test_another_mock_is_not_compared_with_the_paper(
    published: Published, numbers: dict[str, Path]
) -> None:
    study = ConditionalPotential.model_validate({"mock": {"observed_stars": 1000}})
    rows = {row.quantity: row for row in ledger_rows(study, published, numbers)}
    assert rows["count_observed"].verdict == "not comparable"
    assert "the mock has 1,000 observed stars" in rows["count_observed"].reason
    assert rows["density_error_conditional"].verdict == "agrees"


def test_other_variants_have_their_headlines(
    published: Published, numbers: dict[str, Path]
) -> None:
    study = ConditionalPotential.model_validate(
        {"variants": {"bright": {"mock": {"magnitudes": {"limit": 17.0}}}}, "compare": ["bright"]}
    )
    every = {"": numbers[""], "bright": numbers[""]}
    found = [r for r in ledger_rows(study, published, every) if r.item == "variants.bright"]
    assert {row.quantity for row in found} == set(HEADLINES)
    assert all("+0 from the study itself" in row.reason for row in found)


def test_truths_name_only_what_was_measured(numbers: dict[str, Path]) -> None:
    measured = read_measurements(numbers["dust_free"])
    known = truths(measured, PAPER_MOCK.variant("dust_free"), dusty=False)
    assert {t.quantity for t in known} <= {m.quantity for m in measured}
    assert not any("vanilla" in t.quantity for t in known)
    (stars,) = (t for t in known if t.quantity == "tracers_error")
    assert "few per cent" in stars.reason
