"""The `hats` route: a catalogue by path or URL, with its own count of rows."""

import functools
import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mwatlas.archive.bulk import Wanted
from mwatlas.archive.convert import subset
from mwatlas.archive.cuts import Cut
from mwatlas.archive.hats_route import fetch_hats
from mwatlas.archive.manifest import Manifest
from mwatlas.errors import ArchiveError
from mwatlas.healpix import cell_of_source
from mwatlas.progress import Progress
from mwatlas.tables.hats import write_hats
from mwatlas.tables.schemas import GAIA_SOURCE

from .fake_tap import HTML

COLUMNS = ("source_id", "ra", "dec", "parallax", "parallax_error", "radial_velocity")
TABLE = subset(GAIA_SOURCE, COLUMNS)
WANTED = Wanted(TABLE, ("source_id", "radial_velocity"), (Cut("parallax_error < 0.01 * parallax"),))
EVERYTHING = Wanted(TABLE, COLUMNS)


@pytest.fixture
def rows(gaia_rows: Callable) -> dict[str, Any]:
    data = {name: gaia_rows(500)[name] for name in COLUMNS}
    data["radial_velocity"][::3] = np.nan
    return data


@pytest.fixture
def catalogue(tmp_path: Path, rows: dict[str, Any]) -> Path:
    home = cell_of_source(rows["source_id"], 1)
    cells = [(int(c), {n: v[home == c] for n, v in rows.items()}) for c in np.unique(home)]
    write_hats(tmp_path / "gaia", TABLE, cells, 1)
    return tmp_path / "gaia"


@pytest.fixture
def fetch(tmp_path: Path, progress: Progress) -> Callable[..., Manifest]:
    def run(address: str, wanted: Wanted = EVERYTHING, workers: int = 1) -> Manifest:
        manifest = Manifest(tmp_path / f"table{workers}", {"wanted": repr(wanted)})
        fetch_hats(address, wanted, manifest, progress=progress, workers=workers)
        return manifest

    return run


def _read(manifest: Manifest) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in manifest.files])


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Files with ranges, which Parquet is read by; one of them is served with a fault."""

    fault, bad = "", "none"
    agents: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        self.agents.add(self.headers.get("User-Agent", ""))
        if self.bad not in self.path:
            self._serve()
        elif self.fault.isdigit():
            self._send(int(self.fault), b"busy", 4)
        elif self.fault == "HTML":
            self._send(200, HTML, len(HTML))
        else:  # truncated
            self._send(200, b"PAR1", 1000)
            self.close_connection = True

    def do_HEAD(self) -> None:
        if self.bad not in self.path:
            super().do_HEAD()
        else:
            self._send(int(self.fault) if self.fault.isdigit() else 200, b"", 1000)

    def _send(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def _serve(self) -> None:
        asked = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, _, last = asked.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def served(catalogue: Path, fault: str = "", bad: str = "none") -> Iterator[str]:
    """Address of a catalogue on this machine."""
    kind = type("Handler", (_Ranges,), {"fault": fault, "bad": bad})
    handler = functools.partial(kind, directory=str(catalogue.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{catalogue.name}"
        server.shutdown()
        thread.join()


@pytest.fixture
def url(catalogue: Path) -> Iterator[str]:
    with served(catalogue) as address:
        yield address


@pytest.mark.parametrize("workers", [1, 2])
def test_every_value_comes_through(
    fetch: Callable, catalogue: Path, rows: dict[str, Any], workers: int
) -> None:
    manifest = fetch(str(catalogue), workers=workers)
    found = _read(manifest)
    assert found.column_names == list(COLUMNS)
    order = np.argsort(found.column("source_id").to_numpy())
    for name in COLUMNS:
        np.testing.assert_array_equal(found.column(name).to_numpy()[order], rows[name], name)
    assert sum(piece.detail["rows_read"] for piece in manifest.pieces) == 500


def test_cuts_and_columns_by_url(fetch: Callable, url: str, rows: dict[str, Any]) -> None:
    found = _read(fetch(url, WANTED))
    passes = rows["parallax_error"].astype(float) < 0.01 * rows["parallax"]
    assert 0 < passes.sum() < 500
    assert found.column_names == ["source_id", "radial_velocity"]
    np.testing.assert_array_equal(np.sort(found.column("source_id")), rows["source_id"][passes])


@pytest.mark.parametrize("cut", ["radial_velocity IS NOT NULL", "radial_velocity <> 1e9"])
def test_what_is_no_number_passes_no_cut_and_is_missing(
    fetch: Callable, catalogue: Path, rows: dict[str, Any], cut: str
) -> None:
    path = _pixel(catalogue)
    table = pq.read_table(path)
    place = table.column_names.index("radial_velocity")
    velocities = table.column(place).to_numpy().copy()
    velocities[0] = np.nan
    not_null = pa.array(velocities, from_pandas=False)
    assert not_null.null_count == 0
    pq.write_table(table.set_column(place, "radial_velocity", not_null), path)
    lost = table["source_id"][0].as_py()
    there = ~np.isnan(rows["radial_velocity"]) & (rows["source_id"] != lost)
    found = _read(fetch(str(catalogue), Wanted(TABLE, COLUMNS, (Cut(cut),))))
    assert sorted(found["source_id"].to_pylist()) == rows["source_id"][there].tolist()
    everything = _read(fetch(str(catalogue), workers=2))["radial_velocity"]
    assert everything.null_count == 500 - there.sum()


def test_a_row_twice_in_a_pixel_is_refused(fetch: Callable, catalogue: Path) -> None:
    bad = _pixel(catalogue)
    table = pq.ParquetFile(bad).read()
    pq.write_table(pa.concat_tables([table, table.slice(1, 1)]), bad)
    with pytest.raises(ArchiveError, match="rows twice") as caught:
        fetch(str(catalogue))
    assert caught.value.found == f"1 repeated value(s), for instance {table['source_id'][1]}"


@pytest.mark.parametrize("fault", ["500", "503", "404", "202", "HTML", "truncated"])
def test_a_pixel_that_does_not_come_is_named_and_the_others_stay(
    fetch: Callable, catalogue: Path, rows: dict[str, Any], tmp_path: Path, fault: str
) -> None:
    bad = _pixel(catalogue)
    with served(catalogue, fault, bad.name) as url, pytest.raises(ArchiveError) as caught:
        fetch(url)
    assert str(caught.value.file) == url
    assert caught.value.item == f"Norder=1, Npix={bad.stem.removeprefix('Npix=')}"
    assert caught.value.found
    assert caught.value.expected
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "table1").glob("[!.]*.parquet")}
    assert done
    # Pieces are of the catalogue, wherever it is: the mirror may be another.
    manifest = fetch(str(catalogue))
    assert {path: path.stat().st_mtime_ns for path in done} == done
    np.testing.assert_array_equal(np.sort(_read(manifest).column("source_id")), rows["source_id"])


def test_a_server_that_is_gone_is_named(fetch: Callable, catalogue: Path) -> None:
    with served(catalogue) as url:
        pass
    with pytest.raises(ArchiveError) as caught:
        fetch(url)
    assert str(caught.value.file) == url
    assert "Failed to read HATS at location" in str(caught.value.found)


def test_requests_say_who_asks(catalogue: Path, tmp_path: Path, progress: Progress) -> None:
    manifest = Manifest(tmp_path / "table", {})
    _Ranges.agents.clear()
    with served(catalogue) as url:
        fetch_hats(url, WANTED, manifest, progress=progress, user_agent="mwatlas/0 (me)")
    assert _Ranges.agents == {"mwatlas/0 (me)"}


KILLED = """
import logging, os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from mwatlas.archive import hats_route
from mwatlas.archive.manifest import Manifest
from mwatlas.progress import Progress
from tests.unit.test_hats_route import EVERYTHING

