"""Potential and orbits against closed forms, gala and galpy."""

import astropy.units as u
import numpy as np
import pytest
from galpy.orbit import Orbit
from galpy.potential import MWPotential2014, evaluateRforces, evaluatezforces
from scipy.optimize import brentq

from mwatlas.dynamics.orbits import (
    PERICENTRE_UNRESOLVED,
    RESOLVED,
    TURN_BEYOND,
    UNBOUND,
    Integration,
    Orbits,
    integrate_orbits,
)
from mwatlas.dynamics.potential import (
    KPC_PER_MYR,
    MilkyWay2014,
    circular_velocity,
    energy,
    gradient,
    mw_potential_2014,
    total_energy,
)
from mwatlas.dynamics.tabulated import row_value, spherical_row, tabulate
from mwatlas.errors import InputError
from tests.unit.orbit_samples import GM, Isochrone, Kepler, extremes, gala_orbits, mixed

SETTINGS = Integration(duration_gyr=2.0, step_myr=10.0, shortest_step_myr=0.003, step_fraction=0.9)
FINE = Integration(duration_gyr=2.0, step_myr=2.0, shortest_step_myr=0.003, step_fraction=0.3)
# The relative error of turning points is a few thousandths of the fourth power of the fraction,
# at a step_fraction of 0.3 a few 1e-5; tables of force and cubics between steps add less.
FINE_ERROR = 3e-5


def _in_plane(radius: float, v_radius: float, v_turn: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[-radius, 0, 0]]), np.array([[-v_radius, v_turn, 0]])


def _arrays(orbits: Orbits) -> tuple[np.ndarray, ...]:
    return (orbits.pericentre_kpc, orbits.apocentre_kpc, orbits.eccentricity, orbits.z_max_kpc)


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


def test_the_energy_is_galas() -> None:
    position, velocity, _ = mixed(300, 5)
    expected = energy(position) + 0.5 * (velocity**2).sum(axis=1)
    # Potential and kinetic energy cancel to a tenth: rounding grows as much.
    np.testing.assert_allclose(total_energy(position, velocity), expected, rtol=1e-13)
    assert np.isfinite(total_energy(np.zeros((1, 3)), np.zeros((1, 3)))).all()


@pytest.mark.parametrize("potential", [MilkyWay2014(), Isochrone(2.0)])
def test_the_tables_hold_the_spherical_part(potential) -> None:
    table = tabulate(potential)
    radius = np.geomspace(0.1, 1000, 5000)
    force, value = np.empty_like(radius), np.empty_like(radius)
    for n, r in enumerate(radius):
        row, place, _ = spherical_row(r * r)
        force[n] = row_value(table.force, row, place) * r / KPC_PER_MYR**2
        value[n] = row_value(table.energy, row, place) / KPC_PER_MYR**2
    # A cubic over 1/16 octave of r^2: (1/16)^4 / 4! / 2^7 = 5e-9 times the fourth derivative.
    np.testing.assert_allclose(force, potential.spherical_force(radius), rtol=1e-6)
    np.testing.assert_allclose(value, potential.spherical_energy(radius), rtol=1e-7)


def test_tables_reach_from_the_centre_to_anywhere() -> None:
    table = tabulate(MilkyWay2014())
    for square in (0.0, 1e-300, 1e-12, 2.0**32, 1e300):
        row, place, _ = spherical_row(square)
        assert 0 <= row < len(table.force)
        assert 0 <= place <= 1
    # At the lower edge of a row the place is zero and the width is a sixteenth of the octave.
    row, place, inverse_width = spherical_row(4.0 + 3 / 4)
    assert (row, place, inverse_width) == ((2 + 40) * 16 + 3, 0.0, 4.0)


