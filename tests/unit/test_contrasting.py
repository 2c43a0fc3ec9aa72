"""Learning a density by telling samples from noise."""

import logging
from pathlib import Path

import numpy as np
import pytest

from mwatlas.errors import InputError, TrainingError
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.contrasting import ContrastingSettings
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.distilling import DistillingSettings
from mwatlas.flows.scores import compare_scores
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, KilledError, Killing

REFINING = ContrastingSettings(Annealing(epochs=10, batch_size=500, learning_rate=5e-3))


class Wrong(Heteroscedastic):
    """What a flow that has learned badly says: distributions a tenth too wide."""

    def log_prob(self, x: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
        return super().log_prob(x / 1.1, given) - x.shape[1] * np.log(1.1)


def _learned(progress: Progress, points: int = 2000) -> DistilledDensity:
    training = Annealing(epochs=40, batch_size=200, learning_rate=1e-2, weight_decay=0.0)
    density = DistilledDensity(2, 1, settings=DistillingSettings(training, width=32, depth=2))
    density.learn(Wrong(), *Heteroscedastic().sample(points, 1), progress=progress)
    return density


@pytest.fixture(scope="module")
def stars() -> tuple[np.ndarray, np.ndarray]:
    return Heteroscedastic().sample(40_000, 2)


@pytest.fixture(scope="module")
def refined(stars: tuple[np.ndarray, np.ndarray]) -> DistilledDensity:
    progress = Progress("test", logging.getLogger("mwatlas"))
    density = _learned(progress)
    density.refine(*stars, settings=REFINING, progress=progress)
    return density


def test_stars_correct_what_was_learned_from_a_wrong_density(
    refined: DistilledDensity, progress: Progress
) -> None:
    truth = Heteroscedastic()
    v, x = truth.sample(2000, 3)
    before, after = (compare_scores(d, truth, v, x).by_x[0] for d in (_learned(progress), refined))
    # A width that is a tenth too large makes scores 17 per cent too small.
    assert before > 0.14
    # 40,000 stars give a variance to 1 per cent, and its dependence on a condition and the shape
    # of the distribution to a few.
    assert after < 0.05


def test_it_is_normalised_without_being_told(refined: DistilledDensity) -> None:
    truth = Heteroscedastic()
    v, x = truth.sample(20_000, 5)
    # E over the truth of model / truth is the model's integral. Its scatter is the model's error,
    # below 0.1 for nearly all stars: 0.1 / sqrt(20,000) of noise; single stars in the tails add
    # to it, and 0.02 is what the offset of a network trained on 40,000 stars leaves.
    ratio = np.exp(refined.log_prob(v, x) - truth.log_prob(v, x))
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_weights_count_stars(progress: Progress, stars: tuple[np.ndarray, np.ndarray]) -> None:
    v, x = stars
    # Half of the rows are moved away and have no weight.
    rows = np.concatenate([v, v + 3.0]), np.concatenate([x, x])
    weights = np.repeat([1.0, 0.0], len(v))
    density, plain = _learned(progress), _learned(progress)
    density.refine(*rows, weights, settings=REFINING, progress=progress)
    plain.refine(v, x, settings=REFINING, progress=progress)
    np.testing.assert_array_equal(density.log_prob(v[:50], x[:50]), plain.log_prob(v[:50], x[:50]))


def test_a_killed_refinement_continues_to_the_same_bytes(
    progress: Progress, stars: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    few = stars[0][:2000], stars[1][:2000]
    file = tmp_path / "checkpoint.npz"
    undisturbed, killed, resumed = (_learned(progress, 200) for _ in range(3))
    expected = undisturbed.refine(*few, settings=REFINING, progress=progress)
    with pytest.raises(KilledError):
        killed.refine(*few, settings=REFINING, progress=progress, checkpoint=Killing(file))
    again = Checkpoint(file, "same", 0.0)
    assert resumed.refine(*few, settings=REFINING, progress=progress, checkpoint=again) == expected
    for density, name in ((undisturbed, "a.h5"), (resumed, "b.h5")):
        density.save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_bad_stars_and_nothing_learned(progress: Progress) -> None:
    density = DistilledDensity(2, 1, settings=DistillingSettings(Annealing(1)))
    v, x = Heteroscedastic().sample(10, 1)
    with pytest.raises(TrainingError, match="before it learned"):
        density.refine(v, x, settings=REFINING, progress=progress)
    learned = _learned(progress, 200)
    v[3] = np.nan
    with pytest.raises(InputError, match="the first is row 3"):
        learned.refine(v, x, settings=REFINING, progress=progress)
    with pytest.raises(InputError, match="none of positive weight"):
        learned.refine(v[4:], x[4:], np.zeros(6), settings=REFINING, progress=progress)
