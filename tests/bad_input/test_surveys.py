"""Wrong surveys: settings, files and tables that cannot be matched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mwatlas.config import load_settings
from mwatlas.config.survey import Survey
from mwatlas.errors import ConfigError, InputError
from mwatlas.preflight import check_run
from mwatlas.progress import Progress
from mwatlas.surveys import import_survey
from tests.unit.test_archive import write

ALLSTAR = "adapter.surveys.apogee.tables.allstar"


def _table(**keys: Any) -> dict[str, Any]:
    return {"adapter": {"surveys": {"apogee": {"tables": {"allstar": keys}}}}}


# settings of a release of files, and what the message must contain
SETTINGS = {
    "misspelt key of a survey": (
        {"adapter": {"surveys": {"apogee": {"radius": 2}}}},
        ["adapter.surveys.apogee.radius", "radius_arcsec"],
    ),
    "misspelt key of a table": (
        _table(colums={}),
        [f"{ALLSTAR}.colums", "did you mean 'columns'?"],
    ),
    "misspelt key of a flag": (
        _table(flags=[{"column": "A", "bit": [1], "spoils": ["fe_h"]}]),
        [f"{ALLSTAR}.flags.0.bit", "did you mean 'bits'?"],
    ),
    "unknown column": (_table(columns={"feh": "FE_H"}), [ALLSTAR, "['feh']", "fe_h", "mg_fe"]),
    "flag that spoils what is no measurement": (
        _table(flags=[{"column": "A", "spoils": ["snr"]}]),
        [f"{ALLSTAR}.flags.0.spoils", "'fe_h'"],
    ),
    "a column that is mapped and absent": (
        _table(columns={}, absent=dict.fromkeys(("source_id", "ra", "dec"), "no")),
        [ALLSTAR, "given in two of columns, derive and absent"],
    ),
    "no epoch": (_table(epoch=None), [ALLSTAR, "epoch of ra and dec is missing"]),
    "a table of the sky in a release of files": (
        _table(paths=[], sky_table="apogee_dr17_allstar"),
        ["surveys.apogee.tables.allstar needs paths"],
    ),
    "no such table of the sky": (
        _table(paths=[], sky_table="apogee"),
        [ALLSTAR, "'apogee'", "apogee_dr17_allstar"],
    ),
    "no source of rows": (_table(paths=[]), [ALLSTAR, "either paths or sky_table"]),
    "radius of no size": (
        {"adapter": {"surveys": {"apogee": {"radius_arcsec": 0}}}},
        ["adapter.surveys.apogee.radius_arcsec", "greater than 0"],
    ),
    "a name that is none": (
        {"adapter": {"surveys": {"APOGEE 2": {"title": "x", "tables": {}}}}},
        ["adapter.surveys.APOGEE 2", "pattern"],
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_the_message_names_key_and_choices(root: Path, case: str) -> None:
    settings, parts = SETTINGS[case]
    with pytest.raises(ConfigError) as caught:
        load_settings({"release": "gaiadr3", **settings}, root)
    for part in [*parts, "what to do"]:
        assert part in str(caught.value), str(caught.value)


def test_a_table_that_extends_nothing(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "config", tmp_path / "config")
    path = tmp_path / "config/releases/gaiadr3.yaml"
    path.write_text(path.read_text().replace("extends: apogee_dr17_allstar", "extends: apogee_17"))
    with pytest.raises(ConfigError) as caught:
        load_settings({"release": "gaiadr3"}, tmp_path)
    text = str(caught.value)
    assert "config/releases/gaiadr3.yaml" in text
    assert "surveys.apogee.tables.allstar.extends" in text
    assert "did you mean 'apogee_dr17_allstar'?" in text


def test_an_error_in_a_shared_table_names_its_file(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "config", tmp_path / "config")
    path = tmp_path / "config/surveys/apogee_dr17_allstar.yaml"
    path.write_text(path.read_text().replace("epoch: 1999.3", "epoch: 99.3"))
    with pytest.raises(ConfigError) as caught:
        load_settings({"release": "gaiadr3"}, tmp_path)
    text = str(caught.value)
    assert "config/surveys/apogee_dr17_allstar.yaml" in text
    assert "key:        epoch" in text


def test_rows_that_cannot_be_matched() -> None:
    absent = dict.fromkeys(("source_id", "ra", "dec"), "no")
    for names, message in ((absent, "cannot be matched"), (["ra"], "only one is absent")):
        table = {"paths": ["t"], "absent": {name: absent[name] for name in names}}
        with pytest.raises(ValidationError, match=message):
            Survey.model_validate({"title": "test", "tables": {"t": table}})


def test_files_that_are_not_there_and_how_to_do_without(root: Path, tmp_path: Path) -> None:
    (tmp_path / "gaiadr3").mkdir()
    (tmp_path / "gaiadr3" / "stars.parquet").touch()
    user: dict[str, Any] = {"release": "gaiadr3", "data_dir": str(tmp_path)}
    # They can be fetched, unless that is not wanted.
    check_run(load_settings(user, root))
    never = {
        "apogee": {"tables": {"allstar": {"fetch": None}}},
        "galah": {"tables": {"main": {"fetch": None}}},
    }
    user["adapter"] = {"surveys": never}
    with pytest.raises(InputError) as caught:
        check_run(load_settings(user, root))
    text = str(caught.value)
    assert str(tmp_path / "allStar-dr17-synspec_rev1.fits") in text
    assert "surveys: {apogee: {left_out: no files}}" in text
    surveys = {name: {"left_out": "no files"} for name in ("apogee", "galah")}
    settings = load_settings({**user, "adapter": {"surveys": surveys}}, root)
    check_run(settings)
    assert settings.adapter.absent_surveys() == dict.fromkeys(surveys, "no files")
    assert settings.adapter.used_surveys() == {}


def _spoil(name: str, make: Callable[[np.ndarray], Any]) -> Callable[[dict], None]:
    return lambda rows: rows.update({name: make(rows[name])})


# how the rows are spoilt, settings of the table, and what the message must contain
ROWS: dict[str, tuple[Callable[[dict], Any], dict[str, Any], list[str]]] = {
    "a missing column": (
        lambda rows: rows.pop("mg_fe"),
        {},
        ["mg_fe (looked for mg_fe", "surveys.s.tables.t.absent"],
    ),
    "a missing flag": (
        lambda _: None,
        {"flags": [{"column": "FLG", "spoils": ["fe_h"]}]},
        ["FLG (looked for FLG; the file has 'FLAG')"],
    ),
    "a unit that cannot be converted": (
        lambda _: None,
        {"units": {"survey_radial_velocity": "km"}},
        ["survey_radial_velocity", "'km'", "'km/s'", "surveys.s.tables.t.units"],
    ),
    "a wrong unit": (
        _spoil("survey_radial_velocity", lambda v: v + 1e5),
        {},
        ["survey_radial_velocity", "-2000", "km/s"],
    ),
    "identifiers with missing values": (
        _spoil("source_id", lambda v: np.where(np.arange(v.size) < 2, np.nan, v)),
        {},
        ["source_id", "float64", "with 0 for missing identifiers"],
    ),
    "identifiers of other stars": (
        _spoil("source_id", lambda v: np.roll(v, 20)),
        {},
        ["source_id, ra, dec", "lie outside the pixel"],
    ),
    "declination out of range": (_spoil("dec", lambda v: v + 180), {}, ["dec", "-90", "90 deg"]),
    "a flag that is no flag": (
        _spoil("FLAG", lambda v: v + 0.5),
        {},
        ["FLAG", "float64", "whose bits can be tested"],
    ),
    "no rows": (
        lambda rows: rows.update({name: values[:0] for name, values in rows.items()}),
        {},
        ["0 rows", "adapter.surveys.s.left_out"],
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_the_message_names_file_and_column(
    tmp_path: Path, gaia_rows: Callable, progress: Progress, case: str
) -> None:
    spoil, keys, parts = ROWS[case]
    stars = gaia_rows(100)
    rows = {name: stars[name] for name in ("source_id", "ra", "dec")}
    rows |= {name: np.zeros(100) for name in ("fe_h", "mg_fe", "snr", "survey_radial_velocity")}
    rows |= {"survey_radial_velocity_error": np.ones(100), "FLAG": np.zeros(100, np.int64)}
    spoil(rows)
    table = {
        "paths": ["t"],
        "epoch": 2016.0,
        "flags": [{"column": "FLAG", "spoils": ["fe_h"]}],
        **keys,
    }
    survey = Survey.model_validate({"title": "test", "tables": {"t": table}})
    path, out = write(tmp_path / "t.parquet", rows), tmp_path / "out.parquet"
    out.write_bytes(b"finished earlier")
    with pytest.raises(InputError) as caught:
        import_survey("s", survey, {"t": [path]}, out, progress)
    for part in [*parts, str(path), "what to do"]:
        assert part in str(caught.value), str(caught.value)
    assert out.read_bytes() == b"finished earlier"