def test_kepler_ellipses() -> None:
    """Closed form: a = -GM / 2E and e^2 = 1 + 2 E L^2 / GM^2."""
    speed = np.sqrt(GM / 8)
    orbits = [_in_plane(8, 0, speed), _in_plane(8, 80, 200), _in_plane(8, -150, 100)]
    position, velocity = (np.concatenate(a) for a in zip(*orbits, strict=True))
    # The same orbits, tilted: nothing is special about the plane of a sphere.
    tilt = np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
    position, velocity = np.tile(position, (2, 1)), np.concatenate([velocity, velocity @ tilt.T])
    total = 0.5 * (velocity**2).sum(axis=1) - GM / 8
    momentum = np.linalg.norm(np.cross(position, velocity), axis=1)
    e = np.sqrt(np.maximum(1 + 2 * total * momentum**2 / GM**2, 0))
    result = integrate_orbits(position, velocity, FINE, potential=Kepler())
    np.testing.assert_allclose(result.eccentricity, e, atol=FINE_ERROR)
    a = -GM / (2 * total)
    np.testing.assert_allclose(result.apocentre_kpc, a * (1 + e), rtol=FINE_ERROR)
    assert (result.flag == RESOLVED).all()
    # The tilted circle reaches r sin i.
    np.testing.assert_allclose(result.z_max_kpc[[0, 3]], [0, 8 * 0.8], atol=8 * FINE_ERROR)


def test_isochrone_orbits() -> None:
    potential = Isochrone(3.0)
    position, velocity, _ = mixed(60, 8)
    total = total_energy(position, velocity, potential)
    momentum = np.linalg.norm(np.cross(position, velocity), axis=1)
    # Orbits near the escape speed do not turn within 2 Gyr.
    use = total < -8000
    peri, apo = potential.turning_points(total[use], momentum[use])
    result = integrate_orbits(position[use], velocity[use], FINE, potential=potential)
    np.testing.assert_allclose(result.pericentre_kpc, peri, rtol=FINE_ERROR)
    np.testing.assert_allclose(result.apocentre_kpc, apo, rtol=FINE_ERROR)


def test_orbits_in_the_plane_conserve_energy_and_angular_momentum() -> None:
    """There they turn where E = Phi(R, 0) + L_z^2 / 2 R^2, all through the integration."""
    start = [(8.0, 30.0, 200.0), (6.0, -90.0, 150.0), (9.0, 120.0, 60.0)]
    for radius, v_radius, v_turn in start:
        position, velocity = _in_plane(radius, v_radius, v_turn)
        total, momentum = total_energy(position, velocity)[0], radius * v_turn

        def excess(r: float, total: float = total, momentum: float = momentum) -> float:
            return total - energy(np.array([[r, 0, 0]]))[0] - 0.5 * (momentum / r) ** 2

        result = integrate_orbits(position, velocity, FINE)
        np.testing.assert_allclose(
            [result.pericentre_kpc[0], result.apocentre_kpc[0]],
            [brentq(excess, 1e-2, radius), brentq(excess, radius, 200)],
            rtol=FINE_ERROR,
        )
        assert result.z_max_kpc[0] == 0


def test_a_circular_orbit_has_no_eccentricity() -> None:
    radius = np.array([1.0, 4.0, 8.0, 12.0])
    position = np.stack([-radius, 0 * radius, 0 * radius], axis=1)
    velocity = np.stack([0 * radius, circular_velocity(radius), 0 * radius], axis=1)
    result = integrate_orbits(position, velocity, SETTINGS)
    # The processor leaves errors of fourth order: measured 3e-3 of step_fraction**4.
    np.testing.assert_allclose(result.eccentricity, 0, atol=3e-4)
    np.testing.assert_allclose(result.apocentre_kpc, radius, rtol=6e-4)
    assert (result.flag == RESOLVED).all()

    def error(fraction: float) -> np.ndarray:
        settings = Integration(2.0, 100.0, 0.003, fraction)
        return integrate_orbits(position, velocity, settings).eccentricity

    # 2^4, and the ceiling in the number of steps changes them by less than a per cent.
    np.testing.assert_allclose(error(0.6) / error(0.3), 16, rtol=0.1)


def test_a_radial_orbit_has_eccentricity_one_and_is_flagged() -> None:
    position, velocity = np.array([[0.0, 0, 8]]), np.array([[0.0, 0, 30]])
    result = integrate_orbits(position, velocity, SETTINGS)
    # Apocentres far from the centre make e insensitive to how the centre is passed.
    assert result.eccentricity[0] == pytest.approx(1, abs=2e-3)
    assert result.flag[0] == PERICENTRE_UNRESOLVED


