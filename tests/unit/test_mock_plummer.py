"""The mock's Plummer sphere against galpy, quadrature and its closed-form moments."""

import numpy as np
import pytest
from galpy.potential import PlummerPotential
from scipy.integrate import quad
from scipy.stats import kstest

from mwatlas.config.conditional_mock import Tracer
from mwatlas.studies.conditional_potential.plummer import Plummer, draw_bound_velocities

GM, B, RADIUS = 3.0e6, 1.7, 6.0
SPHERE = Plummer(GM, B, RADIUS)
REFERENCE = PlummerPotential(amp=GM, b=B)
NUMBER = 200_000


@pytest.fixture(scope="module")
def positions() -> np.ndarray:
    return SPHERE.draw_positions(NUMBER, np.random.default_rng(11))


@pytest.fixture(scope="module")
def velocities() -> np.ndarray:
    return draw_bound_velocities(NUMBER, np.random.default_rng(12))


def test_the_settings_give_their_central_density() -> None:
    settings = Tracer(scale_kpc=2.0, central_density=3.0, radius_kpc=5.0)
    sphere = Plummer.of(settings)
    # G = 1 with kpc and 100 km/s.
    reference = PlummerPotential(amp=sphere.gm / 1e4, b=2.0)
    assert reference.dens(1e-9, 0.0, use_physical=False) == pytest.approx(3.0, rel=1e-9)
    assert (sphere.scale_kpc, sphere.radius_kpc) == (2.0, 5.0)


def test_masses_and_speeds_are_galpys() -> None:
    assert SPHERE.share_in_volume == pytest.approx(REFERENCE.mass(RADIUS) / GM, rel=1e-12)
    for radius in (0.1, 1.0, 4.0):
        share = REFERENCE.mass(radius) / REFERENCE.mass(RADIUS)
        assert SPHERE.radius_at(share) == pytest.approx(radius, rel=1e-10)
        assert SPHERE.escape_speed(radius) == pytest.approx(REFERENCE.vesc(radius), rel=1e-10)
        density = REFERENCE.dens(radius, 0.0) / REFERENCE.mass(RADIUS)
        assert SPHERE.number_density(radius) == pytest.approx(density, rel=1e-10)


def test_the_volume_holds_one_star() -> None:
    total, error = quad(lambda r: 4 * np.pi * r**2 * SPHERE.number_density(r), 0, RADIUS)
    assert total == pytest.approx(1.0, abs=10 * error)


def test_the_ends_of_the_volume_are_exact() -> None:
    assert SPHERE.radius_at(1.0) == RADIUS
    assert 0 < SPHERE.radius_at(2.0**-53) < 1e-4


def test_radii_follow_the_mass(positions: np.ndarray) -> None:
    radius = np.linalg.norm(positions, axis=1)
    assert radius.max() <= RADIUS * (1 + 1e-15)
    cumulative = (1 + (B / radius) ** 2) ** -1.5 / SPHERE.share_in_volume
    assert kstest(cumulative, "uniform").pvalue > 1e-3


def test_directions_are_even(positions: np.ndarray, velocities: np.ndarray) -> None:
    for vectors in (positions, velocities):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        # The first moments of N unit vectors scatter by (3 N)^-1/2, the second by
        # (4 / 45 / N)^1/2 about 1/3 and by (N / 15)^1/2 / N about 0.
        assert np.abs(unit.mean(axis=0)).max() < 4 / np.sqrt(3 * NUMBER)
        second = unit.T @ unit / NUMBER
        assert np.abs(second - np.eye(3) / 3).max() < 4 * np.sqrt(4 / 45 / NUMBER)


def test_speeds_follow_the_distribution_function(velocities: np.ndarray) -> None:
    """Bound speeds q = v / v_esc go with q^2 (1 - q^2)^(7/2)."""
    norm = 512 / (7 * np.pi)
    assert quad(lambda q: norm * q**2 * (1 - q**2) ** 3.5, 0, 1)[0] == pytest.approx(1)
    nodes = np.linspace(0, 1, 20_001)
    density = norm * nodes**2 * (1 - nodes**2) ** 3.5
    # Trapezoidal rule: 1e-9 with these nodes, where the empirical distribution has 2e-3.
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(nodes)
    cumulative = np.concatenate([[0], np.cumsum(steps)])
    speed = np.linalg.norm(velocities, axis=1)
    assert speed.max() < 1
    assert kstest(speed, lambda q: np.interp(q, nodes, cumulative)).pvalue > 1e-3


def test_velocity_moments_are_those_of_the_sphere(velocities: np.ndarray) -> None:
    """Moments: <v^2> = v_esc^2 / 4, <v^4> = 3.75 / 42 v_esc^4, hence k = 6 / 7."""
    square = (velocities**2).sum(axis=1)
    for power, expected in ((1, 1 / 4), (2, 3.75 / 42)):
        error = np.std(square**power) / np.sqrt(NUMBER)
        assert (square**power).mean() == pytest.approx(expected, abs=4 * error)
    # Of one axis: <v_x^4> = 3 k sigma^4.
    fourth = velocities[:, 0] ** 4
    sigma = np.sqrt(1 / 12)
    error = np.std(fourth) / np.sqrt(NUMBER) / (3 * sigma**4)
    assert fourth.mean() / (3 * sigma**4) == pytest.approx(6 / 7, abs=4 * error)


def test_the_sphere_is_in_equilibrium() -> None:
    """The Jeans equation: d(n sigma^2)/dr = -n dPhi/dr, with sigma^2 = v_esc^2 / 12."""
    radius, step = np.geomspace(0.05, 5, 30), 1e-5
    pressure = [
        SPHERE.number_density(r) * SPHERE.escape_speed(r) ** 2 / 12
        for r in (radius + step, radius - step)
    ]
    force = [-REFERENCE.Rforce(r, 0.0) for r in radius]
    # The difference errs by step^2 / 6 of the third derivative, and by rounding over a step.
    np.testing.assert_allclose(
        (pressure[0] - pressure[1]) / (2 * step),
        -SPHERE.number_density(radius) * force,
        rtol=1e-7,
    )
