"""Tables of the mock sky: what a method may read of its stars, and what it may not."""

from __future__ import annotations

from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

_STAR = Column(
    "star_id",
    "int64",
    "",
    "meta.id;meta.main",
    "Running number of the observed stars of the mock",
    0,
)


def _place(axis: str) -> Column:
    return Column(
        f"{axis}_kpc",
        "float32",
        "kpc",
        f"pos.cartesian.{axis}",
        f"Position along {axis}, from the observer, who is at the centre of the sphere",
    )


def _velocity(axis: str) -> Column:
    description = f"Velocity along {axis}, relative to the centre of the sphere"
    return Column(
        f"v{axis}_kms", "float32", "km/s", f"phys.veloc;pos.cartesian.{axis}", description
    )


MOCK_STARS = TableSchema(
    "conditional_potential_stars",
    "Observed stars of the mock: a Plummer sphere seen through dust to a limit in magnitude",
    (
        _STAR,
        *(_place(axis) for axis in "xyz"),
        *(_velocity(axis) for axis in "xyz"),
        Column("magnitude", "float32", "mag", "phot.mag", "Apparent magnitude"),
    ),
    "star_id",
)

MOCK_TRUTH = TableSchema(
    "conditional_potential_truth",
    "What the mock knows about its observed stars",
    (
        _STAR,
        Column("absolute_magnitude_true", "float32", "mag", "phys.magAbs", "Absolute magnitude"),
        Column("extinction_true", "float32", "mag", "phys.absorption", "Extinction of the star", 0),
        Column(
            "log_selection_true",
            "float32",
            "",
            "stat.probability",
            "Natural logarithm of the share of stars at this place that is observed",
            None,
            0,
        ),
    ),
    "star_id",
)
