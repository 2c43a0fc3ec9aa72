"""Training one cross-validation round."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.calibration import SigmaMap, calibrated, fit_calibration
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.learning.loop import Checkpoint, Epoch, Schedule, train_stages
from mwatlas.learning.mixture_density import MixtureDensity
from mwatlas.learning.model_file import export, predict, save_model
from mwatlas.learning.scaling import Scaling, fit_scaling
from mwatlas.learning.stage import DensityNetwork, Stage, make_reproducible
from mwatlas.learning.twin_perceptron import TwinPerceptron
from mwatlas.predictive import CENTRAL, Predictive, in_interval
from mwatlas.progress import Progress
from mwatlas.random import block_generator, keyed_normal
from mwatlas.studies.line_of_sight.features import COLUMNS, FEATURES, astrometry, features
from mwatlas.studies.line_of_sight.weights import log2d_weights, unit_weights
from mwatlas.tables.parquet import open_parquet, read_columns, write_table
from mwatlas.tables.schemas import TRAINING_HISTORY

# isort: split
# After the settings of TensorFlow that mwatlas.learning.stage makes.
import keras

log = logging.getLogger("mwatlas")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subset:
    """Stars that train or validate, and their velocities.

    Parameters
    ----------
    source_id
        Shape (N,).
    astrometry
        Columns :data:`~mwatlas.studies.line_of_sight.features.COLUMNS`; shape (N, 5).
    velocity, velocity_error
        In km/s; shape (N,).
    """

    source_id: NDArray[np.int64]
    astrometry: Floats
    velocity: Floats
    velocity_error: Floats


def read_subset(paths: Sequence[Path]) -> Subset:
    """Read the stars of one or more subsets; without velocity errors these are zero."""
    names = ["source_id", *COLUMNS, "radial_velocity"]
    has_error = "radial_velocity_error" in open_parquet(paths[0]).schema_arrow.names
    data = read_columns(paths, [*names, *(["radial_velocity_error"] if has_error else [])])
    error = data["radial_velocity_error"] if has_error else np.zeros(len(data["source_id"]))
    return Subset(
        source_id=data["source_id"].astype(np.int64),
        astrometry=astrometry(data),
        velocity=data["radial_velocity"].astype(float),
        # A velocity published without an error is used as it is.
        velocity_error=np.nan_to_num(error.astype(float)),
    )


@dataclass(frozen=True)
class _Round:
    """What the stages of one round share."""

    test: int
    study: LineOfSight
    seed: int
    training: Subset
    validation: Subset
    inputs: Scaling
    target: Scaling

    def scaled(self, subset: Subset) -> NDArray[np.float32]:
        """Standardised inputs; shape (N, C)."""
        return self.inputs.apply(features(subset.astrometry, self.study.network.inputs))

    def velocities(self, subset: Subset, draw: int) -> Floats:
        """Velocities in km/s, drawn anew from their errors; shape (N,)."""
        if not self.study.training.redraw_radial_velocity:
            return subset.velocity
        noise = keyed_normal(self.seed, "line_of_sight/redraw", subset.source_id, draw)
        return subset.velocity + subset.velocity_error * noise

    def validation_velocities(self) -> Floats:
        """Velocities of the validation stars: drawn once, so that losses can be compared."""
        return self.velocities(self.validation, 0)

    def weights(self, subset: Subset) -> NDArray[np.float32]:
        """Sample weights of the loss; shape (N,)."""
        if self.study.training.sample_weights == "log2d":
            values = log2d_weights(subset.astrometry[:, 0], subset.velocity, self.study.cuts)
        else:
            values = unit_weights(subset.velocity.size)
        return values.astype(np.float32)


def train_round(
    test: int,
    training_files: Sequence[Path],
    validation_file: Path,
    study: LineOfSight,
    seed: int,
    code: str,
    model_file: Path,
    history_file: Path,
    progress: Progress,
) -> None:
    """Train the network that will predict subset ``test``.

    Parameters
    ----------
    test
        Number of the round, and of the subset it does not see.
    training_files, validation_file
        The subsets it sees.
    study, seed
        Settings and seed of the run.
    code
        Hash of the code, part of the checkpoint's fingerprint.
    model_file, history_file
        The ``.keras`` file and the losses to write. The checkpoint lies beside the model.
    progress
        Where to report epochs.

    Raises
    ------
    InputError
        If an input is constant or incomplete.
    TrainingError
        If the loss is not finite, or units of the uncertainty are dead.
    """
    make_reproducible()
    # Files hold names of layers, which Keras numbers through a process.
    keras.utils.clear_session()
    training, validation = read_subset(training_files), read_subset([validation_file])
    names, where = FEATURES[study.network.inputs], ", ".join(map(str, training_files))
    values = features(training.astrometry, study.network.inputs)
    inputs = fit_scaling(values, names, where)
    target = fit_scaling(training.velocity[:, None], ["radial_velocity"], where)
    this = _Round(test, study, seed, training, validation, inputs, target)
    log.info("%d stars train, %d validate", len(training.velocity), len(validation.velocity))
    network = make_network(study, len(names))
    stages = _stages(network, this)
    settings = study.training
    checkpoint = Checkpoint(
        model_file.with_name(f".{model_file.stem}.checkpoint.npz"),
        _fingerprint(study, seed, code, training, validation),
        settings.checkpoint_seconds,
    )
    with progress.task("epochs", len(stages) * settings.max_epochs, "epochs") as advance:
        history = train_stages(stages, _schedule(study), checkpoint, advance)
    save_model(_finished(network, this), model_file)
    _write_history(history, history_file)
    checkpoint.remove()


def make_network(study: LineOfSight, inputs: int) -> DensityNetwork:
    """The untrained network a study asks for, with a number of inputs."""
    if study.network.kind == "mixture":
        return MixtureDensity(inputs, study.network)
    return TwinPerceptron(inputs, study.network, study.training.stages)


def _schedule(study: LineOfSight) -> Schedule:
    training = study.training
    return Schedule(**{name: getattr(training, name) for name in Schedule.__dataclass_fields__})


def _fingerprint(
    study: LineOfSight, seed: int, code: str, training: Subset, validation: Subset
) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{study.model_dump_json()} {seed} {code}".encode())
    for subset in (training, validation):
        for array in (subset.source_id, subset.astrometry, subset.velocity, subset.velocity_error):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _stages(network: DensityNetwork, this: _Round) -> list[tuple[str, Stage]]:
    settings, training, validation = this.study.training, this.training, this.validation
    scaled, weights = this.scaled(training), this.weights(training)
    checked = (
        this.scaled(validation),
        this.target.apply(this.validation_velocities()[:, None])[:, 0],
        this.weights(validation),
    )

    def targets_after(before: int) -> Callable[[int], NDArray[np.float32]]:
        def targets(epoch: int) -> NDArray[np.float32]:
            velocities = this.velocities(training, before + epoch + 1)
            return this.target.apply(velocities[:, None])[:, 0]

        return targets

    def order_after(before: int) -> Callable[[int], NDArray[np.int64]]:
        def order(epoch: int) -> NDArray[np.int64]:
            rng = block_generator(this.seed, "line_of_sight/order", this.test, before + epoch)
            return rng.permutation(training.velocity.size)

        return order

    stages: list[tuple[str, Stage]] = []
    for number, name in enumerate(network.stages):
        # No two epochs of a round share their random numbers, also in different stages.
        before = number * settings.max_epochs
        stages.append(
            (
                name,
                Stage(
                    network,
                    name,
                    scaled,
                    weights,
                    targets_after(before),
                    order_after(before),
                    checked,
                    settings.batch_size,
                ),
            )
        )
    return stages


def _finished(network: DensityNetwork, this: _Round) -> keras.Model:
    """The model to save: calibrated, with physical columns in and km/s out."""
    study, validation = this.study, this.validation
    if isinstance(network, TwinPerceptron):
        network.set_floor(
            this.scaled(validation),
            study.network.sigma_floor_quantile,
            study.training.max_dead_fraction,
        )

    def model(by: SigmaMap | None) -> keras.Model:
        inputs = partial(features, inputs=study.network.inputs, operations=keras.ops)
        return export(network, len(COLUMNS), inputs, this.inputs, this.target, by)

    plain, settings = model(None), study.calibration
    if settings.method == "none":
        return plain
    predictive = predict(plain, validation.astrometry)
    velocity = this.validation_velocities()
    by = fit_calibration(predictive, velocity, settings.method, settings.groups)
    for when, density in (("before", predictive), ("after", calibrated(predictive, by))):
        log.info(
            "coverage of validation stars %s calibration: %s",
            when,
            ", ".join(f"{s:.4f} of {p} %" for p, s in _coverages(density, velocity).items()),
        )
    return model(by)


def _coverages(predictive: Predictive, velocity: Floats) -> dict[int, float]:
    probability = predictive.cdf(velocity)
    return {p: float(in_interval(probability, ends).mean()) for p, ends in CENTRAL.items()}


def _write_history(history: list[Epoch], path: Path) -> None:
    write_table(
        path,
        TRAINING_HISTORY,
        {
            name: np.array([getattr(row, name) for row in history])
            for name in TRAINING_HISTORY.names
        },
    )
