"""The `datalink` route: products of listed sources, such as spectra, a batch in a call.

A call that leaves sources out is not trusted: they are asked for again beside one that came, and
only then taken to have no such product.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import requests
import urllib3
from numpy.typing import NDArray

from mwatlas.archive.answers import PAGE_HEAD, refusal, refuse_page, refuse_status
from mwatlas.archive.convert import write_piece
from mwatlas.archive.failures import counted
from mwatlas.archive.lanes import in_lanes
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.products import BrokenAnswer, read_products, shows_its_end
from mwatlas.archive.readers import read_batches
from mwatlas.archive.transport import Transport
from mwatlas.errors import ArchiveError, InputError
from mwatlas.progress import Progress
from mwatlas.tables.table import TableSchema

_LOG = logging.getLogger("mwatlas")
_BLOCK = 1 << 18
_ANSWER = ".answer-"
# Answers that another try may better.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class DataLink:
    """A service and what is asked of it.

    Parameters
    ----------
    url
        Its address.
    product, release
        Names of the product and of the data release at the service.
    format
        In which it shall answer; the answer is read by what it is.
    ids_per_call, calls_at_once
        Most sources in a call, and calls at a time.
    attempts
        How often a call is tried.
    """

    url: str
    product: str
    release: str
    format: str = "csv"
    ids_per_call: int = 5000
    calls_at_once: int = 1
    attempts: int = 4

    def form(self, ids: Ids) -> dict[str, str]:
        """Fields of a call."""
        return {
            "RETRIEVAL_TYPE": self.product,
            "RELEASE": self.release,
            "ID": ",".join(map(str, ids.tolist())),
            "DATA_STRUCTURE": "RAW",
            "FORMAT": self.format,
            "VALID_DATA": "false",
            "USE_ZIP_ALWAYS": "true",
        }


def listed_ids(files: Sequence[Path], column: str) -> Ids:
    """Identifiers in a column of tables, ascending, each once; shape (n,).

    Parameters
    ----------
    files
        Parquet, FITS, CSV, ECSV or VOTable.
    column
        Name of the column; rows without one, with zero or a negative number are passed over.

    Raises
    ------
    InputError
        If the column is not of integers, which other types round, or has none above zero.
    """
    found = [np.empty(0, np.int64)]
    for path in files:
        for batch in read_batches(path, [column]):
            values = batch[column]
            if values.dtype.kind not in "iu":
                raise InputError(
                    "identifiers are not stored as integers",
                    file=path,
                    item=column,
                    found=values.dtype,
                    expected="int64",
                    remedy="write the file again with 64-bit integers, 0 where there is no source",
                )
            there = np.ma.compressed(values)  # what a mask hides is no identifier
            found.append(np.unique(there[there > 0].astype(np.int64)))
    ids = np.unique(np.concatenate(found))
    if not ids.size:
        raise InputError(
            "a list of sources is empty",
            file=", ".join(map(str, files)),
            item=column,
            expected="source identifiers above zero",
            remedy="see fetch.ids of the release adapter: is it the right table and column?",
        )
    return ids


def digest_of(ids: Ids) -> str:
    """Short text that changes with the list."""
    return hashlib.md5(ids.astype("<i8").tobytes(), usedforsecurity=False).hexdigest()


def fetch_products(
    service: DataLink,
    ids: Ids,
    table: TableSchema,
    manifest: Manifest,
    transport: Transport,
    progress: Progress,
) -> None:
    """Fetch a product of listed sources, a Parquet file for each batch.

    Parameters
    ----------
    service
        Where from.
    ids
        Sources, ascending.
    table
        Contract of the product's table, with a ``source_id``.
    manifest
        Lists finished batches, with the sources of each that have no such product (``without``).
        It is not said to be complete: that is for the caller to say.
    transport, progress
        Carries requests; where to report.

    Raises
    ------
    ArchiveError
        Naming address and batch, if the service does not answer, or answers something else, a
        source twice, one that was not asked for, or none at all. Finished batches stay.
    """
    for stale in manifest.folder.glob(f"{_ANSWER}*"):  # of a run that was killed
        shutil.rmtree(stale)
    run = _Run(service, table, manifest.folder, transport)
    starts = range(0, len(ids), service.ids_per_call)
    batches = [ids[start : start + service.ids_per_call] for start in starts]
    todo = [batch for batch in batches if not manifest.has(_name(batch))]
    run.witness = _one_that_came(manifest)
    with progress.task("asking for products", len(ids), "sources") as advance:
        advance(sum(map(len, batches)) - sum(map(len, todo)), "there already")
        for batch, without in in_lanes(todo, run.fetch, service.calls_at_once):
            asked = {"asked": len(batch), "without": without.tolist()}
            manifest.add(_name(batch), service.url, **asked)
            advance(len(batch))


def _name(batch: Ids) -> str:
    return f"{batch[0]:019d}-{batch[-1]:019d}.parquet"


def _one_that_came(manifest: Manifest) -> Ids:
    for piece in manifest.pieces:
        if piece.rows and manifest.has(piece.name):
            (first, *_) = read_batches(manifest.folder / piece.name, ["source_id"])
            return first["source_id"][:1].astype(np.int64)
    return np.empty(0, np.int64)


class _Run:
    """One run of the route; threads share it."""

    def __init__(
        self, service: DataLink, table: TableSchema, folder: Path, transport: Transport
    ) -> None:
        self.service, self.table = service, table
        self.folder, self.transport = folder, transport
        self.witness = np.empty(0, np.int64)

    def fetch(self, batch: Ids) -> Ids:
        """Write the products of a batch; the sources without one."""
        rows = [self._answer(batch)]
        missing = np.setdiff1d(batch, _ids(rows[0]))
        without = [np.empty(0, np.int64)]
        while missing.size:
            witness = _ids(rows[0])[:1] if rows[0].num_rows else self.witness
            if not witness.size:
                raise self._error(batch, "the archive has none of the products", "no rows")
            part = missing[: max(1, self.service.ids_per_call - 1)]
            again = self._answer(np.concatenate([witness, part]), beside=witness)
            came = np.setdiff1d(_ids(again), witness)
            if came.size:
                wanted = pa.array(came)
                rows.append(again.filter(pa.compute.is_in(again["source_id"], wanted)))
            else:
                without.append(part)
            missing = np.setdiff1d(missing, came if came.size else part)
        table = pa.concat_tables(rows).sort_by("source_id")
        if table.num_rows:
            self.witness = _ids(table)[:1]
        write_piece(table.to_batches(), self.table, (), self.folder / _name(batch))
        return np.concatenate(without)

    def _answer(self, asked: Ids, beside: Ids | None = None) -> pa.Table:
        """Checked rows of a call; each source at most once, ``beside`` certainly."""
        failures: list[str] = []
        while len(failures) < self.service.attempts:
            if failures:
                _LOG.warning("%s: %s; asked again", self.service.url, failures[-1])
                self.transport.back_off(self.service.url, len(failures))
            try:
                with self._body(asked) as path:
                    table = read_products(path, self.table, self.service.url)
            except BrokenAnswer as error:
                failures.append(str(error))
                continue
            found = _ids(table)
            if beside is None or np.isin(beside, found).all():
                self._check(asked, found)
                return table
            failures.append(f"source {beside[0]}, which came before, is left out")
        raise self._error(asked, "the archive gives no complete answer", counted(failures))

    def _check(self, asked: Ids, found: Ids) -> None:
        ordered = np.sort(found)
        for what, odd in (
            ("a source twice", ordered[:-1][np.diff(ordered) == 0]),
            ("a source that was not asked for", np.setdiff1d(found, asked)),
        ):
            if odd.size:
                text = f"{odd.size} row(s), for instance source_id {odd[0]}"
                raise self._error(asked, f"the archive answered {what}", text)

    @contextmanager
    def _body(self, asked: Ids) -> Iterator[Path]:
        """File with the body of an answer, while it is needed."""
        with TemporaryDirectory(dir=self.folder, prefix=_ANSWER) as folder:
            path = Path(folder) / "answer"
            self._save(asked, path)
            yield path

    def _save(self, asked: Ids, path: Path) -> None:
        # A call is a question: asking it twice does no harm, though it is a POST for its length.
        try:
            response = self.transport.session.post(
                self.service.url, data=self.service.form(asked), stream=True
            )
        except ArchiveError as error:
            raise BrokenAnswer(f"{error.problem} ({error.found})") from error
        with response:
            if response.status_code in _PASSING:
                raise BrokenAnswer(f"HTTP {response.status_code}")
            refuse_status(response, {200})
            try:
                with path.open("wb") as out:
                    for block in response.iter_content(_BLOCK):
                        out.write(block)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise BrokenAnswer(f"the body broke off ({type(error).__name__})") from error
            with path.open("rb") as stream:
                head = stream.read(PAGE_HEAD)
            refuse_page(response, head)
            told = "Content-Length" in response.headers or response.raw.chunked
            if not told and not shows_its_end(head):
                raise refusal(
                    response,
                    found="text with neither a length nor chunks",
                    expected="something that tells whether the answer is whole",
                    remedy="set archives.datalink_format to votable, which shows its own end",
                )

    def _error(self, asked: Ids, problem: str, found: str) -> ArchiveError:
        return ArchiveError(
            problem,
            file=self.service.url,
            item=f"{self.service.product} of {len(asked)} sources, source_id {asked[0]} to "
            f"{asked[-1]}",
            found=found,
            expected="one row for each source that has the product, and no other",
            remedy="run again when the archive is well: finished batches are kept",
        )


def _ids(table: pa.Table) -> Ids:
    out: Ids = table["source_id"].to_numpy().astype(np.int64)
    return out
