"""The `files` source: formats, mapping, sorting."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from mwatlas.archive.adapt import adapt
from mwatlas.archive.files import import_files
from mwatlas.archive.readers import column_names, read_batches
from mwatlas.catalogs import clean_stars, stars_schema
from mwatlas.config import load_settings
from mwatlas.config.release import FilesSource, ReleaseAdapter
from mwatlas.errors import InputError
from mwatlas.files import read_json
from mwatlas.photometry import g_from_johnson
from mwatlas.progress import Progress
from mwatlas.tables.parquet import number_of_rows, read_cells, read_columns
from tests.unit.ecsv_files import archive_text, write_gzip

FORMATS = [".parquet", ".fits", ".csv", ".csv.gz", ".ecsv", ".vot"]


def write(path: Path, rows: dict[str, Any]) -> Path:
    """Write rows in the format of the suffix, missing values as the format has them."""
    suffix = "".join(path.suffixes)
    if suffix == ".parquet":
        pq.write_table(pa.table({k: pa.array(v, from_pandas=True) for k, v in rows.items()}), path)
    elif suffix.startswith(".csv"):
        table = pa.table({k: pa.array(v, from_pandas=True) for k, v in rows.items()})
        with pa.output_stream(path, compression="gzip" if suffix.endswith("gz") else None) as out:
            pyarrow.csv.write_csv(table, out)
    else:
        Table(rows).write(path, format={".vot": "votable"}.get(suffix), overwrite=True)
    return path


def _read_back(parts: list[Path], names: list[str]) -> dict[str, np.ndarray]:
    return read_columns(parts, names)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_rows(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    suffix: str,
) -> None:
    rows = gaia_rows(300)
    rows["radial_velocity"][::3] = np.nan
    path = write(tmp_path / f"stars{suffix}", rows)
    assert set(rows) <= set(column_names(path))
    parts = [tmp_path / f"part{i}.parquet" for i in range(3)]
    assert import_files([path], files_adapter.source, parts, 1, progress) == 300
    stars = _read_back(parts, ["source_id", "parallax", "radial_velocity", "ruwe"])
    np.testing.assert_array_equal(stars["source_id"], rows["source_id"])
    np.testing.assert_allclose(stars["parallax"], rows["parallax"], rtol=1e-12)
    np.testing.assert_allclose(stars["radial_velocity"], rows["radial_velocity"], rtol=1e-6)


@pytest.mark.parametrize("partitions", [1, 5, 48])
def test_rows_are_sorted_whatever_their_order_and_files(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    partitions: int,
) -> None:
    rows = gaia_rows(400)
    shuffled = np.random.default_rng(0).permutation(400)
    paths = [
        write(tmp_path / f"{i}.parquet", {k: v[piece] for k, v in rows.items()})
        for i, piece in enumerate(np.array_split(shuffled, 3))
    ]
    parts = [tmp_path / f"part{i:02d}.parquet" for i in range(partitions)]
    import_files(paths, files_adapter.source, parts, 1, progress)
    stars = _read_back(parts, ["source_id", "pmra"])
    np.testing.assert_array_equal(stars["source_id"], rows["source_id"])
    np.testing.assert_array_equal(stars["pmra"], rows["pmra"])
    cells = [cell for part in parts for cell, _ in read_cells(part)]
    assert cells == sorted(set(cells))


def test_memory_stays_with_the_partition(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mwatlas.archive.readers.BATCH_ROWS", 50)
    rows = gaia_rows(500)
    path = write(tmp_path / "stars.parquet", rows)
    sizes = [len(b["source_id"]) for b in read_batches(path, ["source_id"])]
    assert max(sizes) == 50
    parts = [tmp_path / f"part{i}.parquet" for i in range(2)]
    assert import_files([path], files_adapter.source, parts, 1, progress) == 500


def test_columns_units_and_relations_are_applied(gaia_rows: Callable) -> None:
    rows = gaia_rows(20)
    rows["plx_arcsec"] = rows.pop("parallax") / 1000
    rows["V"], rows["BV"] = rows.pop("phot_g_mean_mag") + 0.2, np.full(20, 0.6)
    del rows["l"], rows["b"]
    source = FilesSource.model_validate(
        {
            "kind": "files",
            "paths": ["x"],
            "columns": {"parallax": "plx_arcsec"},
            "units": {"parallax": "arcsec"},
            "derive": {
                "phot_g_mean_mag": {"method": "g_from_johnson", "inputs": ["V", "BV"]},
                "l": {"method": "galactic_l", "inputs": ["ra", "dec"]},
                "b": {"method": "galactic_b", "inputs": ["ra", "dec"]},
            },
            "absent": {"dr2_radial_velocity": "no", "dr2_radial_velocity_error": "no"},
        }
    )
    out = adapt(rows, source, "x")
    np.testing.assert_allclose(out["parallax"], rows["plx_arcsec"] * 1000)
    np.testing.assert_allclose(out["phot_g_mean_mag"], g_from_johnson(rows["V"], rows["BV"]))
    from astropy.coordinates import SkyCoord

    galactic = SkyCoord(rows["ra"], rows["dec"], unit="deg").galactic
    np.testing.assert_allclose(out["l"], galactic.l.deg)
    np.testing.assert_allclose(out["b"], galactic.b.deg)


def test_cleaning_corrects_renames_and_counts(
    tmp_path: Path, gaia_rows: Callable, root: Path, progress: Progress
) -> None:
    adapter = load_settings({"release": "gaiaedr3"}, root).adapter
    rows = gaia_rows(200)
    for name in ("radial_velocity", "radial_velocity_error"):
        rows[f"dr2_{name}"] = rows.pop(name)
    rows["parallax"][:10] = np.nan
    rows["phot_g_mean_mag"][10:15] = 4.0
    path = write(tmp_path / "stars.parquet", rows)
    raw = tmp_path / "raw.parquet"
    import_files([path], adapter.source, [raw], adapter.healpix_order, progress)
    stars, counts = tmp_path / "clean.parquet", tmp_path / "clean.json"
    clean_stars(raw, adapter, stars, counts, progress)
    assert read_json(counts) == {
        "read": 200,
        "without_astrometry": 10,
        "without_zero_point": 5,
        "kept": 185,
    }
    data = read_columns([stars], stars_schema(adapter).names)
    np.testing.assert_allclose(
        data["parallax_corr"], data["parallax"] - data["parallax_zero_point"], atol=1e-7
    )
    np.testing.assert_array_equal(data["radial_velocity"], rows["dr2_radial_velocity"][15:])


def _dr4_rows(rows: dict[str, Any], adapter: ReleaseAdapter) -> dict[str, Any]:
    """Rows under the names the adapter expects of Gaia DR4, with a zero point of its own."""
    source = adapter.source
    assert isinstance(source, FilesSource)
    rows = {source.columns.get(n, n): v for n, v in rows.items() if n not in source.absent}
    bias = np.random.default_rng(4).uniform(-0.06, 0.02, len(rows["ra"])).astype(np.float32)
    bias[7] = np.nan
    return {**rows, "tentative_parallax_bias": bias}


def test_a_table_like_that_of_dr4_is_imported_and_cleaned(
    tmp_path: Path, gaia_rows: Callable, root: Path, progress: Progress
) -> None:
    adapter = load_settings({"release": "gaiadr4"}, root).adapter
    rows = _dr4_rows(gaia_rows(100), adapter)
    assert "astrometric_params_solved" not in rows
    path, raw = write(tmp_path / "stars.parquet", rows), tmp_path / "raw.parquet"
    import_files([path], adapter.source, [raw], adapter.healpix_order, progress)
    stars, counts = tmp_path / "clean.parquet", tmp_path / "clean.json"
    clean_stars(raw, adapter, stars, counts, progress)
    assert read_json(counts)["without_zero_point"] == 1
    data = read_columns([stars], stars_schema(adapter).names)
    kept = np.arange(100) != 7
    bias = rows["tentative_parallax_bias"][kept]
    np.testing.assert_array_equal(data["source_id"], rows["source_id"][kept])
    np.testing.assert_array_equal(data["parallax_zero_point"], bias)
    np.testing.assert_array_equal(data["parallax_corr"], rows["parallax"][kept] - bias)


def test_a_zero_point_that_is_in_no_column_is_named(
    tmp_path: Path, gaia_rows: Callable, root: Path, progress: Progress
) -> None:
    adapter = load_settings({"release": "gaiadr4"}, root).adapter
    rows = _dr4_rows(gaia_rows(10), adapter)
    rows["parallax_bias"] = rows.pop("tentative_parallax_bias")
    path = write(tmp_path / "stars.parquet", rows)
    with pytest.raises(InputError) as caught:
        import_files([path], adapter.source, [tmp_path / "raw.parquet"], 4, progress)
    text = str(caught.value)
    assert "parallax_zero_point (looked for tentative_parallax_bias" in text
    assert "the file has 'parallax_bias'" in text


def test_real_archive_rows_pass(survey_data: Path, tmp_path: Path, root: Path, progress) -> None:
    """The adapters of both Gaia releases read the archive's own FITS tables as they are."""
    for release, name in (("gaiadr3", "gdr3_sm.fits"), ("gaiaedr3", "gedr3_sm.fits")):
        adapter = load_settings({"release": release}, root).adapter
        raw, stars = tmp_path / f"{release}.raw.parquet", tmp_path / f"{release}.parquet"
        read = import_files(
            [survey_data / name], adapter.source, [raw], adapter.healpix_order, progress
        )
        assert read == number_of_rows(raw) == 1000
        clean_stars(raw, adapter, stars, tmp_path / "counts.json", progress)
        assert read_json(tmp_path / "counts.json")["kept"] > 300


