"""Open clusters of the embedded sky and the catalogue that lists them."""

from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import ICRS, CartesianDifferential, CartesianRepresentation, SkyCoord
from pydantic import ValidationError
from scipy import stats

from mwatlas.astrometry.heliocentric import galactocentric_position, sky_motion, sky_position
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config.sky import Chemistry
from mwatlas.config.sky_clusters import ClusterCensus, SkyClusters
from mwatlas.dynamics.potential import circular_velocity
from mwatlas.healpix import number_of_cells
from mwatlas.sky.cluster_census import near_clusters, observe_clusters
from mwatlas.sky.clusters import Clusters, plummer_radius
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.tables.clusters import CLUSTERS as CLUSTER_TABLE
from mwatlas.tables.clusters import MEMBERS
from mwatlas.tables.schemas import ZERO_POINT_INPUTS

CHEMISTRY = Chemistry(
    fe_h=0.05,
    age_slope=-0.02,
    radial_slope=-0.06,
    scatter=0.17,
    alpha_m=0.03,
    alpha_slope=-0.12,
    alpha_scatter=0.025,
)
NEBULA: dict[str, Any] = {
    "name": "Orion Nebula",
    "ra": 83.82,
    "dec": -5.39,
    "distance_kpc": 0.395,
    "pmra": 1.2,
    "pmdec": 0.4,
    "radial_velocity_kms": 27.0,
    "age_gyr": 0.0025,
    "fe_h": 0.0,
    "member_share": 0.0005,
    "half_mass_radius_pc": 1.0,
    "internal_dispersion_kms": 2.2,
}
CLUSTERS: dict[str, Any] = {
    "member_share": 0.02,
    "members_range": [30, 4000],
    "members_slope": 2.2,
    "distance_range_kpc": [0.1, 3.0],
    "scale_height_kpc": 0.07,
    "scale_length_kpc": 2.6,
    "velocity_dispersion_kms": 8.0,
    "age_range_gyr": [0.01, 3.0],
    "age_timescale_gyr": 0.8,
    "fe_h_scatter": 0.05,
    "half_mass_radius_range_pc": [2.0, 8.0],
    "tidal_ratio": 2.8,
    "internal_dispersion_kms": 0.5,
    "nebula": NEBULA,
}
CENSUS: dict[str, Any] = {
    "completeness": 0.85,
    "contamination": 0.05,
    "fewest_listed": 10,
    "cst_scatter": 0.13,
    "lowest_cst": 3.0,
    "class_logit_mean": 3.0,
    "class_logit_scatter": 3.0,
    "class_logit_error": 1.8,
    "log_age_error": 0.22,
    "a_v_error": 0.2,
}


@pytest.fixture(scope="module")
def clusters() -> Clusters:
    return Clusters.generate(SkyClusters(**CLUSTERS), 5, 2_000_000, CHEMISTRY)


