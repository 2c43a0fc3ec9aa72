"""The populations of the embedded sky: densities, moments, velocities, and that they stay."""

import astropy.units as u
import gala.dynamics as gd
import gala.integrate as gi
import gala.potential as gp
import numpy as np
import pytest
from scipy import stats

from mwatlas.astrometry.frames import spherical_velocity
from mwatlas.config import Settings
from mwatlas.dynamics.potential import circular_velocity, energy, mw_potential_2014
from mwatlas.sky.galaxy import SKY_FRAME, Galaxy
from mwatlas.sky.properties import local_properties

SUN = SKY_FRAME.affine()[1][None]
THIN, THICK, HALO, GSE, BULGE = range(5)


def _members(galaxy: Galaxy, component: int) -> list[int]:
    return [n for n, p in enumerate(galaxy.populations) if p.component == component]


def _density(galaxy: Galaxy, component: int, position: np.ndarray) -> np.ndarray:
    return sum(galaxy.density(n, position) for n in _members(galaxy, component))


def _column(height: np.ndarray) -> np.ndarray:
    radius = np.hypot(SUN[0, 0], SUN[0, 1])
    return np.stack([np.full_like(height, -radius), np.zeros_like(height), height], axis=1)


def test_densities_at_the_sun_are_the_local_fractions(settings: Settings, galaxy: Galaxy) -> None:
    components = settings.adapter.source.components
    for code, name in enumerate(("thin_disc", "thick_disc", "halo", "gse")):
        expected = getattr(components, name).local_fraction
        assert _density(galaxy, code, SUN)[0] == pytest.approx(expected, rel=1e-9)
    assert _density(galaxy, BULGE, SUN)[0] == 0


def test_local_properties_are_in_the_published_ranges(galaxy: Galaxy) -> None:
    for one in local_properties(galaxy):
        assert one.low <= one.value <= one.high, one


def test_old_discs_rotate_more_slowly(galaxy: Galaxy) -> None:
    rotation = [-galaxy.moments(n, SUN)[0][0, 1] for n in _members(galaxy, THIN)]
    lag = circular_velocity(np.array(8.122)) - np.abs(rotation)
    assert (np.diff(lag) > 0).all()


@pytest.mark.parametrize("component", [THIN, THICK, HALO, GSE])
def test_velocities_have_the_tabulated_moments(galaxy: Galaxy, component: int) -> None:
    number = _members(galaxy, component)[-1]
    stars = 20_000
    place = np.repeat(np.array([[-7.0, 2.0, 0.4]]), stars, axis=0)
    velocity = galaxy.draw_velocities(number, place, np.random.default_rng(5))
    mean, axes, sigma = galaxy.moments(number, place[:1])
    own = (velocity - mean) @ axes[0].T
    # Sampling, and 1.5 per cent for the interpolation of the table.
    kurtosis = stats.kurtosis(own, axis=0)
    error = sigma[0] * np.sqrt((kurtosis + 2) / (4 * stars))
    np.testing.assert_allclose(own.std(axis=0), sigma[0], atol=(4 * error + 0.015 * sigma[0]).max())
    np.testing.assert_allclose(
        own.mean(axis=0), 0, atol=(4 * sigma[0] / np.sqrt(stars)).max() + 0.5
    )


def _draw(galaxy: Galaxy, number: int, stars: int, rng: np.random.Generator) -> tuple:
    """Stars of a population from all over the Galaxy."""
    radius, height = np.linspace(0.0, 25.0, 501), np.linspace(0.0, 20.0, 801)
    mid_r, mid_z = 0.5 * (radius[1:] + radius[:-1]), 0.5 * (height[1:] + height[:-1])
    grid = np.stack(np.broadcast_arrays(mid_r[:, None], 0.0, mid_z), axis=-1)
    mass = galaxy.density(number, grid.reshape(-1, 3)).reshape(grid.shape[:2]) * mid_r[:, None]
    cells = rng.choice(mass.size, stars, p=mass.ravel() / mass.sum())
    i, j = np.unravel_index(cells, mass.shape)
    r = radius[i] + np.diff(radius)[0] * rng.random(stars)
    z = (height[j] + np.diff(height)[0] * rng.random(stars)) * rng.choice([-1, 1], stars)
    angle = rng.uniform(0, 2 * np.pi, stars)
    position = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)
    return position, galaxy.draw_velocities(number, position, rng)


