"""Spectroscopic surveys: their tables under standard names, and the stars their rows belong to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mwatlas.archive.adapt import adapt, check_columns, file_types
from mwatlas.archive.described import check_units
from mwatlas.archive.files import check_positions
from mwatlas.archive.readers import column_names, read_batches
from mwatlas.config.survey import Flag, Survey, SurveyTable
from mwatlas.crossmatch import PositionIndex, propagate
from mwatlas.errors import InputError
from mwatlas.progress import Progress
from mwatlas.tables.parquet import (
    cell_writer,
    number_of_rows,
    read_cells,
    read_rows,
    write_table,
)
from mwatlas.tables.schemas import SURVEY_MATCHES, SURVEY_ROWS
from mwatlas.tables.table import Columns

log = logging.getLogger("mwatlas")

_OF_STARS = ("source_id", "ra", "dec", "pmra", "pmdec")
_MEASURED = ("fe_h", "mg_fe", "survey_radial_velocity", "survey_radial_velocity_error")

Rows = NDArray[np.int64]


def import_survey(
    name: str,
    survey: Survey,
    paths: Mapping[str, Sequence[Path]],
    output: Path,
    progress: Progress,
) -> int:
    """Read a survey's tables into one with standard names and units.

    Values that a quality flag spoils become missing; rows stay, in the order of the tables, their
    files and the rows in them. The survey is held in memory, at about 100 bytes a row.

    Parameters
    ----------
    name, survey
        The survey.
    paths
        Files of each of its tables, by the table's name.
    output
        File to write: table ``survey_rows``.
    progress
        Where to report rows done.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputError
        On a missing file or column, an unreadable table, a unit that is not expected or cannot
        be converted, a value out of range, and identifiers that were rounded or belong elsewhere
        on the sky.
    """
    files = [(key, table, path) for key, table in survey.tables.items() for path in paths[key]]
    for key, table, path in files:
        flags = [flag.column for flag in table.flags]
        check_columns(table, path, column_names(path), _section(name, key), flags)
        check_units(table, path, _section(name, key))
    pieces = [SURVEY_ROWS.empty()]
    with progress.task("reading", len(files), "files") as advance:
        for key, table, path in files:
            pieces += _read(table, path, _section(name, key))
            advance()
    data = {c: np.concatenate([piece[c] for piece in pieces]) for c in SURVEY_ROWS.names}
    number = len(data["source_id"])
    if not number and not any(table.sky_table for table in survey.tables.values()):
        raise InputError(
            "a survey has no rows",
            file=", ".join(str(path) for _, _, path in files),
            found="0 rows",
            expected="at least one",
            remedy=f"check the files, or leave the survey out: adapter.surveys.{name}.left_out",
        )
    write_table(output, SURVEY_ROWS, data)
    log.info(
        "%s: %d rows, %d with a Gaia source, %d with [Fe/H], %d with [Mg/Fe]",
        survey.title,
        number,
        (data["source_id"] > 0).sum(),
        np.isfinite(data["fe_h"]).sum(),
        np.isfinite(data["mg_fe"]).sum(),
    )
    return number


def _section(survey: str, table: str) -> str:
    return f"surveys.{survey}.tables.{table}"


def _read(table: SurveyTable, path: Path, section: str) -> Iterator[Columns]:
    """Yield the rows of a file piece by piece, checked against the table's contract."""
    types = {**file_types(table), **{flag.column: pa.int64() for flag in table.flags}}
    for batch in read_batches(path, types, types):
        batch = {c: _without(table.missing, values) for c, values in batch.items()}
        data = adapt(batch, table, str(path), section)
        number = len(next(iter(batch.values())))
        out: Columns = {c: data.get(c, np.full(number, np.nan)) for c in SURVEY_ROWS.names}
        out["source_id"] = _identifiers(data, number, table, path)
        for name in _MEASURED:
            out[name] = out[name].astype(np.float32)
        for flag in table.flags:
            bad = _is_set(flag, batch[flag.column], path)
            for name in flag.spoils:
                out[name][bad] = np.nan
        if table.epoch is not None:
            out["position_epoch"] = np.full(number, table.epoch)
        rows = SURVEY_ROWS.conform(out, str(path))
        known = (rows["source_id"] > 0) & np.isfinite(rows["ra"])
        if known.any():
            check_positions({c: rows[c][known] for c in ("source_id", "ra", "dec")}, path)
        yield rows


def _without(missing: Sequence[float], values: NDArray[Any]) -> NDArray[Any]:
    """Put NaN for the numbers that stand for a missing value, rounded as the column is."""
    if not np.issubdtype(values.dtype, np.floating):
        return values
    return np.where(np.isin(values, np.array(missing, dtype=values.dtype)), np.nan, values)


def _identifiers(data: Columns, number: int, table: SurveyTable, path: Path) -> Rows:
    """Gaia identifiers, 0 where there is none."""
    if "source_id" not in data:
        return np.zeros(number, dtype=np.int64)
    values = np.ma.filled(data["source_id"], 0)
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(
            "Gaia identifiers are not stored as whole numbers",
            file=path,
            item=table.columns.get("source_id", "source_id"),
            found=f"type {values.dtype}",
            expected="int64, with 0 or nothing where a row has no Gaia source; floating point "
            "rounds identifiers",
            remedy="write the file again, with 0 for missing identifiers",
        )
    return np.maximum(values.astype(np.int64), 0)


