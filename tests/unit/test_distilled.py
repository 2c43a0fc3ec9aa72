"""Scores from a network that learned ln p of another density."""

import logging
from pathlib import Path

import numpy as np
import pytest

from mwatlas.errors import InputError
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.distilling import DistillingSettings
from mwatlas.flows.flow import Density
from mwatlas.flows.ode import Solver
from mwatlas.flows.scores import compare_scores, relative_difference
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, KilledError, Killing, Normal, small_flow


def _density(
    dimension: int, given: int = 0, score_rows: int = 0, epochs: int = 80
) -> DistilledDensity:
    training = Annealing(epochs=epochs, batch_size=100, learning_rate=1e-2, weight_decay=0.0)
    settings = DistillingSettings(training, width=32, depth=2, score_rows=score_rows)
    return DistilledDensity(dimension, given, settings=settings)


@pytest.fixture(scope="module")
def of_values() -> DistilledDensity:
    density = _density(2, 1)
    progress = Progress("test", logging.getLogger("mwatlas"))
    density.learn(Heteroscedastic(), *Heteroscedastic().sample(3000, 1), progress=progress)
    return density


def test_it_gives_the_values_and_scores_of_the_original(of_values: DistilledDensity) -> None:
    v, x = Heteroscedastic().sample(500, 2)
    error = of_values.log_prob(v, x) - Heteroscedastic().log_prob(v, x)
    # The loss of such a network ends near 7e-4 of a variance of one: 0.026 nats of root mean
    # square, tails included. Scores of order one change over lengths of order one, half of which
    # are within three times that.
    assert np.median(np.abs(error)) < 0.026
    difference = compare_scores(of_values, Heteroscedastic(), v, x)
    assert difference.rows == 500
    assert difference.whole[0] < 0.08
    assert difference.by_x[0] < 0.08
    assert difference.by_given is not None
    assert difference.by_given[0] < 0.08
    assert difference.whole[0] < difference.whole[1] < difference.whole[2]


def test_scores_at_some_points_make_it_better(
    of_values: DistilledDensity, progress: Progress
) -> None:
    truth = Heteroscedastic()
    with_scores = _density(2, 1, score_rows=3000)
    with_scores.learn(truth, *truth.sample(3000, 1), progress=progress)
    v, x = truth.sample(500, 2)
    ours, theirs = (compare_scores(d, truth, v, x).whole for d in (with_scores, of_values))
    assert ours[0] < 0.5 * theirs[0]


def test_its_scores_are_derivatives_of_its_ln_p(of_values: DistilledDensity) -> None:
    v, x = Heteroscedastic().sample(50, 3)
    by_v, by_x = of_values.score(v, x)
    assert by_x is not None
    # float32: rounding of 3e-7 / h, and h^2 / 6 times third derivatives of up to 10.
    h = 0.01
    for column in range(3):
        place = np.concatenate([v, x], axis=1)
        step = h * np.eye(3)[column]
        up, down = (of_values.log_prob(p[:, :2], p[:, 2:]) for p in (place + step, place - step))
        slope = np.concatenate([by_v, by_x], axis=1)[:, column]
        np.testing.assert_allclose((up - down) / (2 * h), slope, atol=2e-3)


def test_far_outside_it_falls_like_a_normal(of_values: DistilledDensity) -> None:
    v = np.array([[0.0, 0.0], [100.0, -100.0], [200.0, -200.0]])
    near, far, farther = of_values.log_prob(v, np.zeros((3, 1)))
    # Deviations of v are about 1.2 in standard units; the network adds a linear function.
    assert far < near - 1000
    assert 2 * far > farther


def test_of_a_normal_alone_nothing_is_left_to_learn(progress: Progress) -> None:
    normal, density = Normal(1), _density(1, epochs=5)
    x = normal.sample(500, 1)
    normal.mean, normal.covariance = x.mean(axis=0), np.cov(x.T, ddof=0).reshape(1, 1)
    normal._inverse = np.linalg.inv(normal.covariance)
    density.learn(normal, x, progress=progress)
    # What is learned is of the scale of 1e-3 nats that rounding cannot reach.
    np.testing.assert_allclose(density.log_prob(x), normal.log_prob(x), atol=2e-3)


def test_a_flow_and_its_quick_route(progress: Progress) -> None:
    normal = Normal(2)
    x = normal.sample(2000, 1)
    flow = small_flow(2, epochs=20)
    flow.fit(x, progress=progress)
    flow.solver = Solver(steps=8)
    quick = _density(2, score_rows=200)
    quick.learn(flow, x, progress=progress)
    difference = compare_scores(quick, flow, normal.sample(200, 2))
    assert difference.by_given is None
    assert difference.by_x[0] < 0.05


def test_a_density_of_a_file_is_the_same(of_values: DistilledDensity, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.h5" for name in "ab"]
    of_values.save(paths[0])
    other: Density = DistilledDensity.load(paths[0])
    other.save(paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    v, x = Heteroscedastic().sample(50, 3)
    np.testing.assert_array_equal(other.log_prob(v, x), of_values.log_prob(v, x))
    for one, two in zip(other.score(v, x), of_values.score(v, x), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_killed_training_continues_to_the_same_bytes(progress: Progress, tmp_path: Path) -> None:
    normal, file = Normal(2), tmp_path / "checkpoint.npz"
    x = normal.sample(600, 1)
    undisturbed, killed, resumed = (_density(2, 0, 100, epochs=6) for _ in range(3))
    expected = undisturbed.learn(normal, x, progress=progress)
    with pytest.raises(KilledError):
        killed.learn(normal, x, progress=progress, checkpoint=Killing(file))
    history = resumed.learn(normal, x, progress=progress, checkpoint=Checkpoint(file, "same", 0.0))
    assert history == expected
    undisturbed.save(tmp_path / "a.h5")
    resumed.save(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_no_rows_and_bad_rows(of_values: DistilledDensity, progress: Progress) -> None:
    none = np.empty((0, 2)), np.empty((0, 1))
    assert of_values.log_prob(*none).shape == (0,)
    assert [a.shape for a in of_values.score(*none) if a is not None] == [(0, 2), (0, 1)]
    with pytest.raises(InputError, match="0 rows"):
        compare_scores(of_values, Heteroscedastic(), *none)
    with pytest.raises(InputError, match="0 rows"):
        _density(2, 1).learn(Heteroscedastic(), *none, progress=progress)

    class Broken(Normal):
        def log_prob(self, x: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
            return np.where(np.arange(len(x)) == 5, -np.inf, super().log_prob(x, given))

    with pytest.raises(InputError, match="1 of 50 rows, the first is row 5"):
        _density(2).learn(Broken(2), Normal(2).sample(50, 1), progress=progress)


def test_relative_differences_are_quantiles_of_rows() -> None:
    reference = np.tile([3.0, 4.0], (101, 1))
    values = reference + np.linspace(0, 5, 101)[:, None] * [0.6, 0.8]
    np.testing.assert_allclose(relative_difference(values, reference), [0.5, 0.9, 0.99])
