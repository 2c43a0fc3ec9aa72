"""Learning a density by telling samples from noise."""

import logging
from pathlib import Path

import numpy as np
import pytest

from mwatlas.errors import ConfigError, InputError, TrainingError
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.contrasting import ContrastingSettings
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.distilling import DistillingSettings
from mwatlas.flows.scores import compare_scores
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, KilledError, Killing

CONTRASTING = ContrastingSettings(Annealing(epochs=10, batch_size=500, learning_rate=5e-3))
FEW = ContrastingSettings(Annealing(epochs=6, batch_size=500, learning_rate=5e-3))


def _density() -> DistilledDensity:
    return DistilledDensity(2, 1, settings=DistillingSettings(Annealing(1), width=32, depth=2))


def _parts(stars: tuple[np.ndarray, np.ndarray], first: int, last: int) -> list[list[np.ndarray]]:
    return [[column[rows] for column in stars] for rows in (slice(first), slice(first, last))]


class Skewed(Heteroscedastic):
    """Its deviates are those of an exponential distribution: all but the moments is left."""

    def sample(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        x = rng.normal(0, 1, (n, 1))
        mean, deviation = self._moments(x)
        return mean + deviation * (rng.gamma(4, 0.5, (n, 2)) - 2), x

    def log_prob(self, v: np.ndarray, x: np.ndarray) -> np.ndarray:
        mean, deviation = self._moments(x)
        z = (v - mean) / deviation + 2
        # Gamma distribution of shape 4 and rate 2: 2^4 z^3 exp(-2 z) / 3!.
        return (np.log(16 / 6) + 3 * np.log(z) - 2 * z - np.log(deviation)).sum(axis=1)


@pytest.fixture(scope="module")
def stars() -> tuple[np.ndarray, np.ndarray]:
    return Skewed().sample(40_000, 2)


@pytest.fixture(scope="module")
def learned(stars: tuple[np.ndarray, np.ndarray]) -> DistilledDensity:
    density = _density()
    progress = Progress("test", logging.getLogger("mwatlas"))
    density.learn_from_samples(*stars, settings=CONTRASTING, progress=progress)
    return density


def test_it_learns_more_than_the_moments(learned: DistilledDensity) -> None:
    truth = Skewed()
    v, x = truth.sample(5000, 3)
    lost = truth.log_prob(v, x) - learned.log_prob(v, x)
    # The normal distribution of the same moments loses 0.27 nats. The network has 4,000 weights,
    # of which smoothness leaves some hundreds: 200 / (2 x 40,000) nats of noise; the sharp edge
    # of the true distribution costs as much again, and sampling adds 0.1 / sqrt(5000).
    assert -0.005 < lost.mean() < 0.02


def test_it_is_normalised_without_being_told(learned: DistilledDensity) -> None:
    truth = Skewed()
    v, x = truth.sample(20_000, 5)
    # E over the truth of model / truth is the model's integral where the truth is not zero; some
    # of the model is beyond its edge. The scatter of the ratio is near 0.2, its mean's 0.0014.
    ratio = np.exp(learned.log_prob(v, x) - truth.log_prob(v, x))
    assert ratio.mean() == pytest.approx(1, abs=0.03)


def test_scores_of_a_normal_distribution(progress: Progress) -> None:
    truth = Heteroscedastic()
    density = _density()
    density.learn_from_samples(*truth.sample(40_000, 2), settings=CONTRASTING, progress=progress)
    difference = compare_scores(density, truth, *truth.sample(2000, 3))
    # 40,000 stars give a variance to 1 per cent, and its dependence on a condition and the shape
    # of the distribution to a few.
    assert difference.by_x[0] < 0.05


def test_weights_count_stars(progress: Progress, stars: tuple[np.ndarray, np.ndarray]) -> None:
    v, x = stars[0][:2000], stars[1][:2000]
    # Half of the rows are moved away and have no weight.
    rows = np.concatenate([v, v + 3.0]), np.concatenate([x, x])
    weights = np.repeat([1.0, 0.0], len(v))
    weighted, plain = _density(), _density()
    weighted.learn_from_samples(*rows, weights, settings=FEW, progress=progress)
    plain.learn_from_samples(v, x, settings=FEW, progress=progress)
    np.testing.assert_array_equal(weighted.log_prob(v[:50], x[:50]), plain.log_prob(v[:50], x[:50]))


def test_a_killed_training_continues_to_the_same_bytes(
    progress: Progress, stars: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    few = stars[0][:2000], stars[1][:2000]
    file = tmp_path / "checkpoint.npz"
    undisturbed, killed, resumed = (_density() for _ in range(3))
    expected = undisturbed.learn_from_samples(*few, settings=FEW, progress=progress)
    with pytest.raises(KilledError):
        killed.learn_from_samples(*few, settings=FEW, progress=progress, checkpoint=Killing(file))
    again = Checkpoint(file, "same", 0.0)
    history = resumed.learn_from_samples(*few, settings=FEW, progress=progress, checkpoint=again)
    assert history == expected
    for density, name in ((undisturbed, "a.h5"), (resumed, "b.h5")):
        density.save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_bad_stars_and_nothing_learned(progress: Progress) -> None:
    v, x = Heteroscedastic().sample(10, 1)
    with pytest.raises(TrainingError, match="before it learned"):
        _density().log_prob(v, x)
    v[3] = np.nan
    with pytest.raises(InputError, match="the first is row 3"):
        _density().learn_from_samples(v, x, settings=FEW, progress=progress)
    with pytest.raises(InputError, match="none of positive weight"):
        _density().learn_from_samples(v[4:], x[4:], np.zeros(6), settings=FEW, progress=progress)


def test_validation_stars_stop_a_training_that_learns_stars_by_heart(
    progress: Progress, stars: tuple[np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    few, others = _parts(stars, 500, 5000)
    settings = ContrastingSettings(Annealing(4, 100, 5e-3), longest=128)
    kept, longest = _density(), _density()
    with caplog.at_level(logging.INFO, "mwatlas"):
        history = kept.learn_from_samples(
            *few, validation=(*others, None), settings=settings, progress=progress
        )
    by_heart = longest.learn_from_samples(*few, settings=settings, progress=progress)
    # Of single epochs of 500 samples chance would decide.
    assert np.mean(by_heart[-8:]) < np.mean(history[-8:])
    judged = [float(r.args[1]) for r in caplog.records if "validation sample" in r.msg]
    assert judged[0] > min(judged) < judged[-1]
    assert len(judged) < len(settings.lengths)
    assert len(history) == settings.lengths[int(np.argmin(judged))]
    truth = Skewed()
    v, x = truth.sample(5000, 3)
    assert kept.log_prob(v, x).mean() > longest.log_prob(v, x).mean()


@pytest.mark.parametrize(
    ("means", "tried", "kept"),
    [
        # A length that is worse by less than the error of the difference, 0.01, does not end it.
        ([2.0, 2.005, 1.9, 1.95], 4, 2),
        ([2.0, 2.05, 1.9], 2, 0),
        ([2.0, 1.9, 1.8, 1.7, 1.6], 5, 4),
    ],
)
def test_lengths_end_at_one_that_is_worse_by_more_than_its_error(
    means: list[float],
    tried: int,
    kept: int,
    stars: tuple[np.ndarray, np.ndarray],
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Costs of 100 samples whose differences scatter by 0.1.
    rng = np.random.default_rng(8)
    noise = 0.1 / np.sqrt(2) * rng.standard_normal((len(means), 100))
    costs = iter(np.array(means)[:, None] + noise - noise.mean(axis=1, keepdims=True))
    judged: list[np.ndarray] = []

    def judge(*_: object) -> np.ndarray:
        judged.append(next(costs))
        return judged[-1]

    monkeypatch.setattr("mwatlas.flows.contrasting._judged", judge)
    few, others = _parts(stars, 100, 200)
    history = _density().learn_from_samples(
        *few,
        validation=(*others, None),
        settings=ContrastingSettings(Annealing(1, 100), longest=16),
        progress=progress,
    )
    assert len(judged) == tried
    assert len(history) == 1 << kept


def test_a_killed_training_of_several_lengths_continues_to_the_same_bytes(
    progress: Progress, stars: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    few, others = _parts(stars, 500, 900)
    told = {
        "validation": (*others, None),
        "settings": ContrastingSettings(Annealing(2, 100, 5e-3), longest=4),
        "progress": progress,
    }
    file = tmp_path / "checkpoint.npz"
    undisturbed, resumed = _density(), _density()
    expected = undisturbed.learn_from_samples(*few, **told)
    # The first length has two epochs, so the third save is in the second.
    with pytest.raises(KilledError):
        _density().learn_from_samples(*few, **told, checkpoint=Killing(file))
    again = Checkpoint(file, "same", 0.0)
    assert resumed.learn_from_samples(*few, **told, checkpoint=again) == expected
    for density, name in ((undisturbed, "a.h5"), (resumed, "b.h5")):
        density.save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    again.remove()
    assert not list(tmp_path.glob("checkpoint*"))


def test_a_length_below_the_shortest_is_refused() -> None:
    with pytest.raises(ConfigError, match="longest"):
        ContrastingSettings(Annealing(4), longest=0)