def _all(clusters: Clusters, order: int) -> dict[str, Any]:
    parts = [clusters.members(cell, order) for cell in range(number_of_cells(order))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_the_way_to_the_sky_and_back_agrees_with_astropy() -> None:
    rng = np.random.default_rng(1)
    position, velocity = rng.normal(0, 8, (50, 3)), rng.normal(0, 150, (50, 3))
    ra, dec, distance = sky_position(SKY_FRAME, position)
    np.testing.assert_allclose(galactocentric_position(SKY_FRAME, ra, dec, distance), position)
    motion = sky_motion(SKY_FRAME, ra, dec, distance, velocity)
    frame = SKY_FRAME.astropy()
    galactocentric = CartesianRepresentation(
        position.T * u.kpc, differentials=CartesianDifferential(velocity.T * u.km / u.s)
    )
    theirs = SkyCoord(frame.realize_frame(galactocentric)).transform_to(ICRS())
    np.testing.assert_allclose(theirs.ra.deg, ra, atol=1e-9)
    np.testing.assert_allclose(theirs.pm_ra_cosdec.to_value(u.mas / u.yr), motion[0], atol=1e-9)
    np.testing.assert_allclose(theirs.pm_dec.to_value(u.mas / u.yr), motion[1], atol=1e-9)
    np.testing.assert_allclose(theirs.radial_velocity.to_value(u.km / u.s), motion[2], atol=1e-9)


def test_radii_of_a_truncated_plummer_sphere() -> None:
    share = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(plummer_radius(share, 2.0, 7.0), [0.0, 2.0, 7.0], rtol=1e-12)
    # Without truncation the half-mass radius is 1.3048 scale lengths (Plummer 1911); the mass
    # within one scale length is 2**-1.5.
    scale = 2.0 / 1.304766
    assert plummer_radius(np.array([2**-1.5]), 2.0, 1e6)[0] == pytest.approx(scale, rel=1e-6)


def test_cells_of_any_order_hold_the_same_stars(clusters: Clusters) -> None:
    total = clusters.catalogue["members"].sum()
    coarse = _all(clusters, 0)
    assert len(coarse["index"]) == total
    for order in (1, 3):
        fine = _all(clusters, order)
        assert clusters.counts(order).sum() == total
        for name, values in coarse.items():
            np.testing.assert_array_equal(fine[name], values)
    again = Clusters.generate(SkyClusters(**CLUSTERS), 5, 2_000_000, CHEMISTRY)
    backwards = [again.members(cell, 1) for cell in reversed(range(48))][::-1]
    joined = np.concatenate([part["velocity_kms"] for part in backwards])
    assert joined.tobytes() == coarse["velocity_kms"].tobytes()
    assert coarse["index"].dtype == np.int64


def test_members_have_the_radius_and_dispersion_of_their_cluster(clusters: Clusters) -> None:
    stars, catalogue = _all(clusters, 0), clusters.catalogue
    mine = stars["cluster"]
    offset = stars["position_kpc"] - catalogue["position_kpc"][mine]
    radius = 1000 * np.linalg.norm(offset, axis=1)
    inside = (radius < catalogue["half_mass_radius_pc"][mine]).mean()
    # Binomial error of a half, four sigma.
    assert inside == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(mine.size))
    assert (radius < catalogue["tidal_radius_pc"][mine] * (1 + 1e-4)).all()
    excess = stars["velocity_kms"] - catalogue["velocity_kms"][mine]
    pull = excess / catalogue["internal_dispersion_kms"][mine][:, None]
    # The relative error of a standard deviation of n values is (2 n)**-0.5; four sigma.
    np.testing.assert_allclose(pull.std(axis=0), 1, atol=4 / np.sqrt(2 * mine.size))
    ra, dec, distance = sky_position(SKY_FRAME, stars["position_kpc"])
    # Coordinates of 8 kpc are good to 1e-15 of it, which is 1e-12 rad at 0.1 kpc.
    np.testing.assert_allclose(ra, stars["ra"], atol=1e-9)
    np.testing.assert_allclose(dec, stars["dec"], atol=1e-9)
    np.testing.assert_allclose(distance, stars["distance_kpc"], atol=1e-11)


def test_clusters_lie_in_a_young_rotating_disc(clusters: Clusters) -> None:
    drawn = {name: values[:-1] for name, values in clusters.catalogue.items()}
    x, y, z = drawn["position_kpc"].T
    number = len(z)
    settings = SkyClusters(**CLUSTERS)
    # Mean members times the number is the share asked for, to half a cluster.
    assert number == pytest.approx(0.02 * 2_000_000 / settings.mean_members, abs=0.5)
    # |z| is exponential: its mean is the scale height, with a relative error number**-0.5.
    assert np.abs(z).mean() == pytest.approx(0.07, rel=4 / np.sqrt(number))
    distance = drawn["distance_kpc"]
    assert distance.min() > 0.1
    assert distance.max() < 3.0
    radius = np.hypot(x, y)
    rotation = (drawn["velocity_kms"][:, 0] * y - drawn["velocity_kms"][:, 1] * x) / radius
    lag = rotation - circular_velocity(radius)
    assert lag.mean() == pytest.approx(0, abs=4 * 8 / np.sqrt(number))
    assert lag.std() == pytest.approx(8, rel=4 / np.sqrt(2 * number))
    expected = 0.05 - 0.02 * drawn["age_gyr"] - 0.06 * (radius - 8.122)
    assert (drawn["fe_h"] - expected).std() == pytest.approx(0.05, rel=4 / np.sqrt(2 * number))
    assert (drawn["members"] >= 30).all()

    def below(members: Any) -> Any:
        return (30**-1.2 - np.asarray(members) ** -1.2) / (30**-1.2 - 4000**-1.2)

    # Counts are rounded to integers, which smears the steep end of the law.
    assert stats.kstest(drawn["members"] + np.linspace(-0.5, 0.5, number), below).pvalue > 1e-3


