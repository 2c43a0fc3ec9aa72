"""Learned fields beside the true ones, at places in the volume, in a plane and on the sky.

All that figures, tables and numbers read; nothing else looks at the truth of the mass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import healpy
import numpy as np
from numpy.typing import NDArray
from torch import from_numpy

from mwatlas.config.conditional_mock import Mock
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.potential.ensemble import Ensemble
from mwatlas.potential.plummer import OsipkovMerrittPlummer
from mwatlas.potential.plummer import Plummer as PlummerSystem
from mwatlas.progress import Progress
from mwatlas.random import block_generator, draw_directions
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.evaluated_tables import (
    PHASE,
    PLANE,
    POINTS,
    PROFILE,
    SKY,
)
from mwatlas.studies.conditional_potential.expected import expected_share
from mwatlas.studies.conditional_potential.mock import selection_of
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.studies.conditional_potential.plummer import VELOCITY_UNIT_KMS, Plummer
from mwatlas.studies.conditional_potential.selection import Selection
from mwatlas.studies.conditional_potential.training import is_validation, read_stars
from mwatlas.studies.conditional_potential.velocity_moments import velocity_moments
from mwatlas.tables.parquet import write_table
from mwatlas.tables.table import Columns, TableSchema

Floats = NDArray[np.float64]

# Steps along z of the projected number of stars.
_STEPS = 128


@dataclass(frozen=True)
class Models:
    """All members of what was learned, by name.

    Parameters
    ----------
    positions
        Flows of ``observed`` and ``weighted`` positions.
    velocities
        What gives the scores of p(v|x) to the potentials.
    potentials
        One ensemble for each member of each method.
    """

    positions: Mapping[str, Sequence[MatchingFlow]]
    velocities: Sequence[DistilledDensity]
    potentials: Mapping[str, Sequence[Ensemble]]

    @classmethod
    def load(
        cls,
        positions: Mapping[str, Sequence[Path]],
        velocities: Sequence[Path],
        potentials: Mapping[str, Sequence[Path]],
        device: str,
    ) -> Models:
        """Read the files of each."""
        return cls(
            {
                name: [MatchingFlow.load(f, device) for f in files]
                for name, files in positions.items()
            },
            [DistilledDensity.load(f, device) for f in velocities],
            {name: [Ensemble.load(f, device) for f in files] for name, files in potentials.items()},
        )

    def log_density(self, flow: str, x: Floats) -> Floats:
        """Median over members of a flow's ln n; shape (N,)."""
        return np.median([member.log_prob(x) for member in self.positions[flow]], axis=0)

    def log_velocity_density(self, v: Floats, x: Floats) -> Floats:
        """Median over members of ln p(v|x); shape (N,)."""
        return np.median([member.log_prob(v, x) for member in self.velocities], axis=0)

    def log_extra(self, method: str, x: Floats) -> Floats:
        """Median over members of ln S or ln n, each known but for a constant; shape (N,)."""
        return np.median([member.log_extra(x)[0] for member in self.potentials[method]], axis=0)


@dataclass(frozen=True)
class MockTruth:
    """What the mock is made of."""

    sphere: Plummer
    selection: Selection
    dust: DustField

    @classmethod
    def load(cls, mock: Mock, dust_file: Path, extinction_file: Path) -> MockTruth:
        """The truth of a mock, with its dust and extinction from their files."""
        return cls(
            Plummer.of(mock.tracer), selection_of(mock, extinction_file), DustField.load(dust_file)
        )

    @cached_property
    def share(self) -> float:
        """Share of the volume's stars that is expected to be observed."""
        return expected_share(self.sphere, self.selection)

    @cached_property
    def system(self) -> PlummerSystem:
        """The sphere in units of 100 km/s."""
        gm, scale = self.sphere.gm / VELOCITY_UNIT_KMS**2, self.sphere.scale_kpc
        radius = self.sphere.anisotropy_radius_kpc
        return (
            PlummerSystem(gm, scale) if radius is None else OsipkovMerrittPlummer(gm, scale, radius)
        )

    def observed_density(self, x: Floats) -> Floats:
        """Density of observed stars at places (N, 3), for one in the volume."""
        tracers = self.sphere.number_density(np.linalg.norm(x, axis=1))
        return self.selection.probability(x) * tracers / self.share

    def fields(self, x: Floats) -> Columns:
        """True fields at places (N, 3) within the volume."""
        radius = np.linalg.norm(x, axis=1)
        return {
            **{f"{axis}_kpc": x[:, i] for i, axis in enumerate("xyz")},
            "radius_kpc": radius,
            "selection_true": self.selection.probability(x),
            "density_true": self.system.mass_density(from_numpy(x)).numpy(),
            "tracer_density_true": self.sphere.number_density(radius),
            "observed_density_true": self.observed_density(x),
        }


