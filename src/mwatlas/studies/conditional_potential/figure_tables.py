"""Tables of the small data files behind the figures."""

from __future__ import annotations

from mwatlas.studies.conditional_potential.profiles import LEVELS
from mwatlas.tables.column import Column, number
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.table import TableSchema


def _edges(axis: str) -> list[Column]:
    return [COLUMNS[f"{axis}_{end}"] for end in ("low", "high")]


FIGURE = TableSchema(
    "conditional_potential_figure",
    "Data of Figures 1 to 3 and 5 to 8. map: a value in a cell of the plane z = 0; density, truth, "
    "residual, error, spread: quantiles over places or stars in a bin of the panel's coordinate "
    "(error and residual of model over true less 1, in size and with sign; spread of the ensemble "
    "over the true density); stars: observed stars expected there (value); within_1, within_2: "
    "share of places (value, with its error) within so many spreads; calibrated_1, calibrated_2: "
    "the same of normal errors of that spread; heat: stars (value) in a bin. "
    "In Figure 8 error and error_other_stars: median size of the error (value) at radii y_low to "
    "y_high of a run with x observed stars or x times the dust, the latter with another number of "
    "stars than the study",
    (
        COLUMNS["panel"],
        Column(
            "sample",
            "string",
            "",
            "meta.id",
            "Method, field, variant or part of the volume; empty for the truth",
        ),
        COLUMNS["kind"],
        *_edges("x"),
        *_edges("y"),
        number("x", "", "stat.median", "Median of the panel's coordinate", dtype="float64"),
        *(
            number(name, "", "stat.value", f"Quantile at {level:g}", dtype="float64")
            for name, level in LEVELS.items()
        ),
        number("value", "", "stat.value", "Value or share", dtype="float64"),
        number("error", "", "stat.error", "Its sampling error", 0, dtype="float64"),
    ),
    key="",
)

FIGURE_SKY = TableSchema(
    "conditional_potential_figure_sky",
    "Data of Figure 4: values in HEALPix pixels (nested) at one distance",
    (
        COLUMNS["panel"],
        Column("pixel", "int64", "", "pos.healpix", "HEALPix pixel, nested order", 0),
        Column("radius_kpc", "float64", "kpc", "pos.distance", "Distance", 0),
        number("value", "", "stat.value", "Value of the pixel", dtype="float64"),
    ),
    key="",
)
