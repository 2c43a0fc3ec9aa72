"""The embedded sky: its stars, and what Gaia makes of them."""

import numpy as np
import pytest
from scipy import stats

from mwatlas.astrometry.frames import galactic_angles, phase_space, spherical_velocity
from mwatlas.astrometry.heliocentric import galactocentric_position
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config import Settings
from mwatlas.photometry import EXTINCTION_RATIOS
from mwatlas.sky.chemistry import fe_h_shift
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.generate import ENVELOPE, Sky
from mwatlas.sky.model import SkyModel
from mwatlas.sky.optimum import Selection, optimal_prediction
from mwatlas.sky.plan import Plan
from mwatlas.sky.visibility import Visibility, distance_modulus
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.schemas import SKY_TRUTH, ZERO_POINT_INPUTS


def test_the_sky_has_the_asked_number_of_stars(sky_stars: tuple, small_sky: Settings) -> None:
    stars, truth = sky_stars
    assert len(stars["source_id"]) == small_sky.adapter.source.n_stars
    assert (np.diff(stars["source_id"]) > 0).all()
    assert (stars["source_id"] == truth["source_id"]).all()


def test_the_sky_keeps_the_archives_contract(sky_stars: tuple) -> None:
    stars, truth = sky_stars
    GAIA_SOURCE_FULL["gaiadr3"].conform(stars, "sky")
    SKY_TRUTH.conform(truth, "truth")


def test_the_same_seed_gives_the_same_cell(
    small_sky: Settings, sky_model: SkyModel, plan: Plan
) -> None:
    adapter = small_sky.adapter
    one, two, other = (
        Sky(adapter.source, seed, adapter.healpix_order, sky_model, plan).cell(20)
        for seed in (7, 7, 8)
    )
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert not np.array_equal(one["distance_kpc_true"], other["distance_kpc_true"])


def test_magnitudes_keep_their_limits(sky_stars: tuple, small_sky: Settings) -> None:
    survey = small_sky.adapter.source.survey
    g = sky_stars[1]["phot_g_mean_mag_true"]
    assert survey.g_bright <= g.min()
    assert g.max() <= survey.g_faint
    assert sky_stars[1]["distance_kpc_true"].max() <= survey.max_distance_kpc


def test_extinction_is_that_of_the_served_map(sky_stars: tuple, sky_model: SkyModel) -> None:
    _, truth = sky_stars
    angles = galactic_angles(truth["ra"], truth["dec"])
    expected = sky_model.dust.a_v(*angles, truth["distance_kpc_true"])
    np.testing.assert_allclose(truth["a_v_true"], expected, rtol=1e-9, atol=1e-12)
    # Colours of stars without extinction do not depend on it.
    excess = EXTINCTION_RATIOS["bp"] - EXTINCTION_RATIOS["rp"]
    colour = truth["phot_bp_mean_mag_true"] - truth["phot_rp_mean_mag_true"]
    intrinsic = colour - excess * truth["a_v_true"]
    assert intrinsic.min() > -0.6
    assert intrinsic.max() < 5.0


def test_the_envelope_is_above_the_density(
    small_sky: Settings, sky_model: SkyModel, plan: Plan
) -> None:
    """Stars are proposed from the tables: where the truth is above them, stars are missing."""
    adapter = small_sky.adapter
    sky = Sky(adapter.source, 3, adapter.healpix_order, sky_model, plan)
    rng = np.random.default_rng(3)
    for member in range(len(sky_model.galaxy.populations)):
        order = np.argsort(plan.counts[:, member])
        for cell in order[plan.counts[order, member] > 20][[-1, 0]]:
            excess = sky.propose(member, int(cell), 40_000, rng)["excess"]
            assert np.maximum(excess - ENVELOPE, 0).sum() / excess.sum() < 0.01


def test_velocities_of_distant_halo_stars_are_isotropic_in_rotation(sky_stars: tuple) -> None:
    stars, truth = sky_stars
    mine = (truth["component"] == 2) | (truth["component"] == 3)
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


