"""The `tap` route: a table as counted chunks, each fetched by a job of its own.

Nothing is taken on trust: each chunk is counted first, and is finished only when as many rows
came, each within the chunk and once. Jobs outlive this process: their addresses are saved before
they start, so that a restarted run takes them up again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mwatlas.archive.adql import Query, chunk_query, count_query, same_rows
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.tap_chunks import Chunk, uncovered
from mwatlas.archive.tap_client import JobGone, TapClient
from mwatlas.archive.tap_jobs import JobFile, Work
from mwatlas.archive.tap_patience import KEPT, Patience, TapSettings
from mwatlas.archive.tap_pieces import check_answer, write_piece
from mwatlas.archive.votable import BrokenVOTable, read_votable
from mwatlas.errors import ArchiveError
from mwatlas.progress import Advance, Progress
from mwatlas.tables.table import TableSchema

_log = logging.getLogger(__name__)


@dataclass
class _Job:
    url: str
    started: bool
    phase: str
    since: float


def fetch_by_tap(
    client: TapClient,
    query: Query,
    ranges: Sequence[Chunk],
    table: TableSchema,
    manifest: Manifest,
    settings: TapSettings,
    progress: Progress,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Fetch a table into the folder of its manifest, one Parquet file per chunk.

    Parameters
    ----------
    client
        The server.
    query
        Selects the rows; its columns are those of ``table``.
    ranges
        What to fetch, and the chunks to begin with; they must not overlap. Longer ones than the
        settings allow are split. Ranges of pieces in the manifest are left out.
    table
        Names, types and units that the archive must serve; scalars only.
    manifest
        Lists the finished chunks; marked complete at the end.
    settings, progress
        How to ask; where to report.
    sleep, clock
        Pause and time in seconds.

    Returns
    -------
    int
        Rows of the table, with those that were there before.

    Raises
    ------
    ArchiveError
        Naming address, chunk, what was found and expected, if the server does not answer or
        fails again and again, if rows are missing, repeated or of another chunk, if a cut-off
        answer is for a single identifier, and if the archive's columns are not those of
        ``table``. Finished chunks stay, and so do the jobs on the server.
    OSError
        If a chunk cannot be written, for instance since the disk is full; the same stays.
    """
    if set(query.columns) != set(table.names):
        raise ArchiveError(
            "a query and its table differ in columns",
            file=query.path,
            found=", ".join(sorted(set(query.columns) ^ set(table.names))),
            expected=", ".join(table.names),
            remedy="select the columns of the release adapter in the query",
        )
    _Run(client, query, table, manifest, settings, progress, sleep, clock).fetch(ranges)
    manifest.finish()
    return manifest.rows


