"""The study beside its variants: data of Figure 8 and Table 4 of made-up runs."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mwatlas.figures.conditional_potential import fig08
from mwatlas.files import read_json
from mwatlas.ledger import write_measurements
from mwatlas.studies.conditional_potential.cases import (
    Case,
    write_figure_cases,
    write_table_cases,
)
from mwatlas.studies.conditional_potential.evaluated_tables import PROFILE
from mwatlas.studies.conditional_potential.mock import obscure
from mwatlas.studies.conditional_potential.numbers import measure
from mwatlas.tables.parquet import from_arrow, write_table
from mwatlas.tables.table import Columns

from . import mock_runs
from .learned_mock import PROGRESS, SEED, TINY

COMPARED = (
    "quarter_stars",
    "sixteenth_stars",
    "dust_free",
    "dust_half",
    "dust_double",
    "anisotropic",
)
PARTS = {"held", "inner", "middle", "outer"}
WORSE = {"quarter_stars": 2.0, "sixteenth_stars": 4.0}
"""Factors of the made-up errors, as of noise alone; 1 for other variants."""


def _case(name: str, folder: Path) -> Case:
    study = mock_runs.STUDY.variant(name)
    dusty = name != "dust_free"
    run = mock_runs.evaluated(dusty=dusty, points=4096, side=8)
    if name in WORSE:
        true = run.profile["density_true"]
        error = run.profile["density_conditional"] - true
        run.profile["density_conditional"] = true + WORSE[name] * error
    counts = mock_runs.counts(dusty)
    counts["observed"] = round(study.mock.observed_share * counts["observed"])
    profile, numbers = folder / f"{name}.parquet", folder / f"{name}.json"
    write_table(profile, PROFILE, run.profile)
    write_measurements(measure(run, counts, study), numbers)
    return Case.read(name, study, profile, numbers)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("cases")
    return [_case(name, folder) for name in ("", *COMPARED)]


def _data(cases: list[Case], folder: Path) -> Columns:
    write_figure_cases(cases, folder / "fig08.parquet")
    return from_arrow(pq.read_table(folder / "fig08.parquet"))


def _one(data: Columns, **where: Any) -> float:
    mine = np.logical_and.reduce([data[name] == value for name, value in where.items()])
    (value,) = data["value"][mine]
    return float(value)


def test_each_variant_is_in_its_panel(cases: list[Case], tmp_path: Path) -> None:
    data = _data(cases, tmp_path)
    stars, dust, radius = (data["panel"] == name for name in ("stars", "dust", "radius"))
    assert set(data["x"][stars]) == {2**22, 2**20, 2**18}
    assert set(data["x"][dust]) == {0.0, 0.5, 1.0, 2.0}
    assert set(data["sample"][stars]) == set(data["sample"][dust]) == PARTS
    assert set(data["sample"][radius]) == {"study", "anisotropic"}
    # Without dust as many stars are drawn, of which more are observed.
    other = data["kind"] == "error_other_stars"
    assert set(data["x"][other]) == {0.0}


def test_errors_are_those_made_up(cases: list[Case], tmp_path: Path) -> None:
    data = _data(cases, tmp_path)
    for region in PARTS:
        errors = [_one(data, panel="stars", sample=region, x=2.0**n) for n in (22, 20, 18)]
        # The median of errors times a factor is that of the errors times it.
        assert errors[1] == pytest.approx(2 * errors[0], rel=1e-9)
        assert errors[2] == pytest.approx(4 * errors[0], rel=1e-9)
    held = (data["sample"] == "held") & (data["panel"] == "stars")
    reach = cases[0].numbers["density_radius_conditional"].value
    assert set(data["y_high"][held]) == {reach}
    outer = data["sample"] == "outer"
    np.testing.assert_allclose(data["y_low"][outer], 2 / 3 * mock_runs.RADIUS)


def test_where_the_study_holds_nowhere_all_of_the_volume_counts(
    cases: list[Case], tmp_path: Path
) -> None:
    own = cases[0]
    never = replace(own.numbers["density_radius_conditional"], value=0.0)
    lost = replace(own, numbers={**own.numbers, never.quantity: never})
    data = _data([lost, *cases[1:]], tmp_path)
    assert set(data["y_high"][data["sample"] == "all"]) == {mock_runs.RADIUS}
    assert "held" not in data["sample"]
    fig08(data, "a sample").draw_without_rendering()


@pytest.mark.parametrize("number", [1, 2, 7])
def test_the_figure_is_drawn_with_any_of_them(
    cases: list[Case], number: int, tmp_path: Path
) -> None:
    figure = fig08(_data(cases[:number], tmp_path), "a sample")
    figure.draw_without_rendering()
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [True] * 3


def test_a_run_without_the_method_is_left_out(cases: list[Case], tmp_path: Path) -> None:
    missing = np.full_like(cases[0].residual, np.nan)
    vanilla = replace(cases[0], profile={**cases[0].profile, "density_conditional": missing})
    data = _data([vanilla], tmp_path)
    assert not data["x"].size
    fig08(data, "nothing").draw_without_rendering()


def test_the_table_has_all_cases(cases: list[Case], tmp_path: Path) -> None:
    write_table_cases(cases, tmp_path / "t.csv", tmp_path / "t.tex")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["study", *COMPARED]
    assert rows["quarter_stars"]["observed stars"] == f"{2**20:,}"
    assert [rows[name]["strength of dust"] for name in ("study", "dust_free")] == ["1", "0"]
    assert (rows["study"]["r_a [kpc]"], rows["anisotropic"]["r_a [kpc]"]) == ("", "5")
    error = cases[0].numbers["density_error_conditional"].value
    assert float(rows["study"]["median error of density"]) == pytest.approx(error, rel=5e-3)
    assert (tmp_path / "t.tex").read_text(encoding="utf-8").count(r"\\") == 8


def _plan(folder: Path, like: Path | None, **changes: Any) -> dict[str, float]:
    mock = TINY.mock.model_copy(update=changes)
    files = {f"{name}_file": folder / name for name in ("dust", "extinction", "plan")}
    obscure(mock, SEED, like=like, progress=PROGRESS, **files)
    return read_json(folder / "plan")


def test_plans_of_variants(tmp_path: Path) -> None:
    own = _plan(tmp_path, None)
    assert own["observed_stars"] == TINY.mock.observed_stars
    (tmp_path / "plan").rename(tmp_path / "study")
    few = _plan(tmp_path, None, observed_share=0.25)
    assert few == {**own, "observed_stars": TINY.mock.observed_stars / 4}
    clear = TINY.mock.dust.model_copy(update={"strength": 0.0})
    free = _plan(tmp_path, tmp_path / "study", dust=clear, keep_density=True)
    # As many stars are drawn: the numbers observed are as the shares that are.
    ratio = free["expected_share"] / own["expected_share"]
    assert ratio > 1.5
    assert free["observed_stars"] / own["observed_stars"] == pytest.approx(ratio, rel=1e-4)
