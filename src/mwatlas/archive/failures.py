"""What went wrong with a request, whether another try may help, and how a user is told."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import requests
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    InvalidHeader,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from mwatlas.archive.redact import redact
from mwatlas.errors import ArchiveError

# Asking these twice does what asking once does (RFC 9110, section 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

# Characters of an error document that a message quotes.
_EXCERPT = 200


@dataclass(frozen=True)
class Failure:
    """A try that failed.

    Parameters
    ----------
    what
        What happened, without secrets.
    again
        Whether the request may be sent once more.
    unclear
        Whether it may have had an effect on the server that sending it again would double.
    wait_s
        Wait that the server asked for, in s.
    detail
        What the server said.
    """

    what: str
    again: bool
    unclear: bool = False
    wait_s: float = 0.0
    detail: str = ""


def refused(response: requests.Response) -> Failure:
    """Failure of a request that the server answered with an error that may pass."""
    try:
        wait_s = urllib3.Retry().get_retry_after(response.raw) or 0.0
    except InvalidHeader:
        wait_s = 0.0
    try:
        words = response.text.split()
    except requests.RequestException:  # the status says enough
        words = []
    response.close()
    detail = redact(" ".join(words))[:_EXCERPT]
    return Failure(f"HTTP {response.status_code}", again=True, wait_s=wait_s, detail=detail)


def broken(
    error: requests.RequestException, method: str | None, timeouts: tuple[float, float]
) -> Failure:
    """Failure of a request without an answer, or whose answer broke off.

    Parameters
    ----------
    error
        What was raised.
    method
        Of the request. One that is not idempotent may be sent again only if nothing reached the
        server.
    timeouts
        Longest wait for a connection and for bytes, in s.
    """
    cause: object = error.args[0] if error.args else error
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    unreached = isinstance(cause, ConnectTimeoutError)
    certificate = isinstance(error, requests.exceptions.SSLError) and any(
        isinstance(part, ssl.SSLCertVerificationError) for part in getattr(cause, "args", ())
    )
    unclear = method not in IDEMPOTENT and not unreached and not certificate
    what = redact(describe(cause, timeouts))
    return Failure(what, again=not unclear and not certificate, unclear=unclear)


def describe(cause: object, timeouts: tuple[float, float]) -> str:
    """What an error of urllib3 means, in words; ``timeouts`` as in `broken`."""
    if isinstance(cause, NameResolutionError):
        return "the name of the host is not known"
    if isinstance(cause, NewConnectionError):
        return f"no connection ({str(cause).rpartition('] ')[2]})"
    if isinstance(cause, ConnectTimeoutError):
        return f"no connection within {timeouts[0]:g} s"
    if isinstance(cause, ReadTimeoutError):
        return f"no answer within {timeouts[1]:g} s"
    if isinstance(cause, urllib3.exceptions.ProxyError):
        return "the proxy gives no connection"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"no secure connection ({cause})"
    # urllib3 puts the cause last; the whole would be a tuple.
    said = cause.args[-1] if isinstance(cause, Exception) and cause.args else cause
    return f"the connection broke ({said})"


def counted(what: Iterable[str]) -> str:
    """What happened and how often, in the order of its first time."""
    return "; ".join(
        f"{text}, {count} time{'s' if count > 1 else ''}" for text, count in Counter(what).items()
    )


def unanswered(
    request: requests.PreparedRequest, failures: Sequence[Failure], longest_wait_s: float
) -> ArchiveError:
    """Error of a request that is given up.

    Parameters
    ----------
    request
        The request.
    failures
        Its tries, at least one.
    longest_wait_s
        Longest wait that a server may ask for, in s.
    """
    last = failures[-1]
    problem = "the archive does not answer"
    remedy = (
        "see whether the address can be reached from here (network, proxy, maintenance of the "
        "archive), then run again; what is finished stays"
    )
    if last.unclear:
        problem = "it is not known whether a request reached the archive"
        remedy = "see whether the archive has the job before it is sent again; it was not repeated"
    elif last.wait_s > longest_wait_s:
        problem = f"the archive asks to come back in {last.wait_s:,.0f} s"
        remedy = "run again then; what is finished stays"
    said = f'; it said "{last.detail}"' if last.detail else ""
    return ArchiveError(
        problem,
        file=redact(request.url or ""),
        item=f"{request.method} request",
        found=counted(failure.what for failure in failures) + said,
        expected="an answer",
        remedy=remedy,
    )
