"""A release whose rows come from an archive: fetched, sorted, not fetched again."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from mwatlas.archive.request import table_requests
from mwatlas.config import load_settings
from mwatlas.config.registry import load_registry
from mwatlas.tables.schemas import GAIA_SOURCE
from tests.faulty_answers import File, Reply
from tests.faulty_server import FaultyServer
from tests.unit.ecsv_files import archive_text, write_gzip
from tests.workflow.conftest import NO_SURVEYS, Workflow

TREE = "https://cdn.gea.esac.esa.int/Gaia/gdr3/gaia_source/"
PIXELS = ("000000-393215", "393216-786431")
RELEASE = f"adapter={{partitions: 2, {NO_SURVEYS}, source: {{fetch: {{routes: [bulk]}}}}}}"


@pytest.fixture
def archive(tmp_path: Path, gaia_rows: Callable) -> Iterator[tuple[FaultyServer, np.ndarray]]:
    """A file tree like the Gaia archive's, and the identifiers that pass the query's cuts."""
    rows = gaia_rows(400)
    rows["ruwe"][::5] = 2.5
    table = Table()
    for column in GAIA_SOURCE.columns:
        if column.name in rows:
            values = rows[column.name].astype(column.dtype)
            missing = np.isnan(values) if column.dtype.startswith("float") else None
            table[column.name] = MaskedColumn(values, mask=missing, unit=column.unit or None)
    half = (rows["source_id"] >> 35) // 4**4 // 393216
    with FaultyServer() as server:
        listing = ""
        for number, pixels in enumerate(PIXELS):
            text = archive_text(table[half == number], tmp_path)
            path = write_gzip(tmp_path / f"GaiaSource_{pixels}.csv.gz", text)
            data = path.read_bytes()
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            listing += f"{digest}  {path.name}\n"
            server.script(f"/tree/{path.name}", File(data))
        server.script("/tree/_MD5SUM.txt", Reply(200, listing.encode()))
        yield server, rows["source_id"][rows["ruwe"] < 2]


def test_a_release_is_fetched_once_and_sorted(
    fresh: Workflow, archive: tuple[FaultyServer, np.ndarray], tmp_path: Path
) -> None:
    server, expected = archive
    registry = fresh.folder / "config/registry.yaml"
    text = registry.read_text()
    assert TREE in text
    registry.write_text(text.replace(TREE, server.url("/tree/")))
    parts = [f"results/gaiadr3/raw/gaia_source/part-{n:04d}.parquet" for n in range(2)]
    run = (*parts, "--cores", "1", "--config", "release=gaiadr3", f"data_dir={tmp_path / 'no'}")
    run = (*run, RELEASE)

    plan = fresh.plan(*run, small=False)
    assert plan == {"check_readiness": 1, "acquire_table": 1, "import_files": 1}
    done = fresh(*run, small=False)
    assert done.status == 0, done.text
    found = np.concatenate([pq.read_table(fresh.folder / p)["source_id"] for p in parts])
    np.testing.assert_array_equal(found, expected)
    log = (fresh.results.parent / "gaiadr3/logs/acquire_table/gaia_source.log").read_text()
    assert "files of the archive" in log

    # Nothing travels again, neither for the same run nor after results were removed.
    asked = len(server.requests)
    assert fresh.plan(*run, small=False) == {}
    for part in parts:
        (fresh.folder / part).unlink()
    assert fresh(*run, small=False).status == 0
    assert len(server.requests) == asked


@pytest.mark.parametrize("release", ["gaiaedr3", "gaiadr3"])
def test_all_inputs_of_all_studies_are_planned(
    fresh: Workflow, tmp_path: Path, release: str
) -> None:
    settings = load_settings({"release": release, "data_dir": "none"}, fresh.folder)
    requests = table_requests(settings, load_registry(fresh.folder), fresh.folder)
    config = ("--config", f"release={release}", f"data_dir={tmp_path / 'no'}")
    planned = fresh("-n", "acquire_inputs", *config, small=False)
    assert planned.status == 0, planned.text
    assert planned.jobs["acquire_table"] == len(requests)
    # One look for the run, one for the inputs of studies to come.
    assert planned.jobs["check_readiness"] == 2
    for name in requests:
        assert f"/{release}/{name}/acquired.json" in planned.text, name


def test_spectra_are_fetched_after_the_table_that_lists_their_stars(
    fresh: Workflow, tmp_path: Path
) -> None:
    target = "archive/gaiadr3/xp_continuous/acquired.json"
    data = tmp_path / "data"
    config = ("--config", "release=gaiadr3", f"data_dir={data}")
    assert fresh.plan(target, *config, small=False)["acquire_table"] == 2
    # A table of the user's own is not fetched.
    data.mkdir()
    (data / "allStar-dr17-synspec_rev1.fits").write_bytes(b"SIMPLE  =                    T")
    assert fresh.plan(target, *config, small=False)["acquire_table"] == 1


def test_an_archive_that_is_away_stops_the_run_with_what_to_do(
    fresh: Workflow, archive: tuple[FaultyServer, np.ndarray], tmp_path: Path
) -> None:
    server, _ = archive
    registry = fresh.folder / "config/registry.yaml"
    server.script("/tree/_MD5SUM.txt", Reply(404, b""))
    text = registry.read_text().replace(TREE, server.url("/tree/"))
    other = "https://sdsc-users.flatironinstitute.org/~gaia/dr3/csv/GaiaSource/"
    assert other in text
    registry.write_text(text.replace(other, server.url("/away/")))
    run = ("results/gaiadr3/raw/gaia_source/part-0000.parquet", "--cores", "1", "--config")
    failed = fresh(*run, "release=gaiadr3", f"data_dir={tmp_path / 'no'}", RELEASE, small=False)
    assert failed.status != 0
    assert "the run cannot start" in failed.text
    assert "none of its routes can be reached" in failed.text
