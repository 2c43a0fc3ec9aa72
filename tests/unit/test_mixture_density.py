"""The mixture-density network: loss, gradients, training, calibration, on known densities."""

import logging
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy import stats

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.predictor import Network
from mwatlas.errors import InputError
from mwatlas.learning.losses import gaussian_nll, mixture_nll
from mwatlas.learning.mixture_density import MixtureDensity
from mwatlas.learning.stage import make_reproducible
from mwatlas.predictive import (
    CENTRAL,
    MIXTURE_COLUMNS,
    Predictive,
    in_interval,
    mixture,
    predictive_of,
)
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.features import FEATURES, astrometry, features
from mwatlas.studies.line_of_sight.prediction import Predictor, predict_stars
from mwatlas.studies.line_of_sight.training import train_round
from mwatlas.tables.parquet import cell_writer
from mwatlas.tables.schemas import LINE_OF_SIGHT_SAMPLE

# Before the first tensor: threads cannot be set afterwards.
make_reproducible()

SMALL = {
    "kind": "mixture",
    "inputs": "physical",
    "units": 32,
    "hidden_layers": 2,
    "activation": "silu",
    "components": 3,
}
QUICK = {
    "batch_size": 500,
    "learning_rate": 5e-3,
    "max_epochs": 25,
    "plateau_patience": 2,
    "plateau_factor": 0.3,
    "stop_patience": 6,
    "checkpoint_seconds": 0,
}


