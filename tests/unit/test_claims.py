"""Rows of the ledger: the study itself, its variants, releases without truth, changed cuts."""

import math
from pathlib import Path

import pytest

from mwatlas.config import Settings, load_published, load_settings
from mwatlas.config.published import Published
from mwatlas.ledger import Measurement, Row, Truth, write_measurements
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.accumulate import empty_statistics
from mwatlas.studies.line_of_sight.claims import (
    HEADLINES,
    Recovered,
    ledger_rows,
    read_recovered,
    switched_off,
    write_recovered,
)
from mwatlas.studies.line_of_sight.closure import recovery_measurements
from mwatlas.studies.line_of_sight.comparison import eccentricity_bins
from mwatlas.studies.line_of_sight.debris import draw_bins
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.studies.line_of_sight.numbers import measure

from .line_of_sight_samples import STUDY

PAPER = dict.fromkeys(("authors", "title", "arxiv", "journal"), "") | {"year": 2022}
NONE = Published.model_validate({"paper": PAPER, "claims": []})
CLAIM = {
    "item": "fig02",
    "quantity": "pull_width",
    "value": 0.9,
    "where": "section 2",
    "needs": "anything",
    "tolerance": 0.1,
    "tolerance_reason": "training",
}
PUBLISHED = Published.model_validate({"paper": PAPER, "claims": [CLAIM]})


def _numbers(folder: Path, **by_variant: dict[str, float]) -> dict[str, Path]:
    """Files of measurements; the study itself is called ``own``."""
    out = {}
    for variant, values in by_variant.items():
        rows = [
            Measurement("fig02", name, f"meaning of {name}", "", value, 0.01, 100)
            for name, value in values.items()
        ]
        name = "" if variant == "own" else variant
        out[name] = folder / f"{variant}.json"
        write_measurements(rows, out[name])
    return out


def _recovered(folder: Path, **by_variant: Recovered) -> dict[str, Path]:
    out = {}
    for variant, recovered in by_variant.items():
        name = "" if variant == "own" else variant
        out[name] = folder / f"{variant}-recovered.json"
        write_recovered(recovered, out[name])
    return out


def _settings(root: Path, *compare: str, release: str = "sky", **study: object) -> Settings:
    user = {"release": release, "line_of_sight": {"compare": list(compare), **study}}
    return load_settings(user, root)


def _by_item(rows: list[Row]) -> dict[tuple[str, str], Row]:
    return {(row.item, row.quantity): row for row in rows}


OWN = {"pull_width": 1.05, "nll_mean": 5.0, "row_of_no_headline": 1.0}
VARIANT = {"pull_width": 0.95, "nll_mean": 4.75, "row_of_no_headline": 2.0}


def test_variants_add_their_headlines(root: Path, tmp_path: Path) -> None:
    settings = _settings(root, "mixture", "log2d", release="brightsky")
    numbers = _numbers(tmp_path, own=OWN, mixture=VARIANT, log2d={**VARIANT, "nll_mean": math.nan})
    rows = ledger_rows(settings, PUBLISHED, numbers, {})
    by_item = _by_item(rows)
    assert len(rows) == len(by_item) == 3 + 2 + 2
    own = by_item["fig02", "pull_width"]
    assert (own.verdict, own.published) == ("differs", 0.9)
    for variant in ("mixture", "log2d"):
        row = by_item[f"variants.{variant}", "pull_width"]
        assert row.value == 0.95
        assert row.meaning == f"meaning of pull_width, with {variant}"
        # The paper's numbers are those of the study itself.
        assert row.verdict == "not comparable"
        assert math.isnan(row.published)
        assert row.reason == "a variant; -0.1 from the study itself (1.05)"
        assert (f"variants.{variant}", "row_of_no_headline") not in by_item
    lost = by_item["variants.log2d", "nll_mean"]
    assert lost.verdict == "not comparable"
    assert "no star" in lost.reason


def test_variants_that_are_not_compared_are_left_out(root: Path, tmp_path: Path) -> None:
    settings = _settings(root, release="brightsky")
    rows = ledger_rows(settings, NONE, _numbers(tmp_path, own=OWN), {})
    assert {row.item for row in rows} == {"fig02"}


