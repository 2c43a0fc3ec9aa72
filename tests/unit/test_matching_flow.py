"""Flows that learned: against distributions that are known, and against themselves."""

import logging
from pathlib import Path

import numpy as np
import pytest

from mwatlas.flows.flow import Flow
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.ode import Solver
from mwatlas.flows.pairing import OptimalTransport
from mwatlas.flows.scores import relative_difference
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, Normal, small_flow

STARS = 20_000
# What a small network reaches in seconds. Its loss is known to the noise of its last few hundred
# steps of 512 stars, some 3 per mille of a variance of 1 an axis, and the deficit in ln p is of
# that order; twenty thousand stars alone would allow 1e-4.
DEFICIT_NATS = 0.015
# 2 * deficit is the mean square of the error of z, 0.17 for each, and a score is of order one.
SCORE_ERROR = 0.17


@pytest.fixture(scope="module", params=[1, 2, 3])
def learned(request: pytest.FixtureRequest) -> tuple[Normal, MatchingFlow]:
    normal = Normal(request.param)
    transport = OptimalTransport(batch=128, passes=2) if request.param == 2 else None
    flow = small_flow(request.param, epochs=15, transport=transport)
    flow.fit(normal.sample(STARS, 1), progress=Progress("test", logging.getLogger("mwatlas")))
    return normal, flow


@pytest.fixture(scope="module")
def conditional() -> MatchingFlow:
    flow = small_flow(2, 1, epochs=40)
    v, x = Heteroscedastic().sample(STARS, 1)
    flow.fit(v, x, progress=Progress("test", logging.getLogger("mwatlas")))
    return flow


