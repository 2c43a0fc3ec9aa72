"""Whether velocities tell the potential and the density of tracers apart."""

import numpy as np
import pytest

from mwatlas.errors import InputError
from mwatlas.potential.degeneracy import Degeneracy, misfit, own_share
from mwatlas.potential.phase_samples import PhaseSamples
from tests.unit.steady_systems import NOT_MAXWELLIAN, SYSTEMS, points


def _samples(name: str, n: int = 8192) -> PhaseSamples:
    x, v = points(name, n)
    return PhaseSamples.of_system(SYSTEMS[name], x.numpy(), v.numpy(), conditional=True)


@pytest.mark.parametrize("name", ["isothermal", "jacobi_maxwellian"])
def test_a_normal_distribution_has_no_share(name: str) -> None:
    # Rounding of 1e-16, squared, and some digits lost in the regression.
    assert own_share(_samples(name)) < 1e-26
    assert Degeneracy(own_share(_samples(name)), misfit=0.0).degenerate


@pytest.mark.parametrize("name", NOT_MAXWELLIAN)
def test_others_have_one(name: str) -> None:
    verdict = Degeneracy(own_share(_samples(name)), misfit=0.01)
    assert verdict.own_share > 0.05
    assert not verdict.degenerate


def test_the_share_in_a_plummer_sphere() -> None:
    # In closed form 1 - 1 / (sigma^2 <s^2>) = 1 / 7 in every direction. Of 256 neighbours the
    # mean square of s, whose tail is heavy, is seen too small by half of them, and the worst of
    # three directions is taken: a factor of 2.
    share = own_share(_samples("plummer"))
    assert share == pytest.approx(1 / 14, rel=0.2)


def test_units_do_not_matter() -> None:
    samples = _samples("plummer")
    scaled = PhaseSamples(
        1e3 * samples.x, 1e-2 * samples.v, 1e-3 * samples.score_x, 1e2 * samples.score_v
    )
    assert own_share(scaled) == pytest.approx(own_share(samples), rel=1e-9)


def test_noise_in_the_slopes_is_no_information() -> None:
    # Slopes of a Maxwellian with errors of 10 % have a share of 1 %; the misfit is as large.
    samples = _samples("isothermal")
    rng = np.random.default_rng(0)
    noise = 0.1 * samples.score_v.std() * rng.normal(size=samples.v.shape)
    noisy = PhaseSamples(samples.x, samples.v, samples.score_x, samples.score_v + noise)
    acceleration = SYSTEMS["isothermal"].acceleration(points("isothermal", 8192)[0]).numpy()
    # What the true fields leave.
    residual = -(acceleration * noise).sum(axis=1)
    verdict = Degeneracy(own_share(noisy), misfit(noisy, residual, acceleration))
    # The smallest of three shares of 240 degrees of freedom: below 1 % by two errors of 9 %.
    assert verdict.own_share == pytest.approx(0.01 / 1.01, rel=0.25)
    assert verdict.misfit == pytest.approx(0.1, rel=0.1)
    assert verdict.degenerate


def test_the_threshold_is_where_the_misfit_allows_for_an_error_of_one_half() -> None:
    at = Degeneracy(0.0, misfit=0.1).threshold
    assert at == pytest.approx(0.04)
    assert Degeneracy(at, 0.1).possible_error == pytest.approx(0.5)
    assert Degeneracy(at, 0.1).degenerate
    assert not Degeneracy(1.01 * at, 0.1).degenerate


def test_messages() -> None:
    assert "must not be trusted" in Degeneracy(1e-3, 0.1).message()
    assert "determine potential and density" in Degeneracy(0.14, 0.01).message()


def test_too_few_samples() -> None:
    with pytest.raises(InputError) as caught:
        own_share(_samples("plummer", 511))
    assert caught.value.found == 511
