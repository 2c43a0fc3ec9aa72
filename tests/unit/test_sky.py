"""The embedded sky: distribution functions, stars, measurements."""

import numpy as np
import pytest
from galpy.df import jeans
from galpy.potential import MWPotential2014
from scipy import stats

from mwatlas.astrometry.frames import phase_space, spherical_velocity
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config import Settings
from mwatlas.dynamics.potential import circular_velocity, gradient
from mwatlas.sky import survey as measured
from mwatlas.sky.galaxy import SKY_FRAME, Disc, Halo, galaxy
from mwatlas.sky.generate import Sky
from mwatlas.sky.optimum import Selection, optimal_prediction
from mwatlas.tables.schemas import GAIA_SOURCE, SKY_TRUTH, ZERO_POINT_INPUTS, Columns

SUN = SKY_FRAME.affine()[1][None]


@pytest.fixture(scope="module")
def components(settings: Settings) -> list:
    return galaxy(settings.adapter.source.components)


def test_densities_at_the_sun_are_the_local_fractions(components: list) -> None:
    local = [c.density(SUN)[0] for c in components]
    np.testing.assert_allclose(local, [c.local_fraction for c in components], rtol=1e-9)
    assert sum(local) == pytest.approx(1)


def test_discs_fall_off_with_their_scales(components: list) -> None:
    thin = components[0]
    settings = thin.settings
    up = SUN + np.array([0, 0, settings.scale_height_kpc])
    out = SUN * [[1 + settings.scale_length_kpc / np.linalg.norm(SUN[0, :2]), 1, 1]]
    assert thin.density(up)[0] / thin.density(SUN)[0] == pytest.approx(np.exp(-1))
    assert thin.density(out)[0] / thin.density(SUN)[0] == pytest.approx(np.exp(-1), rel=1e-3)


@pytest.mark.parametrize("which", [0, 1])
def test_discs_obey_the_vertical_jeans_equation(components: list, which: int) -> None:
    disc: Disc = components[which]
    height = np.linspace(0.05, 2.5, 200)
    points = np.stack([np.full(200, -8.1), np.zeros(200), height], axis=1)
    pressure = disc.density(points) * disc.velocities(points).sigma[:, 2] ** 2
    force = gradient(points)[:, 2]
    # d(n sigma_z^2)/dz = -n dPhi/dz; the grid is linear in height with steps of 10 to 40 pc.
    slope = np.gradient(pressure, height)
    np.testing.assert_allclose(slope[2:-2], (-disc.density(points) * force)[2:-2], rtol=0.03)


def test_the_thin_disc_lags_by_its_asymmetric_drift(components: list) -> None:
    rotation = -components[0].velocities(SUN).mean[0] @ [0, -1, 0]
    lag = circular_velocity(np.array(8.1)) - rotation
    # Stromberg: sigma_R^2 / (2 v_c) (R/R_d + 2R/R_sigma - ...) is 8 to 14 km/s for 35 km/s.
    assert 4 < lag < 16


def test_local_dispersions_are_in_the_published_ranges(components: list) -> None:
    thin, thick, halo, gse = (c.velocities(SUN).sigma[0] for c in components)
    # Bland-Hawthorn & Gerhard (2016), table 5 and section 5.1: (sigma_R, sigma_phi, sigma_z).
    assert 30 <= thin[0] <= 40
    assert 0.6 < thin[1] / thin[0] < 0.75
    assert 15 <= thin[2] <= 30
    assert 45 <= thick[0] <= 60
    assert 35 <= thick[2] <= 55
    # Halo: 130 to 150 km/s radially; GSE 150 to 190, strongly radial (Belokurov et al. 2018).
    assert 120 < halo[0] < 160
    assert 150 < gse[0] < 200
    assert gse[1] / gse[0] == pytest.approx(np.sqrt(1 - 0.88))