def _in_arcsec(rows: dict[str, Any]) -> Table:
    table = Table(rows)
    table["parallax"] = table["parallax"] / 1000
    table["parallax"].unit = "arcsec"
    table["pmra"].unit = "mas / yr"
    return table


@pytest.mark.parametrize("suffix", [".fits", ".vot", ".ecsv", ".csv.gz", ".parquet", ".voparquet"])
def test_a_unit_that_a_file_declares_is_not_passed_over(
    tmp_path: Path,
    gaia_rows: Callable,
    files_adapter: ReleaseAdapter,
    progress: Progress,
    suffix: str,
) -> None:
    """Taken for mas, parallaxes in arcsec would be a factor of 1000 too small."""
    rows = gaia_rows(30)
    table = _in_arcsec(rows)
    path = tmp_path / f"stars{suffix.replace('voparquet', 'parquet')}"
    if suffix == ".csv.gz":
        path = write_gzip(path, archive_text(table, tmp_path))
    elif suffix == ".voparquet":
        said = {c.name: {"unit": str(c.unit or "")} for c in table.itercols()}
        table.write(path, format="parquet.votable", metadata=said)
    else:
        table.write(path, **({"format": "votable"} if suffix == ".vot" else {}))
    raw = tmp_path / "raw.parquet"
    with pytest.raises(InputError) as caught:
        import_files([path], files_adapter.source, [raw], 1, progress)
    error = caught.value
    assert (error.file, error.item) == (path, "parallax")
    assert (error.found, error.expected) == ("parallax in arcsec", "parallax in mas")
    assert "source.units" in str(error)
    assert "{parallax: arcsec}" in str(error)
    assert not raw.exists()
    # What the adapter names wins over what the file says: as the remedy has it, or against it.
    for unit, factor in (("arcsec", 1000), ("mas", 1)):
        source = files_adapter.source.model_copy(update={"units": {"parallax": unit}})
        import_files([path], source, [raw], 1, progress)
        found = read_columns([raw], ["parallax"])["parallax"]
        # One multiplication and one division in double precision.
        np.testing.assert_allclose(found, rows["parallax"] / 1000 * factor, rtol=1e-15)
