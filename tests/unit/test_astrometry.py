"""Frames and the parallax zero point."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import (
    CartesianDifferential,
    Galactocentric,
    SkyCoord,
    galactocentric_frame_defaults,
)
from zero_point import zpt

from mwatlas.astrometry.frames import (
    KMS_PER_MASYR_KPC,
    GalactocentricFrame,
    phase_space,
    spherical_basis,
    spherical_velocity,
)
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config import Settings


def _stars(number: int = 500) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {
        "ra": rng.uniform(0, 360, number),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, number))),
        "parallax": rng.uniform(0.1, 20, number),
        "pmra": rng.normal(0, 40, number),
        "pmdec": rng.normal(0, 40, number),
    }


@pytest.mark.parametrize("name", ["astropy_v4", "dropulic2021"])
def test_phase_space_is_that_of_astropy(settings: Settings, name: str) -> None:
    solar = getattr(settings.line_of_sight.frames, name)
    frame = GalactocentricFrame(solar.galcen_distance_kpc, solar.z_sun_pc, solar.v_sun_kms)
    stars = _stars()
    v_los = np.random.default_rng(3).normal(0, 100, stars["ra"].size)
    ours = phase_space(frame, **stars)
    theirs = SkyCoord(
        stars["ra"] * u.deg,
        stars["dec"] * u.deg,
        distance=1 / stars["parallax"] * u.kpc,
        pm_ra_cosdec=stars["pmra"] * u.mas / u.yr,
        pm_dec=stars["pmdec"] * u.mas / u.yr,
        radial_velocity=v_los * u.km / u.s,
    ).transform_to(
        Galactocentric(
            galcen_distance=solar.galcen_distance_kpc * u.kpc,
            z_sun=solar.z_sun_pc * u.pc,
            galcen_v_sun=CartesianDifferential(list(solar.v_sun_kms) * u.km / u.s),
        )
    )
    # Rounding of a rotation: a few units in the last place of 10 kpc and 1000 km/s.
    np.testing.assert_allclose(
        ours.position_kpc, theirs.cartesian.xyz.to_value(u.kpc).T, rtol=0, atol=1e-13
    )
    np.testing.assert_allclose(
        ours.velocity_kms(v_los), theirs.velocity.d_xyz.to_value(u.km / u.s).T, rtol=0, atol=1e-10
    )


def test_the_default_frame_is_astropys_v4(settings: Settings) -> None:
    with galactocentric_frame_defaults.set("v4.0"):
        default = Galactocentric()
    solar = settings.line_of_sight.solar_frame
    assert default.galcen_distance.to_value(u.kpc) == solar.galcen_distance_kpc
    assert default.z_sun.to_value(u.pc) == solar.z_sun_pc
    assert tuple(default.galcen_v_sun.xyz.to_value(u.km / u.s)) == solar.v_sun_kms


def test_draws_equal_single_velocities() -> None:
    frame = GalactocentricFrame(8.122, 20.8, (12.9, 245.6, 7.78))
    phase = phase_space(frame, **_stars(20))
    draws = np.random.default_rng(4).normal(size=(20, 3)) * 50
    together = phase.velocity_kms(draws)
    for i in range(3):
        np.testing.assert_array_equal(together[:, i], phase.velocity_kms(draws[:, i]))
    np.testing.assert_array_equal(
        spherical_velocity(phase.position_kpc, together)[:, 1],
        spherical_velocity(phase.position_kpc, together[:, 1]),
    )


def test_spherical_velocities_in_closed_form() -> None:
    rng = np.random.default_rng(5)
    x, v = rng.normal(size=(2, 200, 3))
    radius, planar = np.linalg.norm(x, axis=1), np.hypot(x[:, 0], x[:, 1])
    expected = np.stack(
        [
            (x * v).sum(axis=1) / radius,
            (x[:, 2] * (x[:, :2] * v[:, :2]).sum(axis=1) - v[:, 2] * planar**2) / (radius * planar),
            (x[:, 0] * v[:, 1] - x[:, 1] * v[:, 0]) / planar,
        ],
        axis=1,
    )
    np.testing.assert_allclose(spherical_velocity(x, v), expected, atol=1e-13)


def test_disc_stars_rotate_with_negative_v_phi() -> None:
    frame = GalactocentricFrame(8.122, 20.8, (12.9, 245.6, 7.78))
    at_rest = phase_space(frame, [0.0], [0.0], [1e3], [0.0], [0.0])
    v_phi = spherical_velocity(at_rest.position_kpc, at_rest.velocity_kms([0.0]))[0, 2]
    assert v_phi == pytest.approx(-245.6, abs=0.1)


@pytest.mark.parametrize("position", [[0, 0, 0], [0, 0, 3], [0, 0, -3], [1, 0, 0]])
def test_the_basis_is_orthonormal_everywhere(position: list[float]) -> None:
    basis = spherical_basis(np.array([position], dtype=float))[0]
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(basis) == pytest.approx(1)


def test_the_constant_of_proper_motion() -> None:
    assert pytest.approx(4.74047, abs=1e-5) == KMS_PER_MASYR_KPC


def test_the_zero_point_is_that_of_the_package() -> None:
    rng = np.random.default_rng(6)
    size = 2000
    g, latitude = rng.uniform(6.1, 20.9, size), rng.uniform(-90, 90, size)
    five = rng.random(size) < 0.7
    nu_eff = np.where(five, rng.uniform(1.11, 1.89, size), np.nan)
    pseudo = np.where(five, np.nan, rng.uniform(1.25, 1.71, size))
    params = np.where(five, 31, 95)
    zpt.load_tables()
    expected = [
        zpt.get_zpt(
            np.array([g[i]]),
            np.array([nu_eff[i] if five[i] else -99.0]),
            np.array([pseudo[i] if not five[i] else -99.0]),
            np.array([latitude[i]]),
            np.array([params[i]]),
        )[0]
        for i in range(size)
    ]
    np.testing.assert_array_equal(
        parallax_zero_point(g, nu_eff, pseudo, latitude, params), expected
    )


@pytest.mark.parametrize(
    ("g", "nu_eff", "pseudo", "params"),
    [
        (5.9, 1.5, np.nan, 31),
        (21.1, 1.5, np.nan, 31),
        (np.nan, 1.5, np.nan, 31),
        (12.0, np.nan, np.nan, 31),
        (12.0, 1.95, np.nan, 31),
        (12.0, np.nan, 1.8, 95),
        (12.0, 1.5, np.nan, 95),
        (12.0, 1.5, 1.5, 3),
    ],
)
def test_no_zero_point_outside_the_recipe(
    g: float, nu_eff: float, pseudo: float, params: int
) -> None:
    value = parallax_zero_point(*(np.array([v]) for v in (g, nu_eff, pseudo, 10.0, params)))
    assert np.isnan(value[0])
