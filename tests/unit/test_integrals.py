"""Integrals of motion and distribution functions."""

import numpy as np
import pytest
from galpy.actionAngle import estimateDeltaStaeckel
from galpy.potential import MWPotential2014
from numba import njit

from mwatlas.dynamics.integrals import (
    circular_orbits,
    focal_distance_squared,
    potential_at,
    potential_table,
    third_integral,
)
from mwatlas.dynamics.potential import circular_velocity, energy
from mwatlas.sky.distribution import BulgeFunction, DiscFunction, HaloFunction

RNG = np.random.default_rng(3)


@njit
def _third(radius, height, v, angular_momentum, total, reference, focus, p):
    return third_integral(radius, height, v[0], v[2], angular_momentum, total, reference, focus, p)


def test_the_tabulated_potential_is_galas() -> None:
    position = RNG.normal(size=(300, 3)) * np.geomspace(0.01, 50, 300)[:, None]
    ours = [potential_at(x * x + y * y, z * z, potential_table()) for x, y, z in position]
    # A cubic over steps of 0.8 per cent in radius: fourth order, below 1e-8.
    np.testing.assert_allclose(ours, energy(position), rtol=1e-8)


@pytest.mark.parametrize("along", ["angular_momentum", "energy"])
def test_circular_orbits_are_circular(along: str) -> None:
    orbits = circular_orbits(along, 1.0)
    radius, speed = np.exp(orbits.rows[::50, 0]), np.exp(orbits.rows[::50, 2])
    # Linear interpolation over steps of half a per cent in radius.
    np.testing.assert_allclose(speed, circular_velocity(radius), rtol=1e-5)


def test_the_focal_distance_is_galpys() -> None:
    for radius, height in ((6.0, 0.5), (8.0, 1.0), (12.0, 3.0)):
        ours = np.sqrt(focal_distance_squared(np.array([radius]), np.array([height])))[0]
        theirs = 8 * estimateDeltaStaeckel(MWPotential2014, radius / 8, height / 8)
        # Both difference second derivatives numerically.
        assert ours == pytest.approx(theirs, rel=2e-3)


def test_planar_motion_has_no_third_integral() -> None:
    total = energy(np.array([[8.0, 0, 0]]))[0] + 0.5 * (30.0**2 + 210.0**2)
    value = _third(
        8.0, 0.0, np.array([30.0, 210.0, 0.0]), 1680.0, total, 7.5, 12.0, potential_table()
    )
    assert abs(value) < 1e-6 * abs(total)


def test_small_oscillations_have_their_vertical_energy() -> None:
    """Near the plane of a circular orbit: E_z = v_z^2 / 2 + Phi(R, z) - Phi(R, 0)."""
    height, v_z = 0.02, 2.0
    positions = np.array([[8.0, 0, height], [8.0, 0, 0]])
    above, plane = energy(positions)
    speed = float(circular_velocity(np.array(8.0)))
    total = above + 0.5 * (speed**2 + v_z**2)
    focus = 13.0
    value = _third(
        8.0, height, np.array([0.0, speed, v_z]), 8 * speed, total, 8.0, focus, potential_table()
    )
    expected = 0.5 * v_z**2 + above - plane
    # The coordinates bend over a height of 0.02 kpc by (z / R)^2 and z^2 / focus: below 1e-4.
    assert value / (1 + 64 / focus) == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize(
    "function",
    [
        DiscFunction(2.6, 35.0, 20.0, 8.0, 4.0, 0.4),
        HaloFunction(3.0, 0.2, 100.0, 4.0),
        BulgeFunction(3.5, 39.0, 4.0),
    ],
)
def test_functions_are_even_in_time_and_height(function) -> None:
    """Reversing v_R and v_z, or mirroring z and v_z, changes nothing."""
    radius, height = RNG.uniform(0.5, 3.5, 50), RNG.uniform(0.05, 1.0, 50)
    velocity = RNG.normal(size=(50, 3)) * 40 + [0, 150, 0]
    here = function.log_density(radius, height, velocity)
    assert np.isfinite(here).any()
    np.testing.assert_allclose(
        here, function.log_density(radius, height, velocity * [-1, 1, -1]), rtol=1e-12
    )
    np.testing.assert_allclose(
        here, function.log_density(radius, -height, velocity * [1, 1, -1]), rtol=1e-9
    )


def test_there_are_no_unbound_or_retrograde_disc_stars() -> None:
    disc = DiscFunction(2.6, 35.0, 20.0, 8.0, 4.0, 0.4)
    velocity = np.array([[0.0, -200.0, 0.0], [500.0, 300.0, 0.0], [0.0, 215.0, 0.0]])
    density = disc.log_density(np.full(3, 8.0), np.zeros(3), velocity)
    assert np.isneginf(density[:2]).all()
    assert np.isfinite(density[2])


def test_the_bulge_has_its_moments_in_closed_form() -> None:
    """Density (E_0 - Phi_eff)^(n + 3/2), variance 2 (E_0 - Phi_eff) / (2n + 5)."""
    bulge = BulgeFunction(3.5, 39.0, 4.0)
    table = potential_table()

    def room(r: float, z: float) -> float:
        def effective(a: float, b: float) -> float:
            return potential_at(a * a, b * b, table) - 0.5 * (39.0 * a) ** 2

        return effective(4.0, 0.0) - effective(r, z)

    total, places = [], ((0.5, 0.2), (1.5, 0.6))
    for place in places:
        velocity, weight = bulge.velocity_nodes(*place)
        f = np.exp(bulge.log_density(*(np.full(len(weight), x) for x in place), velocity))
        total.append((weight * f).sum())
        variance = (weight * f * velocity[:, 0] ** 2).sum() / total[-1]
        # Gauss-Legendre with 24 nodes of a smooth function that vanishes at the end as w^3.5.
        assert variance == pytest.approx(2 * room(*place) / 12, rel=1e-5)
    expected = (room(*places[0]) / room(*places[1])) ** 5
    assert total[0] / total[1] == pytest.approx(expected, rel=1e-5)
