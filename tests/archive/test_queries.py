"""Every query of the project, on a real server, by both ways of asking it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyvo.dal import TAPService

from mwatlas.archive.adql import Query, chunk_query, count_query
from mwatlas.archive.manifest import Manifest
from mwatlas.archive.tap import fetch_by_tap
from mwatlas.archive.tap_chunks import Chunk, equal_chunks, pixel_chunks
from mwatlas.archive.tap_client import PyvoClient
from mwatlas.archive.tap_patience import TapSettings
from mwatlas.archive.transport import Transport
from mwatlas.progress import Progress
from mwatlas.tables.infrared import PIXEL
from mwatlas.tables.table import TableSchema

from .dachs import HARD_LIMIT
from .expected import SELECTIONS, expected_rows, in_order
from .sky import Loaded

SETTINGS = TapSettings(poll_s=0.3, pause_s=0.1, attempts=2)


def test_no_query_is_left_out(root: Path, contracts: dict[str, TableSchema]) -> None:
    names = {path.name for path in (root / "workflow/queries").glob("*.adql")}
    assert names == SELECTIONS.keys() == contracts.keys()


def _chunks(query: Query, number: int) -> list[Chunk]:
    return (pixel_chunks if query.key == PIXEL.name else equal_chunks)(number)


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_query_gives_the_rows_of_its_conditions_at_once(
    service: str,
    transport: Transport,
    client: PyvoClient,
    tables: dict[str, Loaded],
    load: Callable[[str], Query],
    name: str,
) -> None:
    query, found = load(name), []
    for chunk in _chunks(query, 2):
        text = chunk_query(query, chunk.first, chunk.last)
        answer = TAPService(service, session=transport.session).run_sync(text, maxrec=HARD_LIMIT)
        rows = answer.to_table()
        assert client.count(count_query(query, chunk.first, chunk.last)) == len(rows)
        columns = [
            [None if masked else value for value, masked in zip(values, mask, strict=True)]
            for values, mask in (
                (rows[c].tolist(), np.ma.getmaskarray(rows[c]).tolist()) for c in query.columns
            )
        ]
        found += [dict(zip(query.columns, row, strict=True)) for row in zip(*columns, strict=True)]
    expected = expected_rows(tables, name)
    assert len(expected) > 100
    assert in_order(found, query.columns) == in_order(expected, query.columns)


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_query_gives_the_rows_of_its_conditions_by_jobs(
    client: PyvoClient,
    tables: dict[str, Loaded],
    contracts: dict[str, TableSchema],
    load: Callable[[str], Query],
    tmp_path: Path,
    progress: Progress,
    name: str,
) -> None:
    query, manifest = load(name), Manifest(tmp_path, {})
    rows = fetch_by_tap(
        client, query, _chunks(query, 1), contracts[name], manifest, SETTINGS, progress
    )
    pieces = [pq.read_table(path) for path in manifest.files]
    found = [row for piece in pieces for row in piece.to_pylist()]
    expected = expected_rows(tables, name)
    assert rows == len(expected)
    assert in_order(found, query.columns) == in_order(expected, query.columns)
    ids = [row[query.key] for row in found]
    assert ids == sorted(ids)