def _after(position: np.ndarray, velocity: np.ndarray, gyr: float, step_myr: float) -> tuple:
    """Where gala's leapfrog brings stars."""
    hamiltonian = gp.Hamiltonian(mw_potential_2014())
    ends = []
    for start in range(0, len(position), 2000):
        piece = slice(start, start + 2000)
        orbit = hamiltonian.integrate_orbit(
            gd.PhaseSpacePosition(position[piece].T * u.kpc, velocity[piece].T * u.km / u.s),
            dt=step_myr * u.Myr,
            n_steps=round(1000 * gyr / step_myr),
            Integrator=gi.LeapfrogIntegrator,
            save_all=False,
        )
        ends.append(
            np.concatenate(
                [
                    orbit.xyz.to_value(u.kpc).reshape(3, -1),
                    orbit.v_xyz.to_value(u.km / u.s).reshape(3, -1),
                ]
            )
        )
    end = np.concatenate(ends, axis=1)
    return end[:3].T, end[3:].T


@pytest.mark.parametrize(
    ("component", "stars", "step_myr"),
    [
        (THIN, 12_000, 1.0),
        (THICK, 12_000, 1.0),
        (HALO, 16_000, 0.25),
        (GSE, 16_000, 0.25),
        (BULGE, 12_000, 0.25),
    ],
)
def test_populations_are_stationary(
    galaxy: Galaxy, component: int, stars: int, step_myr: float
) -> None:
    """Density and velocity moments after 1 Gyr are those before, within the sampling error."""
    rng = np.random.default_rng(11)
    number = _members(galaxy, component)[-1]
    position, velocity = _draw(galaxy, number, stars, rng)
    # Energy is conserved, so part of its range is as stationary as the whole. Stars above can
    # leave the region of the draw; those below pass the centre faster than the step resolves.
    nearest = 0.3 if component == BULGE else 1.0
    low, high = energy(np.array([[nearest, 0, 0], [20.0, 0, 0]]))
    total = energy(position) + 0.5 * (velocity**2).sum(axis=1)
    kept = (total > low) & (total < high)
    before = position[kept], velocity[kept]
    after = _after(*before, gyr=1.0, step_myr=step_myr)
    scale = {THIN: 0.25, THICK: 0.8, HALO: 3.0, GSE: 3.0, BULGE: 0.3}[component]
    rings = (
        ((0.5, 1.0), (1.0, 1.5), (1.5, 2.5)) if component == BULGE else ((4, 6), (6, 8), (8, 10))
    )
    rows = []
    for place, speed in (before, after):
        spherical = spherical_velocity(place, speed)
        radius, height = np.hypot(place[:, 0], place[:, 1]), np.abs(place[:, 2])
        for low, high in rings:
            for bottom, top in ((0, 1), (1, 2), (2, 4)):
                here = (
                    (radius >= low)
                    & (radius < high)
                    & (height >= bottom * scale)
                    & (height < top * scale)
                )
                rows.append((here.sum(), spherical[here]))
    half = len(rows) // 2
    deviations = []
    for (n_before, v_before), (n_after, v_after) in zip(rows[:half], rows[half:], strict=True):
        if min(n_before, n_after) < 60:
            continue
        # The samples share stars, which makes these errors upper limits.
        deviations.append((n_after - n_before) / np.sqrt(n_before + n_after))
        difference = v_after.mean(axis=0) - v_before.mean(axis=0)
        error = np.sqrt(v_before.var(axis=0) / n_before + v_after.var(axis=0) / n_after)
        deviations.extend(difference / error)
        for axis in range(3):
            spread = [
                (
                    v[:, axis].var(),
                    v[:, axis].var() ** 2 * (stats.kurtosis(v[:, axis]) + 2) / len(v),
                )
                for v in (v_before, v_after)
            ]
            deviations.append((spread[1][0] - spread[0][0]) / np.sqrt(spread[0][1] + spread[1][1]))
    deviations = np.array(deviations)
    assert len(deviations) >= 28
    assert stats.chi2.sf((deviations**2).sum(), len(deviations)) > 1e-3
    assert np.abs(deviations).max() < 4.5


def test_the_phase_density_integrates_to_the_density(galaxy: Galaxy) -> None:
    """Importance sampling with the tabulated moments, 1 per cent by Monte Carlo."""
    rng = np.random.default_rng(2)
    for number in range(len(galaxy.populations) - 1):
        place = np.array([[-7.5, 1.0, 0.3]])
        mean, axes, sigma = galaxy.moments(number, place)
        scaled = rng.standard_t(4, (60_000, 3))
        velocity = mean + (scaled * sigma) @ axes[0]
        log_proposal = stats.t.logpdf(scaled, 4).sum(axis=1) - np.log(sigma).sum()
        weight = np.exp(
            galaxy.log_phase_density(number, np.repeat(place, len(scaled), axis=0), velocity)
            - log_proposal
        )
        error = weight.std() / np.sqrt(len(weight))
        expected = galaxy.density(number, place)[0]
        # 3 per cent for the linear interpolation of ln density, coarsest for the youngest disc.
        assert weight.mean() == pytest.approx(expected, abs=4 * error + 0.03 * expected)
