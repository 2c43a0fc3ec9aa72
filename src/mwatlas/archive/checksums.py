"""Checksums of files, as archives list them: ``"md5:..."``, ``"sha1:..."`` or ``"sha256:..."``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mwatlas.archive.redact import redact
from mwatlas.errors import ArchiveError

# Hexadecimal digits of each kind.
_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}
_KIND = {digits: kind for kind, digits in _DIGITS.items()}

# As md5sum writes it: the mark before the name says whether the file was read as binary.
_LINE = re.compile(r"([0-9a-fA-F]+) [ *](.+)")

# Characters of a line that a message quotes.
_EXCERPT = 80


def check_form(checksum: str, url: str) -> str:
    """Return a checksum in lower case; ``url`` is where the file is.

    Raises
    ------
    ArchiveError
        If it is of no kind that is known here.
    """
    kind, _, digits = checksum.lower().partition(":")
    if len(digits) != _DIGITS.get(kind) or not re.fullmatch("[0-9a-f]+", digits):
        raise ArchiveError(
            "a checksum is not well formed",
            file=redact(url),
            found=checksum,
            expected=" or ".join(f"{kind}: and {n} digits 0-9a-f" for kind, n in _DIGITS.items()),
            remedy="correct the checksum where the file is registered",
        )
    return f"{kind}:{digits}"


def checksum_of(path: Path, like: str) -> str:
    """Checksum of a file, of the same kind as ``like``, read as a stream."""
    kind = like.partition(":")[0]
    with path.open("rb") as stream:
        return f"{kind}:{hashlib.file_digest(stream, kind).hexdigest()}"


def parse_checksums(text: str, url: str = "list of checksums") -> dict[str, str]:
    """Read a list as ``md5sum``, ``sha1sum`` and ``sha256sum`` write it.

    Parameters
    ----------
    text
        Lines ``hash  name`` or ``hash *name``; blank lines are passed over.
    url
        Where it is from, for messages.

    Returns
    -------
    dict
        Checksum of each name, ``"md5:..."``; a leading ``./`` is not part of the name.

    Raises
    ------
    ArchiveError
        If a line is anything else, or a name has two checksums.
    """
    checksums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        kind = _KIND.get(len(match[1])) if match else None
        if match is None or kind is None:
            raise _bad_line(url, number, line, "hash, two spaces or a space and *, name")
        name, checksum = match[2].removeprefix("./"), f"{kind}:{match[1].lower()}"
        if checksums.setdefault(name, checksum) != checksum:
            raise _bad_line(url, number, line, f"one checksum of {name}: {checksums[name]}")
    return checksums


def _bad_line(url: str, number: int, line: str, expected: str) -> ArchiveError:
    return ArchiveError(
        "a list of checksums cannot be read",
        file=redact(url),
        item=f"line {number}",
        found=repr(redact(line[:_EXCERPT])),
        expected=expected,
        remedy="open the address in a browser and see whether it still is the list; if it moved, "
        "correct its address",
    )
