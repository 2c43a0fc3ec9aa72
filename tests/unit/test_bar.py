"""The rotating bar and orbits in its frame, against galpy, scipy and finite differences."""

import numpy as np
import pytest
from galpy.potential import DehnenBarPotential
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from mwatlas.config.sky_bar import Bar
from mwatlas.dynamics.bar import BarredPotential
from mwatlas.dynamics.potential import KPC_PER_MYR, circular_velocity, energy, gradient
from mwatlas.dynamics.rotating_orbits import integrate

BAR = Bar(strength=0.02, pattern_speed_kms_kpc=35.0, angle_deg=27.0, length_kpc=4.0)
POTENTIAL = BarredPotential.of(BAR)
AXISYMMETRIC = BarredPotential.of(BAR.model_copy(update={"strength": 0.0}))


def _places(number: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(number, 3)) * [6.0, 6.0, 1.5]


def _disc_stars(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    angle, radius = rng.uniform(0, 2 * np.pi, number), rng.uniform(6, 10, number)
    position = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * radius], axis=1)
    velocity = 220 * np.stack([np.sin(angle), -np.cos(angle), 0 * angle], axis=1)
    return position, velocity + rng.normal(size=(number, 3)) * [30, 30, 20]


def test_the_bar_is_galpys() -> None:
    """In galpy's axes, where the Galaxy turns counter-clockwise, at t = 0 and 20 units later."""
    speed = float(circular_velocity(np.array(8.0)))
    bar = DehnenBarPotential(
        omegab=BAR.pattern_speed_kms_kpc * 8 / speed,
        rb=BAR.length_kpc / 8,
        Af=BAR.strength / 3 * (8 / BAR.length_kpc) ** 3,
        barphi=np.radians(BAR.angle_deg),
        tform=-1e3,
        tsteady=1.0,
    )
    place = _places(60)
    radius, height = np.hypot(place[:, 0], place[:, 1]) / 8, place[:, 2] / 8
    # The mirror image in the x-z plane; the Sun of galpy has azimuth 0 and ours 180 degrees.
    azimuth = np.arctan2(-place[:, 1], place[:, 0])
    for time in (0.0, 20.0):
        ours = POTENTIAL.at(time * 8 / speed / KPC_PER_MYR)
        expected = np.array(
            [bar(r, z, phi=p, t=time) for r, z, p in zip(radius, height, azimuth, strict=True)]
        )
        np.testing.assert_allclose(
            ours.potential(place) - AXISYMMETRIC.potential(place),
            expected * speed**2,
            # Differences of potentials of 1e5 (km/s)**2.
            atol=1e-9 * speed**2,
        )
        forces = np.array(
            [
                [f(r, z, phi=p, t=time) for f in (bar.Rforce, bar.phitorque, bar.zforce)]
                for r, z, p in zip(radius, height, azimuth, strict=True)
            ]
        )
        extra = ours.acceleration(place) - AXISYMMETRIC.acceleration(place)
        x, y = place[:, 0] / 8, place[:, 1] / 8
        radial = (x * extra[:, 0] + y * extra[:, 1]) / radius
        torque = -(x * extra[:, 1] - y * extra[:, 0])
        np.testing.assert_allclose(
            np.stack([radial, torque, extra[:, 2]], axis=1), forces * speed**2 / 8, atol=1e-5
        )


def test_without_a_bar_it_is_mwpotential2014() -> None:
    place = _places(300)
    # Cubic interpolation in ln r in steps of 0.008; gala is exact.
    np.testing.assert_allclose(AXISYMMETRIC.potential(place), energy(place), rtol=1e-9)
    force = gradient(place)
    error = np.linalg.norm(AXISYMMETRIC.acceleration(place) + force, axis=1)
    assert (error / np.linalg.norm(force, axis=1)).max() < 1e-7


def test_the_acceleration_is_the_gradient() -> None:
    place, step = _places(300), 1e-3
    # Fourth-order differences; the bar's second derivatives jump at its end.
    away = np.abs(np.linalg.norm(place, axis=1) - BAR.length_kpc) > 4 * step
    place = place[away & (np.linalg.norm(place, axis=1) > 0.5)]
    for axis in np.eye(3):
        value = [POTENTIAL.potential(place + k * step * axis) for k in (-2, -1, 1, 2)]
        slope = (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * step)
        # Rounding of potentials of 1e5 (km/s)**2 and the table's error.
        np.testing.assert_allclose(POTENTIAL.acceleration(place) @ axis, -slope, atol=2e-4)


