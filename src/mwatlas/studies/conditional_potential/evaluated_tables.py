"""Tables of a run's fields, evaluated beside the truth: all that figures and numbers read.

Lengths are in kpc, velocities in 100 km/s and G = 1, which sets the unit of mass. Densities of
stars are for one star in the volume: true ones and those learned from stars integrate to one.
Columns that end in a method's name are missing for a method that a run leaves out.
"""

from __future__ import annotations

from mwatlas.studies.conditional_potential.names import FIELDS, METHODS
from mwatlas.tables.column import Column, number
from mwatlas.tables.table import TableSchema

_MASS_DENSITY = "kpc-3"

POWERS = {2: "second", 4: "fourth"}
"""Moments of velocities that the equation needs for a density, and what they are called."""


def _place(axis: str) -> Column:
    return Column(
        f"{axis}_kpc", "float64", "kpc", f"pos.cartesian.{axis}", f"Place along {axis}", None
    )


def _of_method(name: str, unit: str, ucd: str, what: str, low: float | None) -> list[Column]:
    return [
        number(f"{name}_{method}", unit, ucd, f"{what}; {label} method", low, dtype="float64")
        for method, label in METHODS.items()
    ]


_TRUE = (
    Column("selection_true", "float64", "", "stat.probability", "Share of stars observed", 0, 1),
    Column("density_true", "float64", _MASS_DENSITY, "phys.density", "Density of mass", 0),
    Column(
        "tracer_density_true",
        "float64",
        "kpc-3",
        "phys.density",
        "Density of all stars, observed or not, for one star in the volume",
        0,
    ),
    Column(
        "observed_density_true",
        "float64",
        "kpc-3",
        "phys.density",
        "Density of observed stars, for one observed star in the volume",
        0,
    ),
)

_MODEL = (
    number(
        "observed_density_model",
        "kpc-3",
        "phys.density",
        "Density of observed stars, learned from them",
        0,
        dtype="float64",
    ),
    *_of_method("density", _MASS_DENSITY, "phys.density", "Median density of the ensemble", None),
    *_of_method(
        "density_spread",
        _MASS_DENSITY,
        "stat.stdev;phys.density",
        "Standard deviation of the density among the ensemble's members",
        0,
    ),
    *_of_method(
        "acceleration_error",
        "",
        "stat.error;phys.acceleration",
        "Length of model less true acceleration over the true one's",
        0,
    ),
    number(
        "selection_model",
        "",
        "stat.probability",
        "Share of stars observed, of the selection-function method. A constant factor cannot be "
        "observed: it is scaled so that the median of model over truth is 1",
        0,
        dtype="float64",
    ),
    number(
        "tracer_density_model",
        "kpc-3",
        "phys.density",
        "Density of all stars, of the conditional method. A constant factor cannot be observed: "
        "it is scaled so that the median of model over truth is 1",
        0,
        dtype="float64",
    ),
    number(
        "tracer_density_vanilla",
        "kpc-3",
        "phys.density",
        "Density of all stars, learned from stars weighted by 1 / S",
        0,
        dtype="float64",
    ),
)

_RADIUS = Column("radius_kpc", "float64", "kpc", "pos.distance", "Distance from the centre", 0)

POINTS = TableSchema(
    "conditional_potential_points",
    "Places uniform in the volume: true and learned fields",
    (*(_place(axis) for axis in "xyz"), _RADIUS, *_TRUE, *_MODEL),
    key="",
)


def _moments(kind: str) -> list[Column]:
    common = "from a few velocities common to all"
    norm = Column(
        f"velocity_norm_{kind}",
        "float64",
        "",
        "stat.value",
        f"Integral of {kind} p(v|x), {common}",
        0,
    )
    powers = [
        Column(
            f"speed{power}_{kind}",
            "float64",
            f"(100 km/s)^{power}",
            "stat.mean;phys.veloc",
            f"Integral of |v|^{power} {kind} p(v|x), {common}",
            0,
        )
        for power in POWERS
    ]
    return [norm, *powers]


