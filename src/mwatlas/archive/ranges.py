"""Whether pieces hold the rows of their own range: a row in two of them would count twice."""

from __future__ import annotations

from itertools import pairwise

import pyarrow.parquet as pq

from mwatlas.archive.manifest import Manifest
from mwatlas.errors import ArchiveError

# What the files of a tree are named by.
_KEY = "source_id"


def check_ranges(manifest: Manifest) -> None:
    """Make sure that pieces are of ranges apart, and that none holds rows of another.

    What rows a piece holds is what its footer says.

    Parameters
    ----------
    manifest
        Finished pieces; those of a range have ``first`` and ``last`` in their details.

    Raises
    ------
    ArchiveError
        Naming the address of the piece. Its file is removed if its rows are wrong, so that it is
        fetched again.
    """
    ranged = [piece for piece in manifest.pieces if "first" in piece.detail]
    ranged.sort(key=lambda piece: int(piece.detail["first"]))
    for one, other in pairwise(ranged):
        if other.detail["first"] <= one.detail["last"]:
            raise ArchiveError(
                "two parts of a table are of the same range",
                file=manifest.path,
                item=f"{one.name} and {other.name}",
                found=f"{_KEY} {other.detail['first']} in both",
                expected="each row in one part",
                remedy="remove the folder; the table is fetched again",
            )
    for piece in ranged:
        path = manifest.folder / piece.name
        metadata = pq.read_metadata(path)
        if not metadata.num_rows:
            continue
        column = metadata.schema.names.index(_KEY)
        groups = [metadata.row_group(i).column(column) for i in range(metadata.num_row_groups)]
        lowest = min(group.statistics.min for group in groups)
        highest = max(group.statistics.max for group in groups)
        first, last = piece.detail["first"], piece.detail["last"]
        if first <= lowest and highest <= last:
            continue
        path.unlink()
        raise ArchiveError(
            "a part of a table holds rows of another part",
            file=piece.origin,
            item=piece.name,
            found=f"{_KEY} {lowest} to {highest}",
            expected=f"{first} to {last}, as its name says",
            remedy="run again: this part is fetched anew, the others are kept; if it stays like "
            "this, use another mirror",
        )
