"""Tables of the first look at real stars."""

from __future__ import annotations

from dataclasses import replace

from mwatlas.studies.conditional_potential.tables import MOCK_STARS
from mwatlas.tables.column import Column, number
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.table import TableSchema

NEARBY_STARS = replace(
    MOCK_STARS.without(["magnitude", "star_id"]),
    name="nearby_stars",
    description="Real stars near the Sun, with positions and velocities relative to it along "
    "Galactic axes",
    columns=(
        Column("star_id", "int64", "", "meta.id;meta.main", "source_id of the release", 0),
        *(
            replace(column, description=f"{column.description.split(',')[0]}, from the Sun")
            for column in MOCK_STARS.columns
            if column.name not in ("star_id", "magnitude")
        ),
    ),
)

NEARBY_FIELDS = TableSchema(
    "conditional_potential_nearby",
    "Data of the figure of the first look at real stars. acceleration: vertical, in km2 s-2 pc-1; "
    "density: of all matter, in Msun pc-3; tracers: ln of the density of the stars, less its mean; "
    "mean: density of all matter averaged over a place. Of `ours` the median of the members and "
    "their standard deviation",
    (
        COLUMNS["panel"],
        Column("sample", "string", "", "meta.id", "ours, or whose value it is"),
        number("height_kpc", "kpc", "pos.cartesian.z", "Height above the plane", dtype="float64"),
        number("value", "", "stat.value", "Value", dtype="float64"),
        number("error", "", "stat.error", "Its error", 0, dtype="float64"),
    ),
    key="",
)
