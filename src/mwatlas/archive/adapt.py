"""From a file's columns to the archive's columns, as the release adapter says."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from mwatlas.config.release import FilesSource
from mwatlas.errors import InputError
from mwatlas.photometry import g_from_johnson
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.schemas import GAIA_SOURCE
from mwatlas.tables.table import Columns, TableSchema

Values = NDArray[Any]


def _galactic(ra: Values, dec: Values) -> SkyCoord:
    return SkyCoord(ra * u.deg, dec * u.deg).galactic


_DERIVATIONS: dict[str, Callable[..., Values]] = {
    "g_from_johnson": g_from_johnson,
    "galactic_l": lambda ra, dec: _galactic(ra, dec).l.deg,
    "galactic_b": lambda ra, dec: _galactic(ra, dec).b.deg,
}


def raw_schema(source: FilesSource) -> TableSchema:
    """Raw table of a release: the Gaia source columns it has."""
    return GAIA_SOURCE.without(source.absent)


def file_columns(source: FilesSource) -> dict[str, list[str]]:
    """Columns of the file that each archive column needs."""
    return {
        name: source.derive[name].inputs
        if name in source.derive
        else [source.columns.get(name, name)]
        for name in raw_schema(source).names
    }


def check_columns(source: FilesSource, path: Path, found: list[str]) -> None:
    """Make sure a file has every column the adapter expects of it.

    Raises
    ------
    InputError
        Naming each missing column and the nearest one the file has.
    """
    needed = file_columns(source)
    missing = {name: [c for c in inputs if c not in found] for name, inputs in needed.items()}
    missing = {name: columns for name, columns in missing.items() if columns}
    if not missing:
        return
    hints = []
    for name, columns in missing.items():
        close = difflib.get_close_matches(columns[0], found, n=1)
        hints.append(
            f"{name} (looked for {', '.join(columns)}"
            + (f"; the file has '{close[0]}')" if close else ")")
        )
    raise InputError(
        f"a file lacks {len(missing)} column(s) that the release needs",
        file=path,
        item="; ".join(hints),
        found=", ".join(found[:40]) + (" ..." if len(found) > 40 else ""),
        remedy="map each under source.columns of the release adapter, compute it under "
        "source.derive, or list it under source.absent with the reason",
    )


def adapt(batch: Columns, source: FilesSource, where: str) -> Columns:
    """Archive columns, in the archive's units, from a piece of a file.

    Parameters
    ----------
    batch
        The file's columns.
    source
        The release's mapping.
    where
        File to name in an error.

    Raises
    ------
    InputError
        If a unit cannot be converted.
    """
    out: Columns = {}
    for name, inputs in file_columns(source).items():
        if name in source.derive:
            values = _DERIVATIONS[source.derive[name].method](*(batch[c] for c in inputs))
        else:
            values = batch[inputs[0]]
        if name in source.units:
            values = values * _factor(name, source.units[name], where)
        out[name] = _missing_as_nan(values)
    return out


def _missing_as_nan(values: Values) -> Values:
    """Infinite values are how some tables mark a missing number."""
    if np.issubdtype(values.dtype, np.floating) and np.isinf(values).any():
        return np.where(np.isinf(values), np.nan, values)
    return values


def _factor(name: str, unit: str, where: str) -> float:
    expected = COLUMNS[name].unit
    try:
        return float(u.Unit(unit).to(u.Unit(expected)))
    except (ValueError, u.UnitConversionError) as error:
        raise InputError(
            "a unit cannot be converted",
            file=where,
            item=name,
            found=f"'{unit}'",
            expected=f"a unit that converts to '{expected}'",
            remedy="correct source.units in the release adapter",
        ) from error