def _is_set(flag: Flag, values: NDArray[Any], path: Path) -> NDArray[np.bool_]:
    """Whether a flag says that something is bad; a missing one does not say that it is good."""
    plain = np.ma.getdata(values)
    missing = np.ma.getmaskarray(values) | (plain != plain)
    if missing.any() and np.issubdtype(values.dtype, np.number):
        # Narrow integers with missing values are read as floating point.
        known = np.where(missing, 0, plain)
        values = known.astype(np.int64) if (known == np.round(known)).all() else values
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(
            "a quality flag is not stored as whole numbers",
            file=path,
            item=flag.column,
            found=f"type {values.dtype}, for instance {values[:1].tolist()}",
            expected="integers, whose bits can be tested",
            remedy="correct the column under `flags` in the release adapter, or the file",
        )
    mask = sum(1 << bit for bit in flag.bits) if flag.bits else -1
    return missing | ((values.astype(np.int64) & mask) != 0)


def match_surveys(
    stars: Path,
    surveys: Mapping[str, Path],
    radius_arcsec: Mapping[str, float],
    epoch: float,
    healpix_order: int,
    matches: Path,
    progress: Progress,
) -> dict[str, int]:
    """Find the survey rows of the stars of one partition.

    A row that names a Gaia source belongs to that star alone. A row without belongs to every star
    within the radius, once the star is moved to the row's epoch by its proper motion. Of several
    rows of a star one by source_id wins, then that of the highest signal-to-noise ratio, then the
    nearest, then the first. A star's match does not depend on other stars, and so not on
    partitions; two stars within a radius of the same row both have it.

    Parameters
    ----------
    stars
        Partition of the clean catalogue.
    surveys
        Files of :func:`import_survey` by survey.
    radius_arcsec
        Largest separation, by survey.
    epoch
        Julian year of the stars' positions.
    healpix_order
        Order of the cells.
    matches
        File to write: table ``survey_matches``.
    progress
        Where to report stars done.

    Returns
    -------
    dict
        Number of matched stars by survey.
    """
    prepared = {
        name: _Rows.read(path, radius_arcsec[name]) for name, path in sorted(surveys.items())
    }
    number = dict.fromkeys(prepared, 0)
    with (
        cell_writer(matches, SURVEY_MATCHES, healpix_order) as writer,
        progress.task("matching", number_of_rows(stars), "stars") as advance,
    ):
        for cell, data in read_cells(stars, _OF_STARS):
            pieces = [SURVEY_MATCHES.empty()]
            for name, rows in prepared.items():
                found = rows.match(data, epoch)
                count = len(found["source_id"])
                pieces.append({**found, "survey": np.full(count, name, dtype=object)})
                number[name] += count
            joined = {c: np.concatenate([p[c] for p in pieces]) for c in SURVEY_MATCHES.names}
            # Surveys are in alphabetical order already, and the sort keeps it.
            order = np.argsort(joined["source_id"], kind="stable")
            writer.write(cell, {c: values[order] for c, values in joined.items()})
            advance(len(data["source_id"]))
    log.info("matched stars: %s", number)
    return number


@dataclass(frozen=True)
class _Rows:
    """Rows of a survey, ready to be matched.

    ``by_id`` are the rows with a Gaia source in ascending order of ``ids``; ``placed`` are the
    others by epoch, with an index of their positions.
    """

    data: Columns
    by_id: Rows
    ids: Rows
    placed: dict[float, tuple[Rows, PositionIndex]]

    @classmethod
    def read(cls, path: Path, radius_arcsec: float) -> _Rows:
        data = read_rows([path], SURVEY_ROWS.names)
        with_id = np.flatnonzero(data["source_id"] > 0)
        by_id = with_id[np.argsort(data["source_id"][with_id], kind="stable")]
        free = (data["source_id"] == 0) & np.isfinite(data["ra"]) & np.isfinite(data["dec"])
        placed = {}
        for epoch in np.unique(data["position_epoch"][free]):
            rows = np.flatnonzero(free & (data["position_epoch"] == epoch))
            index = PositionIndex(data["ra"][rows], data["dec"][rows], radius_arcsec)
            placed[float(epoch)] = (rows, index)
        return cls(data, by_id, data["source_id"][by_id], placed)

    def match(self, stars: Columns, epoch: float) -> Columns:
        """Best row of each matched star, in the order of the stars."""
        first = np.searchsorted(self.ids, stars["source_id"], "left")
        count = np.searchsorted(self.ids, stars["source_id"], "right") - first
        star = [np.repeat(np.arange(count.size), count)]
        # Places in by_id: a run for each star.
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row = [self.by_id[np.repeat(first, count) + offset]]
        angle = [np.full(star[0].size, np.nan)]
        for year, (rows, index) in self.placed.items():
            ra, dec, pmra, pmdec = (stars[name] for name in _OF_STARS[1:])
            pairs = index.pairs(*propagate(ra, dec, pmra, pmdec, year - epoch))
            star.append(pairs.left)
            row.append(rows[pairs.right])
            angle.append(pairs.separation_arcsec)
        return self._best(stars, *(np.concatenate(parts) for parts in (star, row, angle)))

    def _best(self, stars: Columns, star: Rows, row: Rows, angle: NDArray[np.float64]) -> Columns:
        by_position = np.isfinite(angle)
        snr = np.nan_to_num(self.data["snr"][row], nan=-1.0)
        order = np.lexsort((row, np.nan_to_num(angle), -snr, by_position, star))
        star, place = np.unique(star[order], return_index=True)
        chosen = order[place]
        return {
            "source_id": stars["source_id"][star],
            **{name: self.data[name][row[chosen]] for name in _MEASURED},
            "separation_arcsec": angle[chosen].astype(np.float32),
            "matched_by": np.where(by_position[chosen], "position", "source_id").astype(object),
        }
