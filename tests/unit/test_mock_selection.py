"""The mock's selection function against brute-force sampling and asymptotes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mwatlas.config.conditional_mock import Magnitudes
from mwatlas.errors import InputError
from mwatlas.studies.conditional_potential.extinction import Extinction
from mwatlas.studies.conditional_potential.selection import Selection

Floats = NDArray[np.float64]
RADIUS = 8.0
LAW = Magnitudes(mean=4.0, sigma=1.0, limit=18.0)


def _uniform(mag_per_kpc: float, law: Magnitudes = LAW) -> Selection:
    """Selection behind constant dust, for which two points of the grid are exact."""
    grid = np.zeros((12, 2), dtype=np.float32)
    grid[:, 1] = mag_per_kpc * RADIUS
    return Selection(law, Extinction(grid, RADIUS))


def _places(number: int, least: float = 0.1) -> Floats:
    rng = np.random.default_rng(4)
    place = rng.normal(size=(number, 3))
    radius = rng.uniform(least, RADIUS, number)
    return place * (radius / np.linalg.norm(place, axis=1))[:, None]


def test_the_share_observed_is_what_sampling_gives() -> None:
    law = Magnitudes(mean=3.5, sigma=0.7, limit=17.2)
    selection = _uniform(0.5, law)
    places = np.array([[1.0, 2.0, 0.5], [0, 4.0, 0], [0, 0, -3.0], [1.2, -1.6, 0]])
    number = 400_000
    absolute = 3.5 + 0.7 * np.random.default_rng(8).standard_normal(number)
    for place, share in zip(places, selection.probability(places), strict=True):
        distance_pc = 1000 * np.linalg.norm(place)
        apparent = absolute + 5 * np.log10(distance_pc / 10) + 0.5 * distance_pc / 1000
        error = np.sqrt(share * (1 - share) / number)
        # Hundreds of stars on either side, so the binomial error is nearly normal.
        assert 0.02 < share < 0.98
        assert (apparent < 17.2).mean() == pytest.approx(share, abs=4 * error)


def test_a_star_at_the_limit_is_seen_half_the_time() -> None:
    # 4 + 5 log10(1000 / 10) + 4 = 18 at 1 kpc.
    place = np.array([[0, 1.0, 0]])
    assert _uniform(4.0).probability(place)[0] == pytest.approx(0.5, abs=1e-6)


def test_probability_and_its_logarithm_agree() -> None:
    places = _places(500)
    selection = _uniform(0.6)
    np.testing.assert_allclose(
        np.exp(selection.log_probability(places)), selection.probability(places), rtol=1e-11
    )


def test_the_tail_has_its_asymptote() -> None:
    # 60 mag per kpc hide all: S underflows, its logarithm does not.
    selection = _uniform(60.0)
    places = _places(200, least=2.0)
    distance = np.linalg.norm(places, axis=1)
    x = 4 + 5 * np.log10(100 * distance) + 60 * distance - 18
    assert x.min() > 100
    # Mills' ratio: the next term of the series is 15 / x^6 < 1e-10. The grid of extinctions
    # is in single precision, 6e-8 of 480 mag, and an error of x counts x times.
    exact = -0.5 * x**2 - np.log(x * np.sqrt(2 * np.pi)) + np.log1p(-(x**-2) + 3 * x**-4)
    assert (selection.probability(places) == 0).all()
    error = np.abs(selection.log_probability(places) - exact)
    assert (error <= 6e-8 * 480 * x + 1e-10).all()


def test_the_observer_sees_everything_about_it() -> None:
    selection = _uniform(1.0)
    places = np.array([[0, 0, 0], [1e-12, 0, 0]], dtype=float)
    np.testing.assert_array_equal(selection.probability(places), 1.0)
    np.testing.assert_array_equal(selection.log_probability(places), 0.0)


def test_places_that_are_missing_are_refused() -> None:
    with pytest.raises(InputError, match="not inside the grid"):
        _uniform(1.0).probability(np.array([[np.nan, 0.0, 0.0]]))