def test_a_normal_distribution_and_its_score(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    x = normal.sample(300, 2)
    flow.solver = Solver(steps=8)
    assert np.mean(normal.log_prob(x) - flow.log_prob(x)) == pytest.approx(0, abs=DEFICIT_NATS)
    ours, none = flow.score(x)
    assert none is None
    assert relative_difference(ours, normal.score(x)[0])[0] < SCORE_ERROR


def test_the_integral_of_the_density_is_one(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    # Importance sampling from a normal of twice the variance.
    flow.solver = Solver(steps=8)
    x = normal.mean + np.sqrt(2) * (normal.sample(1500, 6) - normal.mean)
    square = np.einsum(
        "ni,ij,nj->n", x - normal.mean, np.linalg.inv(2 * normal.covariance), x - normal.mean
    )
    proposal = -0.5 * square - 0.5 * np.linalg.slogdet(4 * np.pi * normal.covariance)[1]
    ratio = np.exp(flow.log_prob(x) - proposal)
    error = ratio.std() / np.sqrt(len(x))
    assert error < 0.04
    assert ratio.mean() == pytest.approx(1, abs=4 * error)


def test_samples_have_the_moments_of_the_data(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    flow.solver = Solver(steps=8)
    x = flow.sample(5000, np.random.default_rng(3))
    std = np.sqrt(np.diag(normal.covariance))
    # What the deficit allows is 0.17 of a deviation if all of it were there; the noise of
    # 5,000 samples is 0.014 and 0.02.
    np.testing.assert_allclose((x.mean(axis=0) - normal.mean) / std, 0, atol=0.1)
    correlation = np.cov(x.T).reshape(std.size, -1) / np.outer(std, std)
    np.testing.assert_allclose(correlation, normal.covariance / np.outer(std, std), atol=0.15)


def test_deviates_to_samples_and_back(learned: tuple[Normal, MatchingFlow]) -> None:
    _, flow = learned
    z = np.random.default_rng(4).normal(size=(20, flow.dimension))
    errors = []
    for steps in (12, 24):
        flow.solver = Solver(steps=steps, precision="float64")
        errors.append(np.abs(flow.to_normal(flow.from_normal(z)) - z).max())
    # Of fourth order in the step, 1/16, once the steps resolve the highest frequency.
    assert errors[1] < errors[0] / 8
    assert errors[1] < 1e-4
    flow.solver = Solver("dopri5", tolerance=1e-7, precision="float64")
    assert np.abs(flow.to_normal(flow.from_normal(z)) - z).max() < 1e-5


def test_both_solvers_and_both_precisions_agree(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    x = normal.sample(20, 7)
    flow.solver = Solver("dopri5", tolerance=1e-7, precision="float64")
    expected = flow.log_prob(x)
    flow.solver = Solver(steps=16, precision="float64")
    np.testing.assert_allclose(flow.log_prob(x), expected, atol=1e-4)
    # float32: 64 evaluations of sums of 50 terms, 6e-8 each, magnified by |z| < 4.
    flow.solver = Solver(steps=16, rows=7)
    np.testing.assert_allclose(flow.log_prob(x), expected, atol=2e-4)


def _differences(flow: MatchingFlow, x: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    joined = x if given is None else np.concatenate([x, given], axis=1)
    h, out = 1e-4, np.empty_like(joined)
    for column in range(joined.shape[1]):
        sides = []
        for sign in (1, -1):
            moved = joined.copy()
            moved[:, column] += sign * h
            place, condition = np.split(moved, [flow.dimension], axis=1)
            sides.append(flow.log_prob(place, condition if condition.size else None))
        out[:, column] = (sides[0] - sides[1]) / (2 * h)
    return out


# Rounding 1e-15 / h = 1e-11; h^2 times a third derivative of up to 100: 1e-6.
DIFFERENCES_APART = 5e-6


def test_scores_are_derivatives_of_ln_p(learned: tuple[Normal, MatchingFlow]) -> None:
    normal, flow = learned
    flow.solver = Solver(steps=6, precision="float64", score_rows=5)
    x = normal.sample(8, 8)
    np.testing.assert_allclose(
        flow.score(x)[0], _differences(flow, x, None), atol=DIFFERENCES_APART
    )


def test_scores_by_the_condition_are_derivatives_of_ln_p(conditional: MatchingFlow) -> None:
    v, x = Heteroscedastic().sample(8, 9)
    conditional.solver = Solver(steps=6, precision="float64")
    by_v, by_x = conditional.score(v, x)
    assert by_x is not None
    both = np.concatenate([by_v, by_x], axis=1)
    np.testing.assert_allclose(both, _differences(conditional, v, x), atol=DIFFERENCES_APART)


def test_a_conditional_distribution_and_its_scores(conditional: MatchingFlow) -> None:
    truth = Heteroscedastic()
    v, x = truth.sample(300, 2)
    conditional.solver = Solver(steps=8)
    deficit = np.mean(truth.log_prob(v, x) - conditional.log_prob(v, x))
    assert deficit == pytest.approx(0, abs=2 * DEFICIT_NATS)
    for ours, theirs in zip(conditional.score(v, x), truth.score(v, x), strict=True):
        assert ours is not None
        assert ours.shape == theirs.shape
        assert np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()) < SCORE_ERROR
    # Samples at one condition: mean and deviation known there, errors as above.
    given = np.full((3000, 1), 0.8)
    samples = conditional.sample(3000, np.random.default_rng(1), given)
    mean, deviation = truth._moments(given[:1])
    np.testing.assert_allclose((samples.mean(axis=0) - mean[0]) / deviation[0], 0, atol=0.15)
    np.testing.assert_allclose(samples.std(axis=0) / deviation[0], 1, atol=0.15)


def test_a_flow_of_a_file_is_the_same(
    learned: tuple[Normal, MatchingFlow], conditional: MatchingFlow, tmp_path: Path
) -> None:
    v, condition = Heteroscedastic().sample(10, 3)
    cases = [(learned[1], learned[0].sample(10, 3), None), (conditional, v, condition)]
    for flow, x, given in cases:
        paths = [tmp_path / f"{name}.h5" for name in "ab"]
        flow.save(paths[0])
        other = MatchingFlow.load(paths[0])
        other.save(paths[1])
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert (other.settings, other.solver, other.seed) == (flow.settings, flow.solver, flow.seed)
        np.testing.assert_array_equal(other.log_prob(x, given), flow.log_prob(x, given))


def test_no_rows_give_no_rows(conditional: MatchingFlow) -> None:
    flow: Flow = conditional
    none = np.empty((0, 2)), np.empty((0, 1))
    assert flow.log_prob(*none).shape == (0,)
    by_v, by_x = flow.score(*none)
    assert by_v.shape == (0, 2)
    assert by_x is not None
    assert by_x.shape == (0, 1)
    assert flow.sample(0, np.random.default_rng(0), none[1]).shape == (0, 2)
