"""FFJORD: distributions that are known, its own consistency, and trainings that go wrong."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mwatlas.errors import ConfigError, InputError, TrainingError
from mwatlas.flows.data import Standard
from mwatlas.flows.ffjord import FfjordFlow
from mwatlas.flows.ffjord_chain import Chain, start_weights
from mwatlas.flows.ffjord_settings import (
    AdaptiveSolver,
    ChainSettings,
    FfjordSettings,
    FfjordTraining,
    Limits,
)
from mwatlas.flows.ffjord_training import Rows, Trainer
from mwatlas.flows.ffjord_watch import (
    Health,
    Losses,
    check_growth,
    check_health,
    check_rise,
    examine,
)
from mwatlas.flows.flow import Flow
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from tests.unit.flow_samples import Heteroscedastic, KilledError, Killing, Normal

SMALL = ChainSettings(fields=1, depth=1, width=16)
# Alike wherever possible: each kind is compiled for seconds, once.
COARSE = AdaptiveSolver(most_steps=100)
FINE = AdaptiveSolver(relative=1e-9, absolute=1e-9, precision="float64")


def _flow(dimension: int, given_dimension: int = 0, **training: object) -> FfjordFlow:
    chosen = {"epochs": 3, "batch_size": 500, "learning_rate": 0.02, "trace": "hutchinson"}
    settings = FfjordSettings(FfjordTraining(**{**chosen, **training}), SMALL, COARSE)  # type: ignore[arg-type]
    return FfjordFlow(dimension, given_dimension, settings=settings)


@pytest.fixture(scope="module")
def learned() -> tuple[Normal, FfjordFlow]:
    normal, flow = Normal(2), _flow(2)
    flow.fit(normal.sample(4000, 1), progress=Progress("test", logging.getLogger("mwatlas")))
    flow.solver = FINE
    return normal, flow


@pytest.fixture(scope="module")
def conditional() -> FfjordFlow:
    """A flow that never learned: it is a density all the same."""
    flow = _flow(2, 1)
    flow._x, flow._given = Standard(np.ones(2), np.full(2, 2.0)), Standard(np.ones(1), np.ones(1))
    flow._weights = start_weights(Chain(2, 1, SMALL, COARSE), 1)
    flow.solver = FINE
    return flow


def test_scores_are_derivatives_of_ln_p(
    learned: tuple[Normal, FfjordFlow], conditional: FfjordFlow
) -> None:
    v, given = Heteroscedastic().sample(5, 3)
    for flow, x, condition in (
        (learned[1], learned[0].sample(5, 3), np.empty((5, 0))),
        (conditional, v, given),
    ):
        place = np.concatenate([x, condition], axis=1)
        slope = np.concatenate(
            [s for s in flow.score(x, condition if condition.size else None) if s is not None],
            axis=1,
        )
        h = 1e-3
        for column in range(place.shape[1]):
            step = h * np.eye(place.shape[1])[column]
            up, down = (
                flow.log_prob(p[:, :2], p[:, 2:] if condition.size else None)
                for p in (place + step, place - step)
            )
            # Tolerance of the solver over h, 1e-6, and h^2 times third derivatives of up to 10.
            np.testing.assert_allclose((up - down) / (2 * h), slope[:, column], atol=2e-5)


def test_deviates_to_samples_and_back(learned: tuple[Normal, FfjordFlow]) -> None:
    normal, flow = learned
    x = normal.sample(200, 4)
    # Some 20 steps of 1e-9 each way, and a path of length one.
    np.testing.assert_allclose(flow.from_normal(flow.to_normal(x)), x, atol=1e-6)


def test_the_integral_of_the_density_is_one(learned: tuple[Normal, FfjordFlow]) -> None:
    normal, flow = learned
    # Importance sampling from a normal of twice the variance.
    x = normal.mean + np.sqrt(2) * (normal.sample(4000, 6) - normal.mean)
    inverse = np.linalg.inv(2 * normal.covariance)
    square = np.einsum("ni,ij,nj->n", x - normal.mean, inverse, x - normal.mean)
    proposal = -0.5 * square - 0.5 * np.linalg.slogdet(4 * np.pi * normal.covariance)[1]
    ratio = np.exp(flow.log_prob(x) - proposal)
    error = ratio.std() / np.sqrt(len(x))
    assert error < 0.02
    assert ratio.mean() == pytest.approx(1, abs=4 * error)


def test_the_random_divergence_has_the_exact_mean() -> None:
    chain = Chain(3, 0, SMALL, AdaptiveSolver())
    weights = start_weights(chain, 1)
    rng = np.random.default_rng(1)
    z = tf.constant(np.repeat(rng.normal(size=(1, 3)), 4000, axis=0).astype(np.float32))
    none = tf.zeros([4000, 0])
    directions = [tf.constant(rng.normal(size=(4000, 3)).astype(np.float32))]
    _, exact, squares, _ = chain.to_normal(weights, z[:1], none[:1], None, (0.0, 1.0))
    _, random, random_squares, _ = chain.to_normal(weights, z, none, directions, (0.0, 1.0))
    for one, many in ((exact, random), (squares, random_squares)):
        error = np.std(many) / np.sqrt(4000)
        assert np.mean(many) == pytest.approx(float(one[0]), abs=4 * error)


def test_a_flow_of_a_file_is_the_same(conditional: FfjordFlow, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.h5" for name in "ab"]
    conditional.save(paths[0])
    other = FfjordFlow.load(paths[0])
    other.save(paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert (other.settings, other.solver) == (conditional.settings, conditional.solver)
    v, x = Heteroscedastic().sample(10, 3)
    np.testing.assert_array_equal(other.log_prob(v, x), conditional.log_prob(v, x))


def test_a_killed_training_continues_to_the_same_bytes(progress: Progress, tmp_path: Path) -> None:
    x, file = Normal(2).sample(400, 1), tmp_path / "checkpoint.npz"
    undisturbed, killed, resumed = (_flow(2, epochs=4, batch_size=100) for _ in range(3))
    expected = undisturbed.fit(x, progress=progress)
    with pytest.raises(KilledError):
        killed.fit(x, progress=progress, checkpoint=Killing(file))
    history = resumed.fit(x, progress=progress, checkpoint=Checkpoint(file, "same", 0.0))
    assert history == expected
    undisturbed.save(tmp_path / "a.h5")
    resumed.save(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_rate_falls_where_the_loss_does_not(progress: Progress) -> None:
    flow = _flow(2, epochs=50, batch_size=100, patience_steps=4, least_gain=10.0, final_rate=0.006)
    # Halved after steps 5 and 10; an epoch has 3.
    assert len(flow.fit(Normal(2).sample(400, 1), progress=progress)) == 4


def test_a_divergence_is_found(progress: Progress) -> None:
    wild = _flow(2, epochs=9, batch_size=100, learning_rate=30.0, warm_up_steps=0)
    with pytest.raises(TrainingError, match=r"evaluations|integrated|nats"):
        wild.fit(Normal(2).sample(400, 1), progress=progress)


def test_a_divergence_keeps_the_checkpoint(progress: Progress, tmp_path: Path) -> None:
    file, x = tmp_path / "checkpoint.npz", Normal(2).sample(400, 1)
    # The loss is averaged over one step.
    flow = _flow(2, epochs=1, batch_size=100, patience_steps=8)
    flow.fit(x, progress=progress, checkpoint=Checkpoint(file, "same", 0.0))
    before = file.read_bytes()
    strict = _flow(2, epochs=2, batch_size=100, patience_steps=8)
    strict.settings = replace(strict.settings, limits=Limits(rise_nats=-9.0))
    with pytest.raises(TrainingError, match="diverged"):
        strict.fit(x, progress=progress, checkpoint=Checkpoint(file, "same", 0.0))
    assert file.read_bytes() == before


def test_loose_tolerances_are_found() -> None:
    rng = np.random.default_rng(1)
    z, none = rng.normal(size=(100, 1)).astype(np.float32), np.empty((100, 0), np.float32)
    chain = Chain(1, 0, SMALL, AdaptiveSolver(10.0, 10.0))
    # A field that the first long step cannot follow.
    weights = [10 * array for array in start_weights(chain, 1)]
    health = examine(chain, weights, z, none)
    with pytest.raises(TrainingError, match="ln p"):
        check_health(health, Limits(), "epoch 1")


def test_what_counts_as_divergence() -> None:
    check_health(Health(0.0, 0.0, 0.0), Limits(), "epoch 1")
    for broken in (Health(-0.1, 0.0, 0.0), Health(0.0, 1.0, 0.0), Health(0.0, 0.0, np.nan)):
        with pytest.raises(TrainingError, match="diverged"):
            check_health(broken, Limits(), "epoch 1")
    losses = Losses(2)
    assert losses.add(1.0) == np.inf
    smooth = [losses.add(value) for value in (1.0, 2.0, 4.0)]
    assert smooth == [1.0, 1.5, 3.0]
    check_rise(1.5, losses.best, Limits(), "step 2")
    with pytest.raises(TrainingError, match=r"3\.000 nats after 1\.000"):
        check_rise(3.0, losses.best, Limits(), "step 3")


def test_values_that_are_not_finite_are_found() -> None:
    settings = _flow(2).settings
    trainer = Trainer(Chain(2, 0, SMALL, COARSE), settings, 1)
    z = np.random.default_rng(1).normal(size=(10, 2)).astype(np.float32)
    rows = Rows(z, np.empty((10, 0), np.float32), np.ones(10, np.float32))
    trainer.step(0, rows, rows)
    state, arrays = trainer.get_state()
    arrays["weights"][-1][:] = np.nan
    trainer.set_state(state, arrays)
    with pytest.raises(TrainingError, match=r"diverged|integrated"):
        trainer.step(1, rows, rows)


def test_steps_that_multiply_are_found() -> None:
    check_growth(300, 42, Limits(), "step 5")
    with pytest.raises(TrainingError, match="400 evaluations"):
        check_growth(400, 42, Limits(), "step 6")


def test_bad_input_and_no_rows(conditional: FfjordFlow, progress: Progress) -> None:
    flow: Flow = conditional
    none = np.empty((0, 2)), np.empty((0, 1))
    assert flow.log_prob(*none).shape == (0,)
    assert [a.shape for a in flow.score(*none) if a is not None] == [(0, 2), (0, 1)]
    with pytest.raises(InputError, match="dimension"):
        flow.log_prob(np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(InputError, match="conditional"):
        flow.log_prob(np.zeros((3, 2)))
    fresh = _flow(1)
    with pytest.raises(InputError, match="0 rows"):
        fresh.fit(np.empty((0, 1)), progress=progress)
    with pytest.raises(InputError, match="constant"):
        fresh.fit(np.ones((5, 1)), progress=progress)
    with pytest.raises(InputError, match="not finite"):
        fresh.fit(np.full((5, 1), np.nan), progress=progress)
    with pytest.raises(TrainingError, match="before it learned"):
        fresh.log_prob(np.zeros((1, 1)))
    with pytest.raises(ConfigError, match="processors"):
        FfjordFlow(1, settings=fresh.settings, device="cuda")
    with pytest.raises(ConfigError, match="above zero"):
        ChainSettings(depth=0)