PROFILE = TableSchema(
    "conditional_potential_profile",
    "Places uniform in radius, in random directions: true and learned fields",
    (
        *POINTS.columns,
        *_moments("true"),
        *_moments("model"),
    ),
    key="",
)


def _or_missing(column: Column) -> Column:
    return number(
        column.name, column.unit, column.ucd, column.description, column.low, dtype="float64"
    )


PLANE = TableSchema(
    "conditional_potential_plane",
    "A square grid of places in the plane z = 0; all but the places is missing outside the volume",
    (
        *(_place(axis) for axis in "xyz"),
        _RADIUS,
        *(_or_missing(column) for column in _TRUE),
        *_MODEL,
        number("dust_density", "mag/kpc", "phys.absorption", "Density of dust", 0, dtype="float64"),
        number(
            "extinction", "mag", "phys.absorption", "Extinction from the centre", 0, dtype="float64"
        ),
        number(
            "expected_projection",
            "kpc-2",
            "phys.density",
            "Expected observed stars along z, for one observed star in the volume",
            0,
            dtype="float64",
        ),
    ),
    key="",
)

SKY = TableSchema(
    "conditional_potential_sky",
    "All directions at one distance",
    (
        Column("pixel", "int64", "", "pos.healpix", "HEALPix pixel, nested order", 0),
        _RADIUS,
        Column("longitude_deg", "float64", "deg", "pos.az", "Angle about z from x", 0, 360),
        Column("latitude_deg", "float64", "deg", "pos.el", "Angle from the x-y plane", -90, 90),
        _TRUE[0],
        next(c for c in _MODEL if c.name == "selection_model"),
        Column("extinction", "float64", "mag", "phys.absorption", "Extinction there", 0),
    ),
    key="pixel",
)


def _log(name: str, what: str, unit: str) -> list[Column]:
    meaning = f"Natural logarithm of {what} in {unit}"
    return [
        Column(f"log_{name}_true", "float64", "", "stat.likelihood", f"{meaning}; true"),
        number(f"log_{name}_model", "", "stat.likelihood", f"{meaning}; learned", dtype="float64"),
    ]


PHASE = TableSchema(
    "conditional_potential_phase",
    "Stars kept for validation: densities learned from the others beside the true ones",
    (
        _RADIUS,
        _TRUE[0],
        *_log("observed_density", "n_obs(x) for one observed star in the volume", "kpc-3"),
        *_log("velocity_density", "p(v|x)", "(100 km/s)^-3"),
    ),
    key="",
)

NETWORKS = TableSchema(
    "conditional_potential_networks",
    "Trained networks",
    (
        Column("field", "string", "", "meta.id", f"What it stands for: {', '.join(FIELDS)}"),
        Column("methods", "string", "", "meta.id", "Methods that use it, between spaces"),
        Column("purpose", "string", "", "meta.note", "What it is trained for"),
        Column("width", "int32", "", "meta.number", "Units of a layer", 1),
        Column("depth", "int32", "", "meta.number", "Residual blocks", 0),
        number("time_embedding", "", "meta.number", "Numbers that stand for a flow's time", 0),
        number("harmonics_degree", "", "meta.number", "Degree of spherical harmonics in its input"),
        number("learning_rate", "", "stat.value", "Learning rate at the start", 0),
        number("regularization", "", "stat.value", "Factor of the squared weights in the loss", 0),
        number("batch_size", "", "meta.number", "Samples of a step", 1),
        number("epochs", "", "meta.number", "Epochs, or steps of a method without them", 0),
        Column("parameters", "int64", "", "meta.number", "Trained numbers of one member", 1),
        Column("members", "int32", "", "meta.number", "Members of the ensemble", 1),
        Column("training_seconds", "float64", "s", "time.duration", "Time of training", 0),
        number("loss", "", "stat.value", "Loss of training at the end"),
        number("validation", "", "stat.value", "Loss of validation at the end"),
    ),
    key="",
)

EVALUATED = {
    "points": POINTS,
    "profile": PROFILE,
    "plane": PLANE,
    "sky": SKY,
    "phase": PHASE,
    "networks": NETWORKS,
}
"""Tables of a run by the stem of their file."""
