"""Flows that learned distributions that are known."""

import logging

import numpy as np
import pytest

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


def test_a_conditional_distribution_and_its_scores(conditional: MatchingFlow) -> None:
    truth = Heteroscedastic()
    v, x = truth.sample(300, 2)
    conditional.solver = Solver(steps=8)
    deficit = np.mean(truth.log_prob(v, x) - conditional.log_prob(v, x))
    assert deficit == pytest.approx(0, abs=2 * DEFICIT_NATS)
    # A condition enters the loss by its values alone, so slopes along it are known less well.
    most = (SCORE_ERROR, 2 * SCORE_ERROR)
    for ours, theirs, limit in zip(conditional.score(v, x), truth.score(v, x), most, strict=True):
        assert ours is not None
        assert ours.shape == theirs.shape
        assert np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()) < limit
    # Samples at one condition: mean and deviation known there, errors as above.
    given = np.full((3000, 1), 0.8)
    samples = conditional.sample(3000, np.random.default_rng(1), given)
    mean, deviation = truth._moments(given[:1])
    np.testing.assert_allclose((samples.mean(axis=0) - mean[0]) / deviation[0], 0, atol=0.15)
    np.testing.assert_allclose(samples.std(axis=0) / deviation[0], 1, atol=0.15)
