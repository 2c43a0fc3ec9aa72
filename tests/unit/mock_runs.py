"""Evaluated tables made up of the analytic sphere and noise, as a run could have them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import healpy
import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.progress import Progress
from mwatlas.random import draw_directions
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.evaluated_tables import EVALUATED
from mwatlas.studies.conditional_potential.expected import expected_share
from mwatlas.studies.conditional_potential.extinction import Extinction
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.selection import Selection
from mwatlas.tables.parquet import write_table
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

STUDY = ConditionalPotential.model_validate(
    {
        "mock": {"observed_stars": 2**22, "dust": {"modes": 32, "nside": 16, "steps": 64}},
        "flows": {"members": 8},
    }
)
RADIUS = STUDY.mock.tracer.radius_kpc
OBSERVED = STUDY.mock.observed_stars

ERRORS = {"vanilla": 0.2, "selection": 0.05, "conditional": 0.02}
"""Relative scatter of the made-up densities where all stars are observed."""
SPREADS = {"vanilla": 0.5, "selection": 1.0, "conditional": 2.0}
"""Spread of the made-up ensembles over the true scatter."""
VELOCITY_ERROR, SELECTION_ERROR, TRACER_ERROR = 0.01, 0.08, 0.01

MOMENT_ERRORS = {2: 0.003, 4: -0.02}
"""Relative errors of the made-up moments of velocities."""


@cache
def selection(dusty: bool) -> Selection:
    mock = STUDY.mock
    dust = DustField.draw(mock.dust, RADIUS, 20221)
    progress = Progress("test", logging.getLogger("mwatlas"))
    steps = mock.dust.steps
    grid = Extinction.integrate(dust.at, RADIUS, steps, mock.dust.nside, progress)
    if not dusty:
        grid = Extinction(np.zeros_like(grid.extinction_mag), RADIUS)
    return Selection(mock.magnitudes, grid)


def scatter(share: Floats) -> Floats:
    """How much errors grow where fewer stars are observed."""
    return 1 + 0.3 * np.log10(1 / np.maximum(share, 1e-4)) ** 2


def _fields(place: Floats, dusty: bool, exact: bool, rng: np.random.Generator) -> Columns:
    """True and made-up learned fields at places of shape (N, 3)."""
    sphere, seen = Plummer.of(STUDY.mock.tracer), selection(dusty)
    radius = np.linalg.norm(place, axis=1)
    share = seen.probability(place)
    tracers = sphere.number_density(radius)
    density = STUDY.mock.tracer.central_density * tracers / sphere.number_density(0.0)
    observed = share * tracers / expected_share(sphere, seen, 16)
    noise = 0.0 if exact else 1.0

    def off(size: float) -> Floats:
        return np.exp(noise * size * rng.standard_normal(radius.size))

    out = {
        **{f"{axis}_kpc": place[:, i] for i, axis in enumerate("xyz")},
        "radius_kpc": radius,
        "selection_true": share,
        "density_true": density,
        "tracer_density_true": tracers,
        "observed_density_true": observed,
        # A flow cannot end at once where the volume does.
        "observed_density_model": observed
        * off(0.03)
        * np.where(radius > 0.98 * RADIUS, 1 - 0.3 * noise, 1.0),
        # The scale of both is not observable: any will do.
        "selection_model": 3 * share * off(SELECTION_ERROR),
        "tracer_density_model": 5 * tracers * off(TRACER_ERROR),
        "tracer_density_vanilla": tracers * off(0.1),
    }
    for method, error in ERRORS.items():
        size = error * scatter(share)
        normal = rng.standard_normal(radius.size)
        out[f"density_{method}"] = density * (1 + noise * size * normal)
        out[f"density_spread_{method}"] = density * size * SPREADS[method]
        out[f"acceleration_error_{method}"] = noise * 0.2 * size * np.abs(normal)
    return out


def _points(number: int, dusty: bool, exact: bool) -> Columns:
    rng = np.random.default_rng(1)
    place = draw_directions(number, rng) * (RADIUS * np.cbrt(rng.random(number)))[:, None]
    return _fields(place, dusty, exact, rng)


def _profile(number: int, dusty: bool, exact: bool) -> Columns:
    rng = np.random.default_rng(5)
    radius = RADIUS * (np.arange(number) + 0.5) / number
    fields = _fields(draw_directions(number, rng) * radius[:, None], dusty, exact, rng)
    noise = 0.0 if exact else 1.0
    # Moments from few velocities scatter, alike in truth and model; both integrals are off.
    common = rng.gamma(16, 1 / 16, number)
    for kind, off in (("true", 0.0), ("model", noise)):
        norm = 1 + noise * 0.05 * rng.standard_normal(number)
        fields[f"velocity_norm_{kind}"] = norm
        for power, error in MOMENT_ERRORS.items():
            fields[f"speed{power}_{kind}"] = common * norm * (1 + off * error)
    return fields


def _plane(side: int, dusty: bool, exact: bool) -> Columns:
    rng = np.random.default_rng(2)
    axis = np.linspace(-RADIUS, RADIUS, side)
    x, y = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    place = np.stack([x, y, np.zeros_like(x)], axis=1)
    inside = np.hypot(x, y) <= RADIUS
    fields = _fields(place[inside], dusty, exact, rng)
    fields["dust_density"] = DustField.draw(STUDY.mock.dust, RADIUS, 20221).at(place[inside])
    fields["extinction"] = selection(dusty).extinction.at(place[inside])
    fields["expected_projection"] = 4 * fields["observed_density_true"]
    out = {}
    for name, values in fields.items():
        out[name] = np.full(x.size, np.nan)
        out[name][inside] = values
    out.update(x_kpc=x, y_kpc=y, z_kpc=np.zeros_like(x), radius_kpc=np.hypot(x, y))
    return out


def _sky(dusty: bool, exact: bool) -> Columns:
    rng, nside = np.random.default_rng(3), 16
    pixel = np.arange(healpy.nside2npix(nside))
    sight = np.stack(healpy.pix2vec(nside, pixel, nest=True), axis=-1)
    longitude, latitude = healpy.pix2ang(nside, pixel, nest=True, lonlat=True)
    fields = _fields(2.0 * sight, dusty, exact, rng)
    return {
        "pixel": pixel,
        "radius_kpc": np.full(pixel.size, 2.0),
        "longitude_deg": longitude,
        "latitude_deg": latitude,
        "selection_true": fields["selection_true"],
        "selection_model": fields["selection_model"],
        "extinction": selection(dusty).extinction.at(2.0 * sight),
    }


def _phase(number: int, dusty: bool, exact: bool) -> Columns:
    """Stars drawn as places are, and kept with the share observed."""
    rng = np.random.default_rng(4)
    sphere = Plummer.of(STUDY.mock.tracer)
    place = sphere.draw_positions(12 * number, rng)
    place = place[rng.random(len(place)) < selection(dusty).probability(place)][:number]
    fields = _fields(place, dusty, exact, rng)
    noise = 0.0 if exact else 1.0
    velocity = rng.normal(-5, 1, len(place))
    observed = np.log(fields["observed_density_true"])
    # Holes that dust leaves are filled a little.
    filled = 0.2 * np.maximum(-0.5 - np.log10(fields["selection_true"]), 0)
    scatter = 0.05 * rng.standard_normal(len(place))
    return {
        "radius_kpc": fields["radius_kpc"],
        "selection_true": fields["selection_true"],
        "log_observed_density_true": observed,
        "log_observed_density_model": observed + noise * (filled + scatter),
        "log_velocity_density_true": velocity,
        "log_velocity_density_model": velocity
        + noise * VELOCITY_ERROR * rng.standard_normal(len(place)),
    }


def _networks(methods: Mapping[str, str]) -> Columns:
    rows: list[dict[str, Any]] = [
        {
            "field": field,
            "methods": " ".join(m for m in used if m in methods),
            "purpose": f"stands for {field}",
            "width": width,
            "depth": depth,
            "time_embedding": 32 if flow else np.nan,
            "harmonics_degree": degree,
            "learning_rate": 1e-3,
            "regularization": np.nan if flow else 1e-4,
            "batch_size": 8192,
            "epochs": 128,
            "parameters": parameters,
            "members": 1 if flow else 8,
            "training_seconds": 600.0 + parameters / 1000,
            "loss": 0.123,
            "validation": 0.234,
        }
        for field, used, width, depth, flow, degree, parameters in (
            ("observed", ("selection",), 256, 6, True, 6, 812_000),
            ("weighted", ("vanilla",), 256, 6, True, 6, 812_000),
            ("velocities", tuple(METHODS), 256, 6, True, np.nan, 801_000),
            ("scores", tuple(METHODS), 96, 3, False, np.nan, 57_000),
            ("potential", ("vanilla",), 128, 4, False, np.nan, 133_000),
            ("potential", ("selection",), 128, 4, False, np.nan, 133_000),
            ("potential", ("conditional",), 128, 4, False, np.nan, 133_000),
            ("selection", ("selection",), 256, 10, False, 8, 1_337_857),
            ("tracers", ("conditional",), 48, 10, False, np.nan, 47_281),
        )
        if any(m in methods for m in used)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def tables(
    *, dusty: bool = True, exact: bool = False, points: int = 8192, side: int = 48
) -> dict[str, Columns]:
    """Columns of all evaluated tables; without dust only the conditional method was run."""
    out = {
        "points": _points(points, dusty, exact),
        "profile": _profile(points, dusty, exact),
        "plane": _plane(side, dusty, exact),
        "sky": _sky(dusty, exact),
        "phase": _phase(8192, dusty, exact),
        "networks": _networks(METHODS if dusty else {"conditional": ""}),
    }
    if not dusty:
        for table in ("points", "profile", "plane"):
            for name in out[table]:
                if name.endswith(("_vanilla", "_selection")) or name == "selection_model":
                    out[table][name] = np.full_like(out[table][name], np.nan)
        out["sky"]["selection_model"] = np.full_like(out["sky"]["selection_model"], np.nan)
    return out


def without_observed(run: Evaluated) -> Evaluated:
    """The same run, had it not learned the density of observed stars."""
    for table in (run.points, run.profile, run.plane, run.phase):
        for name in table:
            if name in ("observed_density_model", "log_observed_density_model"):
                table[name] = np.full_like(table[name], np.nan)
    return run


def write(folder: Path, columns: Mapping[str, Columns]) -> Path:
    for name, schema in EVALUATED.items():
        write_table(folder / f"{name}.parquet", schema, columns[name])
    return folder


def evaluated(**options: Any) -> Evaluated:
    return Evaluated(
        **{name: EVALUATED[name].conform(data, name) for name, data in tables(**options).items()}
    )


def counts(dusty: bool = True) -> dict[str, int]:
    """Stars drawn and observed, with as many observed as are expected."""
    share = expected_share(Plummer.of(STUDY.mock.tracer), selection(True), 16)
    drawn = round(OBSERVED / share)
    if dusty:
        return {"drawn": drawn, "observed": OBSERVED}
    free = expected_share(Plummer.of(STUDY.mock.tracer), selection(False), 16)
    return {"drawn": drawn, "observed": round(drawn * free)}
