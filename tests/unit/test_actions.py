"""Integrals of motion against closed forms, galpy and integrated orbits."""

import numpy as np
import pytest
from galpy.actionAngle import actionAngleStaeckel, estimateDeltaStaeckel
from galpy.potential import MWPotential2014

from mwatlas.dynamics.actions import focal_distance, integrals_of_motion
from mwatlas.dynamics.orbits import RESOLVED, UNBOUND
from mwatlas.dynamics.potential import circular_velocity, energy, gradient
from mwatlas.errors import InputError
from tests.unit.orbit_samples import GM, Isochrone, Kepler, gala_orbits, mixed


def test_actions_are_galpys() -> None:
    position, velocity, kind = mixed(2000, 1)
    ours = integrals_of_motion(position, velocity)
    x, y, z = position.T
    radius = np.hypot(x, y)
    v_r = (x * velocity[:, 0] + y * velocity[:, 1]) / radius
    v_t = (x * velocity[:, 1] - y * velocity[:, 0]) / radius
    focus = focal_distance(radius, np.abs(z))
    fudge = actionAngleStaeckel(pot=MWPotential2014, delta=0.45, c=True)
    theirs = fudge(
        radius / 8, v_r / 220, v_t / 220, z / 8, velocity[:, 2] / 220, delta=focus / 8, order=50
    )
    j_r, l_z, j_z = (8 * 220 * np.asarray(a) for a in theirs)
    bound = ours.flag == RESOLVED
    np.testing.assert_allclose(ours.l_z, l_z, rtol=1e-12)
    # The two codes' constants differ by 1e-4, which radial actions of nearly circular orbits
    # magnify; vertical ones of halos have our quadrature's error of up to 2e-3.
    assert np.median(np.abs(ours.j_r / j_r - 1)[bound]) < 1e-3
    assert np.percentile(np.abs(ours.j_r / j_r - 1)[bound & (kind > 0)], 99) < 3e-2
    assert np.median(np.abs(ours.j_z / j_z - 1)[bound]) < 1e-4
    assert np.abs(ours.j_z / j_z - 1)[bound].max() < 5e-3


def test_the_focal_distance_is_galpys() -> None:
    for radius, height in ((6.0, 0.5), (8.0, 1.0), (12.0, 3.0)):
        ours = focal_distance(np.array([radius]), np.array([height]))[0]
        theirs = 8 * estimateDeltaStaeckel(MWPotential2014, radius / 8, height / 8)
        # The tables' derivatives are good to 1e-4, which the fraction magnifies.
        assert ours == pytest.approx(theirs, rel=2e-3)


def test_actions_of_an_isochrone() -> None:
    """Binney & Tremaine (2008), eqs. 3.225 and 3.226."""
    potential = Isochrone(3.0)
    position, velocity, _ = mixed(400, 2)
    result = integrals_of_motion(position, velocity, potential)
    bound = result.flag == RESOLVED
    momentum = np.linalg.norm(np.cross(position, velocity), axis=1)
    j_r = (
        GM / np.sqrt(-2 * result.energy[bound])
        - 0.5 * (momentum + np.sqrt(momentum**2 + 4 * GM * 3.0))[bound]
    )
    # The focal distance is 2e-3 of the radius, a sphere to 1e-3 for pericentres ten times closer.
    np.testing.assert_allclose(result.j_r[bound], j_r, rtol=1e-3, atol=1e-3)
    j_z = (momentum - np.abs(result.l_z))[bound]
    np.testing.assert_allclose(result.j_z[bound], j_z, rtol=3e-3, atol=1e-3)


def test_actions_of_kepler_orbits() -> None:
    position = np.array([[-8.0, 0, 0], [8, 0, 0], [0, 5, 3]])
    velocity = np.array([[50.0, 200, 0], [0, -150, 60], [-100, 20, 90]])
    result = integrals_of_motion(position, velocity, Kepler())
    momentum = np.linalg.norm(np.cross(position, velocity), axis=1)
    np.testing.assert_allclose(result.j_r, GM / np.sqrt(-2 * result.energy) - momentum, rtol=1e-3)
    np.testing.assert_allclose(result.j_z, momentum - np.abs(result.l_z), rtol=1e-3, atol=1e-3)


def test_small_oscillations_have_energy_over_frequency() -> None:
    """J_r = E_r / kappa and J_z = E_z / nu near circular orbits in the plane."""
    radius, step = 8.0, 1e-3

    def force(r: float, z: float) -> np.ndarray:
        return gradient(np.array([[r, 0, z]]))[0]

    slope = (force(radius + step, 0)[0] - force(radius - step, 0)[0]) / (2 * step)
    kappa = np.sqrt(slope + 3 * force(radius, 0)[0] / radius)
    nu = np.sqrt(force(radius, step)[2] / step)
    speed = float(circular_velocity(np.array(radius)))
    result = integrals_of_motion(np.array([[-radius, 0, 0]]), np.array([[1.0, speed, 0.5]]))
    # The next order is that of the amplitudes over the radius and the disc's height: 1e-2 each.
    assert result.j_r[0] == pytest.approx(0.5 * 1.0**2 / kappa, rel=2e-2)
    assert result.j_z[0] == pytest.approx(0.5 * 0.5**2 / nu, rel=2e-2)


