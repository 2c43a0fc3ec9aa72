"""A download that is under way: its bytes so far, and what they are of."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

import requests

from mwatlas.archive.redact import redact
from mwatlas.files import read_json, write_json

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Source:
    """The state of a file on a server, as far as the server tells.

    Parameters
    ----------
    url
        Its address, without secrets.
    etag, last_modified
        What changes when the file does.
    size
        Its length in bytes.
    """

    url: str
    etag: str | None
    last_modified: str | None
    size: int | None

    @classmethod
    def of(cls, url: str, response: requests.Response) -> Source:
        """State that an answer with the file, or a range of it, tells."""
        headers = response.headers
        if response.status_code == 206:
            place = _RANGE.fullmatch(headers.get("Content-Range", ""))
            length = place[2] if place else ""
        else:
            length = headers.get("Content-Length", "")
        return cls(
            redact(url),
            headers.get("ETag"),
            headers.get("Last-Modified"),
            int(length) if length.isdigit() else None,
        )

    @property
    def validator(self) -> str | None:
        """What a server can compare; a weak ETag does not tell byte from byte."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    def changed_to(self, now: Source) -> bool:
        """Whether something that both tell differs."""
        pairs = (
            (self.etag, now.etag),
            (self.last_modified, now.last_modified),
            (self.size, now.size),
        )
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


class Part:
    """The unfinished file beside its final name, and a note of what it is of.

    Parameters
    ----------
    final
        Name of the finished file.
    url
        Where it is from.
    """

    def __init__(self, final: Path, url: str) -> None:
        self.final = final
        self.path = final.with_name(f"{final.name}.part")
        self.note = final.with_name(f"{final.name}.part.json")
        self._url = url

    @property
    def length(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def source(self) -> Source | None:
        """State of the file when its first bytes came; None if that is not known."""
        try:
            source = Source(**read_json(self.note))
        except (OSError, ValueError, TypeError):
            return None
        return source if source.url == redact(self._url) else None

    def resumable(self, checked: bool) -> int:
        """Byte to go on from; 0 means from the start.

        Without a validator of the server only a checksum (``checked``) tells whether the file is
        still the same. The last byte of a part that is complete is asked for again, so that the
        server says whether it is.
        """
        source = self.source()
        if source is None or not (source.validator or checked):
            return 0
        if source.size is None:
            return self.length
        return min(self.length, source.size - 1) if self.length <= source.size else 0

    def range_headers(self, offset: int) -> Mapping[str, str]:
        """Headers that ask for the rest, or for all if the file changed since."""
        source = self.source()
        if not offset or source is None:
            return {}
        headers = {"Range": f"bytes={offset}-"}
        return {**headers, "If-Range": source.validator} if source.validator else headers

    def continued_by(self, response: requests.Response, offset: int) -> bool:
        """Whether an answer is the rest of the same file, from ``offset`` on."""
        place = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        source = self.source()
        return (
            source is not None
            and place is not None
            and int(place[1]) == offset
            and not source.changed_to(Source.of(self._url, response))
        )

    def begin(self, source: Source) -> None:
        """Start over, for a file in this state."""
        # The old note goes first: a run killed here leaves bytes of which nothing is claimed.
        self.note.unlink(missing_ok=True)
        self.path.write_bytes(b"")
        write_json(self.note, asdict(source))

    def open_at(self, offset: int) -> FileIO:
        """Open to write from a byte on; unbuffered, so that what a killed run received stays."""
        stream = self.path.open("r+b", buffering=0)
        stream.truncate(offset)
        stream.seek(offset)
        return stream

    def finish(self) -> None:
        """Give the file its final name, for good: also after a power cut."""
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.final)
        folder = os.open(self.final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget what came."""
        self.note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
