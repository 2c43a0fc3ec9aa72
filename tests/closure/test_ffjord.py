"""FFJORD learns distributions that are known."""

import numpy as np
import pytest

from mwatlas.flows.ffjord import FfjordFlow
from mwatlas.flows.ffjord_settings import ChainSettings, FfjordSettings, FfjordTraining
from mwatlas.flows.scores import relative_difference
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, Normal


def _flow(given_dimension: int, epochs: int, trace: str) -> FfjordFlow:
    training = FfjordTraining(epochs, batch_size=500, learning_rate=0.02, trace=trace)  # type: ignore[arg-type]
    settings = FfjordSettings(training, ChainSettings(fields=1, depth=1, width=16))
    return FfjordFlow(2, given_dimension, settings=settings)


def test_a_normal_distribution_its_score_and_samples(progress: Progress) -> None:
    normal, flow = Normal(2), _flow(0, 12, "hutchinson")
    flow.fit(normal.sample(8000, 1), progress=progress)
    x = normal.sample(1000, 2)
    # The loss of a step of 500 stars is known to 0.045, and the average of several decides.
    assert np.mean(normal.log_prob(x) - flow.log_prob(x)) == pytest.approx(0, abs=0.02)
    # 2 * deficit is the mean square of the error of z; a score is of order one.
    assert relative_difference(flow.score(x)[0], normal.score(x)[0])[0] < 0.2
    samples, std = flow.sample(5000, np.random.default_rng(3)), np.sqrt(np.diag(normal.covariance))
    # A deficit of 0.02 nats allows 0.2 of a deviation if all of it were there.
    np.testing.assert_allclose((samples.mean(axis=0) - normal.mean) / std, 0, atol=0.1)
    np.testing.assert_allclose(samples.std(axis=0) / std, 1, atol=0.1)


def test_weights_count_like_repeated_rows(progress: Progress) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 2))
    # exp(x) moves a standard normal by one.
    flow = _flow(0, 6, "hutchinson")
    flow.fit(x, weights=np.exp(x[:, 0]), progress=progress)
    samples = flow.sample(4000, rng)
    # Weights of mean square e leave 4000 / e rows: an error of 0.026.
    np.testing.assert_allclose(samples.mean(axis=0), [1, 0], atol=0.12)


def test_a_conditional_distribution(progress: Progress) -> None:
    truth, flow = Heteroscedastic(), _flow(1, 40, "exact")
    flow.fit(*truth.sample(8000, 1), progress=progress)
    v, x = truth.sample(1000, 2)
    # A network of 16 units ends at 0.018 however long it trains; 1,000 stars add 0.008, and a
    # flow that ignores the condition loses 0.5 and more.
    assert np.mean(truth.log_prob(v, x) - flow.log_prob(v, x)) == pytest.approx(0, abs=0.04)
