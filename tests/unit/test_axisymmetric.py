"""The axisymmetric galaxy in closed form, and its fit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from galpy.potential import (
    NFWPotential as GalpyHalo,
)
from galpy.potential import (
    evaluateDensities,
    evaluatePotentials,
    evaluateRforces,
    evaluatezforces,
)

from mwatlas.errors import ConfigError
from mwatlas.potential.analytic import (
    MiyamotoNagaiPotential,
    NFWPotential,
    SumOfPotentials,
)
from mwatlas.potential.axisymmetric import AxisymmetricField, AxisymmetricGalaxy
from mwatlas.potential.boltzmann_fields import Method
from mwatlas.potential.derivatives import gradient_and_laplacian
from mwatlas.potential.jacobi import JacobiTracers
from mwatlas.potential.least_squares import LeastSquares
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.potential.solver import SolverSettings, solve
from mwatlas.random import draw_directions

DISCS = (
    MiyamotoNagaiPotential(2.9e5, 3.0, 0.28),
    MiyamotoNagaiPotential(0.8e5, 2.0, 0.9),
    MiyamotoNagaiPotential(0.4e5, 7.0, 0.1),
)
HALO = NFWPotential(3.0e6, 16.0)
HEIGHT_KPC = 0.02


def test_the_halo_against_galpy() -> None:
    ours, reference = NFWPotential(1.7, 1.3), GalpyHalo(amp=1.7, a=1.3)
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (20, 3)))
    first, laplacian = gradient_and_laplacian(ours.potential, x)
    potential, density = ours.potential(x), ours.mass_density(x)
    torch.testing.assert_close(laplacian / (4 * math.pi), density)
    for k, (px, py, pz) in enumerate(x.tolist()):
        where = {"R": math.hypot(px, py), "z": pz, "phi": math.atan2(py, px)}
        assert float(potential[k]) == pytest.approx(evaluatePotentials(reference, **where))
        assert float(density[k]) == pytest.approx(evaluateDensities(reference, **where))
        outward = float(first[k, 0] * px + first[k, 1] * py) / where["R"]
        assert -outward == pytest.approx(evaluateRforces(reference, **where))
        assert -float(first[k, 2]) == pytest.approx(evaluatezforces(reference, **where))
    for item, build in (("gm", lambda: NFWPotential(0.0)), ("a", lambda: NFWPotential(1.0, -1.0))):
        with pytest.raises(ConfigError) as caught:
            build()
        assert caught.value.item == item


def test_the_field_is_the_sum_of_its_parts() -> None:
    start = AxisymmetricGalaxy(DISCS, HALO, (8.277, 0.0, 0.0), HEIGHT_KPC)
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (30, 3)))
    field = AxisymmetricField(start, 2).double()
    centred = x - torch.tensor([8.277, 0.0, -HEIGHT_KPC], dtype=x.dtype)
    expected = SumOfPotentials((*DISCS, HALO)).potential(centred)
    # The start is kept in single precision.
    torch.testing.assert_close(
        field(x.expand(2, -1, -1)), expected.expand(2, -1), rtol=1e-6, atol=0
    )
    for galaxy in field.galaxies():
        assert galaxy.sun_height == HEIGHT_KPC
        assert galaxy.halo.a == pytest.approx(16.0, rel=1e-6)
        assert galaxy.discs[2].b == pytest.approx(0.1, rel=1e-6)


def test_a_fit_finds_the_galaxy_again() -> None:
    # Tracers around the Sun, 20 pc above the plane, in a frame whose pattern speed is known.
    frame = RotatingFrame((8.277, 0.0, -HEIGHT_KPC), (-9.3, -251.5, -8.59), -28.2)
    galaxy = SumOfPotentials((*DISCS, HALO))
    system = JacobiTracers(galaxy, frame, sigma_km_s=35.0, radius_kpc=1.0, index=3.5)
    rng = np.random.default_rng(1)
    x = np.cbrt(rng.uniform(size=2048))[:, None] * draw_directions(2048, rng)
    samples = PhaseSamples.of_system(system, x, system.draw_velocities(x, rng), conditional=False)
    start = AxisymmetricGalaxy(
        tuple(replace(disc, gm=1.3 * disc.gm, a=0.8 * disc.a, b=1.5 * disc.b) for disc in DISCS),
        NFWPotential(2.0e6, 12.0),
        (8.277, 0.0, 0.0),
    )
    settings = SolverSettings(start, optimiser=LeastSquares(2, 20, 1024, 1024))
    found = solve(samples, Method.VANILLA, settings, [0], lambda *_: None, frame=frame)
    assert found.parameter_counts() == {"potential": 12, "extra": 0, "frame": 0}
    (fitted,) = found.fields.potential.galaxies()
    # The slopes are exact and so is the model: what is left is how far the steps came along
    # directions in which discs and halo replace each other within 1 kpc.
    assert fitted.sun_height == pytest.approx(HEIGHT_KPC, rel=1e-3)
    places = torch.from_numpy(x[:500])
    true = system.acceleration(places).numpy()
    off = np.linalg.norm(found.acceleration(x[:500])[0] - true, axis=1)
    assert np.median(off / np.linalg.norm(true, axis=1)) < 1e-4
    density = system.mass_density(places).numpy()
    assert np.median(np.abs(found.mass_density(x[:500])[0] / density - 1)) < 1e-2
