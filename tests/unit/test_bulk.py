"""The `bulk` route: a file tree and single files, with faults, restarts and several workers."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import vstack

from mwatlas.archive.bulk import Wanted, fetch_tree
from mwatlas.archive.cuts import Cut
from mwatlas.archive.lanes import ahead, in_lanes
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.ranges import check_ranges
from mwatlas.archive.tree import local_path, overlapping, tree_files
from mwatlas.errors import ArchiveError
from mwatlas.progress import Progress

from .ecsv_files import STARS, archive_text, md5, random_rows, write_gzip

URL = "https://archive.example/gaia_source"
REQUEST = {"table": "stars"}
WANTED = Wanted(STARS, ("source_id", "parallax"), (Cut("n_obs > 9000"),))
SHIFT = 43
LAST = 12 * 4**8 - 1


def parse_checksums(text: str, _: str) -> dict[str, str]:
    """What the list of checksums says."""
    return {name: f"md5:{value}" for value, name in (line.split() for line in text.splitlines())}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Five files of pixels 0-9, 10-19, ..., 40 to the last, 300 rows each, and their list."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for i in range(5):
        rows = random_rows(300, seed=i, first=(10 * i) << SHIFT)
        last = LAST if i == 4 else 10 * i + 9
        write_gzip(folder / f"Stars_{10 * i:06d}-{last:06d}.csv.gz", archive_text(rows, tmp_path))
    write_list(folder)
    return folder


def write_list(folder: Path, without: str = "") -> None:
    """List the files of a tree, but for one."""
    paths = [path for path in sorted(folder.glob("*.gz")) if path.name != without]
    lines = [f"{md5(path)}  {path.name}" for path in paths]
    (folder / "_MD5SUM.txt").write_text("\n".join([*lines, "0" * 32 + "  README.txt"]) + "\n")


@dataclass
class Server:
    """Stands in for the archive: copies files, checks them, remembers what was asked."""

    tree: Path
    asked: list[str] = field(default_factory=list)
    most: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def download(self, url: str, path: Path, checksum: str | None) -> None:
        source = self.tree / url.removeprefix(f"{URL}/")
        if checksum and checksum != f"md5:{md5(source)}":
            raise ArchiveError("wrong checksum", file=url, remedy="try again")
        shutil.copyfile(source, path)
        with self.lock:
            self.asked.append(source.name)
            self.most = max(self.most, len(list(path.parent.glob("*.gz"))))


@pytest.fixture
def fetch(tree: Path, tmp_path: Path, progress: Progress) -> Callable[..., Manifest]:
    def run(address: str = URL, folder: str = "table", **options: Any) -> Manifest:
        manifest = Manifest(tmp_path / folder, REQUEST)
        server = options.pop("server", Server(tree))
        fetch_tree(
            address,
            options.pop("wanted", WANTED),
            manifest,
            download=server.download,
            parse_checksums=parse_checksums,
            progress=progress,
            **options,
        )
        return manifest

    return run


def contents(manifest: Manifest) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in manifest.files}


def test_a_tree_becomes_pieces(fetch: Callable, tree: Path) -> None:
    server = Server(tree)
    manifest = fetch(server=server)
    assert len(manifest.pieces) == 5
    expected = [random_rows(300, seed=i, first=(10 * i) << SHIFT) for i in range(5)]
    for piece, rows in zip(manifest.pieces, expected, strict=True):
        kept = rows[rows["n_obs"] > 9000]
        found = pq.read_table(manifest.folder / piece.name)
        np.testing.assert_array_equal(found.column("source_id"), kept["source_id"])
        assert piece.origin.startswith(f"{URL}/Stars_")
        assert piece.detail["rows_read"] == 300
        assert piece.detail["checksum"].startswith("md5:")
    assert [path.name for path in manifest.folder.iterdir() if path.name.startswith(".")] == []
    assert not manifest.complete


@pytest.mark.parametrize("form", ["path", "file"])
def test_a_copy_on_disk_is_read_in_place(fetch: Callable, tree: Path, form: str) -> None:
    before = sorted(path.name for path in tree.iterdir())
    address = str(tree) if form == "path" else tree.as_uri()
    server = Server(tree)
    copied = fetch(address, "local", server=server)
    assert server.asked == []
    assert sorted(path.name for path in tree.iterdir()) == before
    assert contents(copied) == contents(fetch())


def test_workers_change_nothing_and_disk_is_bounded(fetch: Callable, tree: Path) -> None:
    one = Server(tree)
    two = Server(tree)
    alone = contents(fetch(folder="one", server=one, workers=1))
    assert contents(fetch(folder="two", server=two, workers=2)) == alone
    assert one.most <= 3
    assert two.most <= 4


def test_a_range_takes_its_files_only(fetch: Callable, tree: Path) -> None:
    server = Server(tree)
    first, last = (10 << SHIFT) + 7 * 100, 20 << SHIFT
    manifest = fetch(server=server, source_ids=(first, last), wanted=Wanted(STARS, ("source_id",)))
    assert sorted(server.asked)[:2] == ["Stars_000010-000019.csv.gz", "Stars_000020-000029.csv.gz"]
    assert [piece.rows for piece in manifest.pieces] == [200, 1]


def test_a_restart_goes_on(fetch: Callable, tree: Path) -> None:
    fetch()
    manifest = fetch()
    (manifest.folder / manifest.pieces[2].name).write_bytes(b"")
    server = Server(tree)
    again = fetch(server=server)
    assert sorted(server.asked) == ["Stars_000020-000029.csv.gz", "_MD5SUM.txt"]
    assert len(again.pieces) == 5


def test_pieces_of_files_that_the_archive_divided_anew_are_dropped(
    fetch: Callable, tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _interrupted(fetch, tree)
    (tree / "Stars_000000-000009.csv.gz").unlink()
    for pixels, rows in (("000000-000004", 200), ("000005-000009", 0)):
        text = archive_text(random_rows(200, seed=0, first=0)[:rows], tmp_path)
        write_gzip(tree / f"Stars_{pixels}.csv.gz", text)
    write_list(tree)
    with caplog.at_level("WARNING", "mwatlas"):
        manifest = fetch()
    assert "replaced 1 file(s)" in caplog.text
    assert [p.name for p in manifest.pieces][:2] == [
        "Stars_000000-000004.parquet",
        "Stars_000005-000009.parquet",
    ]
    assert len(manifest.pieces) == 6
    assert {path.name for path in manifest.folder.glob("*.parquet")} == {
        piece.name for piece in manifest.pieces
    }


def test_a_piece_of_a_file_that_the_archive_replaced_is_fetched_again(
    fetch: Callable, tree: Path, tmp_path: Path
) -> None:
    _interrupted(fetch, tree)
    rows = random_rows(400, seed=9, first=0)
    write_gzip(tree / "Stars_000000-000009.csv.gz", archive_text(rows, tmp_path))
    write_list(tree)
    manifest = fetch()
    assert manifest.pieces[0].detail["rows_read"] == 400
    assert manifest.pieces[0].rows == int((rows["n_obs"] > 9000).sum())
    assert len(manifest.pieces) == 5


def _interrupted(fetch: Callable, tree: Path) -> None:
    """A run that a file missing on the server ended, with the first file done."""
    last = next(tree.glob("Stars_000040*"))
    last.rename(tree / "away")
    listing = (tree / "_MD5SUM.txt").read_text()
    with pytest.raises((ArchiveError, FileNotFoundError)):
        fetch()
    (tree / "away").rename(last)
    (tree / "_MD5SUM.txt").write_text(listing)


@pytest.mark.parametrize("gone", ["000000-000009", "000020-000029", "000040-786431"])
def test_a_list_that_leaves_pixels_out_is_refused(fetch: Callable, tree: Path, gone: str) -> None:
    write_list(tree, without=f"Stars_{gone}.csv.gz")
    first, last = (int(edge) for edge in gone.split("-"))
    with pytest.raises(ArchiveError, match=f"pixels {first} to {last}, among 4 files"):
        fetch()
    elsewhere = (10 << SHIFT, (15 << SHIFT) - 1)
    assert len(fetch(folder="part", source_ids=elsewhere).pieces) == 1
    with pytest.raises(ArchiveError, match=f"pixels {first} to {first}, among 0 files"):
        fetch(folder="none", source_ids=(first << SHIFT, (first + 1 << SHIFT) - 1))


def test_a_row_twice_in_a_file_is_refused(fetch: Callable, tree: Path, tmp_path: Path) -> None:
    rows = vstack([random_rows(300, seed=2, first=20 << SHIFT)] * 2)
    write_gzip(tree / "Stars_000020-000029.csv.gz", archive_text(rows, tmp_path))
    write_list(tree)
    with pytest.raises(ArchiveError, match="rows twice") as raised:
        fetch()
    assert raised.value.item == "source_id"
    assert str(raised.value.file).endswith("Stars_000020-000029.parquet")
    repeated = int((rows["n_obs"] > 9000).sum()) // 2
    assert str(raised.value.found).startswith(f"{repeated} repeated value(s)")
    assert not list(tmp_path.glob("table/*000020*"))


def test_parts_of_the_same_range_are_refused(fetch: Callable) -> None:
    manifest = fetch()
    check_ranges(manifest)
    shutil.copyfile(manifest.files[0], manifest.folder / "Stars_000005-000009.parquet")
    manifest.add("Stars_000005-000009.parquet", URL, first=5 << SHIFT, last=(10 << SHIFT) - 1)
    with pytest.raises(ArchiveError, match="same range") as raised:
        check_ranges(manifest)
    assert raised.value.item == "Stars_000000-000009.parquet and Stars_000005-000009.parquet"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("fault", ["checksum", "truncated", "missing"])
@pytest.mark.parametrize("local", [True, False])
def test_a_bad_file_is_named_and_the_others_stay(
    fetch: Callable, tree: Path, fault: str, workers: int, local: bool
) -> None:
    bad = tree / "Stars_000020-000029.csv.gz"
    good, before = bad.read_bytes(), md5(bad)
    listing = (tree / "_MD5SUM.txt").read_text()
    if fault == "missing":
        bad.unlink()
    else:
        bad.write_bytes(good[: len(good) // 2])
    if fault == "truncated":  # and the list agrees: it was broken when the list was made
        (tree / "_MD5SUM.txt").write_text(listing.replace(before, md5(bad)))
    address = str(tree) if local else URL
    with pytest.raises((ArchiveError, FileNotFoundError), match=bad.name):
        fetch(address, workers=workers)
    bad.write_bytes(good)
    (tree / "_MD5SUM.txt").write_text(listing)
    server = Server(tree)
    manifest = fetch(address, workers=workers, server=server)
    assert len(manifest.pieces) == 5
    assert len(server.asked) < 6


KILLED = """
import os, signal, sys, logging
from pathlib import Path
sys.path.insert(0, {root!r})
from mwatlas.archive import convert
from mwatlas.archive.bulk import fetch_tree
from mwatlas.archive.manifest import Manifest
from mwatlas.progress import Progress
from tests.unit.test_bulk import REQUEST, WANTED, Server, URL, parse_checksums

