"""The same orbits by torch."""

import numpy as np

from mwatlas.dynamics.orbits import PERICENTRE_UNRESOLVED, Integration, integrate_orbits
from mwatlas.dynamics.orbits_torch import kernel_on
from tests.unit.orbit_samples import mixed

SETTINGS = Integration(duration_gyr=0.5, step_myr=10.0, shortest_step_myr=0.003, step_fraction=0.9)


def test_orbits_of_torch_are_those_of_the_compiled_kernel() -> None:
    position, velocity, _ = mixed(150, 1)
    position[0], velocity[0] = [0, 0, 8], [0, 0, 30]
    compiled = integrate_orbits(position, velocity, SETTINGS)
    # Pieces that end in the middle of the sample.
    torch = integrate_orbits(position, velocity, SETTINGS, kernel=kernel_on("cpu", 64))
    np.testing.assert_array_equal(torch.flag, compiled.flag)
    good = compiled.flag != PERICENTRE_UNRESOLVED
    for name in ("pericentre_kpc", "apocentre_kpc", "eccentricity", "z_max_kpc"):
        # Rounding of 1e-16 a step, magnified along the orbit: 1e-11 for discs; halos that pass
        # near the centre are chaotic.
        ours, theirs = getattr(torch, name)[good], getattr(compiled, name)[good]
        assert np.median(np.abs(ours / theirs - 1)) < 1e-11
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_few_stars_and_none() -> None:
    position, velocity, _ = mixed(1, 2)
    one = integrate_orbits(position, velocity, SETTINGS, kernel=kernel_on("cpu"))
    compiled = integrate_orbits(position, velocity, SETTINGS)
    np.testing.assert_allclose(one.eccentricity, compiled.eccentricity, rtol=1e-10)
    none = integrate_orbits(position[:0], velocity[:0], SETTINGS, kernel=kernel_on("cpu"))
    assert none.eccentricity.shape == (0,)
