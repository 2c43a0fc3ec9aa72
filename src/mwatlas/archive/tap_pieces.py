"""From the answer for a chunk to its Parquet file, once all of it is as it must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mwatlas.archive.drift import compare_columns
from mwatlas.archive.tap_chunks import Chunk
from mwatlas.archive.votable import Answer
from mwatlas.errors import ArchiveError
from mwatlas.files import atomic_path
from mwatlas.tables.metadata import arrow_schema
from mwatlas.tables.table import TableSchema


def check_answer(answer: Answer, table: TableSchema, key: str, chunk: Chunk, url: str) -> None:
    """Make sure that an answer has the expected columns, and each row of the chunk once.

    Raises
    ------
    ArchiveError
        On a column that is missing, new or of another unit or narrower type, and on a key that is
        null, repeated or outside the chunk.
    """
    changed = [str(d) for d in compare_columns(table.columns, answer.fields) if d.fatal]
    changed += [f"{f.name} is new" for f in answer.fields if f.name not in table.names]
    if changed:
        raise ArchiveError(
            "the archive's columns are not those of the release adapter",
            file=url,
            item=str(chunk),
            found="; ".join(changed),
            expected=", ".join(f"{c.name} {c.dtype} [{c.unit}]" for c in table.columns),
            remedy="correct names, types or units in the release adapter, or the query; nothing "
            "of this chunk was written",
        )
    keys = answer.data[key]
    nulls = int(np.ma.getmaskarray(keys).sum())
    ids = np.sort(np.asarray(keys.filled(-1)))
    # A match may list a star with each of its neighbours; such a table has no key.
    repeated = ids[:-1][np.diff(ids) == 0] if table.key else ids[:0]
    outside = ids[(ids < chunk.first) | (ids > chunk.last)]
    for problem, count, example in (
        ("rows without an identifier", nulls, "null"),
        ("the same star more than once", repeated.size, repeated[:1]),
        ("rows outside the chunk", outside.size, outside[:1]),
    ):
        if count:
            raise ArchiveError(
                f"the archive answered {problem}",
                file=url,
                item=str(chunk),
                found=f"{count} row(s), for instance {key} {example}",
                expected=f"each {key} of the chunk once",
                remedy="check the joins of the query; if they are right, use another mirror",
            )


def write_piece(path: Path, answer: Answer | None, table: TableSchema, key: str) -> None:
    """Write an answer as Parquet, ascending in its key; None stands for a chunk without rows."""
    schema = arrow_schema(
        replace(table, columns=tuple(replace(c, nullable=c.name != key) for c in table.columns))
    )
    if answer is None:
        piece = schema.empty_table()
    else:
        order = np.argsort(np.asarray(answer.data[key]), kind="stable")
        arrays = []
        for field in schema:
            column = answer.data[field.name][order]
            missing = np.ma.getmaskarray(column)
            arrays.append(pa.array(column.data, type=field.type, mask=missing, from_pandas=True))
        piece = pa.Table.from_arrays(arrays, schema=schema)
    with atomic_path(path) as partial:
        pq.write_table(piece, partial, compression="zstd", version="2.6")
