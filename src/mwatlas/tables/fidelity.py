"""Table of astrometric fidelities: Rybizki et al. (2022, MNRAS 510, 2597) at GAVO."""

from __future__ import annotations

from mwatlas.tables.column import Column
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.table import TableSchema

NEIGHBOUR_STEPS = {"m2": -2, "0": 0, "2": 2, "4": 4, "6": 6, "10": 10}
"""Part of a column's name and by how many magnitudes its neighbours are at least brighter."""


def neighbour_column(step: str) -> str:
    """Name of the column with the distance to the nearest neighbour of a step."""
    return f"dist_nearest_neighbor_at_least_{step}_brighter"


FIDELITY = TableSchema(
    "gedr3spur.main",
    "Probability that an astrometric solution of Gaia is physical, and neighbours that disturb",
    (
        COLUMNS["source_id"],
        Column("fidelity_v2", "float32", "", "stat.probability", "Astrometric fidelity", 0, 1),
        Column(
            "theta_arcsec_worst_source",
            "float32",
            "arcsec",
            "pos.angDistance",
            "Distance to the neighbour that contaminates the colour most",
            0,
            30,
            nullable=True,
        ),
        Column(
            "norm_dg",
            "float32",
            "mag",
            "phot.mag;arith.diff",
            "Brightness of that neighbour relative to the source, lowered with distance",
            nullable=True,
        ),
        *(
            Column(
                neighbour_column(step),
                "float32",
                "arcsec",
                "pos.angDistance",
                f"Distance to the nearest source at least {brighter} mag brighter",
                0,
                30,
                nullable=True,
            )
            for step, brighter in NEIGHBOUR_STEPS.items()
        ),
        Column("fidelity_v1", "float32", "", "stat.probability", "Earlier fidelity", 0, 1),
    ),
)
