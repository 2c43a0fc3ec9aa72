"""The Gaia archive's file tree: files named by HEALPix range, beside a list of their MD5s."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mwatlas.errors import ArchiveError
from mwatlas.healpix import SOURCE_ID_ORDER, SOURCE_ID_SHIFT, number_of_cells

CHECKSUMS = "_MD5SUM.txt"
"""List of checksums in each folder of the tree."""

# Pixels in the names of files are of this order, nested (Gaia DR3 documentation, 13.2).
_ORDER = 8
_SHIFT = SOURCE_ID_SHIFT + 2 * (SOURCE_ID_ORDER - _ORDER)
WHOLE_SKY = (0, (number_of_cells(_ORDER) << _SHIFT) - 1)
"""Range of source_id of all pixels, both included."""
_NAME = re.compile(r"(?P<stem>\w+_(?P<first>\d{6})-(?P<last>\d{6}))\.csv(\.gz)?")


@dataclass(frozen=True)
class TreeFile:
    """A file of the tree.

    Parameters
    ----------
    name, checksum
        Its name in the folder, and ``"md5:..."``.
    first, last
        The range of source_id it may hold, both included.
    """

    name: str
    checksum: str
    first: int
    last: int

    @property
    def piece(self) -> str:
        """Name of the Parquet file made of it."""
        return self.name.partition(".")[0] + ".parquet"


def tree_files(checksums: Mapping[str, str], address: str) -> list[TreeFile]:
    """Files of a folder in the order of their pixels.

    Parameters
    ----------
    checksums
        Checksum of each file in the list; what is not named by pixels is passed over.
    address
        Of the list, to name in an error.

    Raises
    ------
    ArchiveError
        If no file is named by pixels, or two hold the same pixels.
    """
    files = []
    for name, checksum in checksums.items():
        match = _NAME.fullmatch(name)
        if match and int(match["first"]) <= int(match["last"]) < number_of_cells(_ORDER):
            first, last = int(match["first"]), int(match["last"])
            files.append(TreeFile(name, checksum, first << _SHIFT, ((last + 1) << _SHIFT) - 1))
    files.sort(key=lambda file: file.first)
    if not files:
        raise _odd_list(address, ", ".join(list(checksums)[:3]) or "an empty list")
    for one, other in pairwise(files):
        if other.first <= one.last:
            raise _odd_list(address, f"{one.name} and {other.name} with the same pixels")
    return files


def overlapping(files: Iterable[TreeFile], first: int, last: int) -> list[TreeFile]:
    """Files that may hold a source_id from ``first`` to ``last``, both included."""
    return [file for file in files if file.first <= last and file.last >= first]


def check_cover(files: Sequence[TreeFile], first: int, last: int, address: str) -> None:
    """Make sure that files leave no pixel of a range out, as an incomplete list does.

    Parameters
    ----------
    files
        In the order of their pixels.
    first, last
        Range of source_id, both included.
    address
        Of the list, to name in an error.

    Raises
    ------
    ArchiveError
        Naming the first pixels that no file holds.
    """
    reached = first
    for start, end in (*((file.first, file.last) for file in files), (last + 1, last)):
        if start > reached:
            raise ArchiveError(
                "a list of files leaves out part of the sky",
                file=address,
                found=f"no file of HEALPix pixels {reached >> _SHIFT} to "
                f"{(start - 1) >> _SHIFT}, among {len(files)} files",
                expected=f"each pixel from {first >> _SHIFT} to {last >> _SHIFT} of level "
                f"{_ORDER} in a file",
                remedy="the list or the mirror is incomplete: run again later, or use another "
                "mirror; what was fetched is kept",
            )
        reached = max(reached, end + 1)


def local_path(address: str) -> Path | None:
    """Path of an address that is on this machine: a path or ``file://``; else ``None``."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in address else Path(address)


def _odd_list(address: str, found: str) -> ArchiveError:
    return ArchiveError(
        "a list of files is not that of a Gaia file tree",
        file=address,
        found=found,
        expected="names such as GaiaSource_000000-003111.csv.gz: HEALPix pixels of level "
        f"{_ORDER}, each in one file",
        remedy="check the address in the release adapter; the archive may have moved the tree",
    )
