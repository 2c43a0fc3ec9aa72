"""Files that are kept as they are: those the registry names, and those of a Zenodo record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from mwatlas.archive.download import download, fetch_text
from mwatlas.archive.transport import Transport
from mwatlas.config.registry import Route
from mwatlas.errors import ArchiveError
from mwatlas.progress import Progress


@dataclass(frozen=True)
class RemoteFile:
    """A file at an archive.

    Parameters
    ----------
    name, url
        What it is called here, and where it is.
    size, checksum
        Bytes and ``"md5:..."`` or the like, where they are known.
    """

    name: str
    url: str
    size: int | None = None
    checksum: str | None = None


def named_files(route: Route) -> list[RemoteFile]:
    """Files that a route of the registry names."""
    return [
        RemoteFile(name, route.address_of(name), checksum=route.checksums.get(name))
        for name in route.files
    ]


def record_files(route: Route, transport: Transport) -> list[RemoteFile]:
    """Files of a Zenodo record, with the sizes and checksums it lists.

    Parameters
    ----------
    route
        Address of the record; of its files those are taken that match ``files``. A checksum of
        the registry goes before that of the record.
    transport
        Carries the request for the list.

    Raises
    ------
    ArchiveError
        If the list is none, or lacks a file of the registry.
    """
    address = record_list(route.url)
    text = fetch_text(transport.session, address)
    try:
        listed = [
            RemoteFile(f["key"], f["links"]["self"], int(f["size"]), f["checksum"])
            for f in json.loads(text)["files"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            "the list of a record's files cannot be read",
            file=address,
            found=f"{text[:80]!r} ({type(error).__name__}: {error})",
            expected="JSON with files, each with key, size, checksum and links.self",
            remedy="see whether Zenodo changed its interface; or fetch the files by hand",
        ) from error
    names = [file.name for file in listed]
    lost = [p for p in route.files if not any(fnmatchcase(name, p) for name in names)]
    odd = [name for name in names if Path(name).name != name]
    if lost or odd:
        raise ArchiveError(
            "a record has other files than the registry says",
            file=route.url,
            item=", ".join(lost or odd),
            found=", ".join(names) or "no files",
            expected=", ".join(route.files),
            remedy="correct the route in config/registry.yaml",
        )
    return [
        RemoteFile(f.name, f.url, f.size, route.checksums.get(f.name, f.checksum))
        for f in listed
        if any(fnmatchcase(f.name, pattern) for pattern in route.files)
    ]


def record_list(url: str) -> str:
    """Address of the list of a record's files, from that of its page."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/api{parts.path.rstrip('/')}"


def fetch_files(
    files: Sequence[RemoteFile],
    folder: Path,
    transport: Transport,
    progress: Progress,
    total: int | None = None,
) -> list[Path]:
    """Fetch files into a folder, unless they are there; their paths in the same order.

    Parameters
    ----------
    files
        What to fetch.
    folder
        Where to.
    transport, progress
        Carries requests; where to report.
    total
        Bytes of all of them, where the files do not tell.
    """
    known = sum(file.size or 0 for file in files) or total or 0
    with progress.task("fetching", known, "bytes") as advance:
        for file in files:
            download(
                transport,
                file.url,
                folder / file.name,
                size=file.size,
                checksum=file.checksum,
                advance=advance,
            )
    return [folder / file.name for file in files]
