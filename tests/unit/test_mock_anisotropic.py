"""The mock with radial orbits: its draws against galpy, Jeans and the closed form of p(v|x)."""

import numpy as np
import pytest
import torch
from galpy.df import osipkovmerrittdf
from galpy.potential import PlummerPotential
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.stats import ks_2samp

from mwatlas.config.conditional_mock import Tracer
from mwatlas.potential.plummer import OsipkovMerrittPlummer
from mwatlas.random import draw_directions
from mwatlas.studies.conditional_potential.plummer import Plummer, draw_bound_velocities

GM, B, RA, RADIUS = 3.0e6, 1.7, 2.1, 6.0
SPHERE = Plummer(GM, B, RADIUS, RA)
SYSTEM = OsipkovMerrittPlummer(GM, B, RA)
# By inversion of the density, with no closed form. Its units: lengths of B, G M = B.
GALPY = osipkovmerrittdf(pot=PlummerPotential(amp=1.0, b=1.0), ra=RA / B)
NUMBER = 100_000
RADII = (0.3, 1.5, 4.5)
# Of a statistic of draws whose seed is fixed: passes by chance but once in ten thousand.
CHANCE = 1e-4


def _draws(radius: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial and two transverse velocities of stars at a radius, in all directions."""
    rng = np.random.default_rng(seed)
    place = radius * draw_directions(NUMBER, rng)
    v = SPHERE.draw_velocities(place, NUMBER, rng)
    return _components(place, v)


def _components(place: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outwards = place / np.linalg.norm(place, axis=1, keepdims=True)
    east = np.cross([0.0, 0.0, 1.0], outwards)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    north = np.cross(outwards, east)
    return tuple((v * axis).sum(axis=1) for axis in (outwards, east, north))


def _radial_variance(radius: float) -> float:
    """By the Jeans equation with r^2 + r_a^2 as its integrating factor."""

    def force_on_stars(r: float) -> float:
        return (r**2 + RA**2) * SPHERE.number_density(r) * GM * r / (r**2 + B**2) ** 1.5

    value, _ = quad(force_on_stars, radius, np.inf, epsrel=1e-10)
    return value / ((radius**2 + RA**2) * SPHERE.number_density(radius))


@pytest.mark.parametrize("radius", RADII)
def test_moments_are_those_of_jeans_and_of_galpy(radius: float) -> None:
    variance = _radial_variance(radius)
    beta = radius**2 / (radius**2 + RA**2)
    # galpy integrates its f to about 1e-4.
    assert GALPY.sigmar(radius / B) ** 2 * GM / B == pytest.approx(variance, rel=1e-3)
    assert GALPY.beta(radius / B) == pytest.approx(beta, rel=1e-3)
    along, *across = _draws(radius)
    expected = [variance, (1 - beta) * variance, (1 - beta) * variance]
    for component, true in zip((along, *across), expected, strict=True):
        square = component**2
        error = square.std() / np.sqrt(NUMBER)
        assert square.mean() == pytest.approx(true, abs=4 * error)
        assert component.mean() == pytest.approx(0, abs=4 * np.sqrt(true / NUMBER))
    products = along * across[0], along * across[1], across[0] * across[1]
    for product in products:
        assert product.mean() == pytest.approx(0, abs=4 * product.std() / np.sqrt(NUMBER))


def _f(q: float) -> float:
    """Merritt (1985) for one star, with G M = b = 1; his sigma_0^2 is then 1/6."""
    k = (B / RA) ** 2
    isotropic = 24 * np.sqrt(2) / (7 * np.pi**3) * q**3.5
    return isotropic * (1 - k + 63 / 4 * k * (6 * q) ** -2)


def test_f_gives_the_density_and_is_that_of_the_truth() -> None:
    unit = B**3 * (GM / B) ** 1.5
    for radius in RADII:
        # Minus the potential, which is Q of a star at rest.
        depth = 1 / np.hypot(radius / B, 1.0)
        # Of u = (v_r, v_t (1 + r^2 / r_a^2)^(1/2)), whose volume is larger by that sum.
        total, error = quad(
            lambda u, d=depth: 4 * np.pi * u**2 * _f(d - u**2 / 2), 0, np.sqrt(2 * depth)
        )
        density = 3 / (4 * np.pi) * depth**5
        assert total / (1 + (radius / RA) ** 2) == pytest.approx(density, abs=10 * error)
        place = torch.tensor([radius, 0.0, 0.0], dtype=torch.float64)
        at_rest = torch.exp(SYSTEM.log_phase_density(place, torch.zeros_like(place)))
        assert float(at_rest) * unit == pytest.approx(_f(depth), rel=1e-12)


def test_f_is_galpys() -> None:
    q = np.linspace(0.2, 0.95, 20)
    # Its interpolation of the inverted density is good to a few 1e-4.
    ratio = GALPY.fQ(q) / np.array([_f(each) for each in q])
    np.testing.assert_allclose(ratio, 1.0, rtol=1e-3)


@pytest.mark.parametrize("radius", RADII)
def test_draws_follow_the_closed_form(radius: float) -> None:
    """Against draws of the steady system, by rejection from its p(v|x)."""
    rng = np.random.default_rng(5)
    place = radius * draw_directions(NUMBER, rng)
    other = _components(place, SYSTEM.draw_velocities(place, rng))
    for ours, theirs in zip(_draws(radius), other, strict=True):
        assert ks_2samp(np.abs(ours), np.abs(theirs)).pvalue > CHANCE
    speeds = [np.sqrt(sum(c**2 for c in each)) for each in (_draws(radius), other)]
    assert ks_2samp(*speeds).pvalue > CHANCE
    assert speeds[0].max() < SPHERE.escape_speed(radius)


def test_fewer_stars_are_the_first_of_more() -> None:
    place = SPHERE.draw_positions(1000, np.random.default_rng(1))
    every = SPHERE.draw_velocities(place, 2000, np.random.default_rng(2))
    some = SPHERE.draw_velocities(place[:100], 2000, np.random.default_rng(2))
    np.testing.assert_array_equal(some, every[:100])


def test_isotropic_stars_are_those_of_the_speed_of_escape() -> None:
    sphere = Plummer(GM, B, RADIUS)
    place = sphere.draw_positions(1000, np.random.default_rng(1))
    speed = sphere.escape_speed(np.linalg.norm(place, axis=1))
    shares = draw_bound_velocities(2000, np.random.default_rng(2))[:1000]
    found = sphere.draw_velocities(place, 2000, np.random.default_rng(2))
    np.testing.assert_array_equal(found, speed[:, None] * shares)


def test_far_out_the_anisotropy_radius_does_not_matter() -> None:
    place = SPHERE.draw_positions(1000, np.random.default_rng(1))
    wide, isotropic = (
        Plummer(GM, B, RADIUS, radius).draw_velocities(place, 1000, np.random.default_rng(2))
        for radius in (1e9, None)
    )
    # Less the square of 6 / 1e9.
    np.testing.assert_allclose(wide, isotropic, rtol=1e-12)


def test_a_sphere_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"anisotropy_radius_kpc is 3, less than scale_kpc"):
        Tracer(scale_kpc=4.0, anisotropy_radius_kpc=3.0)
    assert Plummer.of(Tracer(anisotropy_radius_kpc=4.0)).anisotropy_radius_kpc == 4.0
    assert Plummer.of(Tracer()).anisotropy_radius_kpc is None
