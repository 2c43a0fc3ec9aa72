"""Answers that are no data although they came: pages, messages, promises, errors."""

from __future__ import annotations

import re
from collections.abc import Set
from urllib.parse import urlsplit

import requests

from mwatlas.archive.redact import redact
from mwatlas.errors import ArchiveError

# A page may begin with a byte-order mark, an XML declaration and comments.
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])",
    re.IGNORECASE | re.DOTALL,
)
# Of an object, or of a list of objects.
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*(?:"|\})')
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
# Bytes in which a page shows itself.
PAGE_HEAD = 4096
# Bytes of a message that an error quotes.
_EXCERPT = 200

_REMEDY = {
    202: "the archive still prepares the file: run again later",
    401: "the archive wants a login: give its credentials in the environment or the keyring",
    403: "the archive refuses: see whether the file needs a login or the address changed",
    404: "the file is not there: see whether the archive moved it, and correct the address",
    410: "the file is not there any more: see where the archive moved it, and correct the address",
}
_OPEN = "open the address in a browser and see what the archive says; if it moved, correct it"


def refuse_status(response: requests.Response, expected: Set[int]) -> None:
    """Make sure that an answer carries data.

    Parameters
    ----------
    response
        The answer.
    expected
        Statuses that do.

    Raises
    ------
    ArchiveError
        If its status is another.
    """
    if response.status_code not in expected:
        raise refusal(
            response,
            found=f"HTTP {response.status_code} {response.reason or ''}".rstrip(),
            expected=" or ".join(f"HTTP {status}" for status in sorted(expected)),
            remedy=_REMEDY.get(response.status_code, _OPEN),
        )


def refuse_page(response: requests.Response, body: bytes) -> None:
    """Make sure that what a body begins with is data and no web page.

    Raises
    ------
    ArchiveError
        If it is an HTML page, with its title.
    """
    head = body[:PAGE_HEAD]
    if _PAGE.match(head):
        title = _TITLE.search(head)
        named = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
        raise refusal(
            response,
            found=f'an HTML page with the title "{redact(named)}"' if named else "an HTML page",
            expected="the file",
            remedy=_OPEN,
        )


def refuse_message(response: requests.Response, body: bytes, name: str) -> None:
    """Make sure that what a body begins with is no JSON, by which services tell of errors.

    Raises
    ------
    ArchiveError
        If it is JSON and the file's name does not say so.
    """
    if _JSON.match(body) and not name.lower().endswith("json"):
        said = redact(" ".join(body[:_EXCERPT].decode("utf-8", "replace").split()))
        raise refusal(response, found=f"JSON: {said}", expected="the file", remedy=_OPEN)


def refuse_packed(response: requests.Response, url: str) -> None:
    """Make sure that a body is the file's own bytes, which is what checksums are of.

    Raises
    ------
    ArchiveError
        If it was compressed for the transfer. A gzip file that is announced as an encoding is as
        it should be.
    """
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return
    if encoding not in {"gzip", "x-gzip"} or not urlsplit(url).path.endswith(".gz"):
        raise refusal(
            response,
            found=f"a body packed as {encoding}",
            expected="the file's own bytes",
            remedy="take the file from another mirror, which sends it as it is",
        )


def refusal(
    response: requests.Response, *, found: object, expected: object, remedy: str
) -> ArchiveError:
    """Error of an answer that is not what it should be; names where it was led to, too."""
    asked, came_from = (redact(r.url) for r in ((*response.history, response)[0], response))
    return ArchiveError(
        "the archive's answer is not the file",
        file=asked,
        item=None if asked == came_from else f"redirected to {came_from}",
        found=found,
        expected=expected,
        remedy=remedy,
    )
