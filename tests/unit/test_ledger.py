"""Verdicts."""

import json
import math
from pathlib import Path

import pytest
from astropy.table import Table

from mwatlas.config import Settings, load_settings
from mwatlas.config.fields import changed_settings
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.published import PublishedClaim
from mwatlas.ledger import (
    Measurement,
    Truth,
    judge,
    read_measurements,
    summarise,
    summary_text,
    write_ledger,
    write_measurements,
)
from mwatlas.studies.line_of_sight.claims import switched_off
from mwatlas.studies.line_of_sight.tables import row_labels


def _measured(value: float, error: float | None = 0.01) -> list[Measurement]:
    return [Measurement("fig02", "q", "what q is", "", value, error, 100)]


def _claim(needs: str = "anything", **changes: object) -> list[PublishedClaim]:
    values = {
        "item": "fig02",
        "quantity": "q",
        "value": 1.0,
        "where": "section 2",
        "needs": needs,
        "tolerance": 0.1,
        "tolerance_reason": "rounding",
        **changes,
    }
    return [PublishedClaim.model_validate(values)]


@pytest.fixture(scope="module")
def real(root: Path) -> Settings:
    return load_settings({"release": "brightsky"}, root)


@pytest.mark.parametrize(("value", "verdict"), [(1.05, "agrees"), (1.2, "differs")])
def test_the_tolerance_decides(real: Settings, value: float, verdict: str) -> None:
    (row,) = judge("line_of_sight", _measured(value), _claim(), [], real.adapter)
    assert row.verdict == verdict
    assert "rounding" in row.reason
    assert row.published == 1.0


def test_changed_cuts_are_not_compared_with_the_paper(real: Settings) -> None:
    changed = ["cuts.high_eccentricity is 0.9, the paper's 0.8"]
    (row,) = judge("line_of_sight", _measured(1.0), _claim(), [], real.adapter, changed)
    assert row.verdict == "not comparable"
    assert "0.9" in row.reason


def test_labels_follow_the_cuts() -> None:
    cuts = LineOfSight.model_validate(
        {
            "cuts": {
                "high_eccentricity": 0.9,
                "complete": {"column": "phot_g_mean_mag", "min": 11, "max": 16},
            }
        }
    ).cuts
    labels = row_labels(cuts)
    assert labels["row1"] == "[1] = [0] and G >= 11 and G <= 16"
    assert labels["row2"] == "[2] = [1] and e > 0.9"
    keys = {key: value for key, value, _ in changed_settings(cuts, "cuts.")}
    assert keys == {
        "cuts.high_eccentricity": 0.9,
        "cuts.complete.min": 11,
        "cuts.complete.max": 16,
    }


def test_surveys_that_are_not_matched_are_said(real: Settings) -> None:
    assert "no file of the survey" in switched_off(real)["survey_galah"]
    assert "survey_apogee" not in switched_off(real)
    unnamed = real.adapter.model_copy(update={"surveys": {}})
    reasons = switched_off(real.model_copy(update={"adapter": unnamed}))
    assert "does not name it" in reasons["survey_apogee"]


def test_without_a_tolerance_twice_the_error_decides(real: Settings) -> None:
    claim = _claim(tolerance=None, error=0.03)
    (row,) = judge("line_of_sight", _measured(1.07, 0.04), claim, [], real.adapter)
    assert row.verdict == "agrees"
    assert row.tolerance == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("release", "needs", "verdict"),
    [
        ("brightsky", "same sample", "not comparable"),
        ("gaiaedr3", "same sample", "agrees"),
        ("brightsky", "real stars", "agrees"),
        ("sky", "real stars", "not comparable"),
        ("sky", "anything", "agrees"),
    ],
)
def test_what_a_claim_needs(root: Path, release: str, needs: str, verdict: str) -> None:
    adapter = load_settings({"release": release}, root).adapter
    (row,) = judge("line_of_sight", _measured(1.0), _claim(needs), [], adapter)
    assert row.verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(2.1, "agrees"), (2.5, "not recovered")])
def test_truth_goes_before_the_paper(settings: Settings, value: float, verdict: str) -> None:
    truth = [Truth("q", 2.0, None, 0.2, "by construction")]
    (row,) = judge("line_of_sight", _measured(value), _claim(), truth, settings.adapter)
    assert row.verdict == verdict
    assert "by construction" in row.reason


def test_nothing_to_measure_is_said(real: Settings) -> None:
    (row,) = judge("line_of_sight", _measured(math.nan, None), _claim(), [], real.adapter)
    assert row.verdict == "not comparable"
    assert "no star" in row.reason


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        ("at most", 0.2, "agrees"),
        ("at most", 1.05, "agrees"),
        ("at most", 1.2, "differs"),
        ("at least", 5.0, "agrees"),
        ("at least", 0.95, "agrees"),
        ("at least", 0.8, "differs"),
    ],
)
def test_a_published_limit_has_one_side(bound: str, value: float, verdict: str) -> None:
    (row,) = judge("a_study", _measured(value), _claim(bound=bound), [], None)
    assert row.verdict == verdict
    assert bound in row.published_where
    assert bound in row.reason


def test_a_lost_number_is_said() -> None:
    claim = _claim(value=None, says="within 10% for [lost]")
    (row,) = judge("a_study", _measured(1.0), claim, [], None)
    assert row.verdict == "not comparable"
    assert "published: not recovered" in row.reason
    assert "within 10% for [lost]" in row.reason
    assert math.isnan(row.published)
    assert row.published_where == "section 2 (not recovered)"


def test_truth_decides_where_the_published_number_is_lost() -> None:
    truth = [Truth("q", 1.0, None, 0.1, "known")]
    (row,) = judge("a_study", _measured(1.05), _claim(value=None), truth, None)
    assert (row.verdict, row.truth) == ("agrees", 1.0)


def test_a_claim_without_a_measurement_is_an_error(real: Settings) -> None:
    with pytest.raises(ValueError, match="other"):
        judge("line_of_sight", _measured(1), _claim(quantity="other"), [], real.adapter)


def test_the_ledger_is_json_and_parquet(tmp_path: Path, real: Settings) -> None:
    rows = judge("line_of_sight", _measured(1.2), _claim(), [], real.adapter)
    rows += judge("line_of_sight", _measured(math.nan, None), [], [], real.adapter)
    json_path, parquet_path = tmp_path / "ledger.json", tmp_path / "ledger.parquet"
    reasons = {"line_of_sight": {"ruwe": "no ruwe"}}
    write_ledger(rows, "brightsky", real.adapter, reasons, json_path, parquet_path)
    content = json.loads(json_path.read_text())
    assert content["summary"] == summarise(rows)
    assert content["switched_off"] == reasons
    assert content["rows"][1]["value"] is None
    table = Table.read(parquet_path)
    assert list(table["verdict"]) == ["differs", "not comparable"]
    text = summary_text(tmp_path)
    assert "1 differs" in text
    assert "q = 1.2" in text
    assert "index.html" in text


def test_measurements_survive_a_round_trip(tmp_path: Path) -> None:
    rows = [*_measured(1.5), *_measured(math.nan, None)]
    write_measurements(rows, tmp_path / "m.json")
    read = read_measurements(tmp_path / "m.json")
    assert read[0] == rows[0]
    assert math.isnan(read[1].value)
