"""The catalogues the study publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mwatlas.config.release import ReleaseAdapter
from mwatlas.predictive import MIXTURE_COLUMNS, predictive_of
from mwatlas.progress import Progress
from mwatlas.tables.columns import VLOS_QUANTILES
from mwatlas.tables.hats import write_hats
from mwatlas.tables.parquet import number_of_rows, open_parquet, read_cells
from mwatlas.tables.schemas import (
    DENSITY_CATALOGUE,
    GSE_CANDIDATES,
    LINE_OF_SIGHT_CATALOGUE,
    RV_CATALOGUE,
)
from mwatlas.tables.table import Columns, TableSchema

Catalogue = Literal["rv", "test_set", "ml_rv", "gse_candidates"]


@dataclass(frozen=True)
class Tables:
    """Partitions of the tables that catalogues are made of, in order."""

    samples: Sequence[Path]
    predictions: Sequence[Path]
    orbits: Sequence[Path]
    candidates: Sequence[Path]


def write_catalogue(
    catalogue: Catalogue,
    tables: Tables,
    adapter: ReleaseAdapter,
    output: Path,
    progress: Progress,
) -> None:
    """Write one catalogue in HATS layout.

    ``rv`` has the stars with a measured velocity, ``test_set`` the same predicted out of fold,
    ``ml_rv`` those without. All hold row [0] of Table 1; its row [1] is a cut on
    ``phot_g_mean_mag``. ``gse_candidates`` has the error draws whose eccentricity passes the
    limit.

    Parameters
    ----------
    catalogue
        Which one.
    tables
        What it is made of.
    adapter
        The release.
    output
        Folder to write.
    progress
        Where to report.
    """
    total = sum(number_of_rows(path) for path in tables.samples)
    schema = _schema(catalogue, tables, adapter)
    with progress.task(f"writing {catalogue}", total, "stars") as advance:
        cells = (
            _candidates(tables, advance)
            if catalogue == "gse_candidates"
            else _stars(catalogue, tables, schema, advance)
        )
        write_hats(output, schema, cells, adapter.healpix_order)


def _schema(catalogue: Catalogue, tables: Tables, adapter: ReleaseAdapter) -> TableSchema:
    if catalogue == "gse_candidates":
        return GSE_CANDIDATES
    if catalogue == "rv":
        absent = set(RV_CATALOGUE.names) & set(adapter.absent_standard())
        return RV_CATALOGUE.without(absent)
    predicted = open_parquet(tables.predictions[0]).schema_arrow
    if MIXTURE_COLUMNS[0] not in predicted.names:
        return LINE_OF_SIGHT_CATALOGUE
    schema = DENSITY_CATALOGUE
    for name in MIXTURE_COLUMNS:
        schema = schema.with_length(name, predicted.field(name).type.list_size)
    return schema


def _candidates(tables: Tables, advance: Callable[[int], None]) -> Iterator[tuple[int, Columns]]:
    for sample, candidates in zip(tables.samples, tables.candidates, strict=True):
        yield from read_cells(candidates)
        advance(number_of_rows(sample))


def _stars(
    catalogue: Catalogue, tables: Tables, schema: TableSchema, advance: Callable[[int], None]
) -> Iterator[tuple[int, Columns]]:
    for sample, predictions, orbits in zip(
        tables.samples, tables.predictions, tables.orbits, strict=True
    ):
        for (cell, data), (_, predicted), (_, orbit) in zip(
            read_cells(sample), read_cells(predictions), read_cells(orbits), strict=True
        ):
            known = data["fold"] >= 0
            mine = ~known if catalogue == "ml_rv" else known
            chosen = {name: values[mine] for name, values in {**data, **predicted, **orbit}.items()}
            if schema.name == DENSITY_CATALOGUE.name:
                chosen |= _quantiles(chosen)
            yield cell, {name: chosen[name] for name in schema.names}
            advance(len(known))


def _quantiles(predicted: Columns) -> Columns:
    values = predictive_of(predicted).quantile(np.array(VLOS_QUANTILES) / 100)
    return {
        f"vlos_p{level:02d}": column for level, column in zip(VLOS_QUANTILES, values.T, strict=True)
    }
