"""The Gaia archive through astroquery, for users with an account there.

Astroquery opens its own connections, so none of the settings of our sessions hold here; the
route's own retries do.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import keyring
from astroquery.utils.tap import TapPlus
from keyring.errors import KeyringError

from mwatlas.archive.disk import is_full
from mwatlas.archive.tap_client import COUNT_MAXREC, JobGone, Refused, Unavailable
from mwatlas.errors import ArchiveError

USER, PASSWORD = "MWATLAS_GAIA_USER", "MWATLAS_GAIA_PASSWORD"
KEYRING_SERVICE = "mwatlas-gaia"
GAIA_ARCHIVE = "https://gea.esac.esa.int/"


def gaia_credentials() -> tuple[str, str] | None:
    """User and password of the Gaia archive, or None without an account.

    The user is in the environment variable ``MWATLAS_GAIA_USER``; the password in
    ``MWATLAS_GAIA_PASSWORD``, or in the keyring under ``mwatlas-gaia``.

    Raises
    ------
    ArchiveError
        If there is a user without a password.
    """
    user = os.environ.get(USER)
    if not user:
        return None
    password = os.environ.get(PASSWORD)
    if not password:
        try:
            password = keyring.get_password(KEYRING_SERVICE, user)
        except KeyringError:
            password = None
    if not password:
        raise ArchiveError(
            "there is a user of the Gaia archive, but no password",
            item=USER,
            expected=f"{PASSWORD} in the environment, or an entry of the keyring",
            remedy=f"run `keyring set {KEYRING_SERVICE} <user>`, or unset {USER}",
        )
    return user, password


class GaiaClient:
    """The Gaia archive through astroquery.

    Parameters
    ----------
    server
        Its address.
    credentials
        User and password; None asks without an account.

    Raises
    ------
    ArchiveError
        If the archive does not let the user in.
    """

    def __init__(
        self, server: str = GAIA_ARCHIVE, credentials: tuple[str, str] | None = None
    ) -> None:
        # Loading it asks the archive for its news, which only users of an account should wait for.
        from astroquery.gaia import GaiaClass

        self.url = f"{server.rstrip('/')}/tap-server/tap"
        self._gaia = GaiaClass(
            gaia_tap_server=server, gaia_data_server=server, show_server_messages=False
        )
        if credentials is not None:
            self._log_in(*credentials)

    def row_limit(self) -> int | None:
        """Not told; a result beyond it is marked OVERFLOW."""
        return None

    def count(self, query: str) -> int:
        """Answer of a synchronous query."""
        with _answers():
            # GaiaClass's own methods take no maxrec.
            job = TapPlus.launch_job(self._gaia, query, maxrec=COUNT_MAXREC)
            return int(job.get_results()[0][0])

    def create(self, query: str, max_rows: int) -> str:
        """Make a job and leave it waiting."""
        with _answers():
            job = TapPlus.launch_job_async(
                self._gaia, query, autorun=False, background=True, maxrec=max_rows
            )
            return str(job.remoteLocation)

    def start(self, job: str) -> None:
        """Set the phase to RUN."""
        with _answers():
            self._load(job).start()

    def phase(self, job: str) -> str:
        """Phase in the description of the job."""
        with _answers():
            return str(self._load(job).get_phase()).strip().upper()

    def message(self, job: str) -> str:
        """Error document of the job."""
        with _answers():
            return str(self._load(job).get_error() or "no message").strip()

    def save(self, job: str, path: Path) -> None:
        """Stream the result to a file."""
        with _answers():
            found = self._load(job)
            found.outputFileUser = str(path)
            found.save_results()

    def delete(self, job: str) -> None:
        """Remove the job; the archive stops it if it runs."""
        with _answers():
            self._gaia.remove_jobs([_identifier(job)])

    def _load(self, job: str) -> Any:
        return self._gaia.load_async_job(jobid=_identifier(job), load_results=False)

    def _log_in(self, user: str, password: str) -> None:
        try:
            with redirect_stdout(io.StringIO()):
                # GaiaClass.login swallows a refusal, and logs in where we do not ask anything.
                TapPlus.login(self._gaia, user=user, password=password)
        except Exception:  # not chained: its text may repeat what was sent
            raise ArchiveError(
                "the Gaia archive does not let the user in",
                file=self.url,
                remedy=f"check {USER} and the password, or unset {USER} to go on without an "
                "account",
            ) from None


def _identifier(job: str) -> str:
    return job.rstrip("/").rsplit("/", 1)[-1]


@contextmanager
def _answers() -> Iterator[None]:
    """Sort astroquery's errors, which name the status in their text, and keep it from printing."""
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except Exception as error:
        if is_full(error):
            raise
        text = str(error)
        if text.startswith(("Error 404", "Error 410")):
            raise JobGone(text) from error
        if text.startswith("Error 4"):
            raise Refused(text) from error
        raise Unavailable(f"{type(error).__name__}: {text}") from error
