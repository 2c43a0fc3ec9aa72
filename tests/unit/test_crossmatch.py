"""Cross-matches by position: the same pairs as astropy, everywhere on the sphere."""

from __future__ import annotations

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, match_coordinates_sky, search_around_sky
from astropy.time import Time

from mwatlas.crossmatch import PositionIndex, match_nearest, match_pairs, propagate

Lists = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

# Rounding of ra (360 deg * 2**-53) and of the coordinates in radians: below 1e-9 arcsec.
ROUNDING_ARCSEC = 1e-9


def _around(ra: np.ndarray, dec: np.ndarray, spread_deg: float, seed: int) -> Lists:
    """The positions, and others up to a few times ``spread_deg`` from them in any direction."""
    rng = np.random.default_rng(seed)
    at, direction = SkyCoord(ra, dec, unit="deg"), rng.uniform(0, 360, ra.size)
    near = at.directional_offset_by(direction * u.deg, rng.exponential(spread_deg, ra.size) * u.deg)
    order = rng.permutation(ra.size)
    return ra, dec, near.ra.deg[order], near.dec.deg[order]


def _sky(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))


def _cap(number: int, size_deg: float, sign: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    dec = sign * (90 - size_deg * np.sqrt(rng.uniform(0, 1, number)))
    return rng.uniform(0, 360, number), dec


def _wrap(number: int, size_deg: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(-size_deg, size_deg, (2, number))
    return ra % 360, dec


# lists, and the radius in arcsec
CASES: dict[str, tuple[Lists, float]] = {
    "whole sky": (_around(*_sky(20_000, 1), 1 / 3600, 2), 1.0),
    "whole sky, wide": (_around(*_sky(4_000, 3), 1.0, 4), 2 * 3600),
    "whole sky, very wide": (_around(*_sky(150, 5), 10.0, 6), 80 * 3600),
    "across ra = 0": (_around(*_wrap(5_000, 2 / 3600, 7), 1 / 3600, 8), 0.2),
    "across ra = 0, wide": (_around(*_wrap(300, 5.0, 9), 1.0, 10), 3600),
    "north pole": (_around(*_cap(3_000, 10 / 3600, 1, 11), 1 / 3600, 12), 0.5),
    "south pole": (_around(*_cap(3_000, 10 / 3600, -1, 13), 1 / 3600, 14), 0.5),
    "pole, wide": (_around(*_cap(400, 5.0, 1, 15), 1.0, 16), 3600),
    "zone edges": (_around(np.linspace(0, 360, 7_201), np.arange(7_201) / 40 - 90, 1e-4, 17), 1.0),
}


def _peer_pairs(lists: Lists, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ra, dec, other_ra, other_dec = (values * u.deg for values in lists)
    left, right, angle, _ = search_around_sky(
        SkyCoord(ra, dec), SkyCoord(other_ra, other_dec), radius * u.arcsec
    )
    order = np.lexsort((right, left))
    return left[order], right[order], angle.arcsec[order]


@pytest.mark.parametrize("name", CASES)
def test_all_pairs_are_those_of_astropy(name: str) -> None:
    lists, radius = CASES[name]
    left, right, angle = _peer_pairs(lists, radius)
    pairs = match_pairs(*lists, radius)
    assert left.size > 50
    np.testing.assert_array_equal(pairs.left, left)
    np.testing.assert_array_equal(pairs.right, right)
    # Astropy's vectors have components with errors of 1e-16, or 4e-11 arcsec.
    np.testing.assert_allclose(pairs.separation_arcsec, angle, rtol=1e-12, atol=ROUNDING_ARCSEC)


@pytest.mark.parametrize("name", CASES)
def test_nearest_matches_are_those_of_astropy(name: str) -> None:
    lists, radius = CASES[name]
    ra, dec, other_ra, other_dec = (values * u.deg for values in lists)
    expected, angle, _ = match_coordinates_sky(SkyCoord(ra, dec), SkyCoord(other_ra, other_dec))
    row, separation = match_nearest(*lists, radius)
    near = angle.arcsec <= radius
    np.testing.assert_array_equal(row, np.where(near, expected, -1))
    np.testing.assert_array_equal(np.isnan(separation), ~near)
    np.testing.assert_allclose(
        separation[near], angle.arcsec[near], rtol=1e-12, atol=ROUNDING_ARCSEC
    )


def test_the_order_of_rows_does_not_matter() -> None:
    (ra, dec, other_ra, other_dec), radius = CASES["across ra = 0"]
    pairs = match_pairs(ra, dec, other_ra, other_dec, radius)
    rng = np.random.default_rng(20)
    a, b = rng.permutation(ra.size), rng.permutation(ra.size)
    again = match_pairs(ra[a], dec[a], other_ra[b], other_dec[b], radius)
    mine = sorted(zip(pairs.left, pairs.right, pairs.separation_arcsec, strict=True))
    theirs = sorted(zip(a[again.left], b[again.right], again.separation_arcsec, strict=True))
    assert mine == theirs


def test_both_ways_give_the_same_pairs() -> None:
    lists, radius = CASES["pole, wide"]
    pairs = match_pairs(*lists, radius)
    back = match_pairs(*lists[2:], *lists[:2], radius)
    assert set(zip(pairs.left, pairs.right, strict=True)) == set(
        zip(back.right, back.left, strict=True)
    )


def test_the_radius_is_included_and_nothing_beyond() -> None:
    """At radius and 1e-9 of it farther, along a meridian and the equator, and over the pole."""
    radius = 7.0
    deg = radius / 3600
    for out, matched in ((1 - 1e-9, True), (1.0, True), (1 + 1e-9, False)):
        d = deg * out
        assert (match_nearest(0.0, 0.0, 0.0, d, radius)[0] == 0).all() == matched
        assert (match_nearest(0.0, 0.0, 0.0, -d, radius)[0] == 0).all() == matched
        assert (match_nearest(0.0, 0.0, d, 0.0, radius)[0] == 0).all() == matched
    # Here the sums round, by 1e-14 deg or 4e-11 arcsec: less than a part in 1e10 of the radius.
    for out, matched in ((1 - 1e-9, True), (1 + 1e-9, False)):
        d = deg * out
        assert (match_nearest(0.0, 0.0, 360 - d, 0.0, radius)[0] == 0).all() == matched
        half = 90 - d / 2
        assert (match_nearest(30.0, half, 210.0, half, radius)[0] == 0).all() == matched
        assert (match_nearest(30.0, -half, 210.0, -half, radius)[0] == 0).all() == matched


def test_of_equally_near_rows_the_first_counts() -> None:
    ra, dec = np.full(5, 359.99999), np.full(5, 0.5)
    row, separation = match_nearest(ra[:2], dec[:2], ra, dec, 1.0)
    np.testing.assert_array_equal(row, [0, 0])
    np.testing.assert_array_equal(separation, [0, 0])
    pairs = match_pairs(ra[:2], dec[:2], ra, dec, 1.0)
    np.testing.assert_array_equal(pairs.left, np.repeat([0, 1], 5))
    np.testing.assert_array_equal(pairs.right, np.tile(np.arange(5), 2))


def test_the_poles_have_every_right_ascension() -> None:
    row, separation = match_nearest(10.0, 90.0, [200.0, 300.0], [-90.0, 90.0], 1.0)
    np.testing.assert_array_equal(row, [1])
    # cos(90 deg) is 6e-17 in floating point.
    np.testing.assert_allclose(separation, 0, atol=ROUNDING_ARCSEC)


@pytest.mark.parametrize("rows", [(0, 0), (0, 3), (3, 0)])
def test_empty_lists_match_nothing(rows: tuple[int, int]) -> None:
    left, right = ((np.zeros(n), np.zeros(n)) for n in rows)
    row, _ = match_nearest(*left, *right, 1.0)
    assert row.size == rows[0]
    assert (row == -1).all()
    assert match_pairs(*left, *right, 1.0).left.size == 0


@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [([np.nan], [0.0], 1.0), ([0.0], [91.0], 1.0), ([0.0], [np.inf], 1.0), ([0.0], [0.0], 0.0)],
)
def test_impossible_positions_are_refused(ra: list, dec: list, radius: float) -> None:
    with pytest.raises(ValueError, match=r"finite|between"):
        PositionIndex(ra, dec, radius)


@pytest.mark.parametrize("years", [-16.0, 100.0])
def test_propagation_is_that_of_astropy(years: float) -> None:
    """Stars at 1 kpc without radial velocity, where light travel time changes nothing.

    Astropy's model is relativistic: it differs by the angle times v/c, here 0.2 arcsec/yr * 100 yr
    * 950 km/s / c = 0.06 arcsec at most for the direction along the line of sight, of which the
    part across it is smaller by the angle moved, 1e-4 rad: 6e-6 arcsec.
    """
    rng = np.random.default_rng(30)
    ra, dec = _sky(2_000, 31)
    ra[:500], dec[:500] = _cap(500, 20 / 3600, 1, 32)
    pmra, pmdec = rng.normal(0, 100, (2, 2_000))
    start = Time(2016.0, format="jyear", scale="tdb")
    stars = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        distance=np.full(2_000, 1000) * u.pc,
        pm_ra_cosdec=pmra * u.mas / u.yr,
        pm_dec=pmdec * u.mas / u.yr,
        radial_velocity=np.zeros(2_000) * u.km / u.s,
        obstime=start,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*dubious year")
        moved = stars.apply_space_motion(
            new_obstime=Time(2016.0 + years, format="jyear", scale="tdb")
        )
    ours = SkyCoord(*propagate(ra, dec, pmra, pmdec, years), unit="deg")
    assert ours.separation(moved).arcsec.max() < 6e-6


def test_a_radial_velocity_changes_a_propagated_position_as_stated() -> None:
    """Barnard's star over 16 years: the perspective acceleration mu * v_r / d * t**2."""
    star = {"pmra": -801.551, "pmdec": 10362.394}
    distance, velocity, years = 1.8282, -110.4, 16.0
    start = Time(2016.0, format="jyear", scale="tdb")
    moved = SkyCoord(
        269.4485 * u.deg,
        4.7394 * u.deg,
        distance=distance * u.pc,
        pm_ra_cosdec=star["pmra"] * u.mas / u.yr,
        pm_dec=star["pmdec"] * u.mas / u.yr,
        radial_velocity=velocity * u.km / u.s,
        obstime=start,
    ).apply_space_motion(dt=years * u.yr)
    ours = SkyCoord(*propagate(269.4485, 4.7394, **star, years=years), unit="deg")
    expected = np.hypot(*star.values()) / 1000 * abs(velocity) / (distance * 9.7779e5) * years**2
    found = ours.separation(moved).arcsec
    # Terms of the next order are smaller by v_r t / d = 1e-3.
    assert found == pytest.approx(expected, rel=0.01)
    assert found < 0.17


def test_propagation_there_and_back() -> None:
    ra, dec = _sky(1_000, 40)
    rng = np.random.default_rng(41)
    pmra, pmdec = rng.normal(0, 100, (2, 1_000))
    there = propagate(ra, dec, pmra, pmdec, 16.0)
    back = SkyCoord(*propagate(*there, pmra, pmdec, -16.0), unit="deg")
    # Axes at the new place are turned by the move times tan(dec), and so is the way back.
    move = np.hypot(pmra, pmdec) * 16e-3
    bound = move * np.radians(move / 3600) * np.abs(np.tan(np.radians(dec))) + 1e-6
    assert (back.separation(SkyCoord(ra, dec, unit="deg")).arcsec < bound).all()


def test_a_missing_proper_motion_counts_as_none() -> None:
    ra, dec = propagate([10.0, 359.9999], [20.0, -30.0], [np.nan, 1e5], [np.nan, np.nan], 10.0)
    # cos(30 deg) * (ra - 360) = 1e5 mas/yr * 10 yr to second order in the angle of 5e-3 rad.
    np.testing.assert_allclose(ra[0], 10.0, rtol=1e-15)
    assert 0 < ra[1] < 1
    np.testing.assert_allclose(dec[0], 20.0, rtol=1e-15)