def test_the_nebula_cluster_is_where_orion_is(clusters: Clusters) -> None:
    stars = _all(clusters, 0)
    mine = stars["cluster"] == clusters.catalogue["cluster"][-1]
    number = mine.sum()
    assert number == 1000
    # Half-mass radius 1 pc and dispersion 2.2 km/s at 395 pc: 0.15 deg and 1.17 mas/yr.
    assert stars["ra"][mine].mean() == pytest.approx(83.82, abs=0.03)
    assert stars["dec"][mine].mean() == pytest.approx(-5.39, abs=0.03)
    for name, value, spread in (
        ("pmra", 1.2, 1.2),
        ("pmdec", 0.4, 1.2),
        ("radial_velocity", 27.0, 2.2),
    ):
        assert stars[name][mine].mean() == pytest.approx(value, abs=4 * spread / np.sqrt(number))
    assert not clusters.catalogue["listed"][-1]


@pytest.mark.parametrize(
    "change",
    [
        {"member_share": 0.0},
        {"members_range": [50, 50]},
        {"members_slope": 1.0},
        {"distance_range_kpc": [3.0, 0.1]},
        {"age_range_gyr": [0.0, 3.0]},
        {"tidal_ratio": 1.2},
        {"nebula": {**NEBULA, "dec": -95.0}},
        {"unknown": 1},
    ],
)
def test_bad_settings_of_clusters_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SkyClusters(**{**CLUSTERS, **change})


def _observed(clusters: Clusters) -> tuple[dict[str, Any], dict[str, Any]]:
    """All members and as many field stars around them, measured with small errors."""
    rng = np.random.default_rng(8)
    stars = _all(clusters, 0)
    number = len(stars["ra"])
    field = {
        "ra": stars["ra"] + rng.normal(0, 0.05, number) / np.cos(np.radians(stars["dec"])),
        "dec": np.clip(stars["dec"] + rng.normal(0, 0.05, number), -89.9, 89.9),
    }
    for name in ("distance_kpc", "pmra", "pmdec", "radial_velocity"):
        field[name] = stars[name] * (1 + 0.01 * rng.standard_normal(number))
    both = {name: np.concatenate([stars[name], values]) for name, values in field.items()}
    size = 2 * number
    gaia = {
        "source_id": np.arange(size) * 128 + 1,
        "ra": both["ra"] % 360,
        "dec": both["dec"],
        # A five-parameter solution of this colour has a known zero point.
        "parallax": 1 / both["distance_kpc"] + 0.02 * rng.standard_normal(size),
        "parallax_error": np.full(size, 0.02),
        "phot_g_mean_mag": rng.uniform(8, 17, size),
        "bp_rp": np.full(size, 0.8),
        "nu_eff_used_in_astrometry": np.full(size, 1.5),
        "pseudocolour": np.full(size, np.nan),
        "ecl_lat": np.zeros(size),
        "astrometric_params_solved": np.full(size, 31),
        "radial_velocity": np.where(rng.random(size) < 0.3, both["radial_velocity"], np.nan),
        "radial_velocity_error": np.full(size, 1.0),
    }
    gaia["parallax"] += parallax_zero_point(*(gaia[name] for name in ZERO_POINT_INPUTS))
    for name in ("pmra", "pmdec"):
        gaia[name] = both[name] + 0.02 * rng.standard_normal(size)
        gaia[f"{name}_error"] = np.full(size, 0.02)
    cluster = np.concatenate([stars["cluster"], np.full(number, -1)])
    return {"cluster": cluster, "a_v_true": np.full(size, 0.7)}, gaia