batches, pixels = hats_route._batches, []

def killed(*arguments):
    pixels.append(arguments)
    for batch in batches(*arguments):
        yield batch
        if len(pixels) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

hats_route._batches = killed
manifest = Manifest(Path({folder!r}), dict(wanted=repr(EVERYTHING)))
progress = Progress("test", logging.getLogger("mwatlas"))
hats_route.fetch_hats({catalogue!r}, EVERYTHING, manifest, progress=progress)
"""


def test_kill_in_the_middle_of_a_pixel_and_restart(
    fetch: Callable, catalogue: Path, rows: dict[str, Any], tmp_path: Path, root: Path
) -> None:
    folder = tmp_path / "table1"
    script = KILLED.format(root=str(root), folder=str(folder), catalogue=str(catalogue))
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    done = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*.parquet")}
    assert len(done) == 2
    assert list(folder.glob(".*.parquet"))  # the piece it was writing
    manifest = fetch(str(catalogue))
    assert {path: path.stat().st_mtime_ns for path in done} == done
    np.testing.assert_array_equal(np.sort(_read(manifest).column("source_id")), rows["source_id"])
    assert not list(folder.glob(".*"))


def test_a_restart_goes_on(fetch: Callable, catalogue: Path) -> None:
    manifest = fetch(str(catalogue))
    kept = {path.name: path.stat().st_mtime_ns for path in manifest.files}
    lost = manifest.files[3]
    lost.unlink()
    again = fetch(str(catalogue))
    assert again.has(lost.name)
    for path in again.files:
        assert (path.stat().st_mtime_ns == kept[path.name]) == (path.name != lost.name)


def _pixel(catalogue: Path) -> Path:
    return sorted(catalogue.glob("dataset/Norder=*/Dir=*/Npix=*.parquet"))[5]


def _drop(catalogue: Path) -> None:
    path = _pixel(catalogue)
    pq.write_table(pq.read_table(path).slice(1), path)


def _rename(catalogue: Path) -> None:
    path = _pixel(catalogue)
    table = pq.read_table(path)
    names = ["plx" if name == "parallax" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), path)


def _narrow(catalogue: Path) -> None:
    path = _pixel(catalogue)
    table = pq.read_table(path)
    ids = pa.array(table.column("source_id").to_numpy().astype(float))
    pq.write_table(table.set_column(0, "source_id", ids), path)


def _blank(catalogue: Path) -> None:
    path = _pixel(catalogue)
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "ra", pa.nulls(len(table), pa.float64())), path)


FAULTS = {
    "a pixel is missing": (lambda c: _pixel(c).unlink(), "Norder=1, Npix="),
    "a pixel is cut off": (
        lambda c: _pixel(c).write_bytes(_pixel(c).read_bytes()[:100]),
        "cannot be read",
    ),
    "a row is missing": (_drop, "499 rows"),
    "a column is missing": (_rename, "parallax: missing"),
    "identifiers are rounded": (_narrow, "source_id: dtype; found float64"),
    "positions are missing": (_blank, "missing value"),
    "no properties": (
        lambda c: [path.unlink() for path in c.glob("*properties")],
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_catalogue_is_named(fetch: Callable, catalogue: Path, name: str) -> None:
    change, message = FAULTS[name]
    change(catalogue)
    with pytest.raises(ArchiveError) as raised:
        fetch(str(catalogue))
    assert message in str(raised.value)
    assert str(catalogue) in str(raised.value)


def test_no_catalogue_there(fetch: Callable, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be read"):
        fetch(str(tmp_path / "nothing"))