class _Run:
    """One run of the route: chunks waiting, jobs on the server."""

    def __init__(
        self,
        client: TapClient,
        query: Query,
        table: TableSchema,
        manifest: Manifest,
        settings: TapSettings,
        progress: Progress,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.client, self.query, self.table = client, query, table
        self.manifest, self.settings, self.progress = manifest, settings, progress
        self.sleep, self.clock = sleep, clock
        self.patience = Patience(client, settings, sleep)
        self.saved = JobFile(manifest.folder, client.url, same_rows(query))
        self.limit = min(settings.rows_per_chunk, client.row_limit() or settings.rows_per_chunk)
        self.waiting: deque[Chunk] = deque()
        self.running: dict[Chunk, _Job] = {}
        self.failures: Counter[Chunk] = Counter()

    def fetch(self, ranges: Sequence[Chunk]) -> None:
        """Fetch what the manifest does not have yet."""
        for stale in self.manifest.folder.glob(".*.vot"):
            stale.unlink()
        done = [
            Chunk(piece.detail["first"], piece.detail["last"])
            for piece in self.manifest.pieces
            if self.manifest.has(piece.name)
        ]
        rest = uncovered(ranges, done)
        for chunk, work in list(self.saved.work.items()):
            if uncovered([chunk], rest):
                # Killed between listing the piece and deleting the job.
                self.patience.delete(work.job)
                self.saved.drop(chunk)
        fresh = uncovered(rest, self.saved.work)
        with self.progress.task("counting", len(fresh), "chunks") as advance:
            for chunk in fresh:
                self._count(chunk)
                advance(1)
        for chunk, work in sorted(self.saved.work.items()):
            if work.job is None:
                self.waiting.append(chunk)
            else:
                self.running[chunk] = _Job(work.job, False, "", self.clock())
        total = sum(work.rows for work in self.saved.work.values())
        with self.progress.task("fetching", total, "rows") as advance:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.settings.jobs_at_once:
                    self._submit(self.waiting.popleft(), advance)
                moved = [self._look(chunk, advance) for chunk in sorted(self.running)]
                if self.running and not any(moved):
                    self.sleep(self.settings.poll_s)
        self.saved.path.unlink(missing_ok=True)

    def _count(self, chunk: Chunk) -> None:
        """Count the rows of a chunk; split it if they are too many for one job."""
        rows = self._counted(chunk)
        if rows > self.limit:
            for half in self._halves(chunk, f"{rows} rows"):
                self._count(half)
        else:
            self.saved.set(chunk, Work(rows))

    def _counted(self, chunk: Chunk) -> int:
        text = count_query(self.query, chunk.first, chunk.last)
        return self.patience.ask(chunk, lambda: self.client.count(text))

    def _halves(self, chunk: Chunk, found: str) -> tuple[Chunk, Chunk]:
        halves = chunk.halves()
        if halves is None:
            raise ArchiveError(
                "a single identifier has more rows than the archive gives",
                file=self.client.url,
                item=str(chunk),
                found=found,
                expected=f"at most {self.limit} rows",
                remedy="check the joins of the query; they repeat a star",
            )
        return halves

    def _split(self, chunk: Chunk, found: str) -> None:
        halves = self._halves(chunk, found)
        self.patience.delete(self.saved.work[chunk].job)
        self.saved.drop(chunk)
        for half in halves:
            self._count(half)
        self.waiting.extendleft(c for c in sorted(self.saved.work, reverse=True) if _in(c, chunk))

    def _submit(self, chunk: Chunk, advance: Advance) -> None:
        rows = self.saved.work[chunk].rows
        if not rows:
            self._keep(chunk, None, advance)
            return
        if rows > self.limit:  # lowered by a server that cut an answer off
            self._split(chunk, f"{rows} rows")
            return
        text = chunk_query(self.query, chunk.first, chunk.last)
        url = self.patience.ask(chunk, lambda: self.client.create(text, self.limit + 1))
        # Saved before it starts: whatever happens to us, no job runs that we do not know.
        self.saved.set(chunk, Work(rows, url, text))
        self.running[chunk] = _Job(url, False, "", self.clock())

    def _look(self, chunk: Chunk, advance: Advance) -> bool:
        """See how a job is doing; whether there was anything to do."""
        job = self.running[chunk]
        try:
            phase = self.patience.ask(chunk, lambda: self.client.phase(job.url), job.url)
            if phase == "PENDING" and not job.started:
                self.patience.ask(chunk, lambda: self.client.start(job.url), job.url)
                job.started = True
                return True
            if phase in ("ERROR", "ABORTED"):
                message = self.patience.ask(chunk, lambda: self.client.message(job.url), job.url)
                self._failed(chunk, f"phase {phase}: {message}")
                return True
            if phase == "COMPLETED":
                self._receive(chunk, job, advance)
                return True
        except JobGone as error:
            self._failed(chunk, f"the job is gone ({error})")
            return True
        if phase != job.phase:
            job.phase, job.since = phase, self.clock()
        elif self.clock() - job.since > self.settings.longest_wait_s:
            self._failed(chunk, f"phase {phase} for {self.clock() - job.since:.0f} s")
            return True
        return False

    def _receive(self, chunk: Chunk, job: _Job, advance: Advance) -> None:
        path = self.manifest.folder / f".{chunk.name}.vot"
        try:
            self.patience.ask(chunk, lambda: self.client.save(job.url, path), job.url)
            answer = read_votable(path)
        except BrokenVOTable as error:
            self._failed(chunk, f"the answer is no complete VOTable: {error}")
            return
        finally:
            path.unlink(missing_ok=True)
        if answer.overflow:
            self.limit = max(1, min(self.limit, answer.rows))
            del self.running[chunk]
            self._split(chunk, f"a cut-off answer of {answer.rows} rows")
            return
        check_answer(answer, self.table, self.query.key, chunk, self.client.url)
        counted = self.saved.work[chunk].rows
        if answer.rows != counted:
            # Either may be wrong; the count is the cheaper one to ask for again.
            counted = self._counted(chunk)
            self.saved.set(chunk, replace(self.saved.work[chunk], rows=counted))
        if answer.rows != counted:
            self._failed(chunk, f"{answer.rows} rows", f"{counted} rows, as COUNT(*) says")
            return
        write_piece(self.manifest.folder / chunk.name, answer, self.table, self.query.key)
        del self.running[chunk]
        self._keep(chunk, job, advance)

    def _keep(self, chunk: Chunk, job: _Job | None, advance: Advance) -> None:
        """List a piece; only then is its job no longer needed."""
        if job is None:
            write_piece(self.manifest.folder / chunk.name, None, self.table, self.query.key)
        rows = self.saved.work[chunk].rows
        bounds = {"first": chunk.first, "last": chunk.last}
        self.manifest.add(chunk.name, self.client.url, **bounds, rows_counted=rows)
        self.patience.delete(job.url if job else None)
        self.saved.drop(chunk)
        advance(rows)

    def _failed(self, chunk: Chunk, found: str, expected: str = "a complete answer") -> None:
        """Give a job up, and queue its chunk again unless that was tried often enough."""
        job = self.running.pop(chunk)
        self.failures[chunk] += 1
        self.patience.delete(job.url)
        self.saved.set(chunk, Work(self.saved.work[chunk].rows))
        if self.failures[chunk] >= self.settings.attempts:
            raise ArchiveError(
                f"a job failed {self.failures[chunk]} time(s)",
                file=job.url,
                item=str(chunk),
                found=found,
                expected=expected,
                remedy=f"see what the archive says of its state, or lower rows_per_chunk; {KEPT}",
            )
        _log.warning("%s: %s; asked again (job %s)", chunk, found, job.url)
        self.patience.pause(self.failures[chunk])
        self.waiting.append(chunk)


def _in(inner: Chunk, outer: Chunk) -> bool:
    return outer.first <= inner.first and inner.last <= outer.last