def _random_mixture(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits, means = rng.normal(size=(2, 40, 3))
    return rng.normal(size=(40, 1)), logits, means, rng.uniform(0.3, 2, (40, 3))


def test_the_loss_is_the_negative_log_likelihood() -> None:
    target, logits, means, sigmas = _random_mixture(0)
    weight = np.random.default_rng(1).uniform(0.5, 2, (40, 1))
    density = mixture(np.exp(logits), means, sigmas)
    expected = -(weight[:, 0] * density.log_prob(target[:, 0])).mean()
    value = mixture_nll(*map(tf.constant, (target, logits, means, sigmas, weight)))
    assert float(value) == pytest.approx(expected, rel=1e-12)


def test_one_component_is_the_loss_of_the_twins() -> None:
    target, logits, means, sigmas = (x[:, :1] for x in _random_mixture(2))
    weight = np.ones_like(target)
    ours = mixture_nll(*map(tf.constant, (target, logits, means, sigmas, weight)))
    theirs = gaussian_nll(*map(tf.constant, (target, means, sigmas, weight)))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


def test_the_gradients_of_the_loss_in_closed_form() -> None:
    target, logits, means, sigmas = _random_mixture(3)
    variables = [tf.Variable(x) for x in (logits, means, sigmas)]
    with tf.GradientTape() as tape:
        loss = mixture_nll(tf.constant(target), *variables, tf.ones_like(target))
    by_logit, by_mean, by_sigma = (g.numpy() * len(target) for g in tape.gradient(loss, variables))
    # Bishop (1994), equations 31 to 36: with the share of each component in the density.
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    parts = weights * stats.norm.pdf(target, means, sigmas)
    share = parts / parts.sum(axis=1, keepdims=True)
    pull = (target - means) / sigmas
    np.testing.assert_allclose(by_logit, weights - share, atol=1e-12)
    np.testing.assert_allclose(by_mean, -share * pull / sigmas, atol=1e-12)
    np.testing.assert_allclose(by_sigma, share * (1 - pull**2) / sigmas, atol=1e-12)


def test_the_loss_of_an_outlier_is_finite_and_has_gradients() -> None:
    # 1e4 standard deviations, in single precision: each exponential underflows.
    means, sigmas = tf.Variable([[0.0, 1.0]]), tf.Variable([[0.01, 1.0]])
    with tf.GradientTape() as tape:
        one = tf.ones((1, 1))
        loss = mixture_nll(1e4 * one, tf.zeros((1, 2)), means, sigmas, one)
    gradients = tape.gradient(loss, [means, sigmas])
    assert np.isfinite(float(loss))
    assert all(np.isfinite(g.numpy()).all() for g in gradients)
    assert gradients[0].numpy()[0, 1] < 0


def test_an_untrained_network_is_a_broad_mixture() -> None:
    settings = Network.model_validate({**SMALL, "components": 5, "members": 2})
    network = MixtureDensity(4, settings)
    assert network.stages == ("member 1", "member 2")
    inputs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    weights, means, sigmas = (np.asarray(x) for x in network.density(inputs))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    # Steps from -1 to 1, unit widths; the random weights add a tenth.
    np.testing.assert_allclose(means, np.tile(np.linspace(-1, 1, 5), (50, 2)), atol=0.3)
    np.testing.assert_allclose(sigmas, 1 + settings.smallest_sigma, atol=0.3)
    assert not np.array_equal(means[:, :5], means[:, 5:])


def test_a_member_learns_alone_and_its_density_is_its_own() -> None:
    network = MixtureDensity(4, Network.model_validate({**SMALL, "members": 2}))
    before = network.get_weights()
    for variable in network.variables("member 2"):
        variable.assign_add(tf.ones_like(variable))
    after = network.get_weights()
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    half = len(changed) // 2
    assert changed == [False] * half + [True] * half
    network.set_weights(before)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


def test_physical_inputs_are_those_of_astropy() -> None:
    rng = np.random.default_rng(4)
    number = 200
    sky = SkyCoord(
        ra=rng.uniform(0, 360, number) * u.deg,
        dec=np.degrees(np.arcsin(rng.uniform(-1, 1, number))) * u.deg,
        distance=rng.uniform(0.1, 3, number) * u.kpc,
        pm_ra_cosdec=rng.normal(0, 20, number) * u.mas / u.yr,
        pm_dec=rng.normal(0, 20, number) * u.mas / u.yr,
        radial_velocity=np.zeros(number) * u.km / u.s,
    )
    galactic = sky.galactic
    columns = {
        "l": galactic.l.deg,
        "b": galactic.b.deg,
        "pmra": sky.pm_ra_cosdec.value,
        "pmdec": sky.pm_dec.value,
        "parallax_corr": 1 / sky.distance.to_value(u.kpc),
    }
    ours = features(astrometry(columns), "physical")
    assert ours.shape == (number, len(FEATURES["physical"]))
    position = galactic.cartesian.xyz.value.T
    distance = sky.distance.value
    velocity = galactic.velocity.d_xyz.to_value(u.km / u.s).T
    np.testing.assert_allclose(ours[:, :3], position / distance[:, None], atol=1e-12)
    np.testing.assert_allclose(ours[:, 3], np.log(distance), atol=1e-12)
    # The two definitions of Galactic coordinates agree to 1e-8 rad.
    np.testing.assert_allclose(30 * np.sinh(ours[:, 4:7]), velocity, atol=1e-4)
    motion = velocity / (4.740470463533348 * distance[:, None])
    np.testing.assert_allclose(10 * np.sinh(ours[:, 7:10]), motion, atol=1e-4)


# A density that is known: two streams whose share depends on the longitude, and whose velocities
# on the transverse one.
STREAM_SIGMA = (8.0, 40.0)
UNUSED = ("ra", "dec", "phot_g_mean_mag", "radial_velocity_error", "fold")


def _streams(number: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    data = {
        "source_id": np.sort(rng.choice(2**50, number, replace=False)),
        "l": rng.uniform(0, 360, number),
        "b": np.degrees(np.arcsin(rng.uniform(-1, 1, number))),
        "pmra": rng.normal(0, 10, number),
        "pmdec": rng.normal(0, 10, number),
        "parallax_corr": rng.uniform(0.5, 3, number),
    }
    density = _true(data)
    data["radial_velocity"] = density.draw(seed, 1, data["source_id"])[:, 0]
    return data


def _true(data: dict[str, np.ndarray]) -> Predictive:
    share = 0.5 + 0.3 * np.cos(np.radians(data["l"]))
    moving = 60 * np.tanh(features(astrometry(data), "physical")[:, 4])
    return mixture(
        np.column_stack([share, 1 - share]),
        np.column_stack([moving, -moving]),
        np.tile(STREAM_SIGMA, (share.size, 1)),
    )


@pytest.fixture(scope="module")
def subsets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("streams")
    paths = []
    for number in range(5):
        paths.append(folder / f"fold{number}.parquet")
        data = _streams(6000, number)
        with cell_writer(paths[-1], LINE_OF_SIGHT_SAMPLE.without(UNUSED), 0) as writer:
            # Identifiers this small are of the first cell of the whole sky.
            writer.write(0, data)
    return paths


def _train(
    subsets: list[Path], model: Path, progress: Progress | None = None, **study: dict
) -> None:
    settings = {"network": SMALL, "training": QUICK, **study}
    train_round(
        test=0,
        training_files=subsets[1:4],
        validation_file=subsets[4],
        study=LineOfSight.model_validate(settings),
        seed=1,
        code="",
        model_file=model,
        history_file=model.with_suffix(".parquet"),
        progress=progress or Progress("test", logging.getLogger("mwatlas")),
    )


@pytest.fixture(scope="module")
def trained(subsets: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("model") / "round0.keras"
    _train(subsets, model)
    return model


def test_the_loss_reaches_the_entropy(trained: Path) -> None:
    data = _streams(6000, 0)
    columns = Predictor([trained])(data, np.zeros(6000, dtype=int))
    true, ours = _true(data), predictive_of(columns)
    velocity = data["radial_velocity"]
    excess = true.log_prob(velocity) - ours.log_prob(velocity)
    error = excess.std() / np.sqrt(excess.size)
    # From above. Each weight that is fully used costs 1 / (2 * 18,000) nats: 0.05 for all 1,700,
    # of which this density needs few.
    assert -3 * error < excess.mean() < 0.025
    normal = np.log(ours.std()) + 0.5 * ((velocity - ours.mean()) / ours.std()) ** 2
    # A normal of the same mean and spread is far from it.
    assert (normal + 0.919 + true.log_prob(velocity)).mean() > 0.2
    for percent, within in CENTRAL.items():
        share = within[1] - within[0]
        error = np.sqrt(share * (1 - share) / velocity.size)
        assert abs(in_interval(ours.cdf(velocity), within).mean() - share) < 3 * error + 0.01, (
            percent
        )


def test_predictions_hold_the_density(trained: Path) -> None:
    data = _streams(300, 9)
    columns = Predictor([trained])(data, np.zeros(300, dtype=int))
    assert all(columns[name].shape == (300, 3) for name in MIXTURE_COLUMNS)
    assert {values.dtype for values in columns.values()} == {np.dtype(np.float32)}
    density = predictive_of(columns)
    # Single precision of numbers of about 100 km/s.
    np.testing.assert_allclose(density.mean(), columns["vlos_pred"], atol=1e-4)
    np.testing.assert_allclose(density.std(), columns["sigma_los"], atol=1e-4)
    again = predict_stars(trained, *(data[n] for n in ("l", "b", "pmra", "pmdec", "parallax_corr")))
    np.testing.assert_allclose(again.quantile([0.16]), density.quantile([0.16]), atol=1e-3)


def test_the_model_file_needs_nothing_of_this_package(trained: Path) -> None:
    with zipfile.ZipFile(trained) as file:
        assert b"mwatlas" not in file.read("config.json")


def test_a_star_that_physical_inputs_cannot_describe(trained: Path) -> None:
    with pytest.raises(InputError, match="positive parallaxes"):
        predict_stars(trained, l=[1, 2], b=[0, 0], pmra=[1, 1], pmdec=[1, 1], parallax=[1, -0.1])


class KilledError(Exception):
    """Stands for the end of the process."""


class Killed(Progress):
    """Progress that ends the process after some epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__("test", logging.getLogger("mwatlas"))
        self._left = epochs

    @contextmanager
    def task(self, *_: object) -> Iterator[Callable]:
        def advance(steps: float, note: str = "") -> None:
            self._left -= steps
            if self._left < 0:
                raise KilledError(note)

        yield advance


def test_a_killed_training_continues_to_the_same_bytes(subsets: list[Path], tmp_path: Path) -> None:
    study = {
        "network": {**SMALL, "units": 8, "members": 2},
        "training": {**QUICK, "max_epochs": 3, "batch_size": 2000},
    }
    _train(subsets, tmp_path / "whole.keras", **study)
    model = tmp_path / "round0.keras"
    with pytest.raises(KilledError):
        # In the second epoch of the second member.
        _train(subsets, model, progress=Killed(4), **study)
    _train(subsets, model, **study)
    assert model.read_bytes() == (tmp_path / "whole.keras").read_bytes()


def test_an_ensemble_is_the_mean_of_its_members_densities(
    subsets: list[Path], tmp_path: Path
) -> None:
    network, data = {**SMALL, "units": 8}, _streams(200, 11)
    training = {**QUICK, "max_epochs": 2}
    columns = [data[n] for n in ("l", "b", "pmra", "pmdec", "parallax_corr")]
    densities = []
    for members in (1, 2):
        model = tmp_path / f"{members}.keras"
        _train(subsets, model, network={**network, "members": members}, training=training)
        densities.append(predict_stars(model, *columns))
    one, two = densities
    # The first member of both is the same network.
    np.testing.assert_allclose(two.weights[:, :3], one.weights / 2, rtol=1e-6)
    np.testing.assert_array_equal(two.means[:, :3], one.means)
    second = mixture(two.weights[:, 3:], two.means[:, 3:], two.sigmas[:, 3:])
    velocity = data["radial_velocity"]
    expected = 0.5 * (np.exp(one.log_prob(velocity)) + np.exp(second.log_prob(velocity)))
    # Weights of single precision.
    np.testing.assert_allclose(np.exp(two.log_prob(velocity)), expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["conformal", "isotonic"])
def test_calibration_is_part_of_the_model(
    subsets: list[Path], tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A twin network whose uncertainty never learns, and stays too large."""
    study = {
        "network": {"units": 8, "hidden_layers": 2, "sigma_initial": 1.5},
        "training": {**QUICK, "stages": ["mean"], "max_epochs": 4},
    }
    data = _streams(6000, 0)
    shares = []
    for calibration in ("none", method):
        model = tmp_path / f"{calibration}.keras"
        with caplog.at_level(logging.INFO):
            _train(subsets, model, **study, calibration={"method": calibration})
        columns = Predictor([model])(data, np.zeros(6000, dtype=int))
        assert not set(MIXTURE_COLUMNS) & set(columns)
        density = predictive_of(columns)
        shares.append(in_interval(density.cdf(data["radial_velocity"]), CENTRAL[68]).mean())
    # Errors of a share of 6,000 stars, twice: of the validation and of the test stars.
    assert abs(shares[1] - 0.6827) < 3 * np.sqrt(2) * 0.006
    assert shares[0] > 0.8
    assert "coverage of validation stars after calibration: 0.68" in caplog.text
