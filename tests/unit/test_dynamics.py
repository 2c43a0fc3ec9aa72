"""Potential and orbits against gala and galpy."""

import astropy.units as u
import gala.dynamics as gd
import gala.integrate as gi
import gala.potential as gp
import numpy as np
import pytest
from galpy.orbit import Orbit
from galpy.potential import MWPotential2014, evaluateRforces, evaluatezforces

from mwatlas.dynamics.orbits import (
    APOCENTRE_BEYOND,
    RESOLVED,
    UNBOUND,
    Integration,
    eccentricity,
)
from mwatlas.dynamics.potential import (
    circular_velocity,
    energy,
    gradient,
    mw_potential_2014,
    tabulated,
)
from mwatlas.errors import InputError

TWO_GYR = Integration(duration_gyr=2.0, step_myr=1.0)


def _mixed(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Disc, thick-disc and halo stars near the Sun, and which is which."""
    rng = np.random.default_rng(seed)
    kind = np.arange(number) % 3
    position = rng.normal(size=(number, 3)) * [1.0, 1.0, 0.3] + [-8.1, 0, 0]
    spread = np.array([[35, 25, 18], [60, 45, 40], [150, 90, 90]])[kind]
    velocity = rng.normal(size=(number, 3)) * spread
    velocity[:, 1] += np.array([215, 180, 0])[kind]
    return position, velocity, kind


def test_the_force_is_galpys() -> None:
    rng = np.random.default_rng(0)
    radius, height = rng.uniform(0.3, 25, 200), rng.normal(0, 3, 200)
    # galpy in natural units: 8 kpc and 220 km/s. gala rounds the parameters to 1e-4.
    unit = 220**2 / 8
    ours = gradient(np.stack([radius, 0 * radius, height], axis=1))
    theirs_r = [
        -evaluateRforces(MWPotential2014, r / 8, z / 8) * unit
        for r, z in zip(radius, height, strict=True)
    ]
    theirs_z = [
        -evaluatezforces(MWPotential2014, r / 8, z / 8) * unit
        for r, z in zip(radius, height, strict=True)
    ]
    scale = np.hypot(theirs_r, theirs_z)
    assert (np.abs(ours[:, 0] - theirs_r) / scale).max() < 5e-3
    assert (np.abs(ours[:, 2] - theirs_z) / scale).max() < 5e-3


def test_the_rotation_curve_at_the_sun() -> None:
    # Bovy (2015) normalises the potential to 220 km/s at 8 kpc.
    assert circular_velocity(np.array(8.0)) == pytest.approx(220, abs=1)


def test_the_table_holds_the_spherical_force() -> None:
    table = tabulated()
    radius = np.geomspace(0.1, 1000, 5000)
    position = np.zeros((3, radius.size))
    position[0] = radius
    expected = (
        sum(
            mw_potential_2014()[name].gradient(position * u.kpc).to_value(u.kpc / u.Myr**2)[0]
            for name in ("bulge", "halo")
        )
        / radius
    )
    bins = np.searchsorted(table.low, radius**2, side="right") - 1
    t = (radius**2 - table.low[bins]) * table.inverse_width[bins]
    c0, c1, c2, c3 = table.cubic[:, bins]
    value = ((c3 * t + c2) * t + c1) * t + c0
    assert np.abs(value / expected - 1).max() < 1e-6


def test_eccentricities_are_galpys() -> None:
    position, velocity, kind = _mixed(300, 1)
    x, y, z = position.T
    radius = np.hypot(x, y)
    v_r = (x * velocity[:, 0] + y * velocity[:, 1]) / radius
    v_t = (x * velocity[:, 1] - y * velocity[:, 0]) / radius
    orbits = Orbit(
        np.stack(
            [radius / 8, v_r / 220, v_t / 220, z / 8, velocity[:, 2] / 220, np.arctan2(y, x)],
            axis=1,
        )
    )
    times = np.linspace(0, 2.0 / (8 / 220 * 0.9777922), 20_001)
    orbits.integrate(times, MWPotential2014, method="dop853_c", progressbar=False)
    r = orbits.r(times)
    expected = (r.max(axis=1) - r.min(axis=1)) / (r.max(axis=1) + r.min(axis=1))
    error = np.abs(eccentricity(position, velocity, TWO_GYR).value - expected)
    # The step allows 1e-3 to 4e-3; the two codes' constants differ by 1e-4.
    for which, limit in enumerate((5e-4, 1e-3, 5e-3)):
        assert np.percentile(error[kind == which], 99) < limit


def test_eccentricities_are_galas() -> None:
    position, velocity, _ = _mixed(90, 2)
    orbit = gp.Hamiltonian(mw_potential_2014()).integrate_orbit(
        gd.PhaseSpacePosition(position.T * u.kpc, velocity.T * u.km / u.s),
        dt=0.25 * u.Myr,
        n_steps=8000,
        Integrator=gi.LeapfrogIntegrator,
    )
    r = np.sqrt((orbit.xyz.to_value(u.kpc) ** 2).sum(axis=0))
    expected = (r.max(axis=0) - r.min(axis=0)) / (r.max(axis=0) + r.min(axis=0))
    value = eccentricity(position, velocity, TWO_GYR).value
    # gala's pericentres are not refined between steps: up to 1e-2 for radial orbits.
    assert np.median(np.abs(value - expected)) < 5e-4
    assert np.abs(value - expected).max() < 2e-2


def test_a_circular_orbit_has_no_eccentricity() -> None:
    radius = np.array([4.0, 8.0, 12.0])
    position = np.stack([-radius, 0 * radius, 0 * radius], axis=1)
    velocity = np.stack([0 * radius, circular_velocity(radius), 0 * radius], axis=1)
    # A step of 1 Myr turns 0.03 to 0.06 rad; leapfrog distorts the circle by its square / 8.
    np.testing.assert_allclose(eccentricity(position, velocity, TWO_GYR).value, 0, atol=5e-4)


def test_a_radial_orbit_has_eccentricity_one() -> None:
    position, velocity = np.array([[0.0, 0, 8]]), np.array([[0.0, 0, 30]])
    assert eccentricity(position, velocity, TWO_GYR).value[0] == pytest.approx(1, abs=2e-2)


def test_bound_and_unbound_are_told_apart() -> None:
    position = np.array([[-8.0, 0, 0]] * 4)
    escape = np.sqrt(-2 * energy(position[:1])[0])
    velocity = np.array([[0.0, 220, 0], [-0.99 * escape, 0, 0], [0, 0, 900], [0, -620, 0]])
    result = eccentricity(position, velocity, TWO_GYR)
    assert list(result.flag) == [RESOLVED, APOCENTRE_BEYOND, UNBOUND, UNBOUND]
    assert list(result.value[2:]) == [1, 1]
    assert np.isfinite(result.value).all()


def test_a_star_at_rest_or_at_the_centre_gives_a_number() -> None:
    position = np.array([[-8.0, 0, 0], [0, 0, 0], [1e-4, 0, 0]])
    velocity = np.array([[0.0, 0, 0], [0, 100, 0], [0, 0, 10]])
    value = eccentricity(position, velocity, TWO_GYR).value
    assert np.isfinite(value).all()
    assert ((value >= 0) & (value <= 1)).all()


def test_an_orbit_does_not_depend_on_its_neighbours() -> None:
    position, velocity, _ = _mixed(100, 3)
    together = eccentricity(position, velocity, TWO_GYR).value
    shuffled = np.random.default_rng(0).permutation(100)
    again = eccentricity(position[shuffled], velocity[shuffled], TWO_GYR).value
    np.testing.assert_array_equal(together[shuffled], again)
    alone = [
        eccentricity(position[i : i + 1], velocity[i : i + 1], TWO_GYR).value[0] for i in range(20)
    ]
    np.testing.assert_array_equal(together[:20], alone)


def test_no_stars_give_no_orbits() -> None:
    result = eccentricity(np.empty((0, 3)), np.empty((0, 3)), TWO_GYR)
    assert result.value.shape == (0,)


def test_missing_coordinates_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        eccentricity(np.array([[np.nan, 0, 0]]), np.zeros((1, 3)), TWO_GYR)