def test_circular_and_planar_orbits() -> None:
    radius = np.array([2.0, 8.0, 20.0])
    position = np.stack([-radius, 0 * radius, 0 * radius], axis=1)
    velocity = np.stack([0 * radius, circular_velocity(radius), 0 * radius], axis=1)
    result = integrals_of_motion(position, velocity)
    # The tables' energies (1e-8) and the nudge (1e-6) leave radial actions of that order.
    np.testing.assert_allclose(result.j_r, 0, atol=1e-3)
    np.testing.assert_allclose(result.j_z, 0, atol=1e-6)
    np.testing.assert_allclose(result.l_z, -radius * circular_velocity(radius), rtol=1e-15)


@pytest.mark.parametrize("v_z", [0.0, 30.0])
def test_stars_at_turning_points_have_the_action_of_their_neighbours(v_z: float) -> None:
    position = np.array([[-8.0, 0, 0.5]] * 2)
    for speed in (120.0, 280.0):
        velocity = np.array([[0.0, speed, v_z], [1e-3, speed, v_z + 1e-3]])
        result = integrals_of_motion(position, velocity)
        assert result.j_r[0] == pytest.approx(result.j_r[1], rel=1e-4)
        assert result.j_z[0] == pytest.approx(result.j_z[1], rel=1e-3)
        assert result.j_r[0] > 10


def test_integrals_are_conserved_along_orbits() -> None:
    position, velocity, kind = mixed(90, 3)
    x, v = gala_orbits(position, velocity, 2.0, 20.0, tolerance=1e-12)
    result = integrals_of_motion(x.reshape(-1, 3), v.reshape(-1, 3))
    shape = x.shape[:2]
    scale = np.abs(energy(position))
    # What the integrator conserves, 1e-12 per step of a few Myr.
    change = np.ptp(result.energy.reshape(shape), axis=0) / scale
    assert change.max() < 1e-8
    assert (np.ptp(result.l_z.reshape(shape), axis=0) / np.abs(result.l_z[:90])).max() < 1e-8
    # Actions as well as the potential is of Staeckel form: per mille for discs, per cent for
    # halos (Sanders & Binney 2016, fig. 4, find the same).
    bound = (result.flag.reshape(shape) == RESOLVED).all(axis=0)
    for action, limits in ((result.j_r, (0.005, 0.01, 0.05)), (result.j_z, (0.005, 0.01, 0.15))):
        along = action.reshape(shape)
        scatter = along.std(axis=0) / along.mean(axis=0)
        for which, limit in enumerate(limits):
            assert np.median(scatter[bound & (kind == which)]) < limit


def test_mirrored_and_reversed_stars_have_the_same_actions() -> None:
    position, velocity, _ = mixed(100, 4)
    here = integrals_of_motion(position, velocity)
    mirrored = integrals_of_motion(position * [1, 1, -1], velocity * [1, 1, -1])
    back = integrals_of_motion(position, -velocity)
    for other, sign in ((mirrored, 1), (back, -1)):
        np.testing.assert_array_equal(here.j_z, other.j_z)
        np.testing.assert_array_equal(here.j_r, other.j_r)
        np.testing.assert_array_equal(here.l_z, sign * other.l_z)


def test_pathological_stars_have_finite_integrals() -> None:
    position = np.array(
        [[-8.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 5], [0, 0, 1e-9], [1e6, 0, 0], [-8, 0, 0]]
    )
    velocity = np.array(
        [[0.0, 0, 0], [0, 0, 0], [0, 100, 0], [0, 0, 50], [0, 0, 0], [0, 0.1, 0], [0, 900, 0]]
    )
    result = integrals_of_motion(position, velocity)
    for values in (result.energy, result.l_z, result.j_r, result.j_z):
        assert np.isfinite(values).all()
    assert (result.j_r >= 0).all()
    assert (result.j_z >= 0).all()
    assert result.flag[6] == UNBOUND
    assert result.j_r[6] == result.j_z[6] == 0
    assert (result.flag[:5] == RESOLVED).all()


def test_missing_coordinates_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        integrals_of_motion(np.zeros((1, 3)), np.array([[0, np.inf, 0]]))


def test_no_stars_have_no_integrals() -> None:
    assert integrals_of_motion(np.empty((0, 3)), np.empty((0, 3))).j_r.shape == (0,)


def test_orbits_that_all_but_escape_have_no_action_and_say_so() -> None:
    """Their turning points lie beyond the potential's table, which once gave 1e24 kpc km/s."""
    position = np.array([[8.0, 0, 0]] * 3)
    escape = np.sqrt(-2 * energy(position[:1])[0])
    velocity = np.array([[0, -escape * (1 - share), 0] for share in (1e-9, 1e-6, 0.02)])
    result = integrals_of_motion(position, velocity)
    assert list(result.flag) == [UNBOUND, UNBOUND, RESOLVED]
    assert list(result.j_r[:2]) == [0, 0]
    # Nearly all of the orbit is far out in a falling potential: sqrt(G M r) sets the scale.
    assert 1e3 < result.j_r[2] < 1e6
