"""The infrared surveys of the embedded sky."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time
from pydantic import ValidationError

from mwatlas.config.sky_infrared import Infrared
from mwatlas.sky.infrared import observe_infrared
from mwatlas.sky.positions import designations, identifiers, positions_at
from mwatlas.sky.tmass import photometry_of, tmass_errors
from mwatlas.sky.unwise import ALLWISE_MINUS_UNWISE
from mwatlas.tables.infrared import TMASS_BEST_NEIGHBOUR, TMASS_JOIN, TMASS_ORIGINAL_VALID, UNWISE
from mwatlas.tables.table import Columns
from tests.unit.sky_truth import as_measured, random_truth

NUMBER = 20_000

SETTINGS: dict[str, Any] = {
    "tmass": {
        "depth_mag": [16.4, 15.5, 14.8],
        "crowding_loss_mag": 1.0,
        "error_floor_mag": 0.02,
        "detection_snr": 5.0,
        "position_error_arcsec": 0.06,
        "poor_fit_rate": 0.005,
        "poor_fit_scatter_mag": 0.3,
        "no_error_rate": 0.001,
        "no_brightness_rate": 0.0005,
        "confused_rate": 0.05,
        "extended_rate": 0.003,
        "duplicate_rate": 0.001,
        "unmatched_rate": 0.005,
        "mismatch_rate": 0.005,
        "mate_rate": 0.01,
    },
    "unwise": {
        "epoch": 2014.5,
        "depth_mag": [18.0, 16.7],
        "error_floor": 0.012,
        "position_error_arcsec": 0.05,
        "flag_rate": 0.03,
        "flag_scatter_mag": 0.2,
        "blend_rate": 0.02,
        "blend_rate_inner_plane": 0.4,
        "outlier_rate": 0.003,
        "outlier_scatter_mag": 0.5,
        "incomplete_rate": 0.01,
    },
}


@pytest.fixture(scope="module")
def truth() -> Columns:
    return random_truth(NUMBER, 1)


@pytest.fixture(scope="module")
def infrared() -> Infrared:
    return Infrared.model_validate(SETTINGS)


@pytest.fixture(scope="module")
def observed(truth: Columns, infrared: Infrared) -> tuple[dict[str, Columns], Columns]:
    tables, known = observe_infrared(truth, as_measured(truth), infrared, seed=5, cell=3, order=2)
    schemas = (TMASS_BEST_NEIGHBOUR, TMASS_JOIN, TMASS_ORIGINAL_VALID, UNWISE)
    return {s.name: s.conform(tables[s.name], "test") for s in schemas}, known


def matched(truth: Columns, tables: dict[str, Columns]) -> tuple[Any, Columns]:
    """Stars with a best neighbour, and its row of the point source catalogue."""
    best, psc = tables[TMASS_BEST_NEIGHBOUR.name], tables[TMASS_ORIGINAL_VALID.name]
    order = np.argsort(psc["designation"].astype(str))
    names = psc["designation"].astype(str)[order]
    row = order[np.searchsorted(names, best["original_ext_source_id"].astype(str))]
    star = np.searchsorted(truth["source_id"], best["source_id"])
    return star, {name: values[row] for name, values in psc.items()}


def binomial(hits: Any, trials: Any, rate: float) -> None:
    """A share agrees with its rate within four standard errors."""
    assert abs(hits / trials - rate) < 4 * np.sqrt(rate * (1 - rate) / trials)


def test_positions_agree_with_astropy(truth: Columns) -> None:
    sky = SkyCoord(
        ra=truth["ra"] * u.deg,
        dec=truth["dec"] * u.deg,
        distance=truth["distance_kpc_true"] * u.kpc,
        pm_ra_cosdec=truth["pmra_true"] * u.mas / u.yr,
        pm_dec=truth["pmdec_true"] * u.mas / u.yr,
        radial_velocity=truth["radial_velocity_true"] * u.km / u.s,
        obstime=Time(2016.0, format="jyear"),
    ).apply_space_motion(Time(2000.0, format="jyear"))
    ra, dec = positions_at(truth, 2000.0)
    # Double precision of degrees is 6e-14, that of astropy's vectors similar: 1 micro-arcsec.
    assert SkyCoord(ra, dec, unit="deg").separation(sky).arcsec.max() < 1e-6
    moved = SkyCoord(truth["ra"], truth["dec"], unit="deg").separation(sky).arcsec
    assert moved.max() > 1


def test_offsets_point_east_and_north(truth: Columns) -> None:
    start = SkyCoord(truth["ra"], truth["dec"], unit="deg")
    ra, dec = positions_at(truth, 2016.0, 0.3, 0.4)
    end = SkyCoord(ra, dec, unit="deg")
    np.testing.assert_allclose(start.separation(end).arcsec, 0.5, rtol=1e-6)
    np.testing.assert_allclose(
        start.position_angle(end).deg, np.degrees(np.arctan2(3, 4)), atol=0.01
    )


def test_designations_have_the_archives_form() -> None:
    # By hand; the last is how LAMOST DR6 itself names that position.
    ra = [279.234735, 0.0, 359.999999, 60.362836]
    dec = [38.783689, -0.5, -89.999999, 26.782985]
    names = designations(ra, dec)
    assert list(names) == [
        "18365633+3847012",
        "00000000-0030000",
        "23595999-8959599",
        "04012708+2646587",
    ]
    assert designations(ra[3:], dec[3:], "J", points=True)[0] == "J040127.08+264658.7"


def test_designations_parse_back(truth: Columns) -> None:
    names = designations(truth["ra"], truth["dec"])
    assert all(re.fullmatch(r"\d{8}[+-]\d{7}", name) for name in names)
    sign = np.array([-1 if n[8] == "-" else 1 for n in names])
    ra = [15 * (int(n[:2]) + int(n[2:4]) / 60 + int(n[4:8]) / 360_000) for n in names]
    dec = [int(n[9:11]) + int(n[11:13]) / 60 + int(n[13:16]) / 36_000 for n in names]
    lost_time = (truth["ra"] - ra) * 240
    lost_angle = (np.abs(truth["dec"]) - dec) * 3600
    # Truncation loses up to one unit of the last digit, half of it on average.
    assert -1e-5 < lost_time.min() < lost_time.max() < 0.01 + 1e-5
    assert -1e-5 < lost_angle.min() < lost_angle.max() < 0.1 + 1e-5
    assert abs(lost_angle.mean() - 0.05) < 4 * 0.1 / np.sqrt(12 * NUMBER)
    assert (sign == np.sign(truth["dec"])).all()


def test_identifiers_of_cells_are_disjoint_and_fit() -> None:
    assert identifiers(4, 3, 10)[-1] < identifiers(5, 3, 10)[0]
    assert identifiers(12 * 4**3 - 1, 3, 1000)[-1] < 2**31
    with pytest.raises(ValueError, match="healpix_order"):
        identifiers(0, 10, 10_000)


def test_tables_are_the_same_every_time(
    truth: Columns, infrared: Infrared, observed: tuple[dict[str, Columns], Columns]
) -> None:
    tables, _ = observe_infrared(truth, as_measured(truth), infrared, seed=5, cell=3, order=2)
    for name in ("designation", "j_m"):
        np.testing.assert_array_equal(
            np.asarray(
                tables["tmass_original_valid"][name],
                observed[0]["tmass_original_valid"][name].dtype,
            ),
            observed[0]["tmass_original_valid"][name],
        )
    assert "source_id" not in tables["unwise_dr1_object"]


def test_links_of_2mass_hold(observed: tuple[dict[str, Columns], Columns]) -> None:
    tables, _ = observed
    best, join = tables[TMASS_BEST_NEIGHBOUR.name], tables[TMASS_JOIN.name]
    psc = tables[TMASS_ORIGINAL_VALID.name]
    assert set(join["original_psc_source_id"]) == set(psc["designation"])
    assert np.isin(best["clean_tmass_psc_xsc_oid"], join["clean_tmass_psc_xsc_oid"]).all()
    where = dict(zip(join["original_psc_source_id"], join["clean_tmass_psc_xsc_oid"], strict=True))
    for name, oid in zip(
        best["original_ext_source_id"], best["clean_tmass_psc_xsc_oid"], strict=True
    ):
        assert where[name] == oid
    extended = join["original_xsc_source_id"] != None  # noqa: E711
    assert extended.sum() == np.isfinite(psc["ext_key"]).sum()


def test_2mass_rates(
    truth: Columns, infrared: Infrared, observed: tuple[dict[str, Columns], Columns]
) -> None:
    tables, known = observed
    s = infrared.tmass
    star, psc = matched(truth, tables)
    has = np.isfinite(known["tmass_oid_true"])
    binomial(known["tmass_mismatch_true"].sum(), NUMBER, s.mismatch_rate)
    binomial(known["tmass_blend_true"].sum(), star.size, s.mate_rate)
    binomial((~np.isin(np.flatnonzero(has), star)).sum(), has.sum(), s.unmatched_rate)
    best = tables[TMASS_BEST_NEIGHBOUR.name]
    binomial((best["number_of_mates"] > 0).sum(), star.size, s.mate_rate)
    oids = tables[TMASS_JOIN.name]["clean_tmass_psc_xsc_oid"]
    binomial(oids.size - np.unique(oids).size, has.sum(), s.duplicate_rate)
    letters = np.array([list(q) for q in psc["ph_qual"]])
    binomial((letters == "X").sum(), letters.size, s.no_brightness_rate)
    measured = ~np.isin(letters, ["X", "U"])
    binomial((letters[measured] == "F").sum(), measured.sum(), s.no_error_rate)
    binomial((letters[measured] == "E").sum(), measured.sum(), s.poor_fit_rate)
    assert has.mean() > 0.98


def test_2mass_qualities_and_nulls_agree(
    observed: tuple[dict[str, Columns], Columns],
) -> None:
    psc = observed[0][TMASS_ORIGINAL_VALID.name]
    letters = np.array([list(q) for q in psc["ph_qual"]])
    for i, band in enumerate(("j", "h", "ks")):
        letter, value, error = letters[:, i], psc[f"{band}_m"], psc[f"{band}_msigcom"]
        np.testing.assert_array_equal(np.isnan(value), letter == "X")
        np.testing.assert_array_equal(np.isnan(error), np.isin(letter, ["U", "X"]))
        assert (error[letter == "F"] > 8).all()
        assert (error[letter == "A"] < 0.10857).all()
        assert (error[letter == "D"] >= 0.217).all()
    assert {"A", "U", "E", "X", "F", "D"} <= set(letters.ravel())


def test_2mass_is_confused_where_it_is_crowded(truth: Columns) -> None:
    tmass = {**SETTINGS["tmass"], "confused_rate": 1.0}
    always = Infrared.model_validate({**SETTINGS, "tmass": tmass})
    psc = observe_infrared(truth, as_measured(truth), always, seed=5, cell=3, order=2)[0][
        TMASS_ORIGINAL_VALID.name
    ]
    latitude = np.abs(SkyCoord(psc["ra"], psc["dec"], unit="deg").galactic.b.deg)
    confused = np.array([q[1:] == "UU" for q in psc["ph_qual"]])
    bright = psc["j_m"] < 14
    assert confused[bright & (latitude < 5)].mean() > 0.15
    # Crowding is below exp(-40 / 6) = 0.0013 there.
    assert confused[bright & (latitude > 40)].mean() < 0.01


def test_2mass_pulls(truth: Columns, observed: tuple[dict[str, Columns], Columns]) -> None:
    tables, known = observed
    star, psc = matched(truth, tables)
    letters = np.array([list(q) for q in psc["ph_qual"]])
    clean = ~(known["tmass_mismatch_true"] | known["tmass_blend_true"])[star]
    for i, band in enumerate(("j", "h", "ks")):
        good = clean & np.isin(letters[:, i], list("ABCD"))
        pull = (psc[f"{band}_m"] - truth[f"{band}_m_true"][star])[good]
        pull = pull / psc[f"{band}_msigcom"][good]
        # Standard error of a width from 19,000 stars: 0.005.
        assert abs(pull.std() - 1) < 0.02
        assert abs(pull.mean()) < 0.03
    ra, dec = positions_at(
        {n: v[star] for n, v in truth.items()}, 2000 + (psc["j_date"] - 2451545) / 365.25
    )
    here = SkyCoord(ra, dec, unit="deg")
    there = SkyCoord(psc["ra"], psc["dec"], unit="deg")
    distance, angle = here.separation(there).arcsec, here.position_angle(there).rad
    best = tables[TMASS_BEST_NEIGHBOUR.name]
    # Positions are rounded to 1e-6 deg, 0.004 arcsec.
    np.testing.assert_allclose(best["angular_distance"], distance, atol=0.006)
    along = angle - np.radians(psc["err_ang"])
    chi2 = (distance * np.cos(along) / psc["err_maj"]) ** 2
    chi2 += (distance * np.sin(along) / psc["err_min"]) ** 2
    # Two degrees of freedom: mean 2, standard deviation 2 / sqrt(19,000) = 0.015.
    assert abs(chi2[clean].mean() - 2) < 0.06
    assert distance[known["tmass_mismatch_true"][star]].mean() > 0.4


def test_2mass_depth_is_where_the_settings_put_it(infrared: Infrared) -> None:
    depth = np.array([infrared.tmass.depth_mag])
    sparse = tmass_errors(depth, np.zeros(1), infrared.tmass)
    # A tenth of the light, and the floor.
    np.testing.assert_allclose(sparse, np.hypot(0.10857, 0.02), atol=6e-4)
    crowded = tmass_errors(depth, np.ones(1), infrared.tmass)
    assert (crowded > 2 * sparse).all()
    assert (tmass_errors(np.full((1, 3), 10.0), np.zeros(1), infrared.tmass) == 0.02).all()


def test_photometry_of_the_stars_themselves(
    truth: Columns, observed: tuple[dict[str, Columns], Columns]
) -> None:
    tables, known = observed
    star, rows = photometry_of(known, tables[TMASS_ORIGINAL_VALID.name])
    ra, dec = positions_at(truth, 2000.0)
    there = SkyCoord(rows["ra"], rows["dec"], unit="deg")
    far = SkyCoord(ra[star], dec[star], unit="deg").separation(there).arcsec
    # Within errors and three years of motion.
    assert np.quantile(far, 0.99) < 3


def unwise_rows(truth: Columns, table: Columns) -> tuple[Any, Any]:
    """Match by position at the epoch of unWISE, as a study must."""
    here = SkyCoord(*positions_at(truth, 2014.5), unit="deg")
    row, distance, _ = here.match_to_catalog_sky(SkyCoord(table["ra"], table["dec"], unit="deg"))
    star = np.flatnonzero(distance.arcsec < 3)
    return star, row[star]


def test_unwise_is_found_by_position(
    truth: Columns, infrared: Infrared, observed: tuple[dict[str, Columns], Columns]
) -> None:
    table, known = observed[0][UNWISE.name], observed[1]
    star, row = unwise_rows(truth, table)
    listed = known["unwise_listed_true"]
    assert np.isin(np.flatnonzero(listed), star).mean() > 0.995
    # The brightness of a star never keeps it out here, so only the rate does.
    binomial((~listed).sum(), NUMBER, infrared.unwise.incomplete_rate)
    names = table["unwise_objid"].astype(str)
    assert (names[:-1] <= names[1:]).all()
    assert np.unique(names).size > 0.999 * names.size
    assert all(re.fullmatch(r"\d{4}[mp]\d{3}o\d{7}", name) for name in names[:100])
    assert row.size > 0.98 * listed.sum()


def test_unwise_pulls_and_the_step_to_allwise(
    truth: Columns, infrared: Infrared, observed: tuple[dict[str, Columns], Columns]
) -> None:
    table, known = observed[0][UNWISE.name], observed[1]
    star, row = unwise_rows(truth, table)
    clean = ~(known["unwise_blend_true"] | known["unwise_outlier_true"])[star]
    for band, step in zip(("w1", "w2"), ALLWISE_MINUS_UNWISE, strict=True):
        flux, error = table[f"flux_{band}"][row], table[f"dflux_{band}"][row]
        good = clean & (table[f"flags_unwise_{band}"][row] == 0) & np.isfinite(flux)
        expected = 10 ** (0.4 * (22.5 - (truth[f"{band}_true"][star] - step)))
        pull = ((flux - expected) / error)[good]
        assert good.sum() > 10_000
        assert abs(pull.std() - 1) < 0.02
        magnitude = 22.5 - 2.5 * np.log10(flux[good]) + step
        # Standard error of the median: 1.25 * 0.02 / sqrt(10,000).
        assert abs(np.median(magnitude - truth[f"{band}_true"][star][good])) < 0.001
        snr = flux[good] / error[good]
        assert snr.max() < 1.05 / infrared.unwise.error_floor


def test_unwise_rates_flags_and_nulls(
    truth: Columns, infrared: Infrared, observed: tuple[dict[str, Columns], Columns]
) -> None:
    table, known = observed[0][UNWISE.name], observed[1]
    s = infrared.unwise
    for band in ("w1", "w2"):
        missing = np.isnan(table[f"flux_{band}"])
        for name in ("dflux", "fluxlbs", "fracflux", "qf", "rchi2", "flags_unwise", "flags_info"):
            np.testing.assert_array_equal(np.isnan(table[f"{name}_{band}"]), missing)
        flags = table[f"flags_unwise_{band}"][~missing].astype(int)
        saturated = (flags & 64) > 0
        binomial((flags[~saturated] > 0).sum(), (~saturated).sum(), s.flag_rate)
        assert saturated.any()
        assert table[f"fracflux_{band}"][~missing].max() <= 1
    listed = known["unwise_listed_true"]
    latitude = SkyCoord(truth["ra"], truth["dec"], unit="deg").galactic.b.deg
    high = listed & (np.abs(latitude) > 45)
    # Crowding is below 6e-4 there.
    binomial(known["unwise_blend_true"][high].sum(), high.sum(), s.blend_rate)
    low = listed & (np.abs(latitude) < 3)
    assert known["unwise_blend_true"][low].mean() > 2 * s.blend_rate
    rate = s.outlier_rate - s.outlier_rate**2 / 4
    bright = np.minimum(truth["w1_true"], truth["w2_true"]) > 9
    few = known["unwise_outlier_true"][listed & bright]
    binomial(few.sum(), few.size, rate * (1 - s.flag_rate))


@pytest.mark.parametrize(
    ("survey", "key", "value", "message"),
    [
        ("tmass", "mismatch_rate", 1.5, "less than or equal to 1"),
        ("tmass", "mate_rate", -0.1, "greater than or equal to 0"),
        ("tmass", "depth_mag", [16.0, 15.0], "depth_mag"),
        ("unwise", "blend_rate_inner_plane", 0.001, "must not be below"),
        ("unwise", "epoch", 1999.0, "greater than or equal to 2010"),
        ("unwise", "rate", 0.1, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(survey: str, key: str, value: Any, message: str) -> None:
    bad = {**SETTINGS, survey: {**SETTINGS[survey], key: value}}
    with pytest.raises(ValidationError, match=message):
        Infrared.model_validate(bad)


def test_2mass_errors_match_real_ones(survey_data: Path, infrared: Infrared) -> None:
    real = Table.read(
        survey_data / "m_giants_lamost_gaia_2mass_wise.fits", unit_parse_strict="silent"
    )
    for i, band in enumerate("JHK"):
        magnitude = np.ma.filled(real[f"{band}mag_2mass"].astype(float), np.nan)
        error = np.ma.filled(real[f"e_{band}mag_2mass"].astype(float), np.nan)
        ours = tmass_errors(np.repeat(magnitude[:, None], 3, 1), np.zeros(195), infrared.tmass)
        known = np.isfinite(error)
        # Each error has a scatter of about 15 % and depends on seeing: 10 % of the median.
        assert abs(np.median(error[known] / ours[known, i]) - 1) < 0.2


def test_angular_distances_use_what_gaia_measured(truth: Columns, infrared: Infrared) -> None:
    """Against astropy, for measured motions; none for sources without."""
    rng = np.random.default_rng(6)
    gaia = as_measured(truth)
    gaia["pmra"] = truth["pmra_true"] + rng.normal(0, 20, truth["ra"].size)
    gaia["pmra"][::7] = gaia["pmdec"][::7] = np.nan
    tables, _ = observe_infrared(truth, gaia, infrared, seed=5, cell=3, order=2)
    neighbours = tables["tmass_psc_xsc_best_neighbour"]
    sources = tables["tmass_original_valid"]
    found = neighbours["angular_distance"]
    by_name = {name: k for k, name in enumerate(sources["designation"])}
    row = [by_name[name] for name in neighbours["original_ext_source_id"]]
    star = np.searchsorted(truth["source_id"], neighbours["source_id"])
    years = Time(sources["j_date"][row], format="jd").jyear - 2016
    moved = SkyCoord(gaia["ra"][star], gaia["dec"][star], unit="deg").spherical_offsets_by(
        np.nan_to_num(gaia["pmra"][star]) * years * u.mas,
        np.nan_to_num(gaia["pmdec"][star]) * years * u.mas,
    )
    there = SkyCoord(sources["ra"][row], sources["dec"][row], unit="deg")
    # Motions are straight lines here and great circles there: the same to 1e-6 of an arcsec.
    expected = moved.separation(there).arcsec
    # Two sources of the same tenth of an arcsecond share a name.
    names, times = np.unique(sources["designation"].astype(str), return_counts=True)
    shared = np.isin(neighbours["original_ext_source_id"].astype(str), names[times > 1])
    assert shared.mean() < 1e-3
    np.testing.assert_allclose(found[~shared], expected[~shared], atol=1e-4)
