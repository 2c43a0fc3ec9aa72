"""A disk without space: no archive is to blame, and no other route of a table would help."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np

from mwatlas.errors import MwatlasError
from mwatlas.tables.table import TableSchema

# Characters of a text, about.
_TEXT_BYTES = 20


class DiskFull(MwatlasError):  # noqa: N818 - says what it is
    """The disk cannot take what is being fetched; ``file`` is the folder it was to go to."""

    file_label, item_label = "folder", "part"


def disk_full(folder: Path, item: str, needed: int | None, of: str, kept: str) -> DiskFull:
    """Error of a disk without space.

    Parameters
    ----------
    folder
        Where it was to go.
    item
        What was being fetched.
    needed, of
        Bytes that are still to come, if known, and what they are of.
    kept
        What a later run goes on from.
    """
    return DiskFull(
        "the disk is full",
        file=folder,
        item=item,
        found=f"{free_bytes(folder):,} bytes free",
        expected=f"{'more than that' if needed is None else f'{needed:,} bytes'} for {of}",
        remedy=f"free space, or move the folder to a larger disk, then run again: {kept}",
    )


def is_full(error: BaseException) -> bool:
    """Whether an error is that of a disk or quota without space."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to a folder."""
    return shutil.disk_usage(folder).free


def row_bytes(table: TableSchema) -> int:
    """About what a row takes on disk as Parquet: measured numbers hardly compress."""
    return sum(
        _TEXT_BYTES if column.dtype == "string" else column.length * np.dtype(column.dtype).itemsize
        for column in table.columns
    )
