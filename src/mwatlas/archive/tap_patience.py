"""How long a TAP server is waited for, and how often it is asked again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mwatlas.archive.tap_chunks import Chunk
from mwatlas.archive.tap_client import JobGone, Refused, TapClient, Unavailable
from mwatlas.errors import ArchiveError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
KEPT = "finished chunks are kept: run again to go on"


@dataclass(frozen=True)
class TapSettings:
    """How a server is asked.

    Parameters
    ----------
    rows_per_chunk
        Most rows in one job; where the server tells a lower limit, that holds. A chunk is held
        in memory.
    jobs_at_once
        Jobs on the server at a time.
    poll_s
        Pause between looks at the jobs, in seconds.
    longest_wait_s
        Time after which a job that stays in one phase is given up, in seconds.
    attempts
        How often anything is tried before it is an error.
    pause_s
        Pause after the first failure, in seconds; doubled after each further one.
    """

    rows_per_chunk: int = 1_000_000
    jobs_at_once: int = 2
    poll_s: float = 10.0
    longest_wait_s: float = 7200.0
    attempts: int = 4
    pause_s: float = 15.0


class Patience:
    """Asks a server again while there is hope.

    Parameters
    ----------
    client
        The server.
    settings
        How often, and with what pauses.
    sleep
        Pause in seconds.
    """

    def __init__(
        self, client: TapClient, settings: TapSettings, sleep: Callable[[float], None]
    ) -> None:
        self._client, self._settings, self._sleep = client, settings, sleep

    def pause(self, failures: int) -> None:
        """Wait longer after each failure."""
        self._sleep(self._settings.pause_s * 2 ** (failures - 1))

    def ask(self, chunk: Chunk, request: Callable[[], _T], job: str | None = None) -> _T:
        """What a request returns, repeated while the server gives no proper answer.

        Parameters
        ----------
        chunk, job
            Chunk and address of the job it is about, to name in an error.
        request
            Raises what :class:`~mwatlas.archive.tap_client.TapClient` does.

        Raises
        ------
        ArchiveError
            If the server refuses, or never answered properly.
        JobGone
            As the request raises it.
        """
        attempt = 1
        while True:
            try:
                return request()
            except Refused as error:
                raise self._error("the archive refuses a request", chunk, job, error) from error
            except Unavailable as error:
                if attempt >= self._settings.attempts:
                    problem = f"the archive gives no proper answer, asked {attempt} time(s)"
                    raise self._error(problem, chunk, job, error) from error
                _log.warning("%s: %s; asked again", chunk, error)
            self.pause(attempt)
            attempt += 1

    def delete(self, job: str | None) -> None:
        """Remove a job from the server, which removes what is left of its own accord some day."""
        if job is None:
            return
        try:
            self._client.delete(job)
        except (Unavailable, Refused, JobGone) as error:
            _log.info("job %s is not deleted: %s", job, error)

    def _error(self, problem: str, chunk: Chunk, job: str | None, error: Exception) -> ArchiveError:
        return ArchiveError(
            problem,
            file=job or self._client.url,
            item=str(chunk),
            found=str(error),
            expected="an answer by the TAP and UWS standards",
            remedy=f"see what the archive says of its state, or use another mirror; {KEPT}",
        )