stream, files = convert.stream_batches, []

def killed(path, table):
    files.append(path)
    for batch in stream(path, table):
        yield batch
        if len(files) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

convert.stream_batches = killed
fetch_tree(
    URL,
    WANTED,
    Manifest(Path({folder!r}), REQUEST),
    download=Server(Path({tree!r})).download,
    parse_checksums=parse_checksums,
    progress=Progress("test", logging.getLogger("mwatlas")),
)
"""


def test_kill_in_the_middle_of_a_file_and_restart(
    fetch: Callable, tree: Path, tmp_path: Path, root: Path
) -> None:
    script = KILLED.format(root=str(root), folder=str(tmp_path / "table"), tree=str(tree))
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    left = Manifest(tmp_path / "table", REQUEST)
    assert 1 <= len(left.pieces) <= 2
    assert list(left.folder.glob(".Stars*.parquet"))  # the piece it was writing
    server = Server(tree)
    manifest = fetch(server=server)
    assert len(server.asked) == 1 + 5 - len(left.pieces)
    assert contents(manifest) == contents(fetch(folder="undisturbed"))
    assert not list(manifest.folder.glob(".*"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "an empty list"),
        (["gaia.csv.gz", "a_1-2.csv.gz"], "gaia.csv.gz, a_1-2.csv.gz"),
        (["S_000000-000009.csv.gz", "S_000009-000010.csv.gz"], "the same pixels"),
        (["S_000009-000002.csv.gz", "S_000000-786432.csv.gz"], "S_000009-000002"),
    ],
)
def test_a_list_of_another_kind_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        tree_files(dict.fromkeys(names, "md5:0"), URL)


def test_ranges_of_the_real_tree() -> None:
    names = ["GaiaSource_786097-786431.csv.gz", "GaiaSource_000000-003111.csv.gz"]
    first, last = tree_files(dict.fromkeys(names, "md5:0"), URL)
    assert (first.first, first.last) == (0, (3112 << SHIFT) - 1)
    assert last.last == (12 * 4**8 << SHIFT) - 1
    assert first.piece == "GaiaSource_000000-003111.parquet"
    assert overlapping([first, last], first.last, first.last) == [first]
    assert overlapping([first, last], first.last + 1, last.first - 1) == []
    assert overlapping([first, last], first.last, last.first) == [first, last]


def test_addresses_on_this_machine() -> None:
    assert local_path("/a/b c") == Path("/a/b c")
    assert local_path("file:///a/b%20c") == Path("/a/b c")
    assert local_path(URL) is None


def test_the_first_failure_is_raised_when_the_rest_is_done() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            second.wait()
            raise ValueError("one")
        if number == 2:
            second.set()
            raise ValueError("two")
        return number

    done = []
    with pytest.raises(ValueError, match="one"):
        done.extend(in_lanes(range(100), work, 3))
    assert done[0] == (0, 0)
    assert len(done) < 10


def test_work_ahead_keeps_the_order_and_the_first_error() -> None:
    drawn = []

    def items() -> Iterator[int]:
        for number in range(100):
            drawn.append(number)
            yield number

    assert list(ahead(items(), lambda number: 2 * number, 3)) == list(range(0, 200, 2))
    drawn.clear()
    results = ahead(items(), lambda number: 1 // (number - 5), 2)
    assert [next(results) for _ in range(5)] == [-1] * 5
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(drawn) == 8