def test_the_bar_attracts_towards_its_major_axis() -> None:
    """Its strength is the relative radial force at 8 kpc; its near end has l > 0."""
    angle = np.radians(BAR.angle_deg)
    end = np.array([[-8 * np.cos(angle), 8 * np.sin(angle), 0.0]])
    inward = -(POTENTIAL.acceleration(end) - AXISYMMETRIC.acceleration(end)) @ end[0] / 8
    expected = BAR.strength * float(circular_velocity(np.array(8.0))) ** 2 / 8
    assert inward[0] == pytest.approx(expected, rel=1e-9)
    # The Sun is behind the near end in rotation, so the bar pulls it to l > 0.
    sun = np.array([[-8.122, 0.0, 0.0]])
    assert POTENTIAL.acceleration(sun)[0, 1] > 0


def test_the_bar_adds_no_matter_beyond_its_end() -> None:
    place, step = _places(200), 1e-2
    place = place[np.linalg.norm(place, axis=1) > 1.2 * BAR.length_kpc]

    def divergence(potential: BarredPotential) -> np.ndarray:
        return sum(
            (potential.acceleration(place + step * e) - potential.acceleration(place - step * e))
            @ e
            for e in np.eye(3)
        ) / (2 * step)

    # Truncation: step**2 / 6 times fourth derivatives, a few (km/s)**2/kpc**4 of the bar.
    np.testing.assert_allclose(divergence(POTENTIAL), divergence(AXISYMMETRIC), atol=0.05)


def test_corotating_points_turn_with_the_galaxy() -> None:
    velocity = POTENTIAL.rotation(np.array([[-8.0, 0.0, 0.0]]))
    np.testing.assert_allclose(velocity, [[0, 8 * BAR.pattern_speed_kms_kpc, 0]])
    # E_J = E - Omega . L.
    position, velocity = _disc_stars(50)
    momentum = position[:, 0] * velocity[:, 1] - position[:, 1] * velocity[:, 0]
    expected = (
        POTENTIAL.potential(position)
        + 0.5 * (velocity**2).sum(axis=1)
        + BAR.pattern_speed_kms_kpc * momentum
    )
    np.testing.assert_allclose(POTENTIAL.jacobi_energy(position, velocity), expected, rtol=1e-12)


def test_orbits_are_those_of_the_inertial_frame() -> None:
    """An adaptive integration with the bar turning, then seen from its axes."""
    position, velocity = _disc_stars(4)
    duration = 200.0
    end = duration * KPC_PER_MYR

    def slope(time: float, state: np.ndarray) -> np.ndarray:
        x, v = state[:12].reshape(4, 3), state[12:]
        force = POTENTIAL.at(time / KPC_PER_MYR).acceleration(x)
        return np.concatenate([v, force.ravel()])

    start = np.concatenate([position.ravel(), velocity.ravel()])
    inertial = solve_ivp(slope, (0, end), start, method="DOP853", rtol=1e-11, atol=1e-10).y[:, -1]
    angle = -POTENTIAL.rotation_kms_kpc * end
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    x, v = integrate(POTENTIAL, position, velocity, duration, 0.25)
    # Fourth order: 16 to 32 times below the 1.5e-7 kpc and 9e-6 km/s of a step of 0.5 Myr.
    np.testing.assert_allclose(x, inertial[:12].reshape(4, 3) @ turn.T, atol=1e-7)
    np.testing.assert_allclose(v, inertial[12:].reshape(4, 3) @ turn.T, atol=5e-6)


def test_the_jacobi_energy_is_conserved_to_fourth_order() -> None:
    position, velocity = _disc_stars(100)
    start = POTENTIAL.jacobi_energy(position, velocity)
    change = [
        np.median(
            np.abs(
                POTENTIAL.jacobi_energy(*integrate(POTENTIAL, position, velocity, 1000, step))
                - start
            )
        )
        for step in (2.0, 1.0)
    ]
    assert 10 < change[0] / change[1] < 25
    assert change[1] < 1e-2


def test_orbits_can_be_traced_back() -> None:
    position, velocity = _disc_stars(50)
    there = integrate(POTENTIAL, position, velocity, 500, 0.5)
    back = integrate(POTENTIAL, *there, -500, 0.5)
    # The scheme is reversible; rounding alone remains, and grows along irregular orbits.
    np.testing.assert_allclose(back[0], position, atol=1e-6)
    np.testing.assert_allclose(back[1], velocity, atol=1e-5)


def test_the_centre_gives_numbers() -> None:
    place = np.array([[0.0, 0.0, 0.0], [1e-5, 0.0, 0.0]])
    assert np.isfinite(POTENTIAL.potential(place)).all()
    assert np.isfinite(POTENTIAL.acceleration(place)).all()


@pytest.mark.parametrize(
    ("name", "value"), [("strength", -0.1), ("length_kpc", 0.0), ("angle_deg", 120.0)]
)
def test_impossible_bars_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Bar(**{**BAR.model_dump(), name: value})
