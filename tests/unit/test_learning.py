"""Losses, scaling, the training loop and the twin perceptron."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mwatlas.calibration import SigmaMap, calibrated
from mwatlas.config.line_of_sight import Cuts
from mwatlas.config.predictor import Network
from mwatlas.errors import InputError, TrainingError
from mwatlas.learning.loop import Checkpoint, Schedule, train_stages
from mwatlas.learning.losses import gaussian_nll
from mwatlas.learning.model_file import export, load_model, predict, save_model
from mwatlas.learning.scaling import Scaling, fit_scaling
from mwatlas.learning.stage import make_reproducible
from mwatlas.learning.twin_perceptron import SIGMA_OFFSET, TwinPerceptron
from mwatlas.predictive import Predictive
from mwatlas.studies.line_of_sight.weights import log2d_weights, unit_weights

# Before the first tensor: threads cannot be set afterwards.
make_reproducible()

SCHEDULE = Schedule(
    max_epochs=200,
    learning_rate=1e-3,
    plateau_patience=4,
    plateau_factor=0.1,
    plateau_min_delta=1e-4,
    min_learning_rate=1e-5,
    stop_patience=15,
)


def _column(values: list[float]) -> tf.Tensor:
    return tf.constant(np.array(values, dtype=np.float64)[:, None])


def test_the_loss_is_the_negative_log_likelihood() -> None:
    rng = np.random.default_rng(0)
    target, mean = rng.normal(size=(2, 50))
    sigma, weight = rng.uniform(0.5, 2, (2, 50))
    expected = -(weight * stats.norm.logpdf(target, mean, sigma)).mean()
    value = gaussian_nll(*(_column(x) for x in (target, mean, sigma, weight)))
    assert float(value) == pytest.approx(expected, rel=1e-12)


def test_the_gradients_of_the_loss_in_closed_form() -> None:
    target, mean, sigma, weight = 1.3, 0.4, 0.7, 2.0
    mu, s = tf.Variable([[mean]]), tf.Variable([[sigma]])
    with tf.GradientTape() as tape:
        loss = gaussian_nll(tf.constant([[target]]), mu, s, tf.constant([[weight]]))
    by_mean, by_sigma = (float(g[0, 0]) for g in tape.gradient(loss, [mu, s]))
    residual = target - mean
    assert by_mean == pytest.approx(-weight * residual / sigma**2, rel=1e-5)
    assert by_sigma == pytest.approx(weight * (1 / sigma - residual**2 / sigma**3), rel=1e-5)


def test_with_sigma_one_the_loss_is_least_squares() -> None:
    target, mean = _column([1.0, 2.0]), _column([0.0, 4.0])
    one = tf.ones_like(target)
    assert float(gaussian_nll(target, mean, one, one)) == pytest.approx(
        (1 + 4) / 2 / 2 + 0.5 * math.log(2 * math.pi)
    )


def test_scaling_gives_mean_zero_and_unit_spread() -> None:
    values = np.random.default_rng(1).normal(5, 3, (1000, 2))
    scaled = fit_scaling(values, ["a", "b"], "x").apply(values)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)


class Stand:
    """A stand-in network whose validation losses are given; its weight counts epochs."""

    def __init__(self, losses: list[float]) -> None:
        self.losses, self.learning_rate, self.weight, self.momentum = losses, 1.0, 0.0, 0.0
        self.rates: list[float] = []

    def train_epoch(self, epoch: int) -> float:
        self.momentum = 0.5 * self.momentum + self.learning_rate * (epoch + 1)
        self.weight += self.momentum
        self.rates.append(self.learning_rate)
        return self.losses[epoch]

    def validate(self) -> float:
        return self.losses[len(self.rates) - 1]

    def get_weights(self) -> list[np.ndarray]:
        return [np.array(self.weight)]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weight = float(weights[0])

    def get_optimizer_state(self) -> list[np.ndarray]:
        return [np.array(self.momentum)]

    def set_optimizer_state(self, state: list[np.ndarray]) -> None:
        self.momentum = float(state[0])


def _losses(seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    falling = 1 / (1 + np.arange(200) / rng.uniform(2, 20))
    return list(falling + 0.03 * rng.random(200) * rng.integers(0, 2))


@pytest.mark.parametrize("seed", range(8))
def test_the_rules_are_those_of_keras(tmp_path: Path, seed: int) -> None:
    losses = _losses(seed)
    ours = Stand(losses)
    history = train_stages(
        [("a", ours)], SCHEDULE, Checkpoint(tmp_path / "c.npz", "", 1e9), lambda *_: None
    )
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(SCHEDULE.learning_rate), loss="mse")
    plateau = keras.callbacks.ReduceLROnPlateau(
        patience=SCHEDULE.plateau_patience,
        factor=SCHEDULE.plateau_factor,
        min_delta=SCHEDULE.plateau_min_delta,
        min_lr=SCHEDULE.min_learning_rate,
    )
    stopping = keras.callbacks.EarlyStopping(patience=SCHEDULE.stop_patience)
    model.stop_training = False
    rates = []
    for callback in (plateau, stopping):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        rates.append(float(model.optimizer.learning_rate))
        for callback in (plateau, stopping):
            callback.on_epoch_end(epoch, {"val_loss": loss, "learning_rate": 0.0})
        if model.stop_training:
            break
    assert len(history) == len(rates)
    np.testing.assert_allclose([row.learning_rate for row in history], rates, rtol=1e-6)


def test_the_best_weights_are_restored(tmp_path: Path) -> None:
    losses = [3.0, 1.0, 2.0, *[2.5] * 100]
    network, twin = Stand(losses), Stand(losses)
    train_stages(
        [("a", network)], SCHEDULE, Checkpoint(tmp_path / "c.npz", "", 1e9), lambda *_: None
    )
    twin.learning_rate = SCHEDULE.learning_rate
    twin.train_epoch(0)
    twin.train_epoch(1)
    assert network.weight == twin.weight


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("killed_after", [1, 7, 23, 40])
def test_a_killed_run_continues_to_the_same_weights(tmp_path: Path, killed_after: int) -> None:
    losses = [_losses(1), _losses(2)]
    whole = [Stand(x) for x in losses]
    history = train_stages(
        list(zip("ab", whole, strict=True)),
        SCHEDULE,
        Checkpoint(tmp_path / "whole.npz", "f", 0),
        lambda *_: None,
    )
    checkpoint = tmp_path / "killed.npz"
    epochs = 0

    def kill(steps: int, note: str) -> None:
        nonlocal epochs
        epochs += steps
        # Killed inside an epoch: before the checkpoint that would follow it.
        if epochs > killed_after and note != "resumed":
            raise KilledError

    with pytest.raises(KilledError):
        train_stages(
            list(zip("ab", [Stand(x) for x in losses], strict=True)),
            SCHEDULE,
            Checkpoint(checkpoint, "f", 0),
            kill,
        )
    resumed = [Stand(x) for x in losses]
    done = _epochs_in_checkpoint(checkpoint)
    # The stand-in reads its losses by the number of epochs it has trained.
    resumed[0].rates, resumed[1].rates = [0.0] * done[0], [0.0] * done[1]
    again = train_stages(
        list(zip("ab", resumed, strict=True)),
        SCHEDULE,
        Checkpoint(checkpoint, "f", 0),
        lambda *_: None,
    )
    assert again == history
    assert [r.weight for r in resumed if r.weight][-1] == whole[1].weight


def _epochs_in_checkpoint(path: Path) -> tuple[int, int]:
    state, _ = Checkpoint(path, "f", 0).load()
    stages = [row["stage"] for row in state["history"]]
    return stages.count("a"), stages.count("b")


def test_a_checkpoint_counts_the_time_of_killed_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("mwatlas.learning.loop.time.process_time", lambda: clock[0])

    def spend(whole: Checkpoint, *parts: tuple[str, float]) -> None:
        for name, seconds in parts:
            part = whole.part(name)
            part.load()
            clock[0] += seconds
            part.save({}, {"weights": [np.zeros(2)]}, force=True)

    killed = Checkpoint(tmp_path / "c.npz", "f", 0)
    spend(killed, ("a", 10), ("b", 5))
    assert killed.spent_seconds() == 15
    # A new process, and time that no checkpoint saw is lost.
    clock[0] = 3.0
    resumed = Checkpoint(tmp_path / "c.npz", "f", 0)
    spend(resumed, ("a", 0), ("b", 2))
    assert resumed.spent_seconds() == 17
    clock[0] = 1.0
    again = Checkpoint(tmp_path / "c.npz", "f", 0)
    spend(again, ("a", 0), ("b", 0))
    assert again.spent_seconds() == 17


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    Checkpoint(path, "one", 0).save({"stage": 0}, {"weights": [np.zeros(2)]}, force=True)
    assert Checkpoint(path, "one", 0).load() is not None
    assert Checkpoint(path, "two", 0).load() is None
    whole = path.read_bytes()
    # Cut off by a full disk, say.
    for broken in (b"rubbish", b"", whole[:-20], whole[: len(whole) // 2]):
        path.write_bytes(broken)
        assert Checkpoint(path, "one", 0).load() is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_is_explained(tmp_path: Path, bad: float) -> None:
    with pytest.raises(TrainingError, match="diverged") as caught:
        train_stages(
            [("sigma", Stand([1.0, 0.9, bad]))],
            SCHEDULE,
            Checkpoint(tmp_path / "c.npz", "", 0),
            lambda *_: None,
        )
    text = str(caught.value)
    assert "sigma, epoch 2" in text
    assert "learning rate" in text
    assert "what to do" in text
    assert (tmp_path / "c.npz").exists()


def test_the_network_has_the_published_number_of_weights() -> None:
    network = TwinPerceptron(6, Network(), [])
    count = sum(w.size for w in network.get_weights())
    assert count == 6062


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_sigma_starts_at_the_asked_value(activation: str) -> None:
    network = TwinPerceptron(6, Network(sigma_activation=activation, sigma_initial=0.8), [])
    inputs = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    np.testing.assert_allclose(network.sigma(inputs), 0.8 + SIGMA_OFFSET, rtol=1e-6)


def test_the_published_start_leaves_stars_dead() -> None:
    network = TwinPerceptron(6, Network(sigma_initial=None), [])
    inputs = np.random.default_rng(0).normal(size=(2000, 6)).astype(np.float32)
    dead = np.asarray(network.sigma(inputs)) <= 2 * SIGMA_OFFSET
    # Trap 8 of the original: a large part of the stars start without a gradient.
    assert 0.1 < dead.mean() < 0.9


def _exported(floor: float = 0.0, by: SigmaMap | None = None) -> tuple[TwinPerceptron, keras.Model]:
    settings = Network(sigma_initial=None, sigma_activation="softplus")
    network = TwinPerceptron(6, settings, [])
    network.sigma_floor = floor
    return network, export(network, 5, _inputs, INPUTS, TARGET, by)


def _inputs(columns: Any) -> Any:
    """Six inputs from five columns."""
    return keras.ops.concatenate([columns, columns[:, :1] * columns[:, 1:2]], axis=-1)


COLUMNS = np.random.default_rng(1).normal([1, 2, 30, 4, 5], [1, 1, 20, 9, 9], (300, 5))
INPUTS = fit_scaling(np.column_stack([COLUMNS, COLUMNS[:, 0] * COLUMNS[:, 1]]), list("abcdef"), "x")
TARGET = Scaling(np.array([10.0]), np.array([40.0]))


def test_the_exported_model_speaks_in_physical_units() -> None:
    network, model = _exported()
    scaled = INPUTS.apply(np.column_stack([COLUMNS, COLUMNS[:, 0] * COLUMNS[:, 1]]))
    density = predict(model, COLUMNS)
    # Single precision through five layers: a relative error of about 1e-6.
    np.testing.assert_allclose(
        density.mean(),
        10 + 40 * np.asarray(network.velocity(scaled))[:, 0],
        rtol=1e-5,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        density.std(), 40 * np.asarray(network.sigma(scaled))[:, 0], rtol=1e-5
    )


def test_the_exported_sigma_has_a_floor() -> None:
    _, model = _exported(floor=5.0)
    np.testing.assert_array_equal(predict(model, COLUMNS).std(), 200)


def test_the_exported_model_is_calibrated() -> None:
    _, plain = _exported()
    by = SigmaMap(np.array([0.0, 25.0, 30.0]), np.array([0.8, 1.4, 1.1]))
    _, model = _exported(by=by)
    expected = calibrated(predict(plain, COLUMNS), by)
    ours = predict(model, COLUMNS)
    # Single precision.
    np.testing.assert_allclose(ours.std(), expected.std(), rtol=1e-5)
    np.testing.assert_array_equal(ours.mean(), expected.mean())


def test_no_stars_are_predicted_as_none() -> None:
    _, model = _exported()
    assert len(predict(model, COLUMNS[:0])) == 0


def test_saved_models_have_the_same_bytes_and_predictions(tmp_path: Path) -> None:
    _, model = _exported()
    save_model(model, tmp_path / "a.keras")
    save_model(model, tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    ours, theirs = predict(load_model(tmp_path / "a.keras"), COLUMNS), predict(model, COLUMNS)
    for name in Predictive.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_a_broken_model_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "broken.keras"
    path.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(InputError, match=r"broken\.keras"):
        load_model(path)


def test_weights_favour_rare_velocities() -> None:
    rng = np.random.default_rng(2)
    longitude, velocity = rng.uniform(0, 360, 20_000), rng.normal(0, 40, 20_000)
    weights = log2d_weights(longitude, velocity, Cuts())
    assert weights.min() == 1
    assert weights[np.abs(velocity) > 120].mean() > weights[np.abs(velocity) < 20].mean() + 1
    assert (unit_weights(3) == 1).all()
