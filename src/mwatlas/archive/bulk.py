"""The `bulk` route: whole files of an archive become Parquet pieces, several at a time.

Each file is fetched, checked, converted in a stream, listed, and removed; a restarted run takes
up the files that are not listed yet.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Protocol

from mwatlas.archive.checksums import checksum_of
from mwatlas.archive.convert import Converted, convert
from mwatlas.archive.cuts import Cut
from mwatlas.archive.lanes import in_lanes
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.tree import (
    CHECKSUMS,
    WHOLE_SKY,
    TreeFile,
    check_cover,
    local_path,
    overlapping,
    tree_files,
)
from mwatlas.errors import ArchiveError
from mwatlas.progress import Progress
from mwatlas.tables.table import TableSchema

log = logging.getLogger("mwatlas")

AHEAD = 2
"""Files that are fetched ahead of those being converted, so that neither waits."""
_DOWNLOADS = ".downloads"


class Download(Protocol):
    """Fetches a file whole and checked, or raises ArchiveError."""

    def __call__(self, url: str, path: Path, checksum: str | None) -> None:
        """Fetch ``url`` to ``path``."""


@dataclass(frozen=True)
class Wanted:
    """What to keep of an archive's table.

    Parameters
    ----------
    schema
        Contract of the table, with the archive's names, types and units.
    columns
        Columns to keep.
    cuts
        Cuts that rows must pass, all of them, on columns of the contract.
    """

    schema: TableSchema
    columns: tuple[str, ...]
    cuts: tuple[Cut, ...] = ()


def fetch_tree(
    address: str,
    wanted: Wanted,
    manifest: Manifest,
    *,
    download: Download,
    parse_checksums: Callable[[str, str], Mapping[str, str]],
    progress: Progress,
    workers: int = 1,
    source_ids: tuple[int, int] | None = None,
) -> None:
    """Fetch a table of the Gaia file tree.

    Pieces of an earlier run stay if the archive's list still has their files, with the same
    checksums; others are dropped.

    At most ``workers`` + 2 files of the archive are on disk at any time.

    Parameters
    ----------
    address
        Folder of the tree: a URL, or a path or ``file://`` on this machine.
    wanted
        What to keep.
    manifest
        Where pieces are listed. It is not said to be complete: that is for the caller to say.
    download
        Fetches a file and checks it.
    parse_checksums
        Checksums by name from the text of the list and its address.
    progress
        Where to report files done.
    workers
        Files that are converted at a time; each takes up to 1 GB of memory.
    source_ids
        Range of source_id to keep, both included; all by default.

    Raises
    ------
    ArchiveError
        Naming the pixels that the list leaves out, or the file that could not be fetched or read,
        or that holds a row twice. Files that were under way are finished
        and listed first.
    OSError
        If a piece cannot be written, for instance since the disk is full.
    """
    scratch = manifest.folder / _DOWNLOADS
    fetch = _Fetch(address, scratch, download)
    cuts = wanted.cuts
    listing = fetch.path(CHECKSUMS, None)
    files = tree_files(parse_checksums(_text(listing), fetch.url(CHECKSUMS)), fetch.url(CHECKSUMS))
    fetch.done_with(listing)
    first, last = source_ids or WHOLE_SKY
    files = overlapping(files, first, last)
    check_cover(files, first, last, fetch.url(CHECKSUMS))
    if source_ids is not None:
        cuts = (*cuts, Cut(f"source_id BETWEEN {first} AND {last}"))
    _drop_old(manifest, files)
    converting = Semaphore(workers)

    def work(file: TreeFile) -> tuple[Path, int, Converted]:
        path = fetch.path(file.name, file.checksum)
        with converting:
            done = convert(path, wanted.columns, wanted.schema, cuts, manifest.folder / file.piece)
        return path, path.stat().st_size, done

    todo = [file for file in files if not manifest.has(file.piece)]
    lanes = workers + (0 if fetch.local else AHEAD)
    with progress.task("files of the archive", len(files), "files") as advance:
        advance(len(files) - len(todo), "there already")
        fetched = 0
        for file, (path, size, done) in in_lanes(todo, work, lanes):
            manifest.add(
                file.piece,
                fetch.url(file.name),
                checksum=file.checksum,
                first=file.first,
                last=file.last,
                rows_read=done.rows_read,
            )
            fetch.done_with(path)
            fetched += size
            advance(1, f"{fetched / 1e9:.2f} GB read")
    shutil.rmtree(scratch, ignore_errors=True)


def _drop_old(manifest: Manifest, files: Iterable[TreeFile]) -> None:
    """Drop pieces of files that the archive has replaced since they were fetched."""
    now = {file.piece: file.checksum for file in files}
    old = [p.name for p in manifest.pieces if p.detail["checksum"] != now.get(p.name)]
    if old:
        log.warning(
            "%s: the archive replaced %d file(s) since they were fetched, for instance that of "
            "%s; they are fetched again",
            manifest.folder,
            len(old),
            old[0],
        )
        manifest.drop(old)


class _Fetch:
    """Files of a folder, wherever it is: those of this machine are read in place."""

    def __init__(self, address: str, scratch: Path, download: Download) -> None:
        self._address = address.rstrip("/")
        self._scratch = scratch
        self._download = download
        self.local = local_path(address)

    def url(self, name: str) -> str:
        return f"{self._address}/{name}"

    def path(self, name: str, checksum: str | None) -> Path:
        """Path of a file that is there and checked."""
        if self.local is None:
            path = self._scratch / name
            if checksum is None:
                path.unlink(missing_ok=True)  # what a killed run left may be of another day
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._download(self.url(name), path, checksum)
            return path
        path = self.local / name
        if not path.exists():
            raise ArchiveError(
                "a file of the archive's copy is missing",
                file=path,
                remedy="copy the file again, or correct the folder",
            )
        if checksum is not None:
            _check(path, checksum)
        return path

    def done_with(self, path: Path) -> None:
        if self.local is None:
            path.unlink(missing_ok=True)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _check(path: Path, checksum: str) -> None:
    found = checksum_of(path, checksum)
    if found != checksum:
        raise ArchiveError(
            "a file of the archive's copy has another checksum than its list says",
            file=path,
            found=f"{found}, {path.stat().st_size:,} bytes",
            expected=checksum,
            remedy="the copy is damaged or of another version: copy the file again",
        )
