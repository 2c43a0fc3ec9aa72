"""What the TAP route asks of a server, and the client of it that pyvo makes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import requests
from pyvo.dal import AsyncTAPJob, DALQueryError, DALServiceError, TAPService
from pyvo.dal.exceptions import DALAccessError

from mwatlas.archive.disk import is_full
from mwatlas.errors import ArchiveError

_BLOCK_BYTES = 1 << 20
_NOT_FOUND = (404, 410)
# Answers that ask to come back later.
_LATER = (408, 425, 429)
COUNT_MAXREC = 2


class Unavailable(Exception):  # noqa: N818 - says what it is
    """The server gives no proper answer; it may later."""


class Refused(Exception):  # noqa: N818
    """The server says no, and would again."""


class JobGone(Exception):  # noqa: N818
    """The server does not know the job."""


class TapClient(Protocol):
    """A TAP server as the route uses it: counts at once, data as jobs.

    A job is known by its address alone, so that another process can take it up. Each method
    raises :class:`Unavailable`, :class:`Refused` or :class:`JobGone`.
    """

    @property
    def url(self) -> str:
        """Address of the service."""

    def row_limit(self) -> int | None:
        """Most rows the server gives in one answer, or None if it does not say."""

    def count(self, query: str) -> int:
        """Number in the only cell of the answer to a query."""

    def create(self, query: str, max_rows: int) -> str:
        """Make a job without starting it; its address."""

    def start(self, job: str) -> None:
        """Let a job run."""

    def phase(self, job: str) -> str:
        """Phase of a job, as UWS names it."""

    def message(self, job: str) -> str:
        """What the server says about a job that failed."""

    def save(self, job: str, path: Path) -> None:
        """Write the VOTable of a finished job to a file."""

    def delete(self, job: str) -> None:
        """Stop a job, if it runs, and remove it from the server."""


class PyvoClient:
    """A TAP server through pyvo.

    Parameters
    ----------
    url
        Address of the service.
    session
        Carries user agent, rate limits and time-outs.
    """

    def __init__(self, url: str, session: requests.Session) -> None:
        self._session = session
        self._whole = WholeAnswers(session)
        self._service = TAPService(url, session=self._whole)
        self._format: dict[str, str] | None = None

    @property
    def url(self) -> str:
        """Address of the service."""
        return str(self._service.baseurl)

    def row_limit(self) -> int | None:
        """Hard limit in the capabilities of the service."""
        try:
            return int(self._service.hardlimit)
        except DALServiceError:
            return None

    def count(self, query: str) -> int:
        """Answer of a synchronous query."""
        with answers():
            result = self._service.run_sync(query, maxrec=COUNT_MAXREC)
            return int(result.to_table()[0][0])

    def create(self, query: str, max_rows: int) -> str:
        """Make a job that answers in records, if the service offers them."""
        try:
            with answers(of_job=True):
                job = self._service.submit_job(query, maxrec=max_rows, **self._records())
                if not job.job_id:
                    raise Unavailable(f"no job behind {job.url}")
                return str(job.url)
        except JobGone as error:
            raise Unavailable(f"a new job is not there ({error})") from error

    def start(self, job: str) -> None:
        """Set the phase to RUN."""
        self._job(job, "run")

    def phase(self, job: str) -> str:
        """Phase in the description of the job."""
        with answers(of_job=True):
            found = AsyncTAPJob(job, session=self._whole)._job.phase
            if not found:
                raise Unavailable("the description of a job names no phase")
            return str(found).strip().upper()

    def message(self, job: str) -> str:
        """Error summary of the job."""
        with answers(of_job=True):
            summary = AsyncTAPJob(job, session=self._whole)._job.errorsummary
            text = getattr(getattr(summary, "message", None), "content", None)
            return str(text or "no message")

    def save(self, job: str, path: Path) -> None:
        """Stream the result to a file."""
        with answers(of_job=True):
            address = AsyncTAPJob(job, session=self._whole).result_uri
            if address is None:
                raise Unavailable("the description of a finished job names no result")
            with self._session.get(address, stream=True) as response, path.open("wb") as file:
                response.raise_for_status()
                if response.status_code != requests.codes.ok:
                    raise Unavailable(f"HTTP status {response.status_code} and no result")
                for block in response.iter_content(_BLOCK_BYTES):
                    file.write(block)

    def delete(self, job: str) -> None:
        """Delete the job, which by the UWS standard stops it."""
        self._job(job, "delete")

    def _job(self, job: str, method: str) -> None:
        with answers(of_job=True):
            getattr(AsyncTAPJob(job, session=self._whole), method)()

    def _records(self) -> dict[str, str]:
        if self._format is None:
            try:
                offered = self._service.get_tap_capability().outputformats
            except DALServiceError:
                offered = []
            mimes = [str(f.mime) for f in offered if "serialization=binary2" in str(f.mime).lower()]
            self._format = {"responseformat": mimes[0]} if mimes else {}
        return self._format


class WholeAnswers(requests.Session):  # type: ignore[misc]  # requests is not typed
    """A session that reads each answer before it hands it on.

    Pyvo asks for streams and leaves some of them unread. Each would hold one of the few connections
    to the host, until nobody gets another. Its answers are short; results are not fetched by it.
    """

    def __init__(self, session: requests.Session) -> None:
        super().__init__()
        self.headers, self.adapters = session.headers, session.adapters

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Ask, and keep the body in memory."""
        response = super().request(method, url, **{**options, "stream": False})
        response.raw = _Body(response.content)
        return response


class _Body(io.BytesIO):
    """A body in memory that is read as one of urllib3."""

    def read(self, size: int | None = -1, /, decode_content: bool = True) -> bytes:  # noqa: ARG002
        """Bytes, which are decoded already."""
        return super().read(size)


@contextmanager
def answers(of_job: bool = False) -> Iterator[None]:
    """Sort pyvo's errors by what can be done about them.

    Parameters
    ----------
    of_job
        Whether a job is asked for, so that a missing page is a missing job.

    Raises
    ------
    Unavailable, Refused, JobGone
        In place of what pyvo, requests and parsers raise.
    """
    try:
        yield
    except (Unavailable, Refused, JobGone):
        raise
    except ArchiveError as error:  # of the session, which has been patient already
        raise Unavailable(f"{error.problem}: {error.found}") from error
    except DALQueryError as error:
        raise Refused(str(error)) from error
    except (DALAccessError, requests.RequestException) as error:
        if isinstance(error.__context__, ArchiveError):  # of the session; pyvo wraps some
            inner = error.__context__
            raise Unavailable(f"{inner.problem}: {inner.found}") from error
        code = _status(error)
        text = f"HTTP status {code}: {error}" if code else str(error)
        if of_job and code in _NOT_FOUND:
            raise JobGone(text) from error
        if 400 <= code < 500 and code not in _LATER:
            raise Refused(text) from error
        raise Unavailable(text) from error
    except Exception as error:  # an answer that is no VOTable or UWS breaks parsers in many ways
        if is_full(error):
            raise
        raise Unavailable(f"an answer that cannot be read ({error})") from error


def _status(error: Any) -> int:
    response = getattr(error, "response", None)
    return int(response.status_code if response is not None else getattr(error, "code", 0) or 0)
