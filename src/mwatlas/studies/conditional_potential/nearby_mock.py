"""Stars near the Sun whose potential is known: several Maxwellians, steady in a rotating frame.

Each alone would leave the potential open (Kalda & Green 2026, appendix C); together they do not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mwatlas.config.nearby import Nearby
from mwatlas.potential.analytic import MiyamotoNagaiPotential, NFWPotential
from mwatlas.potential.axisymmetric import AxisymmetricField, AxisymmetricGalaxy
from mwatlas.potential.boltzmann_fields import Method
from mwatlas.potential.derivatives import scores
from mwatlas.potential.ensemble import Ensemble
from mwatlas.potential.fields import FieldShape
from mwatlas.potential.phase_samples import Floats, PhaseSamples
from mwatlas.potential.recipe import Recipe
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.random import draw_directions
from mwatlas.studies.conditional_potential.nearby_stars import steady_frame
from mwatlas.studies.conditional_potential.nearby_tables import NEARBY_STARS
from mwatlas.studies.conditional_potential.plummer import VELOCITY_UNIT_KMS
from mwatlas.tables.parquet import write_table

SETTINGS = Nearby()
FRAME: RotatingFrame = steady_frame(SETTINGS.frame, SETTINGS.pattern_speed)

# In kpc and 100 km/s with G = 1: a disc and a halo that make a circular speed of 236 km/s and a
# density of 0.097 Msun/pc^3 at the Sun.
GALAXY = AxisymmetricGalaxy(
    (MiyamotoNagaiPotential(29.25, 3.0, 0.28),),
    NFWPotential(344.0, 17.5),
    centre=(SETTINGS.frame.galcen_distance_kpc, 0.0, 0.0),
    sun_height=SETTINGS.frame.z_sun_pc / 1000,
)
SIGMAS, SHARES = np.array([0.08, 0.14, 0.22, 0.38]), np.array([0.2, 0.45, 0.3, 0.05])
"""Dispersions in 100 km/s, and shares of the stars at the Sun."""

_FIELD = AxisymmetricField(GALAXY, 1).double().requires_grad_(False)


def effective_potential(x: Tensor) -> Tensor:
    """Potential and centrifugal potential, zero at the Sun; shape (N,)."""
    with_sun = torch.cat([torch.zeros(1, 3, dtype=x.dtype), x])
    total = _FIELD(with_sun[None])[0] + FRAME.centrifugal_potential(with_sun)
    return total[1:] - total[0]


def log_velocity_density(x: Tensor, v: Tensor) -> Tensor:
    """Ln p(v|x); shape (N,)."""
    sigma, share = torch.from_numpy(SIGMAS), torch.from_numpy(SHARES)
    number = torch.log(share) - effective_potential(x)[:, None] / sigma**2
    square = ((v - FRAME.u(x)) ** 2).sum(dim=-1, keepdim=True)
    normal = -0.5 * square / sigma**2 - 3 * torch.log(sigma)
    joint = torch.logsumexp(number + normal, dim=1) - 1.5 * np.log(2 * np.pi)
    return joint - torch.logsumexp(number, dim=1)


def draw_velocities(x: Floats, rng: np.random.Generator) -> Floats:
    """Velocities of stars at places (N, 3), in 100 km/s."""
    phi = effective_potential(torch.from_numpy(x)).numpy()
    ln = np.log(SHARES) - phi[:, None] / SIGMAS**2
    share = np.exp(ln - ln.max(axis=1, keepdims=True))
    below = (share / share.sum(axis=1, keepdims=True)).cumsum(axis=1)
    which = np.minimum((rng.uniform(size=len(x))[:, None] > below).sum(axis=1), len(SIGMAS) - 1)
    peculiar = SIGMAS[which, None] * rng.standard_normal(x.shape)
    return FRAME.u(torch.from_numpy(x)).numpy() + peculiar


def draw_places(number: int, radius_kpc: float, rng: np.random.Generator) -> Floats:
    """Places uniform in a sphere; shape (N, 3)."""
    return radius_kpc * np.cbrt(rng.uniform(size=(number, 1))) * draw_directions(number, rng)


def write_stars(path: Path, number: int, rng: np.random.Generator) -> None:
    """Write a table ``nearby_stars`` of stars uniform in the sphere of the sample.

    Parameters
    ----------
    path
        File to write.
    number
        How many stars.
    rng
        Draws them.
    """
    place = draw_places(number, SETTINGS.sample.radius_kpc, rng)
    velocity = VELOCITY_UNIT_KMS * draw_velocities(place, rng)
    columns = {f"{axis}_kpc": place[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"v{axis}_kms": velocity[:, i] for i, axis in enumerate("xyz")}
    write_table(path, NEARBY_STARS, {"star_id": np.arange(number), **columns})


def exact_samples(number: int, rng: np.random.Generator) -> PhaseSamples:
    """Samples with the exact slopes of ln p(v|x)."""
    x = draw_places(number, SETTINGS.sample.radius_kpc, rng)
    v = draw_velocities(x, rng)
    by_x, by_v = scores(log_velocity_density, torch.from_numpy(x), torch.from_numpy(v))
    return PhaseSamples(x, v, by_x.numpy(), by_v.numpy())


def true_ensemble() -> Ensemble:
    """An ensemble of one member whose potential is the true one, with ln n of no meaning."""
    recipe = Recipe(Method.CONDITIONAL, GALAXY, FieldShape(4, radial=False), 0.2, 0.2, FRAME)
    fields = recipe.build([0]).double()
    return Ensemble(fields, recipe, [[0.0]], [0.0], [0.0], None)
