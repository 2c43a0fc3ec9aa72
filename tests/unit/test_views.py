"""Survey matches aligned with stars, and catalogues as views of a cell."""

import numpy as np
import pytest

from mwatlas.astrometry.frames import spherical_velocity
from mwatlas.studies.line_of_sight.accumulate import catalogues_of, no_matches
from mwatlas.studies.line_of_sight.views import SURVEYS, entries, match_rows
from mwatlas.tables.table import Columns

from .line_of_sight_samples import make_view, match


def _matches(rows: list[tuple[int, str, float]]) -> Columns:
    """Rows of identifier, survey and [Fe/H]; [Mg/Fe] and velocity follow from it."""
    source_id, survey, fe_h = zip(*rows, strict=True)
    fe = np.array(fe_h)
    return {
        "source_id": np.array(source_id),
        "survey": np.array(survey, dtype=object),
        "fe_h": fe,
        "mg_fe": fe / 10,
        "survey_radial_velocity": 100 * fe,
    }


# A star in both surveys, one in each, one in none; and matches of stars outside of the sample,
# below, between and above its identifiers.
STARS = np.array([10, 20, 30, 40])
ROWS = [
    (5, "apogee", -9.0),
    (10, "apogee", -1.0),
    (10, "galah", -1.5),
    (25, "galah", -9.0),
    (30, "apogee", -0.5),
    (40, "galah", 0.25),
    (99, "apogee", -9.0),
]
FE_H = {"galah": [-1.5, np.nan, np.nan, 0.25], "apogee": [-1.0, np.nan, -0.5, np.nan]}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
@pytest.mark.parametrize("reverse", [False, True])
def test_matches_are_those_of_each_star(order: list[int], reverse: bool) -> None:
    out = match_rows(STARS[order], _matches(ROWS[::-1] if reverse else ROWS))
    assert tuple(out) == SURVEYS
    for survey, expected in FE_H.items():
        fe_h = np.array(expected)[order]
        np.testing.assert_array_equal(out[survey].matched, np.isfinite(fe_h))
        np.testing.assert_array_equal(out[survey].fe_h, fe_h)
        np.testing.assert_array_equal(out[survey].mg_fe, fe_h / 10)
        np.testing.assert_array_equal(out[survey].survey_radial_velocity, 100 * fe_h)


def test_a_match_may_have_no_abundances() -> None:
    out = match_rows(STARS, _matches([(20, "galah", np.nan)]))
    np.testing.assert_array_equal(out["galah"].matched, [False, True, False, False])
    assert np.isnan(out["galah"].fe_h).all()


def test_cells_without_stars_or_matches() -> None:
    for stars, rows in ((STARS[:0], _matches(ROWS)), (STARS, no_matches())):
        for found in match_rows(stars, rows).values():
            assert found.matched.shape == found.fe_h.shape == stars.shape
            assert not found.matched.any()


def test_a_mask_selects_from_everything() -> None:
    e = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    stars = make_view(
        "test_set",
        e,
        v_los_kms=100 * e,
        fold=[0, 1, 2],
        complete=[True, False, True],
        galah=match(3, matched=[True, False, False], fe_h=[1.0, 2.0, 3.0]),
    )
    some = stars[np.array([True, False, True])]
    np.testing.assert_array_equal(some.eccentricity, e[[0, 2]])
    np.testing.assert_array_equal(some.v_los_kms, 100 * e[[0, 2]])
    np.testing.assert_array_equal(some.fold, [0, 2])
    np.testing.assert_array_equal(some.complete, [True, True])
    np.testing.assert_array_equal(some.matches["galah"].fe_h, [1, 3])
    assert (some.draws, some.name, len(some.phase.position_kpc)) == (2, "test_set", 2)
    second = some.of("other", slice(1, None))
    assert second.name == "other"
    np.testing.assert_array_equal(second.eccentricity, e[[0, 2], 1:])


def test_the_catalogues_share_out_the_stars() -> None:
    """RV has the measured velocity, the others the draws; nobody has the mean prediction."""
    e = np.arange(12).reshape(3, 4) / 12
    views = catalogues_of(make_view("all", e, v_los_kms=e, fold=[3, -1, 0]))
    expected = {"rv": e[[0, 2], :1], "test_set": e[[0, 2], 2:], "ml_rv": e[[1], 2:]}
    assert list(views) == list(expected)
    for name, values in expected.items():
        assert views[name].name == name
        np.testing.assert_array_equal(views[name].eccentricity, values)
        np.testing.assert_array_equal(views[name].v_los_kms, values)
    np.testing.assert_array_equal(views["ml_rv"].fold, [-1])


def test_entries_are_the_chosen_velocities() -> None:
    rng = np.random.default_rng(0)
    stars = make_view(
        "test_set",
        rng.random((4, 3)),
        offset_kpc=rng.normal(size=(4, 3)),
        rest_kms=rng.normal(0, 100, (4, 3)),
        sight=rng.normal(size=(4, 3)),
        v_los_kms=rng.normal(0, 100, (4, 3)),
    )
    chosen = stars.eccentricity > 0.5
    found = entries(stars, chosen)
    all_velocities = stars.phase.velocity_kms(stars.v_los_kms)
    np.testing.assert_array_equal(found.position_kpc, stars.phase.position_kpc[found.star])
    np.testing.assert_array_equal(found.velocity_kms, all_velocities[found.star, found.draw])
    assert set(zip(found.star, found.draw, strict=True)) == set(zip(*chosen.nonzero(), strict=True))
    spherical = spherical_velocity(stars.phase.position_kpc, all_velocities)
    np.testing.assert_allclose(
        found.spherical_kms, spherical[found.star, found.draw], rtol=0, atol=1e-11
    )
    none = entries(stars, np.zeros_like(chosen))
    assert none.spherical_kms.shape == (0, 3)