def test_the_parallax_is_right_once_the_zero_point_is_removed(sky_stars: tuple) -> None:
    stars, truth = sky_stars
    zero_point = parallax_zero_point(*(stars[name] for name in ZERO_POINT_INPUTS))
    residual = stars["parallax"] - 1 / truth["distance_kpc_true"]
    good = np.isfinite(zero_point + residual) & ~truth["spurious_true"] & ~truth["binary_true"]
    corrected = ((residual - zero_point) / stars["parallax_error"])[good]
    assert stats.kstest(corrected, "norm").pvalue > 1e-3
    assert stats.kstest((residual / stars["parallax_error"])[good], "norm").pvalue < 1e-6


@pytest.mark.parametrize("component", [0, 1])
def test_positions_follow_the_density(
    small_sky: Settings, sky_stars: tuple, sky_model: SkyModel, component: int
) -> None:
    """Mean distance of each disc against the integral of density times visibility."""
    import healpy

    source, (_, truth) = small_sky.adapter.source, sky_stars
    survey = source.survey
    ra, dec = healpy.pix2ang(32, np.arange(12 * 32**2), nest=True, lonlat=True)
    distance = np.concatenate([np.linspace(0.01, 4, 200), np.linspace(4.05, 30, 200)])
    step = np.gradient(distance)
    place = galactocentric_position(
        SKY_FRAME, np.repeat(ra, 400), np.repeat(dec, 400), np.tile(distance, ra.size)
    )
    l_deg, b_deg = galactic_angles(ra, dec)
    a_g = EXTINCTION_RATIOS["g"] * sky_model.dust.a_v(l_deg[:, None], b_deg[:, None], distance)
    weight = np.zeros((ra.size, distance.size))
    for member, population in enumerate(sky_model.galaxy.populations):
        if population.component != component:
            continue
        seen = Visibility(
            sky_model.stellar_library, member, population, survey.g_bright, survey.g_faint, 1.0
        )
        shift = fe_h_shift(population, place).reshape(weight.shape)
        density = sky_model.galaxy.density(member, place).reshape(weight.shape)
        weight += density * seen.expected(distance_modulus(distance) + a_g, shift)
    weight *= distance**2 * step
    drawn = truth["distance_kpc_true"][truth["component"] == component]
    mean = (weight.sum(axis=0) * distance).sum() / weight.sum()
    # Sampling, and 2 per cent for dust within the pixels of 1.8 degrees.
    error = 4 * drawn.std() / np.sqrt(drawn.size) + 0.02 * mean
    assert drawn.mean() == pytest.approx(mean, abs=error)


def test_the_optimum_is_calibrated(
    sky_stars: tuple, small_sky: Settings, sky_model: SkyModel
) -> None:
    """The computed conditional mean and spread are those of the drawn stars."""
    stars, truth = sky_stars
    corrected = stars["parallax"] - parallax_zero_point(
        *(stars[name] for name in ZERO_POINT_INPUTS)
    )
    g = stars["phot_g_mean_mag"]
    flawed = truth["spurious_true"] | truth["binary_true"] | (truth["component"] == 5)
    with np.errstate(invalid="ignore"):
        chosen = (
            (corrected > 0)
            & (stars["parallax_error"] / corrected < 0.2)
            & (g >= 6)
            & (g <= 17)
            & np.isfinite(stars["radial_velocity"])
            & ~flawed
        )
    chosen = np.flatnonzero(chosen)[::2]
    optimum = optimal_prediction(
        small_sky.adapter.source,
        sky_model,
        Selection(6, 17, 0.2),
        *(stars[name][chosen] for name in ("ra", "dec")),
        corrected[chosen],
        *(stars[name][chosen] for name in ("pmra", "pmdec")),
    )
    true = truth["radial_velocity_true"][chosen]
    pull = (true - optimum.mean) / optimum.sigma
    error = 1 / np.sqrt(pull.size)
    assert abs(pull.mean()) < 4 * error
    # The pulls are mixtures of normals: their width scatters by about 1.5 errors.
    assert pull.std() == pytest.approx(1, abs=5 * error)
    # No other prediction does better; one that ignores proper motions does much worse.
    loss = 0.5 * pull**2 + np.log(optimum.sigma)
    assert loss.mean() < np.log(true.std()) + 0.5 - 0.3
