"""HTTP that archives and users can live with: polite, patient, and plain about what failed."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from mwatlas import __version__
from mwatlas.archive.failures import IDEMPOTENT, Failure, broken, refused, unanswered
from mwatlas.archive.hosts import Host
from mwatlas.archive.redact import redact, redact_log

_LOG = logging.getLogger("mwatlas")
# Answers that another try may better: too many requests, and failures of servers and gateways.
_PASSING = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Politeness:
    """How archives are asked.

    Parameters
    ----------
    contact
        Address for an archive's operators, part of the user agent.
    connect_timeout_s, read_timeout_s
        Longest wait for a connection, and for the next bytes of an answer.
    retries
        Tries after the first.
    backoff_s
        Wait before the first of them; each further one waits twice as long.
    longest_wait_s
        Cap of that, and of the wait that a server may ask for by Retry-After.
    interval_s
        Least time between the starts of two requests to a host.
    connections_per_host
        Most requests to a host at a time.
    """

    contact: str = ""
    connect_timeout_s: float = 30.0
    read_timeout_s: float = 120.0
    retries: int = 5
    backoff_s: float = 2.0
    longest_wait_s: float = 300.0
    interval_s: float = 0.2
    connections_per_host: int = 4

    @property
    def user_agent(self) -> str:
        """Who asks."""
        who = f"Milky Way Atlas; {self.contact}" if self.contact else "Milky Way Atlas"
        return f"mwatlas/{__version__} ({who})"

    @property
    def timeouts_s(self) -> tuple[float, float]:
        """Longest wait for a connection and for bytes, in s."""
        return self.connect_timeout_s, self.read_timeout_s


class Transport:
    """A session whose requests wait their turn and are tried again where that is harmless.

    Threads may share it. A request that fails for good raises `ArchiveError`.

    Parameters
    ----------
    settings
        How to ask.
    clock, sleep
        Of which time is read, in s, and how it is waited for.
    """

    def __init__(
        self,
        settings: Politeness,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.session = requests.Session()
        self.session.headers["User-Agent"] = settings.user_agent
        self._adapter = _PoliteAdapter(settings, clock, sleep)
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, self._adapter)
        redact_log("urllib3.connectionpool")  # it logs the query of each address

    def back_off(self, url: str, failures: int) -> None:
        """Pause the host of ``url`` as after that many failures in a row."""
        self._adapter.host(url).pause(self._adapter.backoff_s(failures))


class _PoliteAdapter(HTTPAdapter):  # type: ignore[misc]  # requests is not typed
    """Sends requests as `Politeness` says.

    The tries are counted here and not by urllib3, whose retries would pass by the host's turns
    and keep its slot while they wait.
    """

    def __init__(
        self, settings: Politeness, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        super().__init__(pool_maxsize=settings.connections_per_host, max_retries=0)
        self._settings = settings
        self._clock, self._sleep = clock, sleep
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()

    def host(self, url: str) -> Host:
        """What is shared about the host of an address."""
        with self._lock:
            name = urlsplit(url).hostname or ""
            if name not in self._hosts:
                self._hosts[name] = Host(
                    self._settings.interval_s,
                    self._settings.connections_per_host,
                    self._clock,
                    self._sleep,
                )
            return self._hosts[name]

    def backoff_s(self, failures: int) -> float:
        """Wait after that many failures in a row, in s."""
        return min(self._settings.backoff_s * 2.0 ** (failures - 1), self._settings.longest_wait_s)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, again and again if need be.

        Raises
        ------
        ArchiveError
            If no try succeeds, or the first failure does not allow another.
        """
        url = request.url or ""
        options = {
            "stream": stream,
            "timeout": timeout or self._settings.timeouts_s,
            "verify": verify,
            "cert": cert,
            "proxies": None if _is_local(url) else proxies,
        }
        failures: list[Failure] = []
        while True:
            outcome = self._attempt(request, options)
            if isinstance(outcome, requests.Response):
                return outcome
            failures.append(outcome)
            wait_s = max(self.backoff_s(len(failures)), outcome.wait_s)
            if (
                not outcome.again
                or len(failures) > self._settings.retries
                or wait_s > self._settings.longest_wait_s
            ):
                raise unanswered(request, failures, self._settings.longest_wait_s)
            self.host(url).pause(wait_s)
            _LOG.warning(
                "%s: %s; try %d of %d follows in %.0f s",
                redact(url),
                outcome.what,
                len(failures) + 1,
                self._settings.retries + 1,
                wait_s,
            )

    def _attempt(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response | Failure:
        host = self.host(request.url or "")
        slot, kept = host.slot(), False
        try:
            host.wait_turn()
            response = super().send(request, **options)
            if request.method in IDEMPOTENT and response.status_code in _PASSING:
                return refused(response)
            if not options["stream"]:
                # Read here, so that a body that breaks counts as a failed try.
                _ = response.content
            elif response.ok:
                slot.release_after(response.raw)
                kept = True
            return response
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            return broken(error, request.method, self._settings.timeouts_s)
        finally:
            if not kept:
                slot.release()


def _is_local(url: str) -> bool:
    """Whether an address is of this machine, to which no proxy leads."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
