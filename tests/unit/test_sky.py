"""The embedded sky: distribution functions, stars, measurements."""

import numpy as np
import pytest
from scipy import stats

from mwatlas.astrometry.frames import phase_space, spherical_velocity
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config import Settings
from mwatlas.sky import survey as measured
from mwatlas.sky.galaxy import SKY_FRAME, Galaxy
from mwatlas.sky.generate import Sky
from mwatlas.sky.optimum import Selection, optimal_prediction
from mwatlas.tables.schemas import GAIA_SOURCE, SKY_TRUTH, ZERO_POINT_INPUTS, Columns


def test_the_sky_has_the_asked_number_of_stars(sky_stars: tuple, small_sky: Settings) -> None:
    stars, truth = sky_stars
    assert len(stars["source_id"]) == small_sky.adapter.source.n_stars
    assert (np.diff(stars["source_id"]) > 0).all()
    assert (stars["source_id"] == truth["source_id"]).all()


def test_the_sky_keeps_the_archives_contract(sky_stars: tuple, small_sky: Settings) -> None:
    stars, truth = sky_stars
    GAIA_SOURCE.without(small_sky.adapter.absent_raw()).conform(stars, "sky")
    SKY_TRUTH.conform(truth, "truth")


def test_the_same_seed_gives_the_same_cell(small_sky: Settings, galaxy: Galaxy) -> None:
    adapter = small_sky.adapter
    one = Sky(adapter.source, 7, adapter.healpix_order, galaxy).cell(20)
    two = Sky(adapter.source, 7, adapter.healpix_order, galaxy).cell(20)
    other = Sky(adapter.source, 8, adapter.healpix_order, galaxy).cell(20)
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


def test_positions_follow_the_density(
    small_sky: Settings, sky_stars: tuple, galaxy: Galaxy
) -> None:
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
        members = [n for n, p in enumerate(galaxy.populations) if p.component == code]
        giant_share = galaxy.populations[members[0]].giant_share
        weight = sum(galaxy.density(n, points.reshape(-1, 3)) for n in members)
        weight = weight.reshape(len(ra), -1)
        weight = (
            weight
            * distance**2
            * measured.visible_share(distance, giant_share, source.survey).sum(axis=0)
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


def test_the_optimum_is_calibrated(sky_stars: tuple, small_sky: Settings, galaxy: Galaxy) -> None:
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
        galaxy,
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
