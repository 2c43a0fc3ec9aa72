"""Jobs on a server, kept in a file so that a restarted run finds them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mwatlas.archive.tap_chunks import Chunk
from mwatlas.errors import ArchiveError
from mwatlas.files import read_json, write_json

JOBS = "tap_jobs.json"


@dataclass(frozen=True)
class Work:
    """What is known of a chunk that is not finished.

    Parameters
    ----------
    rows
        Rows the server counts in it.
    job, query
        Address of the job that fetches it and what that job runs; None without one.
    """

    rows: int
    job: str | None = None
    query: str | None = None


class JobFile:
    """Counted chunks and the jobs that fetch them, saved at each change.

    Parameters
    ----------
    folder
        Where the pieces are.
    service, query
        Address of the server and normal form of the query: work on another is forgotten.

    Raises
    ------
    ArchiveError
        If the file is there and cannot be read.
    """

    def __init__(self, folder: Path, service: str, query: str) -> None:
        self.path = folder / JOBS
        self._of = {"service": service, "query": query}
        self.work: dict[Chunk, Work] = {}
        if not self.path.exists():
            return
        try:
            saved = read_json(self.path)
            work = {
                Chunk(w["first"], w["last"]): Work(w["rows"], w["job"], w["query"])
                for w in saved["work"]
            }
            same = saved["of"] == self._of
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError(
                "the list of jobs on the server cannot be read",
                file=self.path,
                found=str(error),
                remedy="remove the file; finished chunks are kept, others are asked for again",
            ) from error
        self.work = work if same else {}

    def set(self, chunk: Chunk, work: Work) -> None:
        """Note what is known of a chunk."""
        self.work[chunk] = work
        self._save()

    def drop(self, chunk: Chunk) -> None:
        """Forget a chunk: it is finished, or split."""
        self.work.pop(chunk, None)
        self._save()

    def _save(self) -> None:
        work = [
            {"first": c.first, "last": c.last, "rows": w.rows, "job": w.job, "query": w.query}
            for c, w in sorted(self.work.items())
        ]
        write_json(self.path, {"of": self._of, "work": work})
