"""The surveys of the embedded sky other than Gaia, and what it knows about their rows."""

from __future__ import annotations

from mwatlas.tables.column import Column
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.fidelity import FIDELITY
from mwatlas.tables.infrared import (
    TMASS_BEST_NEIGHBOUR,
    TMASS_JOIN,
    TMASS_ORIGINAL_VALID,
    UNWISE,
)
from mwatlas.tables.spectroscopy import APOGEE, GALAH, LAMOST
from mwatlas.tables.table import TableSchema

SURVEYS: dict[str, TableSchema] = {
    table.name: table
    for table in (
        TMASS_BEST_NEIGHBOUR,
        TMASS_JOIN,
        TMASS_ORIGINAL_VALID,
        UNWISE,
        APOGEE,
        LAMOST,
        GALAH,
        FIDELITY,
    )
}
"""Tables made from the stars of a cell, by name, which is that of their folder too."""


def _flag(name: str, description: str) -> Column:
    return Column(name, "bool", "", "meta.code", description)


SURVEY_TRUTH = TableSchema(
    "sky_survey_truth",
    "What the embedded sky knows about the rows of 2MASS, unWISE, APOGEE, LAMOST and GALAH",
    (
        COLUMNS["source_id"],
        Column(
            "tmass_oid_true", "int64", "", "meta.id", "The star's own row in 2MASS", nullable=True
        ),
        _flag("tmass_mismatch_true", "Whether the best neighbour is another star"),
        _flag("tmass_blend_true", "Whether a companion shares the 2MASS row"),
        _flag("tmass_outlier_true", "Whether a 2MASS magnitude is off by more than its error"),
        _flag("unwise_listed_true", "Whether unWISE lists the star"),
        _flag("unwise_blend_true", "Whether a neighbour was added to the unWISE fluxes"),
        _flag("unwise_outlier_true", "Whether an unflagged unWISE flux is far off"),
        Column("mg_fe_true", "float64", "dex", "phys.abund", "True [Mg/Fe]"),
        _flag("apogee_outlier_true", "Whether APOGEE's labels are off by more than the errors"),
        Column("lamost_visits_true", "int16", "", "meta.number", "Number of LAMOST spectra", 0),
        _flag("lamost_outlier_true", "Whether LAMOST's labels are off by more than the errors"),
        _flag("galah_outlier_true", "Whether GALAH's labels are off by more than the errors"),
    ),
)