def test_orbits_are_galas() -> None:
    position, velocity, kind = mixed(1400, 1)
    result = integrate_orbits(position, velocity, SETTINGS)
    low, high, height = np.empty((3, 1400))
    for start in range(0, 1400, 200):
        mine = slice(start, start + 200)
        x, v = gala_orbits(position[mine], velocity[mine], 2.0, 2.0)
        slope = 2 * (x * v).sum(axis=-1) * KPC_PER_MYR
        low[mine], high[mine] = np.sqrt(extremes((x**2).sum(axis=-1), slope, 2.0))
        bottom, top = extremes(x[..., 2], v[..., 2] * KPC_PER_MYR, 2.0)
        height[mine] = np.maximum(-bottom, top)
    error = np.abs(result.eccentricity - (high - low) / (high + low))
    # 99 per cent within 1e-4 at this step; of halos the reference misses pericentres between
    # its outputs by up to a few 1e-3.
    for which, limit in enumerate((5e-4, 1e-3, 3e-3)):
        assert np.percentile(error[kind == which], 99) < limit
    # Heights are those of small oscillations with fewer steps than radial ones have.
    relative = np.abs(result.z_max_kpc / height - 1)
    assert np.median(relative) < 5e-4
    assert np.percentile(relative, 99) < 2e-2


def test_orbits_are_galpys() -> None:
    position, velocity, kind = mixed(600, 2)
    x, y, z = position.T
    radius = np.hypot(x, y)
    v_r = (x * velocity[:, 0] + y * velocity[:, 1]) / radius
    v_t = (x * velocity[:, 1] - y * velocity[:, 0]) / radius
    start = [radius / 8, v_r / 220, v_t / 220, z / 8, velocity[:, 2] / 220, np.arctan2(y, x)]
    orbits = Orbit(np.stack(start, axis=1))
    times = np.linspace(0, 2.0 / (8 / 220 * 0.9777922), 1001)
    orbits.integrate(times, MWPotential2014, method="dop853_c", progressbar=False)
    where = [getattr(orbits, name)(times).T for name in ("x", "y", "z", "vx", "vy", "vz")]
    square = where[0] ** 2 + where[1] ** 2 + where[2] ** 2
    slope = 2 * sum(where[i] * where[i + 3] for i in range(3))
    low, high = np.sqrt(extremes(square, slope, times[1]))
    error = np.abs(
        integrate_orbits(position, velocity, SETTINGS).eccentricity - (high - low) / (high + low)
    )
    for which, limit in enumerate((5e-4, 1e-3, 3e-3)):
        assert np.percentile(error[kind == which], 99) < limit


def test_bound_and_unbound_are_told_apart() -> None:
    position = np.array([[-8.0, 0, 0]] * 5)
    escape = np.sqrt(-2 * energy(position[:1])[0])
    velocity = np.array(
        [[0.0, 220, 0], [-0.99 * escape, 0, 0], [0, 0, 900], [0, -620, 0], [0, 900, 1]]
    )
    # The last comes in from so far that it does not turn.
    position[4], velocity[4] = [-900, 10, 0], [100, 0, 0]
    result = integrate_orbits(position, velocity, SETTINGS)
    assert list(result.flag) == [RESOLVED, TURN_BEYOND, UNBOUND, UNBOUND, TURN_BEYOND]
    assert list(result.eccentricity[2:4]) == [1, 1]
    # An unbound star left from its pericentre and is as far as its speed took it.
    assert result.pericentre_kpc[2] == pytest.approx(8, rel=1e-6)
    assert 500 < result.apocentre_kpc[2] < 2.0 * 900 * KPC_PER_MYR * 1000
    assert all(np.isfinite(a).all() for a in _arrays(result))


def test_pathological_stars_give_numbers() -> None:
    position = np.array(
        [[-8.0, 0, 0], [0, 0, 0], [1e-4, 0, 0], [0, 0, 0], [1e-9, 0, 1e-9], [1e6, 0, 0], [0, 8, 0]]
    )
    velocity = np.array(
        [[0.0, 0, 0], [0, 100, 0], [0, 0, 10], [0, 0, 0], [1e5, 0, 0], [0, 1, 0], [1e-30, 0, 1e-30]]
    )
    result = integrate_orbits(position, velocity, SETTINGS)
    for values in _arrays(result):
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (result.eccentricity <= 1).all()
    # Stars that fall through the centre are not resolved, and say so.
    assert (result.flag[[0, 1, 2, 6]] == PERICENTRE_UNRESOLVED).all()


