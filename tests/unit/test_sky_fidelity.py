"""Astrometric fidelities of the embedded sky."""

import itertools
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from mwatlas.config.sky_fidelity import SkyFidelity
from mwatlas.sky.fidelity import draw_neighbours, fidelity
from mwatlas.tables.fidelity import FIDELITY, NEIGHBOUR_STEPS, neighbour_column

SETTINGS: dict[str, Any] = {
    "good_kept": 0.973,
    "spurious_kept": 0.007,
    "logit_scatter": 3.0,
    "signal_gain": 1.5,
    "ruwe_loss": 1.5,
    "crowding_loss": 3.0,
    "crowding_scale_arcsec": 1.5,
    "faint_loss": 0.5,
}
NUMBER = 100_000
SOURCE = np.arange(NUMBER) * 128 + 1


def _rows(**changes: Any) -> dict[str, Any]:
    columns = {
        "spurious": np.zeros(NUMBER, dtype=bool),
        "ruwe": np.ones(NUMBER),
        "parallax_over_error": np.full(NUMBER, 4.5),
        "g": np.full(NUMBER, 15.0),
        "density_arcmin2": np.full(NUMBER, 1e-9),
        **changes,
    }
    rows = fidelity(SOURCE, settings=SkyFidelity(**SETTINGS), seed=3, **columns)
    return FIDELITY.conform(rows, "test")


def test_the_classifier_is_as_pure_and_complete_as_published() -> None:
    # Binomial errors of 100,000, four sigma.
    good, bad = _rows(), _rows(spurious=np.ones(NUMBER, dtype=bool))
    for rows, share in ((good, 0.973), (bad, 0.007)):
        error = np.sqrt(share * (1 - share) / NUMBER)
        assert (rows["fidelity_v2"] > 0.5).mean() == pytest.approx(share, abs=4 * error)


def test_fidelities_pile_up_at_one_and_at_zero() -> None:
    spurious = np.arange(NUMBER) % 20 == 0
    rows = _rows(spurious=spurious, parallax_over_error=np.where(spurious, -5.0, 50.0))
    value = rows["fidelity_v2"]
    assert (value[~spurious] > 0.9).mean() > 0.98
    assert (value[spurious] < 0.1).mean() > 0.9
    assert ((value > 0.1) & (value < 0.9)).mean() < 0.02


def test_what_disturbs_astrometry_lowers_the_fidelity() -> None:
    plain = _rows()["fidelity_v2"]
    for change in (
        {"ruwe": np.full(NUMBER, 3.0)},
        {"g": np.full(NUMBER, 20.0)},
        {"density_arcmin2": np.full(NUMBER, 500.0), "g": np.full(NUMBER, 19.0)},
    ):
        assert np.median(_rows(**change)["fidelity_v2"]) < np.median(plain), change
    assert (_rows(parallax_over_error=np.full(NUMBER, 100.0))["fidelity_v2"] >= plain).all()


def test_neighbours_are_a_poisson_process() -> None:
    density = np.full(NUMBER, 40.0)
    g = np.full(NUMBER, 16.0)
    rows = draw_neighbours(SOURCE, g, density, 3)
    for step, brighter in NEIGHBOUR_STEPS.items():
        per_arcsec2 = 40 / 3600 * 10 ** (0.25 * (16.0 - brighter - 20.7))
        distance = rows[neighbour_column(step)]
        found = np.isfinite(distance)
        expected = 1 - np.exp(-np.pi * 900 * per_arcsec2)
        error = np.sqrt(expected * (1 - expected) / NUMBER)
        assert found.mean() == pytest.approx(expected, abs=4 * error)
        if found.sum() > 100:
            chance = -np.expm1(-np.pi * distance[found] ** 2 * per_arcsec2) / expected
            assert stats.kstest(chance, "uniform").pvalue > 1e-3
    steps = [np.nan_to_num(rows[neighbour_column(s)], nan=np.inf) for s in NEIGHBOUR_STEPS]
    for fainter, brighter_ones in itertools.pairwise(steps):
        assert (fainter <= brighter_ones).all()
    theta = rows["theta_arcsec_worst_source"]
    assert (np.isnan(theta) == np.isinf(steps[0])).all()
    assert np.nanmax(theta) < 30


def test_a_star_keeps_its_fidelity_whatever_is_around() -> None:
    keep = slice(1000, 1100)
    whole, part = (
        fidelity(
            SOURCE[rows],
            np.zeros(NUMBER, dtype=bool)[rows],
            np.ones(NUMBER)[rows],
            np.full(NUMBER, 10.0)[rows],
            np.full(NUMBER, 15.0)[rows],
            np.full(NUMBER, 30.0)[rows],
            SkyFidelity(**SETTINGS),
            3,
        )
        for rows in (slice(None), keep)
    )
    for name, values in whole.items():
        np.testing.assert_array_equal(values[keep], part[name])


def test_bad_settings_of_the_classifier_are_refused() -> None:
    for change in ({"good_kept": 1.0}, {"spurious_kept": 0.6}, {"logit_scatter": 0.0}):
        with pytest.raises(ValidationError):
            SkyFidelity(**{**SETTINGS, **change})
