"""Files by address: whole, checked, and gone on with where a run before was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import requests
import urllib3

from mwatlas.archive.answers import (
    PAGE_HEAD,
    refusal,
    refuse_message,
    refuse_packed,
    refuse_page,
    refuse_status,
)
from mwatlas.archive.checksums import check_form, checksum_of
from mwatlas.archive.disk import DiskFull, disk_full, free_bytes, is_full
from mwatlas.archive.failures import counted, describe
from mwatlas.archive.part import Part, Source
from mwatlas.archive.redact import redact
from mwatlas.archive.transport import Transport
from mwatlas.errors import ArchiveError

# Most bytes taken from the connection at a time; a file of which so much came since the last
# break is making progress.
_BLOCK = 1 << 18

_REPLACED = "see whether the archive replaced the file; if so, register its new size"


def download(
    transport: Transport,
    url: str,
    path: Path,
    *,
    size: int | None = None,
    checksum: str | None = None,
    advance: Callable[[int], object] | None = None,
) -> None:
    """Fetch a file, unless it is there already.

    What came so far is in ``<path>.part``, with a note ``<path>.part.json`` of what it is of. A
    run that is stopped goes on from there, if the server still has the same file.

    Parameters
    ----------
    transport
        How to ask.
    url
        Address of the file.
    path
        Where it goes; there is nothing of that name, or the old file, until the new one is whole.
    size
        Its length in bytes, if known.
    checksum
        ``"md5:..."``, ``"sha1:..."`` or ``"sha256:..."``, if known.
    advance
        Called with the bytes that came since the last call, negative if the file starts over.

    Raises
    ------
    ArchiveError
        If the server does not answer, or with something else than the file: another length or
        checksum, a web page, a message in JSON, any status but 200 and 206, a body that keeps
        breaking off.
    DiskFull
        If the disk is full. What came stays.
    """
    checksum = check_form(checksum, url) if checksum else None
    fetch = _Download(transport, url, path, size, checksum, advance or (lambda _: None))
    if fetch.is_there():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch.run()
    except OSError as error:
        if not is_full(error):
            raise
        raise fetch.no_room() from error


def fetch_text(session: requests.Session, url: str) -> str:
    """Text of a small file, such as a list of checksums.

    Parameters
    ----------
    session
        Of a `Transport`.
    url
        Address of the file.

    Raises
    ------
    ArchiveError
        If the server does not answer, or with a web page, another status than 200, or bytes that
        are no text.
    """
    response = _ask(session, url, {}, stream=False)
    refuse_status(response, {200})
    refuse_page(response, response.content)
    try:
        return response.content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusal(
            response,
            found=f"byte {error.start} is not UTF-8",
            expected="a text",
            remedy="see whether the address is that of a text file that is not compressed",
        ) from error


class _Download:
    """One file on its way; parameters as in `download`."""

    def __init__(
        self,
        transport: Transport,
        url: str,
        path: Path,
        size: int | None,
        checksum: str | None,
        advance: Callable[[int], object],
    ) -> None:
        self._transport = transport
        self._url = url
        self._path = path
        self._size = size
        self._checksum = checksum
        self._advance = advance
        self._part = Part(path, url)
        self._reported = 0
        self._total = size
        self._broke: str | None = None

    def is_there(self) -> bool:
        """Whether the finished file is the right one, as far as that is known."""
        if not self._path.exists():
            return False
        length = self._path.stat().st_size
        if self._size not in (None, length):
            return False
        if self._checksum and checksum_of(self._path, self._checksum) != self._checksum:
            return False
        self._report(length)
        return True

    def run(self) -> None:
        """Fetch the file; one with a wrong checksum once more, from the start."""
        for _ in range(2):
            self._fill()
            if self._checksum is None:
                break
            found = checksum_of(self._part.path, self._checksum)
            if found == self._checksum:
                break
            self._part.remove()
        else:
            raise ArchiveError(
                "the checksum of a file is wrong, twice",
                file=redact(self._url),
                item=str(self._path),
                found=found,
                expected=self._checksum,
                remedy="see whether the archive replaced the file (then register its new "
                "checksum), or whether something between here and there changes it",
            )
        self._part.finish()

    def no_room(self) -> DiskFull:
        """Error of a disk that cannot take the rest of the file."""
        return disk_full(
            self._path.parent,
            redact(self._url),
            None if self._total is None else self._total - self._part.length,
            "the rest of the file",
            f"it goes on from the {self._part.length:,} bytes that came",
        )

    def _fill(self) -> None:
        """Ask until the part is whole or no progress is made."""
        breaks: list[str] = []
        furthest = self._part.length
        while (what := self._receive()) is not None:
            if self._part.length >= furthest + _BLOCK:
                breaks.clear()
            furthest = max(furthest, self._part.length)
            breaks.append(what)
            if len(breaks) > self._transport.settings.retries:
                raise ArchiveError(
                    "a file does not come whole",
                    file=redact(self._url),
                    item=str(self._part.path),
                    found=f"{self._part.length:,} bytes; {counted(breaks)}",
                    expected="its end" if self._total is None else f"{self._total:,} bytes",
                    remedy="run again: it goes on from what came, where the server allows that; "
                    "if it stops at the same byte, the archive's copy is damaged",
                )
            self._transport.back_off(self._url, len(breaks))

    def _receive(self) -> str | None:
        """Ask for what is missing; return what came between, None if the file is whole."""
        offset = self._part.resumable(checked=self._checksum is not None)
        asked = {"Accept-Encoding": "identity", **self._part.range_headers(offset)}
        with _ask(self._transport.session, self._url, asked, stream=True) as response:
            if offset and (
                response.status_code == 416
                or (response.status_code == 206 and not self._part.continued_by(response, offset))
            ):
                self._part.remove()
                return "the file on the server changed"
            refuse_status(response, {200, 206} if offset else {200})
            if response.status_code == 200:
                offset = 0
            self._broke = None
            blocks = self._blocks(response)
            head = b""
            while len(head) < PAGE_HEAD and (block := next(blocks, b"")):
                head += block
            if offset == 0:
                refuse_page(response, head)
                if self._checksum is None:  # which tells better
                    refuse_message(response, head, self._path.name)
            refuse_packed(response, self._url)
            source = Source.of(self._url, response)
            self._total = self._checked_total(response, source.size)
            if self._total is not None and (
                self._total - self._part.length > free_bytes(self._path.parent)
            ):
                raise self.no_room()
            if offset == 0:
                self._part.begin(source)
            self._write(offset, chain([head], blocks))
            if self._broke is None and self._total is not None:
                self._broke = self._length_fault(response, self._total)
        return self._broke

    def _length_fault(self, response: requests.Response, total: int) -> str | None:
        """What is wrong with the length of a body that did not break."""
        length = self._part.length
        if length > total:
            self._part.remove()
            raise refusal(
                response,
                found=f"{length:,} bytes",
                expected=f"{total:,} bytes",
                remedy=_REPLACED,
            )
        return "the body ended early" if length < total else None

    def _blocks(self, response: requests.Response) -> Iterator[bytes]:
        """Bytes as they are on the wire, as they come: what came before a break is not lost."""
        try:
            while block := response.raw.read1(_BLOCK, decode_content=False):
                yield block
        except urllib3.exceptions.HTTPError as error:
            self._broke = redact(describe(error, self._transport.settings.timeouts_s))

    def _write(self, offset: int, blocks: Iterator[bytes]) -> None:
        self._report(offset)
        with self._part.open_at(offset) as stream:
            for block in blocks:
                rest = memoryview(block)
                while rest:
                    rest = rest[stream.write(rest) :]
                self._report(self._reported + len(block))

    def _checked_total(self, response: requests.Response, offered: int | None) -> int | None:
        """Length of the file; make sure that something tells whether it is whole."""
        if offered is None:
            if self._size is None and self._checksum is None and not response.raw.chunked:
                raise refusal(
                    response,
                    found="neither a length nor chunks",
                    expected="something that tells whether the file is whole",
                    remedy="register the size or checksum of the file",
                )
            return self._size
        if self._size not in (None, offered):
            raise refusal(
                response,
                found=f"{offered:,} bytes",
                expected=f"{self._size:,} bytes",
                remedy=_REPLACED,
            )
        return offered

    def _report(self, length: int) -> None:
        self._advance(length - self._reported)
        self._reported = length


def _ask(
    session: requests.Session, url: str, headers: dict[str, str], *, stream: bool
) -> requests.Response:
    try:
        return session.get(url, headers=headers, stream=stream)
    except requests.RequestException as error:
        found = type(error).__name__
    # Outside of the handler: the library's message, which may quote a secret, stays behind.
    raise ArchiveError(
        "an address cannot be asked",
        file=redact(url),
        found=found,
        expected="an address of a file, http:// or https://",
        remedy="correct the address",
    )