def test_the_catalogue_misses_and_mistakes_as_told(clusters: Clusters) -> None:
    truth, gaia = _observed(clusters)
    settings = ClusterCensus(**CENSUS)
    table, members = observe_clusters(clusters, truth, gaia, settings, 5)
    table, members = CLUSTER_TABLE.conform(table, "test"), MEMBERS.conform(members, "test")
    assert "Orion Nebula" not in table["Name"]
    true = truth["cluster"][(members["GaiaDR3"] - 1) // 128]
    genuine = true >= 0
    np.testing.assert_array_equal(true[genuine] + 1, members["ID"][genuine])
    # Beta distributions of means 5/6 and 1/4.
    assert members["Prob"][genuine].mean() == pytest.approx(5 / 6, abs=0.01)
    assert members["Prob"][~genuine].mean() == pytest.approx(1 / 4, abs=0.05)
    listed = np.isin(truth["cluster"] + 1, table["ID"]) & (truth["cluster"] >= 0)
    # Binomial errors of the shares, four sigma.
    share = genuine.sum() / listed.sum()
    assert share == pytest.approx(0.85, abs=4 * np.sqrt(0.85 * 0.15 / listed.sum()))
    false = (~genuine).mean()
    assert 0.01 < false < 0.05 + 4 * np.sqrt(0.05 * 0.95 / genuine.size)
    np.testing.assert_array_equal(np.bincount(members["ID"])[table["ID"]], table["N"])
    assert (table["N"] >= 10).all()
    assert (table["CST"] >= 3.0).all()
    # The published catalogue has 58.7 per cent of its clusters above both thresholds of quality;
    # ours has none that are not real, and more.
    good = (table["CST"] > 5) & (table["CMDCl50"] > 0.5)
    assert 0.5 < good.mean() < 0.9

    catalogue = {name: values[table["ID"] - 1] for name, values in clusters.catalogue.items()}
    pull = (table["logAge50"] - 9 - np.log10(catalogue["age_gyr"])) / 0.22
    assert stats.kstest(pull, "norm").pvalue > 1e-3
    distance = table["dist50"] / 1000 / catalogue["distance_kpc"] - 1
    error = (table["dist84"] - table["dist16"]) / 2 / table["dist50"]
    # Field stars pull the means a little; without them the width is one.
    assert stats.median_abs_deviation(distance / error, scale="normal") == pytest.approx(1, abs=0.3)


def test_listing_does_not_depend_on_the_rows_around(clusters: Clusters) -> None:
    truth, gaia = _observed(clusters)
    settings = ClusterCensus(**{**CENSUS, "contamination": 0.0})
    _, all_members = observe_clusters(clusters, truth, gaia, settings, 5)
    keep = (truth["cluster"] >= 0) | (np.arange(truth["cluster"].size) % 3 == 0)
    _, fewer = observe_clusters(
        clusters,
        {name: values[keep] for name, values in truth.items()},
        {name: values[keep] for name, values in gaia.items()},
        settings,
        5,
    )
    for name, values in all_members.items():
        np.testing.assert_array_equal(fewer[name], values)


def test_stars_that_move_otherwise_are_not_near(clusters: Clusters) -> None:
    truth, gaia = _observed(clusters)
    near = near_clusters(clusters, gaia)
    member = (truth["cluster"] >= 0) & (truth["cluster"] != clusters.catalogue["cluster"][-1])
    # Members leave the box of three sigma in one of five dimensions, or as the cluster is deep.
    assert (near[member] == truth["cluster"][member]).mean() > 0.7
    moved = {**gaia, "pmra": gaia["pmra"] + 500.0}
    assert (near_clusters(clusters, moved) == -1).all()


def test_a_sky_of_tiny_clusters_gives_empty_tables(clusters: Clusters) -> None:
    truth, gaia = _observed(clusters)
    settings = ClusterCensus(**{**CENSUS, "fewest_listed": 10**6})
    table, members = observe_clusters(clusters, truth, gaia, settings, 5)
    assert len(CLUSTER_TABLE.conform(table, "test")["ID"]) == 0
    assert len(MEMBERS.conform(members, "test")["GaiaDR3"]) == 0


def test_the_catalogue_looks_like_the_published_one(clusters: Clusters, survey_data: Any) -> None:
    real = pd.read_csv(survey_data / "open_clusters_hunt2023.csv", low_memory=False)
    assert set(CLUSTER_TABLE.names) <= set(real.columns)
    ours, _ = observe_clusters(clusters, *_observed(clusters), ClusterCensus(**CENSUS), 5)
    near = real[real.dist50 < 3000]
    for name, factor in (("N", 1.6), ("CST", 1.6), ("r50pc", 1.8), ("rtpc", 1.8)):
        ratio = np.median(ours[name]) / near[name].median()
        assert 1 / factor < ratio < factor, (name, ratio)
    assert np.median(ours["logAge50"]) == pytest.approx(near.logAge50.median(), abs=0.3)
    height = stats.median_abs_deviation(near.dist50 * np.sin(np.radians(near.GLAT)))
    assert stats.median_abs_deviation(ours["Z"]) == pytest.approx(height, rel=0.3)


@pytest.mark.parametrize(
    "change", [{"completeness": 0.0}, {"contamination": 0.6}, {"fewest_listed": 1}]
)
def test_bad_settings_of_the_catalogue_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClusterCensus(**{**CENSUS, **change})
