"""The line-of-sight query of DR3 fetched by TAP, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mwatlas.archive.manifest import Manifest
from mwatlas.archive.tap_chunks import Chunk
from mwatlas.archive.tap_patience import TapSettings

from .expected import expected_rows, in_order
from .sky import Loaded

NAME = "gaiadr3_line_of_sight.adql"
SETTINGS = TapSettings(rows_per_chunk=300, poll_s=0.3, pause_s=0.1, attempts=2)


def check(manifest: Manifest, tables: Mapping[str, Loaded], columns: tuple[str, ...]) -> None:
    """The pieces together are the selected rows of the source, each counted as the source has."""
    expected = expected_rows(tables, NAME)
    found = [row for path in manifest.files for row in pq.read_table(path).to_pylist()]
    assert manifest.complete
    assert in_order(found, columns) == in_order(expected, columns)
    ids = np.sort([row["source_id"] for row in expected])
    for piece in manifest.pieces:
        chunk = Chunk(piece.detail["first"], piece.detail["last"])
        inside = int(((ids >= chunk.first) & (ids <= chunk.last)).sum())
        assert piece.detail["rows_counted"] == piece.rows == inside
    assert names(manifest.folder) == {"manifest.json", *(path.name for path in manifest.files)}


def names(folder: Path) -> set[str]:
    """Names of all files of a folder, hidden ones too."""
    return {path.name for path in folder.iterdir()}


class Recorded:
    """Mixed into a client: addresses of the jobs it made, and of those it looked at."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.created: list[str] = []
        self.looked_at: set[str] = set()

    def create(self, query: str, max_rows: int) -> str:
        job: str = super().create(query, max_rows)  # type: ignore[misc]
        self.created.append(job)
        return job

    def phase(self, job: str) -> str:
        self.looked_at.add(job)
        return super().phase(job)  # type: ignore[misc]
