"""The tables of the workflow, each a list of columns from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.tables.columns import COLUMNS, Column

Columns = dict[str, NDArray[Any]]
"""A piece of a table in memory: equally long arrays by column name, missing values as NaN."""


@dataclass(frozen=True)
class TableSchema:
    """Contract of one table.

    Parameters
    ----------
    name, description
        What the table is.
    columns
        Its columns, in storage order.
    key
        Column that identifies a row: unique and ascending. Empty for tables without one.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: str = "source_id"

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in storage order."""
        return tuple(column.name for column in self.columns)

    def without(self, names: Iterable[str]) -> TableSchema:
        """Return the same table without the columns ``names``, which this release does not have."""
        gone = set(names)
        return replace(self, columns=tuple(c for c in self.columns if c.name not in gone))

    def with_length(self, name: str, length: int) -> TableSchema:
        """Return the same table with ``length`` values per row in column ``name``."""
        return replace(
            self,
            columns=tuple(replace(c, length=length) if c.name == name else c for c in self.columns),
        )

    def conform(self, data: Mapping[str, NDArray[Any]], where: str) -> Columns:
        """Check ``data`` against this contract and cast it to the contract's types.

        Parameters
        ----------
        data
            Arrays by column name. Columns that are not in the contract are refused.
        where
            File or table to name in an error.

        Returns
        -------
        Columns
            The same values in the contract's order and types.

        Raises
        ------
        InputError
            On a missing, unknown, null or out-of-range column, unequal lengths, and
            duplicate or unsorted keys.
        """
        missing = [name for name in self.names if name not in data]
        if missing:
            raise InputError(
                f"table '{self.name}' lacks {len(missing)} column(s)",
                file=where,
                item=", ".join(missing),
                found=", ".join(sorted(data)),
                expected=", ".join(self.names),
                remedy="map the column in config/releases/<release>.yaml under "
                "source.columns, or list it under source.absent with the reason",
            )
        unknown = sorted(set(data) - set(self.names))
        if unknown:
            raise InputError(
                f"table '{self.name}' has no such column",
                file=where,
                item=", ".join(unknown),
                expected=", ".join(self.names),
                remedy="add the column to the registry in mwatlas.tables.columns, or drop it",
            )
        lengths = {name: len(values) for name, values in data.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(
                f"columns of table '{self.name}' differ in length",
                file=where,
                found=", ".join(f"{name}: {n}" for name, n in lengths.items()),
                expected="one length",
                remedy="the writer of this table is at fault; please report it",
            )
        out = {
            column.name: _conform_column(column, data[column.name], where)
            for column in self.columns
        }
        if self.key:
            _check_key(out[self.key], self.key, where)
        return out


def _conform_column(column: Column, values: NDArray[Any], where: str) -> NDArray[Any]:
    if column.dtype == "string":
        return np.asarray(values, dtype=object)
    values = np.asarray(values)
    numeric = np.issubdtype(values.dtype, np.number) or values.dtype == bool
    if not numeric:
        raise InputError(
            "a numeric column holds something else",
            file=where,
            item=column.name,
            found=f"type {values.dtype}, for instance {values[:1].tolist()}",
            expected=column.dtype,
            remedy="convert the column to numbers in the input file",
        )
    if np.issubdtype(values.dtype, np.floating):
        null = np.isnan(values)
        if null.any() and not column.nullable:
            raise InputError(
                "values are missing in a column that must be complete",
                file=where,
                item=column.name,
                found=f"{int(null.sum())} of {null.size} values missing",
                expected="no missing value",
                remedy="remove those rows or repair the column in the input",
            )
        if np.isinf(values).any():
            raise InputError(
                "infinite values in a column",
                file=where,
                item=column.name,
                found=f"{int(np.isinf(values).sum())} infinite values",
                expected="finite numbers, or missing",
                remedy="replace them by missing values in the input",
            )
    with np.errstate(invalid="ignore"):
        low = -np.inf if column.low is None else column.low
        high = np.inf if column.high is None else column.high
        outside = (values < low) | (values > high)
    if outside.any():
        raise InputError(
            "values outside the allowed range",
            file=where,
            item=column.name,
            found=f"{int(outside.sum())} value(s), for instance {values[outside][0]}",
            expected=f"{low} to {high} {column.unit}".rstrip(),
            remedy="check the unit of the column in the release adapter "
            "(config/releases/<release>.yaml, source.columns)",
        )
    if np.issubdtype(values.dtype, np.floating) and not column.dtype.startswith("float"):
        if (values != np.round(values)).any():
            raise InputError(
                "an integer column holds fractions",
                file=where,
                item=column.name,
                found=f"for instance {values[values != np.round(values)][0]}",
                expected=column.dtype,
                remedy="check which column is mapped to this name in the release adapter",
            )
        if column.name == "source_id" and (values >= 2.0**53).any():
            raise InputError(
                "source_id is stored as a floating-point number, which rounds it",
                file=where,
                item=column.name,
                found=str(values.dtype),
                expected="int64",
                remedy="write the file again with source_id as a 64-bit integer",
            )
    return values.astype(column.dtype, copy=False)


def _check_key(key: NDArray[Any], name: str, where: str) -> None:
    steps = np.diff(key.astype(np.int64))
    if (steps > 0).all():
        return
    ordered = np.sort(key.astype(np.int64))
    repeated = ordered[:-1][np.diff(ordered) == 0]
    if repeated.size:
        raise InputError(
            "the same star appears more than once",
            file=where,
            item=name,
            found=f"{repeated.size} repeated value(s), for instance {repeated[0]}",
            expected="each value once",
            remedy="remove duplicate rows from the input",
        )
    raise InputError(
        "rows are not in ascending order",
        file=where,
        item=name,
        found="descending steps",
        expected="ascending values, which is HEALPix order for Gaia source_id",
        remedy="the writer of this table is at fault; please report it",
    )


def _table(name: str, description: str, columns: str, key: str = "source_id") -> TableSchema:
    return TableSchema(name, description, tuple(COLUMNS[c] for c in columns.split()), key)


GAIA_SOURCE = _table(
    "gaia_source",
    "Rows of the Gaia source table that the studies use, in the archive's own columns",
    "source_id ra dec l b ecl_lat parallax parallax_error pmra pmra_error pmdec pmdec_error "
    "astrometric_params_solved nu_eff_used_in_astrometry pseudocolour ruwe phot_g_mean_mag "
    "bp_rp radial_velocity radial_velocity_error dr2_radial_velocity dr2_radial_velocity_error",
)

ZERO_POINT_INPUTS = (
    "phot_g_mean_mag",
    "nu_eff_used_in_astrometry",
    "pseudocolour",
    "ecl_lat",
    "astrometric_params_solved",
)
"""Columns the parallax zero point depends on, in the order of the recipe."""

STARS = _table(
    "stars",
    "Stars with five-parameter astrometry and corrected parallax, under standard names",
    "source_id ra dec l b parallax parallax_error parallax_zero_point parallax_corr "
    "pmra pmra_error pmdec pmdec_error ruwe phot_g_mean_mag radial_velocity "
    "radial_velocity_error",
)

LINE_OF_SIGHT_SAMPLE = _table(
    "line_of_sight_sample",
    "Stars that pass the base cut (Table 1, row 0); fold is -1 without a radial velocity",
    "source_id ra dec l b parallax_corr pmra pmdec phot_g_mean_mag radial_velocity "
    "radial_velocity_error fold",
)

LINE_OF_SIGHT_PREDICTIONS = _table(
    "line_of_sight_predictions",
    "Predicted line-of-sight velocities; out of fold for stars with a radial velocity",
    "source_id vlos_pred sigma_los vlos_network_spread",
)

LINE_OF_SIGHT_ORBITS = _table(
    "line_of_sight_orbits",
    "Orbital eccentricities with the measured, the predicted and the drawn velocities",
    "source_id eccentricity_true eccentricity_pred eccentricity_draws orbit_flag",
)

LINE_OF_SIGHT_CATALOGUE = _table(
    "line_of_sight_catalogue",
    "Published catalogue: predicted line-of-sight velocity of each star and what follows from it",
    "source_id ra dec phot_g_mean_mag vlos_pred sigma_los vlos_network_spread eccentricity_pred "
    "p_high_eccentricity orbit_flag",
)

GSE_CANDIDATES = _table(
    "gse_candidates",
    "Error draws with an eccentricity above the study's limit: Gaia-Sausage-Enceladus candidates",
    "source_id draw ra dec vlos_draw eccentricity orbit_flag v_r v_theta v_phi",
    key="",
)

SKY_TRUTH = _table(
    "sky_truth",
    "What the embedded sky knows about each of its sources, before measurement",
    "source_id component distance_kpc_true pmra_true pmdec_true radial_velocity_true "
    "phot_g_mean_mag_true",
)

TRAINING_HISTORY = _table(
    "training_history",
    "Losses of each epoch of one cross-validation round",
    "stage epoch training_loss validation_loss learning_rate",
    key="",
)

FIGURE_VELOCITIES = _table(
    "figure_velocities",
    "Data of Figure 1, velocities in km/s: bins of predicted (x) against true (y), and boxes of "
    "the predicted uncertainty in bins of predicted velocity",
    "panel kind x_low x_high y_low y_high count p05 p25 p50 p75 p95",
    key="",
)

FIGURE_PULL = _table(
    "figure_pull",
    "Data of Figure 2: residual over predicted uncertainty, and two normal fits; share is the area "
    "of a fitted curve over that of the bars",
    "kind x_low x_high count mean sigma share",
    key="",
)

FIGURE_ECCENTRICITIES = _table(
    "figure_eccentricities",
    "Data of Figure 3: bins of predicted (x) against true (y) eccentricity, shares of quadrants",
    "kind x_low x_high y_low y_high count share",
    key="",
)

TABLE_COUNTS = _table(
    "table_counts",
    "Data of Table 1: number of stars in each catalogue after each cut",
    "sample row number scatter",
    key="",
)

LEDGER = _table(
    "ledger",
    "Every number of every study beside the paper's and the truth",
    "study item quantity meaning unit value error published published_error published_where truth "
    "truth_error tolerance verdict reason rows",
    key="",
)

TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (
        GAIA_SOURCE,
        STARS,
        LINE_OF_SIGHT_SAMPLE,
        LINE_OF_SIGHT_PREDICTIONS,
        LINE_OF_SIGHT_ORBITS,
        LINE_OF_SIGHT_CATALOGUE,
        GSE_CANDIDATES,
        SKY_TRUTH,
        TRAINING_HISTORY,
        FIGURE_VELOCITIES,
        FIGURE_PULL,
        FIGURE_ECCENTRICITIES,
        TABLE_COUNTS,
        LEDGER,
    )
}
