"""Steady systems in closed form, and points in them, for the tests of potentials."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mwatlas.potential.analytic import (
    LogarithmicPotential,
    MiyamotoNagaiPotential,
    SumOfPotentials,
)
from mwatlas.potential.flattened import FlattenedTracers
from mwatlas.potential.isothermal import Isothermal
from mwatlas.potential.jacobi import JacobiTracers
from mwatlas.potential.plummer import OsipkovMerrittPlummer, Plummer
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.potential.systems import SteadySystem

# The Sun of Kalda & Green (2025), and a pattern speed near theirs.
FRAME = RotatingFrame((8.277, 0.0, 0.0), (-9.3, -251.5, -8.59), -28.2)
# A disc and a halo with an m = 2 distortion; the numbers are those of a Milky Way.
GALAXY = SumOfPotentials(
    (
        MiyamotoNagaiPotential(gm=2.9e5, a=3.0, b=0.28),
        LogarithmicPotential(speed=180.0, core=3.0, y_ratio=0.9, z_ratio=0.85, angle_rad=0.4),
    )
)
MAXWELLIAN = JacobiTracers(GALAXY, FRAME, sigma_km_s=35.0, radius_kpc=1.0)

SYSTEMS: dict[str, SteadySystem] = {
    "plummer": Plummer(gm=1.7, b=1.3),
    "osipkov_merritt": OsipkovMerrittPlummer(gm=1.7, b=1.3, anisotropy_radius=1.1),
    "isothermal": Isothermal(speed=1.2, core=0.8, z_ratio=0.8, sigma=0.45),
    "flattened": FlattenedTracers(gm=1.5, a=0.6, b=0.4, momentum_scale=0.3),
    "jacobi_maxwellian": MAXWELLIAN,
    "jacobi_power": replace(MAXWELLIAN, index=3.5),
}
AT_REST = [name for name, system in SYSTEMS.items() if system.frame is None]
ROTATING = [name for name, system in SYSTEMS.items() if system.frame is not None]
# Those whose potential follows from p(v|x) alone.
NOT_MAXWELLIAN = ["plummer", "osipkov_merritt", "flattened", "jacobi_power"]


def r_max(name: str) -> float:
    """Radius within which points are drawn."""
    return 1.0 if name in ROTATING else 6.0


def points(name: str, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Positions and velocities drawn from a system; float64, shape (n, 3)."""
    x, v = SYSTEMS[name].sample(n, np.random.default_rng(seed), r_max(name))
    return torch.from_numpy(x), torch.from_numpy(v)