def test_the_halo_obeys_the_jeans_equation_of_galpy(components: list) -> None:
    halo: Halo = components[2]
    for radius in (5.0, 8.0, 12.0):
        expected = 220 * jeans.sigmar(
            MWPotential2014,
            radius / 8,
            dens=lambda r: r**-halo.settings.density_slope,
            beta=halo.settings.anisotropy,
        )
        sigma = halo.velocities(np.array([[radius, 0.0, 0.0]])).sigma[0, 0]
        # galpy takes the force at one latitude, we average over the sphere: a few per cent.
        assert sigma == pytest.approx(expected, rel=0.04)


def test_the_sky_has_the_asked_number_of_stars(sky_stars: tuple, small_sky: Settings) -> None:
    stars, truth = sky_stars
    assert len(stars["source_id"]) == small_sky.adapter.source.n_stars
    assert (np.diff(stars["source_id"]) > 0).all()
    assert (stars["source_id"] == truth["source_id"]).all()


def test_the_sky_keeps_the_archives_contract(sky_stars: tuple, small_sky: Settings) -> None:
    stars, truth = sky_stars
    GAIA_SOURCE.without(small_sky.adapter.absent_raw()).conform(stars, "sky")
    SKY_TRUTH.conform(truth, "truth")


def test_the_same_seed_gives_the_same_cell(small_sky: Settings) -> None:
    adapter = small_sky.adapter
    one = Sky(adapter.source, 7, adapter.healpix_order).cell(20)
    two = Sky(adapter.source, 7, adapter.healpix_order).cell(20)
    other = Sky(adapter.source, 8, adapter.healpix_order).cell(20)
    for a, b in zip(one, two, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    assert not np.array_equal(one[0]["parallax"], other[0]["parallax"])


def test_magnitudes_keep_their_limits(sky_stars: tuple, small_sky: Settings) -> None:
    survey = small_sky.adapter.source.survey
    g = sky_stars[1]["phot_g_mean_mag_true"]
    assert survey.g_bright <= g.min()
    assert g.max() <= survey.g_faint
    assert sky_stars[1]["distance_kpc_true"].max() <= survey.max_distance_kpc


def _pull(stars: Columns, truth: Columns, name: str) -> np.ndarray:
    return (stars[name] - truth[f"{name}_true"]) / stars[f"{name}_error"]


@pytest.mark.parametrize("name", ["pmra", "pmdec", "radial_velocity"])
def test_measurement_errors_are_as_stated(sky_stars: tuple, name: str) -> None:
    pull = _pull(*sky_stars, name)
    pull = pull[np.isfinite(pull)]
    assert stats.kstest(pull, "norm").pvalue > 1e-3


def test_the_parallax_is_right_once_the_zero_point_is_removed(sky_stars: tuple) -> None:
    stars, truth = sky_stars
    typed = GAIA_SOURCE.without(["dr2_radial_velocity", "dr2_radial_velocity_error"]).conform(
        stars, "sky"
    )
    zero_point = parallax_zero_point(*(typed[name] for name in ZERO_POINT_INPUTS))
    residual = typed["parallax"] - 1 / truth["distance_kpc_true"]
    corrected = ((residual - zero_point) / typed["parallax_error"])[np.isfinite(zero_point)]
    assert stats.kstest(corrected, "norm").pvalue > 1e-3
    raw = (residual / typed["parallax_error"])[np.isfinite(zero_point)]
    assert stats.kstest(raw, "norm").pvalue < 1e-6


@pytest.mark.parametrize("code", [0, 1, 3])
def test_velocities_follow_their_distribution(
    sky_stars: tuple, components: list, code: int
) -> None:
    stars, truth = sky_stars
    mine = truth["component"] == code
    phase = phase_space(
        SKY_FRAME,
        stars["ra"][mine],
        stars["dec"][mine],
        1 / truth["distance_kpc_true"][mine],
        truth["pmra_true"][mine],
        truth["pmdec_true"][mine],
    )
    velocity = phase.velocity_kms(truth["radial_velocity_true"][mine])
    ellipsoid = components[code].velocities(phase.position_kpc)
    pulls = np.einsum("nki,ni->nk", ellipsoid.axes, velocity - ellipsoid.mean) / ellipsoid.sigma
    for axis in range(3):
        assert stats.kstest(pulls[:, axis], "norm").pvalue > 1e-3


def test_positions_follow_the_density(small_sky: Settings, sky_stars: tuple) -> None:
    """Mean height and distance of each disc against the integral of density times visibility."""
    source, (_, truth) = small_sky.adapter.source, sky_stars
    import healpy

    from mwatlas.astrometry.frames import sky_basis

    ra, dec = healpy.pix2ang(32, np.arange(12 * 32**2), nest=True, lonlat=True)
    radial, _, _ = sky_basis(np.radians(ra), np.radians(dec))
    rotation, offset = SKY_FRAME.affine()
    distance = np.linspace(0.01, source.survey.max_distance_kpc, 400)
    points = (radial @ rotation.T)[:, None] * distance[:, None] + offset
    for code in (0, 1):
        component = galaxy(source.components)[code]
        weight = component.density(points.reshape(-1, 3)).reshape(len(ra), -1)
        weight = (
            weight
            * distance**2
            * measured.visible_share(distance, component.giant_share, source.survey).sum(axis=0)
        )
        drawn = truth["distance_kpc_true"][truth["component"] == code]
        mean = (weight.sum(axis=0) * distance).sum() / weight.sum()
        assert drawn.mean() == pytest.approx(mean, abs=4 * drawn.std() / np.sqrt(drawn.size))


def test_which_stars_have_a_velocity(sky_stars: tuple, small_sky: Settings) -> None:
    stars, _ = sky_stars
    g, has = stars["phot_g_mean_mag"], np.isfinite(stars["radial_velocity"])
    limit = small_sky.adapter.source.survey.radial_velocity_g_limit
    assert has[g < limit - 2].all()
    assert not has[g > limit + 2].any()
    np.testing.assert_array_equal(has, np.isfinite(stars["radial_velocity_error"]))


def test_the_optimum_is_calibrated(sky_stars: tuple, small_sky: Settings) -> None:
    """The computed conditional mean and spread are those of the drawn stars."""
    stars, truth = sky_stars
    typed = GAIA_SOURCE.without(["dr2_radial_velocity", "dr2_radial_velocity_error"]).conform(
        stars, "sky"
    )
    corrected = typed["parallax"] - parallax_zero_point(
        *(typed[name] for name in ZERO_POINT_INPUTS)
    )
    g = typed["phot_g_mean_mag"]
    with np.errstate(invalid="ignore"):
        chosen = (
            (corrected > 0)
            & (typed["parallax_error"] / corrected < 0.2)
            & (g >= 6)
            & (g <= 17)
            & np.isfinite(typed["radial_velocity"])
        )
    optimum = optimal_prediction(
        small_sky.adapter.source,
        Selection(6, 17, 0.2),
        *(typed[n][chosen] for n in ("ra", "dec")),
        corrected[chosen],
        *(typed[n][chosen] for n in ("pmra", "pmdec")),
    )
    pull = (truth["radial_velocity_true"][chosen] - optimum.mean) / optimum.sigma
    error = 1 / np.sqrt(pull.size)
    assert abs(pull.mean()) < 4 * error
    # The pulls are mixtures of normals: their width scatters by about 1.5 errors.
    assert pull.std() == pytest.approx(1, abs=5 * error)
    # No other prediction does better; one that ignores proper motions does much worse.
    loss = 0.5 * pull**2 + np.log(optimum.sigma)
    constant = np.log(truth["radial_velocity_true"][chosen].std()) + 0.5
    assert loss.mean() < constant - 0.3


def test_halo_stars_have_no_net_rotation(sky_stars: tuple) -> None:
    stars, truth = sky_stars
    mine = truth["component"] >= 2
    phase = phase_space(
        SKY_FRAME,
        stars["ra"][mine],
        stars["dec"][mine],
        1 / truth["distance_kpc_true"][mine],
        truth["pmra_true"][mine],
        truth["pmdec_true"][mine],
    )
    v_phi = spherical_velocity(
        phase.position_kpc, phase.velocity_kms(truth["radial_velocity_true"][mine])
    )[:, 2]
    assert abs(v_phi.mean()) < 4 * v_phi.std() / np.sqrt(v_phi.size)