@dataclass(frozen=True)
class Evaluation:
    """Models beside the truth.

    Parameters
    ----------
    models, truth
        Learned and true.
    study, seed
        Settings of the run and seed.
    """

    models: Models
    truth: MockTruth
    study: ConditionalPotential
    seed: int

    @property
    def _radius_kpc(self) -> float:
        return self.study.mock.tracer.radius_kpc

    @cached_property
    def _places(self) -> Floats:
        """Places uniform in the volume."""
        rng = block_generator(self.seed, "conditional_potential/places", 0)
        number = self.study.evaluation.places
        return (
            self._radius_kpc
            * np.cbrt(1 - rng.random(number))[:, None]
            * draw_directions(number, rng)
        )

    @cached_property
    def _offsets(self) -> dict[str, float]:
        """Constants of ln S and ln n that the equation leaves open, from the truth."""
        places = self._places
        true = self.truth.fields(places)
        seen = true["selection_true"] >= self.study.comparison.least_selection
        names = {"selection": "selection_true", "conditional": "tracer_density_true"}
        return {
            method: float(
                np.median(np.log(true[name][seen]) - self.models.log_extra(method, places[seen]))
            )
            for method, name in names.items()
            if method in self.models.potentials
        }

    def fields(self, x: Floats) -> Columns:
        """True and learned fields at places (N, 3)."""
        out = self.truth.fields(x)
        missing = np.full(len(x), np.nan)
        acceleration = self.truth.system.acceleration(from_numpy(x)).numpy()
        size = np.linalg.norm(acceleration, axis=1)
        for method in METHODS:
            members = self.models.potentials.get(method, ())
            density = spread = error = missing
            if members:
                densities = np.concatenate([member.mass_density(x) for member in members])
                density = np.median(densities, axis=0)
                # The scatter of one, which that of few underestimates without Bessel's factor.
                spread = densities.std(axis=0, ddof=1) if len(members) > 1 else missing
                found = np.median(
                    np.concatenate([member.acceleration(x) for member in members]), axis=0
                )
                error = np.linalg.norm(found - acceleration, axis=1) / size
            out |= {
                f"density_{method}": density,
                f"density_spread_{method}": spread,
                f"acceleration_error_{method}": error,
            }
        for flow, name in (
            ("observed", "observed_density_model"),
            ("weighted", "tracer_density_vanilla"),
        ):
            has = flow in self.models.positions
            out[name] = np.exp(self.models.log_density(flow, x)) if has else missing
        out["selection_model"] = self._scaled("selection", x)
        out["tracer_density_model"] = self._scaled("conditional", x)
        return out

    def _scaled(self, method: str, x: Floats) -> Floats:
        if method not in self.models.potentials:
            return np.full(len(x), np.nan)
        return np.exp(self.models.log_extra(method, x) + self._offsets[method])

    def points(self) -> Columns:
        """Table of places uniform in the volume."""
        return self.fields(self._places)

    def profile(self) -> Columns:
        """Table of places uniform in radius: few of those of points are near the centre."""
        rng = block_generator(self.seed, "conditional_potential/places", 1)
        number = self.study.evaluation.profile_places
        radius = self._radius_kpc * (np.arange(number) + 0.5) / number
        x = radius[:, None] * draw_directions(number, rng)
        return {**self.fields(x), **self.moments(x)}

    def moments(self, x: Floats) -> Columns:
        """Moments of the true and of the learned p(v|x) at places (N, 3)."""
        rng = block_generator(self.seed, "conditional_potential/velocities", 0)
        draws = self.study.evaluation.profile_velocities
        learned = self.models.log_velocity_density
        return velocity_moments(x, self.truth.system, learned, draws, rng)

    def plane(self) -> Columns:
        """Table of the grid in z = 0; missing values outside the volume."""
        cells, radius = self.study.evaluation.plane_cells, self._radius_kpc
        axis = radius * ((2 * np.arange(cells) + 1) / cells - 1)
        grid = np.stack(np.meshgrid(axis, axis, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
        inside = np.linalg.norm(grid, axis=1) < radius
        x = grid[inside]
        found = self.fields(x)
        found |= {
            "dust_density": self.truth.dust.at(x),
            "extinction": self.truth.selection.extinction.at(x),
            "expected_projection": self._projected(x),
        }
        out = {name: np.full(len(grid), np.nan) for name in found}
        for name, values in found.items():
            out[name][inside] = values
        places = {f"{a}_kpc": grid[:, i] for i, a in enumerate("xyz")}
        return {**out, **places, "radius_kpc": np.linalg.norm(grid, axis=1)}

    def _projected(self, x: Floats) -> Floats:
        """Observed stars expected along z, per kpc^2."""
        half = np.sqrt(self._radius_kpc**2 - x[:, 0] ** 2 - x[:, 1] ** 2)
        total = np.zeros(len(x))
        for step in (2 * np.arange(_STEPS) + 1) / _STEPS - 1:
            column = np.stack([x[:, 0], x[:, 1], half * step], axis=1)
            total += self.truth.observed_density(column)
        return total * 2 * half / _STEPS

    def sky(self) -> Columns:
        """Table of all directions at one distance."""
        settings = self.study.evaluation
        pixel = np.arange(healpy.nside2npix(settings.sky_nside))
        sight = np.stack(healpy.pix2vec(settings.sky_nside, pixel, nest=True), axis=-1)
        longitude, latitude = healpy.pix2ang(settings.sky_nside, pixel, nest=True, lonlat=True)
        x = settings.sky_radius_kpc * sight
        return {
            "pixel": pixel,
            "radius_kpc": np.full(pixel.size, settings.sky_radius_kpc),
            "longitude_deg": longitude,
            "latitude_deg": latitude,
            "selection_true": self.truth.selection.probability(x),
            "selection_model": self._scaled("selection", x),
            "extinction": self.truth.selection.extinction.at(x),
        }

    def phase(self, stars: Sequence[Path]) -> Columns:
        """Table of stars that no flow has learned from."""
        every = read_stars(stars)
        chosen = np.flatnonzero(is_validation(every.star_id, self.study.flows, self.seed))
        some = chosen[: self.study.evaluation.stars]
        x, v = every.position_kpc[some], every.velocity[some]
        system = self.truth.system
        return {
            "radius_kpc": np.linalg.norm(x, axis=1),
            "selection_true": self.truth.selection.probability(x),
            "log_observed_density_true": np.log(self.truth.observed_density(x)),
            "log_observed_density_model": (
                self.models.log_density("observed", x)
                if "observed" in self.models.positions
                else np.full(len(x), np.nan)
            ),
            "log_velocity_density_true": system.log_velocity_density(
                from_numpy(x), from_numpy(v)
            ).numpy(),
            "log_velocity_density_model": self.models.log_velocity_density(v, x),
        }

    def write(self, stars: Sequence[Path], files: Mapping[str, Path], progress: Progress) -> None:
        """Write all tables but that of networks to their files."""
        tables: dict[str, tuple[TableSchema, Columns]] = {}
        with progress.task("evaluating", len(files), "tables") as advance:
            for name, schema, table in (
                ("points", POINTS, self.points),
                ("profile", PROFILE, self.profile),
                ("plane", PLANE, self.plane),
                ("sky", SKY, self.sky),
                ("phase", PHASE, lambda: self.phase(stars)),
            ):
                tables[name] = schema, table()
                advance(1)
        for name, (schema, data) in tables.items():
            write_table(files[name], schema, data)
