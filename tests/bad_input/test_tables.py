"""Wrong tables: the message names file, column and remedy, and what was finished survives."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mwatlas.archive.files import import_files
from mwatlas.archive.readers import column_names
from mwatlas.catalogs import clean_stars
from mwatlas.config import load_settings
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.release import FilesSource, ReleaseAdapter
from mwatlas.errors import InputError, TrainingError
from mwatlas.progress import Progress
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.folds import sort_into_folds
from mwatlas.studies.line_of_sight.prediction import predict_stars
from mwatlas.studies.line_of_sight.selection import select_sample
from mwatlas.studies.line_of_sight.training import train_round
from mwatlas.tables.parquet import read_cells
from tests.unit.test_archive import write

Rows = dict[str, Any]


def _drop(name: str) -> Callable[[Rows], None]:
    return lambda rows: rows.pop(name)


def _put(name: str, value: float, where: slice = slice(3, 4)) -> Callable[[Rows], None]:
    def spoil(rows: Rows) -> None:
        rows[name] = rows[name].copy()
        rows[name][where] = value

    return spoil


def _replace(name: str, make: Callable[[np.ndarray], object]) -> Callable[[Rows], None]:
    def spoil(rows: Rows) -> None:
        rows[name] = make(rows[name])

    return spoil


# how the rows are spoilt, the column and the other words the message must contain
ROWS = {
    "a missing column": (_drop("parallax"), ["parallax (looked for parallax", "source.columns"]),
    "a renamed column": (
        lambda rows: rows.update(paralax=rows.pop("parallax")),
        ["the file has 'paralax'"],
    ),
    "missing values where none may be": (
        _put("ra", np.nan),
        ["ra", "1 of 200 values missing", "remove those rows"],
    ),
    "missing numbers of solved parameters": (
        _replace(
            "astrometric_params_solved", lambda v: np.where(np.arange(v.size) == 5, np.nan, v)
        ),
        ["astrometric_params_solved", "values missing"],
    ),
    "a wrong unit": (
        _replace("parallax", lambda v: v * 1e6),
        ["parallax", "-1000", "1000", "mas", "unit"],
    ),
    "declination out of range": (_put("dec", 100), ["dec", "100.0", "-90", "90 deg"]),
    "an impossible error": (_put("parallax_error", -0.1), ["parallax_error", "allowed range"]),
    "text in a numeric column": (
        _replace("pmra", lambda v: np.array([f"{x:.3f} " for x in v])),
        ["pmra", "something else", "convert the column to numbers"],
    ),
    "source_id as floating point": (
        _replace("source_id", lambda v: v.astype(float)),
        ["source_id", "float64", "64-bit integer"],
    ),
    "source_id with missing values": (
        _replace("source_id", lambda v: np.where(np.arange(v.size) == 5, np.nan, v)),
        ["source_id", "with missing values"],
    ),
    "a repeated star": (
        lambda rows: rows["source_id"].__setitem__(7, rows["source_id"][6]),
        ["source_id", "more than once", "remove duplicate rows"],
    ),
    "identifiers of another survey": (
        _replace("source_id", lambda v: np.arange(v.size) - 5),
        ["source_id", "out of range", "for instance -5"],
    ),
    "identifiers that disagree with positions": (
        _replace("ra", lambda v: np.roll(v, 20)),
        ["source_id, ra, dec", "lie outside the pixel", "ICRS degrees"],
    ),
    "positions in radians": (
        lambda rows: rows.update(ra=np.radians(rows["ra"]), dec=np.radians(rows["dec"])),
        ["source_id, ra, dec", "ICRS degrees"],
    ),
    "Galactic coordinates of other stars": (
        lambda rows: rows.update(l=(rows["l"] + 180) % 360, b=-rows["b"]),
        ["l, b", "equatorial", "100.0%", "source.derive"],
    ),
    "fractions in an integer column": (
        _replace("astrometric_params_solved", lambda v: v + 0.5),
        ["astrometric_params_solved", "fractions", "31.5"],
    ),
    "an empty table": (
        lambda rows: rows.update({k: v[:0] for k, v in rows.items()}),
        ["no rows", "check the query"],
    ),
}


@pytest.fixture
def older(tmp_path: Path) -> list[Path]:
    """Finished partitions of an earlier run."""
    paths = [tmp_path / f"part{i}.parquet" for i in range(2)]
    for path in paths:
        path.write_bytes(b"finished earlier")
    return paths


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_break_the_contract(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    older: list[Path],
    case: str,
) -> None:
    spoil, parts = ROWS[case]
    rows = gaia_rows(200)
    spoil(rows)
    path = write(tmp_path / "stars.parquet", rows)
    with pytest.raises(InputError) as caught:
        import_files([path], files_adapter.source, older, 1, progress)
    text = str(caught.value)
    for part in [*parts, "what to do"]:
        assert part in text, text
    assert "stars.parquet" in text
    assert all(part.read_bytes() == b"finished earlier" for part in older)
    assert not list(tmp_path.glob(".*")), "scratch files are left"


def test_a_repeated_star_in_another_file(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    older: list[Path],
) -> None:
    paths = [write(tmp_path / f"{i}.parquet", gaia_rows(100)) for i in range(2)]
    with pytest.raises(InputError, match="more than once") as caught:
        import_files(paths, files_adapter.source, older, 1, progress)
    assert "100 repeated" in str(caught.value) or "repeated value(s)" in str(caught.value)


FILES = {
    "a web page instead of Parquet": ("x.parquet", b"<!DOCTYPE html><title>403</title>"),
    "a truncated Parquet file": ("x.parquet", None),
    "an empty file": ("x.parquet", b""),
    "a web page instead of FITS": ("x.fits", b"<html>login</html>" * 200),
    "a truncated gzip": ("x.csv.gz", gzip.compress(b"source_id,ra\n1,2\n" * 999)[:60]),
    "a broken VOTable": ("x.vot", b"<VOTABLE><RESOURCE>"),
    "a broken ECSV": ("x.ecsv", b"# %ECSV 1.0\n# ---\n# rubbish: ["),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_not_what_their_name_says(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    older: list[Path],
    case: str,
) -> None:
    name, content = FILES[case]
    path = tmp_path / name
    if content is None:
        content = write(tmp_path / "whole.parquet", gaia_rows(100)).read_bytes()[:-200]
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        import_files([path], files_adapter.source, older, 1, progress)
    text = str(caught.value)
    assert str(path) in text
    assert f"{len(content)} bytes" in text
    assert "truncated" in text
    assert all(part.read_bytes() == b"finished earlier" for part in older)


def test_an_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "stars.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError) as caught:
        column_names(tmp_path / "stars.xlsx")
    assert "'.xlsx'" in str(caught.value)
    assert ".parquet" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("none.parquet", "none.fits"):
        with pytest.raises(InputError, match="missing"):
            column_names(tmp_path / name)


def test_a_unit_that_cannot_be_converted(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    source = FilesSource.model_validate(
        {**files_adapter.source.model_dump(), "units": {"parallax": "km/s"}}
    )
    path = write(tmp_path / "stars.parquet", gaia_rows(50))
    with pytest.raises(InputError) as caught:
        import_files([path], source, [tmp_path / "p.parquet"], 1, progress)
    text = str(caught.value)
    assert "parallax" in text
    assert "'km/s'" in text
    assert "source.units" in text


def test_a_zero_point_without_its_inputs(
    tmp_path: Path, gaia_rows: Callable, root: Path, progress: Progress
) -> None:
    absent = {"ecl_lat": "not queried"}
    adapter = load_settings(
        {"release": "gaiadr3", "adapter": {"source": {"absent": absent}}}, root
    ).adapter
    rows = gaia_rows(50)
    raw = tmp_path / "raw.parquet"
    path = write(tmp_path / "stars.parquet", rows)
    import_files([path], adapter.source, [raw], adapter.healpix_order, progress)
    with pytest.raises(InputError) as caught:
        clean_stars(raw, adapter, tmp_path / "s.parquet", tmp_path / "c.json", progress)
    assert "ecl_lat" in str(caught.value)
    assert "parallax_zero_point: none" in str(caught.value)
    assert not (tmp_path / "s.parquet").exists()


def test_a_table_without_cells(tmp_path: Path, gaia_rows: Callable) -> None:
    path = write(tmp_path / "user.parquet", gaia_rows(5))
    with pytest.raises(InputError, match="not organised by HEALPix cells"):
        next(read_cells(path))


def test_statistics_that_are_not_statistics(tmp_path: Path) -> None:
    (tmp_path / "s.h5").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="delete the file and run again"):
        Statistics.load(tmp_path / "s.h5")


def _folds(tmp_path: Path, rows: Rows, adapter: ReleaseAdapter, progress: Progress) -> list[Path]:
    raw, stars, sample = (tmp_path / f"{n}.parquet" for n in ("raw", "clean", "sample"))
    path = write(tmp_path / "in.parquet", rows)
    import_files([path], adapter.source, [raw], 1, progress)
    clean_stars(raw, adapter, stars, tmp_path / "c.json", progress)
    select_sample(stars, adapter, LineOfSight(), sample, sample.with_suffix(".json"), progress)
    folds = [tmp_path / f"fold{k}.parquet" for k in range(5)]
    sort_into_folds([sample], adapter, LineOfSight().cross_validation, folds)
    return folds


@pytest.mark.parametrize("value", [np.nan, 900.0])
def test_too_few_velocities(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    value: float,
) -> None:
    """An all-missing column, and one whose values all fail the cut."""
    rows = gaia_rows(2000)
    rows["radial_velocity"][:] = value
    with pytest.raises(InputError) as caught:
        _folds(tmp_path, rows, files_adapter, progress)
    text = str(caught.value)
    assert "radial_velocity" in text
    assert "0 stars in the smallest of 5 subsets" in text
    assert "at least 100" in text
    assert (tmp_path / "sample.parquet").exists()
    assert not (tmp_path / "fold0.parquet").exists()


def _train(
    tmp_path: Path, folds: list[Path], progress: Progress, **study: dict
) -> Callable[[], None]:
    return lambda: train_round(
        test=0,
        training_files=[folds[1]],
        validation_file=folds[2],
        study=LineOfSight.model_validate(study),
        seed=1,
        code="",
        model_file=tmp_path / "round0.keras",
        history_file=tmp_path / "round0.parquet",
        progress=progress,
    )


@pytest.mark.parametrize(
    ("column", "feature"), [("pmra", "pmra"), ("b", "b"), ("radial_velocity", "radial_velocity")]
)
def test_an_input_that_does_not_vary(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    column: str,
    feature: str,
) -> None:
    rows = gaia_rows(1500)
    folds = _folds(tmp_path, rows, files_adapter, progress)
    for path in folds:
        table = pq.read_table(path)
        index = table.schema.get_field_index(column)
        field = table.schema.field(index)
        constant = pa.array(np.full(len(table), 1.5), type=field.type)
        pq.write_table(table.set_column(index, field, constant), path, row_group_size=len(table))
    with pytest.raises(InputError) as caught:
        _train(tmp_path, folds, progress)()
    text = str(caught.value)
    assert "does not vary" in text
    assert feature in text
    assert str(folds[1]) in text
    assert "release adapter" in text
    assert not (tmp_path / "round0.keras").exists()


def test_a_column_without_values_is_named(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    rows = gaia_rows(300)
    rows["parallax"][:] = np.nan
    with pytest.raises(InputError, match="no star had complete astrometry"):
        _folds(tmp_path, rows, files_adapter, progress)


def test_a_cut_that_removes_everything_is_named(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    rows = gaia_rows(300)
    rows["ruwe"][:] = 9
    with pytest.raises(InputError, match="300 removed by ruwe"):
        _folds(tmp_path, rows, files_adapter, progress)


@pytest.mark.parametrize(
    ("change", "part"),
    [({"parallax": [1.0]}, "parallax_corr (1,)"), ({"b": [1.0, np.nan]}, "not finite")],
)
def test_stars_that_cannot_be_predicted(change: dict, part: str) -> None:
    stars = {name: [1.0, 2.0] for name in ("l", "b", "pmra", "pmdec", "parallax")}
    with pytest.raises(InputError) as caught:
        predict_stars("none.keras", **{**stars, **change})
    assert part in str(caught.value)


def test_training_that_diverges(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    folds = _folds(tmp_path, gaia_rows(1500), files_adapter, progress)
    study = {"training": {"learning_rate": 1e30, "max_epochs": 30, "checkpoint_seconds": 0}}
    with pytest.raises(TrainingError) as caught:
        _train(tmp_path, folds, progress, **study)()
    text = str(caught.value)
    assert "diverged" in text
    assert "epoch" in text
    assert "lower training.learning_rate" in text
    assert not (tmp_path / "round0.keras").exists()


def test_dead_units_of_the_uncertainty(
    tmp_path: Path, gaia_rows: Callable, files_adapter: ReleaseAdapter, progress: Progress
) -> None:
    """The published start, without training: a part of the stars has sigma = 0 for good."""
    folds = _folds(tmp_path, gaia_rows(1500), files_adapter, progress)
    study = {"network": {"sigma_initial": None}, "training": {"stages": ["mean"], "max_epochs": 2}}
    with pytest.raises(TrainingError) as caught:
        _train(tmp_path, folds, progress, **study)()
    text = str(caught.value)
    assert "dead" in text
    assert "network.sigma_activation" in text
    assert "softplus" in text


def test_errors_pass_between_processes() -> None:
    error = InputError("bad", remedy="mend", file="a.parquet", item="ra", found=1, expected=2)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.item == "ra"