def test_orbits_thrown_out_by_an_unresolved_centre_stay_where_their_energy_allows() -> None:
    """A star at rest cannot get farther out than it is, in a potential that is round."""
    result = integrate_orbits(np.array([[8.0, 0, 0]]), np.zeros((1, 3)), SETTINGS)
    assert result.flag[0] == PERICENTRE_UNRESOLVED
    # The energy is conserved to the bisection's 64 halvings of 1e7 kpc: to rounding.
    assert result.apocentre_kpc[0] == pytest.approx(8, rel=1e-9)


def test_a_turning_point_that_is_not_reached_is_flagged() -> None:
    """Outward on a long orbit: back at the start neither far out nor near the centre."""
    position = np.array([[-8.0, 0, 0]] * 3)
    velocity = np.array([[-440.0, 30, 0], [-450, 40, 0], [-200, 40, 0]])
    result = integrate_orbits(position, velocity, SETTINGS)
    assert list(result.flag) == [TURN_BEYOND, TURN_BEYOND, RESOLVED]
    assert result.pericentre_kpc[:2] == pytest.approx(8)


def test_rounding_of_radii_does_not_hide_a_turning_point_not_reached() -> None:
    """Stars that leave outward and are not back: the smallest radius is where they start."""
    at = np.random.default_rng(4).normal(size=(500, 3)) * 5
    velocity = 450 * at / np.linalg.norm(at, axis=1)[:, None] + [3.0, 20.0, 5.0]
    settings = Integration(
        duration_gyr=0.01, step_myr=0.1, shortest_step_myr=0.003, step_fraction=0.9
    )
    result = integrate_orbits(at, velocity, settings)
    assert np.isin(result.flag, (TURN_BEYOND, UNBOUND)).all()
    np.testing.assert_allclose(result.pericentre_kpc, np.linalg.norm(at, axis=1), rtol=1e-14)


@pytest.mark.parametrize(
    ("position", "velocity", "message"),
    [
        (np.full((1, 3), 1e200), np.zeros((1, 3)), "beyond 1e\\+07 kpc"),
        (np.zeros((1, 3)), np.full((1, 3), 3e5), "the speed of light"),
        (np.zeros(3), np.zeros(3), "shape"),
        (np.zeros((2, 3)), np.zeros((5, 3)), "shape"),
    ],
)
def test_what_is_no_star_is_refused(
    position: np.ndarray, velocity: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        integrate_orbits(position, velocity, SETTINGS)


def test_an_orbit_does_not_depend_on_its_neighbours() -> None:
    position, velocity, _ = mixed(100, 3)
    together = integrate_orbits(position, velocity, SETTINGS)
    shuffled = np.random.default_rng(0).permutation(100)
    again = integrate_orbits(position[shuffled], velocity[shuffled], SETTINGS)
    alone = [
        integrate_orbits(position[i : i + 1], velocity[i : i + 1], SETTINGS) for i in range(20)
    ]
    for k, values in enumerate(_arrays(together)):
        np.testing.assert_array_equal(values[shuffled], _arrays(again)[k])
        np.testing.assert_array_equal(values[:20], [_arrays(a)[k][0] for a in alone])


def test_progress_counts_every_star_once() -> None:
    position, velocity, _ = mixed(50, 4)
    counts: list[int] = []
    integrate_orbits(position, velocity, SETTINGS, counts.append)
    assert sum(counts) == 50


def test_no_stars_give_no_orbits() -> None:
    result = integrate_orbits(np.empty((0, 3)), np.empty((0, 3)), SETTINGS)
    assert all(a.shape == (0,) for a in _arrays(result))


def test_missing_coordinates_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        integrate_orbits(np.array([[np.nan, 0, 0]]), np.zeros((1, 3)), SETTINGS)


def test_the_spherical_part_and_the_disc_are_all_of_it() -> None:
    position = np.random.default_rng(6).normal(size=(3, 50)) * 10
    parts = mw_potential_2014()
    total = sum(parts[name].energy(position * u.kpc) for name in ("bulge", "halo", "disk"))
    np.testing.assert_allclose(energy(position.T), total.to_value(u.km**2 / u.s**2), rtol=1e-14)