def test_truth_judges_the_study_and_its_variants(root: Path, tmp_path: Path) -> None:
    settings = _settings(root, "mixture")
    numbers = _numbers(tmp_path, own=OWN, mixture=VARIANT)
    truth = [
        Truth("pull_width", 1.0, None, 0.1, "calibrated"),
        Truth("row_of_no_headline", 0.0, None, 0.1, "no headline"),
    ]
    purity = Measurement("fig13", "gse_purity_ml_rv", "purity", "", 0.7, 0.1, 10)
    better = Measurement("fig13", "gse_purity_ml_rv", "purity", "", 0.8, 0.1, 10)
    tight = [Truth("pull_width", 1.0, None, 0.01, "tight"), truth[1]]
    recovered = _recovered(
        tmp_path, own=Recovered([purity], truth), mixture=Recovered([better], tight)
    )
    by_item = _by_item(ledger_rows(settings, PUBLISHED, numbers, recovered))
    own = by_item["fig02", "pull_width"]
    assert (own.verdict, own.truth, own.published) == ("agrees", 1.0, 0.9)
    assert by_item["fig02", "row_of_no_headline"].verdict == "not recovered"
    assert by_item["fig13", "gse_purity_ml_rv"].value == 0.7
    row = by_item["variants.mixture", "pull_width"]
    assert (row.verdict, row.truth) == ("not recovered", 1.0)
    assert row.reason.startswith("-0.05 from the truth of the sky; tight; ")
    assert row.reason.endswith("-0.1 from the study itself (1.05)")
    # Numbers only truth allows are headlines too.
    assert by_item["variants.mixture", "gse_purity_ml_rv"].reason == (
        "a variant; +0.1 from the study itself (0.7)"
    )


def test_changed_cuts_are_named(root: Path, tmp_path: Path) -> None:
    settings = _settings(root, release="brightsky", cuts={"high_eccentricity": 0.75})
    (row,) = ledger_rows(settings, PUBLISHED, _numbers(tmp_path, own={"pull_width": 0.9}), {})
    assert row.verdict == "not comparable"
    assert row.reason == "cuts.high_eccentricity is 0.75, the paper's 0.8"
    assert row.published == 0.9


def test_a_published_number_must_be_measured(root: Path, tmp_path: Path) -> None:
    settings = _settings(root, release="brightsky")
    with pytest.raises(ValueError, match="pull_width"):
        ledger_rows(settings, PUBLISHED, _numbers(tmp_path, own={"nll_mean": 1.0}), {})


def test_what_is_recovered_survives_a_round_trip(tmp_path: Path) -> None:
    lost = Measurement("fig13", "q", "m", "", math.nan, None, 0)
    recovered = Recovered([lost], [Truth("q", 1.0, None, 0.5, "r"), Truth("p", 1.0, 0.1, 2.0, "s")])
    write_recovered(recovered, tmp_path / "r.json")
    again = read_recovered(tmp_path / "r.json")
    assert again.truths == recovered.truths
    assert math.isnan(again.measurements[0].value)


def test_every_headline_and_published_number_is_measured(root: Path) -> None:
    statistics = empty_statistics(STUDY)
    # The fewest entries that a fit takes.
    statistics.histograms["pull/0"].counts[:3] = 1
    comparison = Statistics()
    for catalogue in SAMPLES:
        axis = eccentricity_bins(STUDY)
        for name in ("selected", "right", "true_gse"):
            axes = (draw_bins(5), axis)
            comparison.fill(f"recovery/{catalogue}/{name}", axes, [], [])
        for name in ("high", "high_gse"):
            comparison.fill(f"recovery/{catalogue}/{name}", (axis,), [])
        comparison.count(f"recovery/{catalogue}/gse", 0)
    names = {m.quantity for m in (*measure(statistics, STUDY), *recovery_measurements(comparison))}
    assert set(HEADLINES) <= names
    published = load_published("line_of_sight", root)
    assert {claim.quantity for claim in published.claims} <= names
    assert all(claim.where for claim in published.claims)


def test_what_a_release_switches_off_is_said(root: Path) -> None:
    assert "ruwe" in switched_off(_settings(root, release="brightsky"))
    assert switched_off(_settings(root, release="gaiaedr3")) == {}
