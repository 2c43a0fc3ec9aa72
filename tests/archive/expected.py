"""Rows the queries of the project should give, selected from the tables in numpy.

Written from the queries' comments and the papers' cuts, with none of the code under test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .sky import Loaded

Row = dict[str, Any]
Values = Callable[[str], NDArray[np.float64]]


def _good_parallax(g: Values) -> NDArray[np.bool_]:
    good = g("parallax_error") < 0.2 * (g("parallax") + 0.1)
    bright = (g("phot_g_mean_mag") >= 6) & (g("phot_g_mean_mag") <= 17)
    return good & bright & (g("ruwe") < 2)


def _eight_bands(g: Values) -> NDArray[np.bool_]:
    clean = (g("phot_bp_rp_excess_factor") <= 3.0) & (g("ruwe") <= 1.4)
    known = np.isfinite(g("bp_rp")) & np.isfinite(g("parallax"))
    return clean & (g("phot_g_mean_mag") <= 15.6) & known


def _spectra(g: Values) -> NDArray[np.bool_]:
    bright = (g("phot_g_mean_mag") >= 6) & (g("phot_g_mean_mag") <= 17.5)
    return (g("has_xp_continuous") == 1) & bright & (g("bp_rp") >= 0) & (g("bp_rp") <= 4)


def _near_and_bright(g: Values) -> NDArray[np.bool_]:
    return (g("parallax") > 0.8) & (g("phot_g_mean_mag") <= 15)


def _tmass(release: str) -> list[tuple[str, str, str]]:
    oid = "clean_tmass_psc_xsc_oid"
    return [
        (f"{release}.tmass_psc_xsc_best_neighbour", "source_id", "source_id"),
        (f"{release}.tmass_psc_xsc_join", oid, oid),
        ("gaiadr1.tmass_original_valid", "original_psc_source_id", "designation"),
    ]


_ALLWISE = [
    ("gaiaedr3.allwise_best_neighbour", "source_id", "source_id"),
    ("gaiadr1.allwise_original_valid", "allwise_oid", "allwise_oid"),
]
# First table, rows of it, and what is joined: table, column of the rows so far, column of it.
Selection = tuple[str, Callable[[Values], NDArray[np.bool_]], list[tuple[str, str, str]]]
SELECTIONS: dict[str, Selection] = {
    "datalab_unwise.adql": (
        "unwise_dr1.object",
        lambda u: (u("flux_w1") >= 1500) & (u("primary") == 1),
        [],
    ),
    "esa_distances.adql": (
        "gaiaedr3.gaia_source",
        _eight_bands,
        [("external.gaiaedr3_distance", "source_id", "source_id")],
    ),
    "esa_fidelity.adql": (
        "gaiadr3.gaia_source",
        _near_and_bright,
        [("external.gaiaedr3_spurious", "source_id", "source_id")],
    ),
    "gaiadr3_deep_potential.adql": ("gaiadr3.gaia_source", _near_and_bright, []),
    "gaiadr3_line_of_sight.adql": ("gaiadr3.gaia_source", _good_parallax, []),
    "gaiadr3_tmass_xp_autoencoder.adql": ("gaiadr3.gaia_source", _spectra, _tmass("gaiadr3")),
    "gaiadr3_xp_sources.adql": ("gaiadr3.gaia_source", _spectra, []),
    "gaiadr4_line_of_sight.adql": ("gaiadr4.gaia_source", _good_parallax, []),
    "gaiaedr3_allwise_photometric_metallicity.adql": (
        "gaiaedr3.gaia_source",
        _eight_bands,
        _ALLWISE,
    ),
    "gaiaedr3_line_of_sight.adql": ("gaiaedr3.gaia_source", _good_parallax, []),
    "gaiaedr3_photometric_metallicity.adql": ("gaiaedr3.gaia_source", _eight_bands, []),
    "gaiaedr3_tmass_photometric_metallicity.adql": (
        "gaiaedr3.gaia_source",
        _eight_bands,
        _tmass("gaiaedr3"),
    ),
    "gavo_extinction.adql": ("xpparams2.main", lambda x: x("mod_parallax") > 0.8, []),
    "gavo_fidelity.adql": (
        "gaia.dr3lite",
        _near_and_bright,
        [("gedr3spur.main", "source_id", "source_id")],
    ),
    "vizier_open_clusters.adql": ("vizier.clusters", lambda c: c("ID") > 0, []),
    "vizier_open_cluster_members.adql": ("vizier.members", lambda m: m("GaiaDR3") > 0, []),
}


def expected_rows(tables: Mapping[str, Loaded], name: str) -> list[Row]:
    """Rows of a query, with all columns of the tables it joins, in no order."""
    first, selected, joins = SELECTIONS[name]
    source = tables[first].rows
    mask = selected(lambda column: _values(source[column]))
    rows = source.filter(pa.array(mask)).to_pylist()
    for table, left, right in joins:
        partners = defaultdict(list)
        for row in tables[table].rows.to_pylist():
            partners[row[right]].append(row)
        rows = [{**row, **partner} for row in rows for partner in partners[row[left]]]
    return rows


def _values(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Double precision, in which databases compare; missing values as NaN."""
    return np.array([np.nan if v is None else v for v in column.to_pylist()], dtype=float)


def in_order(rows: list[Row], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The columns of a query, rows in an order that the values alone decide."""
    picked = [tuple(row[column] for column in columns) for row in rows]
    return sorted(picked, key=lambda row: tuple((value is None, value or 0) for value in row))
