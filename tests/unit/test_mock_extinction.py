"""Extinction of the mock sky against closed forms and brute force."""

import logging
from collections.abc import Callable
from pathlib import Path

import healpy
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.special import erf

from mwatlas.config.conditional_mock import MockDust
from mwatlas.errors import InputError
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential import extinction
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.extinction import Extinction

Floats = NDArray[np.float64]
PROGRESS = Progress("test", logging.getLogger("mwatlas"))
RADIUS, STEPS = 8.0, 256
STEP = RADIUS / STEPS
# Relative rounding of single precision.
EPS = 2.0**-24

AMPLITUDE, WIDTH, CENTRE = 2.0, 0.9, np.array([2.5, -1.5, 1.0])
DISTANCE = float(np.linalg.norm(CENTRE))
PEAK = AMPLITUDE * WIDTH * np.sqrt(2 * np.pi)
"""Extinction through the middle of the blob."""
CURVATURE = PEAK * (DISTANCE / WIDTH) ** 2
"""Second derivative by angle there, the largest."""


def _integral(density: Callable[[Floats], Floats], nside: int, steps: int = STEPS) -> Extinction:
    return Extinction.integrate(density, RADIUS, steps, nside, PROGRESS)


def _places(number: int, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    place = rng.normal(size=(number, 3))
    return place * (RADIUS * rng.random(number) / np.linalg.norm(place, axis=1))[:, None]


def _blob(place: Floats) -> Floats:
    return AMPLITUDE * np.exp(-0.5 * ((place - CENTRE) ** 2).sum(axis=-1) / WIDTH**2)


def _behind_blob(place: Floats) -> Floats:
    """Integral of the blob's density along straight lines from the origin."""
    radius = np.linalg.norm(place, axis=1)
    along = place @ CENTRE / radius
    impact = (DISTANCE**2 - along**2) / (2 * WIDTH**2)
    root = np.sqrt(2) * WIDTH
    return 0.5 * PEAK * np.exp(-impact) * (erf((radius - along) / root) + erf(along / root))


def _sphere_error(nside: int) -> float:
    """Bound on the error of interpolating the blob on the sphere.

    Linear interpolation between points d apart errs by d^2 / 8 of the second derivative. Pixels
    of a ring are at most pi / 2 / nside apart, rings at most 0.9 / nside.
    """
    return CURVATURE * ((np.pi / 2) ** 2 + 0.9**2) / nside**2 / 8


# Trapezoidal rule between the points of the grid, linear interpolation in between: twelfths and
# eighths of step^2 times the slope of the density, which is largest at one width.
RADIAL_ERROR = STEP**2 * (1 / 12 + 1 / 8) * AMPLITUDE / WIDTH * np.exp(-0.5)


def test_constant_dust_is_exact() -> None:
    grid = _integral(lambda place: np.full(place.shape[:-1], 0.7), nside=2)
    places = _places(5000)
    expected = 0.7 * np.linalg.norm(places, axis=1)
    np.testing.assert_allclose(grid.at(places), expected, rtol=2 * EPS, atol=1e-7 * STEP)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_a_radial_power_law_is_its_closed_form(power: float) -> None:
    grid = _integral(lambda place: np.linalg.norm(place, axis=-1) ** power, nside=2)
    places = _places(5000)
    radius = np.linalg.norm(places, axis=1)
    # As for the blob; the slope of the density grows outwards, to the next point of the grid.
    slope = power * (radius + STEP) ** (power - 1)
    bound = STEP**2 * (1 / 12 + 1 / 8) * slope
    exact = radius ** (power + 1) / (power + 1)
    error = np.abs(grid.at(places) - exact)
    assert (error <= bound + 4 * EPS * RADIUS ** (power + 1)).all()


def test_a_blob_is_its_closed_form_along_the_pixels() -> None:
    nside = 8
    grid = _integral(_blob, nside)
    sight = np.stack(healpy.pix2vec(nside, np.arange(12 * nside**2), nest=True), axis=-1)
    for radius in (STEP, 1.03, 3.0, 5.77, RADIUS):
        places = radius * sight
        error = np.abs(grid.at(places) - _behind_blob(places)).max()
        # Directions of pixels come back to 1e-15, and no interpolation on the sphere remains.
        assert error <= RADIAL_ERROR + 4 * EPS * PEAK


def test_a_blob_is_its_closed_form_between_pixels() -> None:
    places = _places(20_000)
    exact = _behind_blob(places)
    errors = {}
    for nside in (16, 32, 64):
        error = _integral(_blob, nside).at(places) - exact
        assert np.abs(error).max() <= _sphere_error(nside) + RADIAL_ERROR
        errors[nside] = np.sqrt((error**2).mean())
    # Second order, until the error along the sightline, 1e-4 of a magnitude, is met.
    assert errors[16] / errors[32] == pytest.approx(4, rel=0.1)
    assert RADIAL_ERROR < 3e-4


def test_poles_and_the_seam_of_longitude_are_like_other_places() -> None:
    nside = 32
    grid = _integral(_blob, nside)
    polar = np.array([[0, 0, 6.0], [0, 0, -6.0], [1e-9, -1e-9, 6.0], [5, 0, 0], [5, -1e-300, 0]])
    error = np.abs(grid.at(polar) - _behind_blob(polar))
    assert (error <= _sphere_error(nside) + RADIAL_ERROR).all()
    around = grid.at(np.array([[5.0, 1e-12, 1.0], [5.0, -1e-12, 1.0], [5.0, 0.0, 1.0]]))
    np.testing.assert_allclose(around, around[2], rtol=1e-9)


@pytest.fixture(scope="module")
def field() -> DustField:
    return DustField.draw(MockDust(), RADIUS, 20221)


def _brute_force(field: DustField, place: Floats, steps: int) -> Floats:
    """Trapezoidal integral with SciPy's own interpolation between cells; shape (N,)."""
    cells = len(field.density)
    # A cell more on either side, for the cube repeats.
    padded = np.pad(field.density.astype(float), 1, mode="wrap")
    centres = (np.arange(-1, cells + 1) + 0.5) * field.cell_kpc - field.half_width_kpc
    interpolate = RegularGridInterpolator((centres,) * 3, padded)
    share = np.linspace(0, 1, steps + 1)
    values = interpolate(share[:, None] * place[:, None])
    return np.trapezoid(values, share, axis=1) * np.linalg.norm(place, axis=1)


def test_the_dust_field_is_brute_force_along_the_pixels(field: DustField) -> None:
    some = np.random.default_rng(3).choice(12 * 16**2, 60, replace=False)
    sight = np.stack(healpy.pix2vec(16, some, nest=True), axis=-1)
    ours = _integral(field.at, 16).extinction_mag[some, -1]
    halved = _integral(field.at, 16, 2 * STEPS).extinction_mag[some, -1]
    exact = _brute_force(field, RADIUS * sight, 16 * STEPS)
    # The error is that of the trapezoidal rule, which falls by 4 with half the step: its size
    # is told by 4/3 of the change. Kinks at the walls of cells make it scatter about that.
    estimate = 4 / 3 * np.sqrt(np.mean((ours - halved) ** 2))
    error = np.sqrt(np.mean((ours - exact) ** 2))
    assert error == pytest.approx(estimate, rel=0.3)
    assert error < 1e-3 * exact.mean()


def test_the_dust_field_converges_between_pixels(field: DustField) -> None:
    places = _places(300)
    exact = _brute_force(field, places, 4096)
    found = [_integral(field.at, nside).at(places) for nside in (16, 32, 64)]
    scatter = [np.sqrt(np.mean((values - exact) ** 2)) for values in found]
    # Structure of a cell, 0.125 kpc, is 0.9 degrees wide at 8 kpc: a pixel at nside 64. Nearer
    # places are resolved, so the error at least halves with each doubling; then it is less than
    # the last change, which needs no exact integral to be known.
    assert scatter[0] > 2 * scatter[1] > 4 * scatter[2]
    assert scatter[2] < np.sqrt(np.mean((found[2] - found[1]) ** 2)) < 0.15


def test_pieces_and_repetitions_change_no_bit(
    field: DustField, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = _integral(field.at, 8)
    monkeypatch.setattr(extinction, "_PIXELS_AT_ONCE", 7)
    pieces = _integral(field.at, 8)
    np.testing.assert_array_equal(pieces.extinction_mag, whole.extinction_mag)
    places = _places(1000)
    parts = np.concatenate([whole.at(part) for part in np.array_split(places, 13)])
    np.testing.assert_array_equal(parts, whole.at(places))
    for name, grid in (("a.h5", whole), ("b.h5", pieces)):
        grid.save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    loaded = Extinction.load(tmp_path / "a.h5")
    np.testing.assert_array_equal(loaded.at(places), whole.at(places))


def test_extinction_grows_outwards(field: DustField) -> None:
    assert (np.diff(_integral(field.at, 8).extinction_mag, axis=1) > 0).all()


@pytest.mark.parametrize("place", [[8.1, 0, 0], [np.nan, 0, 0], [0, np.inf, 0]])
def test_places_outside_are_refused(place: list[float]) -> None:
    grid = Extinction(np.zeros((12, 3), dtype=np.float32), RADIUS)
    with pytest.raises(InputError, match=r"1 of 2.*\n.*at most 8\.0 kpc"):
        grid.at(np.array([[0, 0, 1.0], place]))


def test_single_precision_puts_no_place_outside() -> None:
    places = _places(2000)
    places *= RADIUS / np.linalg.norm(places, axis=1, keepdims=True)
    grid = _integral(lambda place: np.ones(place.shape[:-1]), nside=2)
    np.testing.assert_allclose(grid.at(places.astype(np.float32)), RADIUS, rtol=1e-6)
