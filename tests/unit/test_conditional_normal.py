"""A normal distribution whose moments depend on a condition."""

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.conditional_normal import ConditionalNormal, NormalSettings
from mwatlas.flows.data import checked_samples
from mwatlas.flows.storage import opened_model, write_model
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from mwatlas.random import draw_directions
from mwatlas.studies.conditional_potential.distilling import contrasting
from tests.unit.flow_samples import KilledError, Killing

ROWS = 20_000
CPU = torch.device("cpu")
SETTINGS = NormalSettings(Annealing(epochs=15, batch_size=500, learning_rate=5e-3), width=16)


def _moments(x: float) -> tuple[np.ndarray, np.ndarray]:
    """A mean and a covariance that change with a condition."""
    scale = np.diag([np.exp(0.3 * x), 2.0])
    shape = np.array([[1.0, 0.4 * x], [0.4 * x, 1.0]])
    return np.array([np.sin(x), -x]), scale @ shape @ scale


def _draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    given = rng.uniform(-1.5, 1.5, (ROWS, 1))
    rows = np.empty((ROWS, 2))
    for i, (x,) in enumerate(given):
        mean, covariance = _moments(x)
        rows[i] = mean + np.linalg.cholesky(covariance) @ rng.standard_normal(2)
    return rows, given


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    return _draw(1)


@pytest.fixture(scope="module")
def normal(data: tuple[np.ndarray, np.ndarray]) -> ConditionalNormal:
    progress = Progress("test", logging.getLogger("mwatlas"))
    samples = checked_samples(*data, None, 2, 1)
    return ConditionalNormal.fit(samples, SETTINGS, 3, CPU, progress)


def _log_prob(normal: ConditionalNormal, rows: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    condition = None if given is None else normal.tensor(given)
    with torch.no_grad():
        return normal.log_prob(normal.tensor(rows), condition).double().numpy()


def test_it_finds_moments_that_depend_on_the_condition(normal: ConditionalNormal) -> None:
    rows, given = _draw(2)
    truth = np.array(
        [multivariate_normal(*_moments(x)).logpdf(v) for v, (x,) in zip(rows, given, strict=True)]
    )
    lost = truth - _log_prob(normal, rows, given)
    # The five moments are functions of one condition, each with about four degrees of freedom:
    # 20 / (2 x 20,000) nats are lost to noise; five times that is allowed for the training.
    assert 0 < lost.mean() < 2.5e-3


def test_deviates_and_values_are_inverse(normal: ConditionalNormal) -> None:
    rows, given = _draw(3)
    x, condition = normal.tensor(rows[:500]), normal.tensor(given[:500])
    with torch.no_grad():
        deviates, _ = normal.to_normal(x, condition)
        back = normal.from_normal(deviates, condition)
    # Single precision, of numbers up to ten.
    torch.testing.assert_close(back, x, atol=2e-5, rtol=0)


def test_the_volume_is_the_determinant_of_the_transformation(normal: ConditionalNormal) -> None:
    x, condition = torch.tensor([[0.3, -0.7]]), torch.tensor([[0.8]])
    jacobian = torch.autograd.functional.jacobian(lambda v: normal.to_normal(v, condition)[0], x)
    volume = float(normal.to_normal(x, condition)[1])
    assert torch.linalg.slogdet(jacobian[0, :, 0]).logabsdet.item() == pytest.approx(
        volume, abs=1e-5
    )


def test_without_a_condition_it_has_the_moments_of_the_samples(progress: Progress) -> None:
    rows = np.random.default_rng(4).normal([1.0, -2.0], [0.5, 3.0], (500, 2))
    samples = checked_samples(rows, None, None, 2, 0)
    normal = ConditionalNormal.fit(samples, SETTINGS, 3, CPU, progress)
    expected = multivariate_normal(rows.mean(axis=0), np.diag(rows.var(axis=0))).logpdf(rows)
    np.testing.assert_allclose(_log_prob(normal, rows, None), expected, atol=1e-4)


def test_a_normal_of_a_file_is_the_same(normal: ConditionalNormal, tmp_path: Path) -> None:
    write_model(tmp_path / "a.h5", "test", *normal.to_file())
    with opened_model(tmp_path / "a.h5", "test") as stored:
        again = ConditionalNormal.of_file(*stored, CPU)
    rows, given = _draw(5)
    np.testing.assert_array_equal(
        _log_prob(again, rows[:100], given[:100]), _log_prob(normal, rows[:100], given[:100])
    )


def test_a_killed_fit_continues_to_the_same_weights(
    data: tuple[np.ndarray, np.ndarray], progress: Progress, tmp_path: Path
) -> None:
    few = checked_samples(data[0][:1000], data[1][:1000], None, 2, 1)
    settings = NormalSettings(Annealing(epochs=6, batch_size=500), width=8)
    file = tmp_path / "checkpoint.npz"
    undisturbed = ConditionalNormal.fit(few, settings, 3, CPU, progress)
    with pytest.raises(KilledError):
        ConditionalNormal.fit(few, settings, 3, CPU, progress, Killing(file))
    resumed = ConditionalNormal.fit(few, settings, 3, CPU, progress, Checkpoint(file, "same", 0.0))
    for name, array in undisturbed.to_file()[1].items():
        np.testing.assert_array_equal(resumed.to_file()[1][name], array)


def test_compressed_conditions_are_those_of_before(normal: ConditionalNormal) -> None:
    given = normal.tensor(np.array([[-30.0], [-1.0], [0.0], [0.2], [4.0]]))
    compressed = normal.compressed_given(given)
    assert compressed.abs().max() < 3
    # The middle is left as it is, to the third order.
    near = normal.standard_given(given[2:4])
    assert (compressed[2:4] - near).abs().max() < 0.1 * near.abs().max() ** 3 + 1e-6
    # Single precision of what is left after the compression of 30 to within 0.5 per cent of 3.
    np.testing.assert_allclose(normal.given_of(compressed), given, rtol=1e-3, atol=1e-6)


def test_of_few_samples_the_dispersion_is_learned_to_the_end(progress: Progress) -> None:
    rng, places = np.random.default_rng(6), 20_000
    place = draw_directions(places, rng) * np.abs(rng.standard_normal(places))[:, None]
    # Six velocities at a place with exactly its dispersion, so that there is no noise to learn.
    six = np.sqrt(3) * np.concatenate([np.eye(3), -np.eye(3)])
    radius = np.linalg.norm(place, axis=1)
    sigma = (1 + radius**2) ** -0.25
    x, given = (sigma[:, None, None] * six).reshape(-1, 3), np.repeat(place, 6, axis=0)
    study = ConditionalPotential().flows.distillation.from_stars
    assert study is not None
    normal = ConditionalNormal.fit(
        checked_samples(x, given, None, 3, 3), contrasting(study).normal, 3, CPU, progress
    )
    deviates = normal.tensor(np.tile(six, (places, 1)))
    with torch.no_grad():
        learned = normal.from_normal(deviates, normal.tensor(given)).double().numpy()
    square = (learned**2).sum(axis=1).reshape(-1, 6).mean(axis=1) / (3 * sigma**2)
    for low, high in pairwise((0.0, 0.5, 1.0, 1.5, 2.0)):
        inside = (radius >= low) & (radius < high)
        # Half a per cent makes densities of 20 per cent.
        assert square[inside].mean() == pytest.approx(1, abs=0.005)
