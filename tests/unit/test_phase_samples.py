"""Samples in phase space: what is refused, and their file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mwatlas.errors import InputError
from mwatlas.potential.local_rate import local_rate
from mwatlas.potential.phase_samples import PhaseSamples
from tests.unit.steady_systems import SYSTEMS, points

Arrays = dict[str, np.ndarray]


def _samples(name: str = "plummer", n: int = 600, conditional: bool = True) -> PhaseSamples:
    x, v = points(name, n)
    return PhaseSamples.of_system(SYSTEMS[name], x.numpy(), v.numpy(), conditional)


def _arrays() -> Arrays:
    samples = _samples(n=10)
    return {name: getattr(samples, name).copy() for name in ("x", "v", "score_x", "score_v")}


def _set_nan(arrays: Arrays) -> None:
    arrays["score_x"][7, 1] = np.nan


def _cut(arrays: Arrays) -> None:
    arrays["v"] = arrays["v"][:, :2]


def _drop(arrays: Arrays) -> None:
    arrays["score_v"] = arrays["score_v"][:-1]


def _empty(arrays: Arrays) -> None:
    arrays.update({name: array[:0] for name, array in arrays.items()})


def _zeros(name: str) -> Callable[[Arrays], None]:
    def spoil(arrays: Arrays) -> None:
        arrays[name][:] = 0.0

    return spoil


@pytest.mark.parametrize(
    ("spoil", "item", "found"),
    [
        (_set_nan, "score_x", "1 rows that are not finite, the first is 7"),
        (_cut, "v", "shape (10, 2)"),
        (_drop, "score_v", "shape (9, 3)"),
        (_empty, "x", "shape (0, 3)"),
        (_zeros("x"), "x", "10 equal rows"),
        (_zeros("v"), "v", "10 equal rows"),
        (_zeros("score_v"), "score_v", "zero in all rows"),
    ],
    ids=["nan", "columns", "rows", "empty", "positions", "velocities", "slopes"],
)
def test_bad_samples(spoil: Callable[[Arrays], None], item: str, found: str) -> None:
    arrays = _arrays()
    spoil(arrays)
    with pytest.raises(InputError) as caught:
        PhaseSamples(**arrays)
    assert (caught.value.item, caught.value.found) == (item, found)


def test_slopes_by_position_may_vanish() -> None:
    assert not _samples("isothermal").score_x.any()


def test_slopes_of_f_and_of_p_differ_by_those_of_n() -> None:
    whole, conditional = _samples(conditional=False), _samples()
    np.testing.assert_array_equal(whole.score_v, conditional.score_v)
    # ln n of a Plummer sphere with b = 1.3: -5/2 ln(r^2 + b^2).
    slope = -5 * whole.x / ((whole.x**2).sum(axis=1, keepdims=True) + 1.3**2)
    np.testing.assert_allclose(whole.score_x - conditional.score_x, slope, rtol=0, atol=1e-12)


def test_files(tmp_path: Path) -> None:
    samples = _samples()
    for name in ("a.h5", "b.h5"):
        samples.save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    again = PhaseSamples.load(tmp_path / "a.h5")
    for name in ("x", "v", "score_x", "score_v"):
        np.testing.assert_array_equal(getattr(again, name), getattr(samples, name))
    with pytest.raises(InputError):
        PhaseSamples.load(tmp_path / "none.h5")


def test_the_local_rate_scales_with_units() -> None:
    samples = _samples()
    length, speed = 3.0, 50.0
    scaled = PhaseSamples(
        length * samples.x,
        speed * samples.v,
        samples.score_x / length,
        samples.score_v / speed,
    )
    np.testing.assert_allclose(local_rate(scaled), local_rate(samples) * speed / length)


def test_the_local_rate_of_a_uniform_distribution_is_speed_over_extent() -> None:
    samples = _samples("isothermal", 2000)
    # The median of a Maxwellian is 1.538 sigma; 1.25 / sqrt(256) of its width of 0.67 sigma.
    expected = 1.538 * 0.45 / np.linalg.norm(samples.x, axis=1).max()
    np.testing.assert_allclose(local_rate(samples), expected, rtol=4 * 1.25 / 16 * 0.67 / 1.538)
