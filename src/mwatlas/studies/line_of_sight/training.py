"""Training one cross-validation round."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.errors import TrainingError
from mwatlas.learning.loop import Checkpoint, Epoch, Schedule, train_stages
from mwatlas.learning.scaling import Scaling, fit_scaling
from mwatlas.learning.twin_perceptron import (
    SIGMA_OFFSET,
    Stage,
    TwinPerceptron,
    export,
    make_reproducible,
    save_model,
)
from mwatlas.progress import Progress
from mwatlas.random import block_generator, keyed_normal
from mwatlas.studies.line_of_sight.features import COLUMNS, FEATURES, features
from mwatlas.studies.line_of_sight.weights import log2d_weights, unit_weights
from mwatlas.tables.parquet import open_parquet, read_columns, write_table
from mwatlas.tables.schemas import TRAINING_HISTORY

log = logging.getLogger("mwatlas")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subset:
    """Stars of one subset: identifiers, network inputs, velocities and their errors."""

    source_id: NDArray[np.int64]
    features: Floats
    longitude: Floats
    velocity: Floats
    velocity_error: Floats


def read_subset(path: Path) -> Subset:
    """Read the stars of a subset; without velocity errors these are zero."""
    names = ["source_id", *COLUMNS, "radial_velocity"]
    has_error = "radial_velocity_error" in open_parquet(path).schema_arrow.names
    data = read_columns([path], [*names, *(["radial_velocity_error"] if has_error else [])])
    error = data["radial_velocity_error"] if has_error else np.zeros(len(data["source_id"]))
    return Subset(
        source_id=data["source_id"].astype(np.int64),
        features=features(data),
        longitude=data["l"].astype(float),
        velocity=data["radial_velocity"].astype(float),
        # A velocity published without an error is used as it is.
        velocity_error=np.nan_to_num(error.astype(float)),
    )


def train_round(
    test: int,
    training_file: Path,
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
    training_file, validation_file
        The two subsets it sees.
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
    training, validation = read_subset(training_file), read_subset(validation_file)
    inputs = fit_scaling(training.features, FEATURES, str(training_file))
    target = fit_scaling(training.velocity[:, None], ["radial_velocity"], str(training_file))
    log.info("%d stars train, %d validate", len(training.velocity), len(validation.velocity))
    network = TwinPerceptron(len(FEATURES), study.network)
    stages = _stages(network, study, seed, test, training, validation, inputs, target)
    settings = study.training
    checkpoint = Checkpoint(
        model_file.with_name(f".{model_file.stem}.checkpoint.npz"),
        _fingerprint(study, seed, code, training, validation),
        settings.checkpoint_seconds,
    )
    with progress.task("epochs", len(stages) * settings.max_epochs, "epochs") as advance:
        history = train_stages(stages, _schedule(study), checkpoint, advance)
    floor = _sigma_floor(network, inputs, validation, study)
    save_model(export(network, inputs, target, floor), model_file)
    _write_history(history, history_file)
    checkpoint.remove()


def _schedule(study: LineOfSight) -> Schedule:
    training = study.training
    return Schedule(**{name: getattr(training, name) for name in Schedule.__dataclass_fields__})


def _fingerprint(
    study: LineOfSight, seed: int, code: str, training: Subset, validation: Subset
) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{study.model_dump_json()} {seed} {code}".encode())
    for subset in (training, validation):
        for array in (subset.source_id, subset.features, subset.velocity, subset.velocity_error):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _stages(
    network: TwinPerceptron,
    study: LineOfSight,
    seed: int,
    test: int,
    training: Subset,
    validation: Subset,
    inputs: Scaling,
    target: Scaling,
) -> list[tuple[str, Stage]]:
    settings = study.training
    redraw = settings.redraw_radial_velocity

    def velocities(subset: Subset, draw: int) -> NDArray[np.float32]:
        velocity = subset.velocity
        if redraw:
            noise = keyed_normal(seed, "line_of_sight/redraw", subset.source_id, draw)
            velocity = velocity + subset.velocity_error * noise
        return target.apply(velocity[:, None])[:, 0]

    def weights(subset: Subset) -> NDArray[np.float32]:
        if settings.sample_weights == "log2d":
            values = log2d_weights(subset.longitude, subset.velocity, study.cuts)
        else:
            values = unit_weights(subset.velocity.size)
        return values.astype(np.float32)

    scaled, training_weights = inputs.apply(training.features), weights(training)
    # The validation velocities are drawn once, so that its losses can be compared.
    checked = (inputs.apply(validation.features), velocities(validation, 0), weights(validation))

    def targets_after(before: int) -> Callable[[int], NDArray[np.float32]]:
        return lambda epoch: velocities(training, before + epoch + 1)

    def order_after(before: int) -> Callable[[int], NDArray[np.int64]]:
        def order(epoch: int) -> NDArray[np.int64]:
            rng = block_generator(seed, "line_of_sight/order", test, before + epoch)
            return rng.permutation(training.velocity.size)

        return order

    stages: list[tuple[str, Stage]] = []
    for number, learns in enumerate(settings.stages):
        # No two epochs of a round share their random numbers, also in different stages.
        before = number * settings.max_epochs
        stages.append(
            (
                learns,
                Stage(
                    network,
                    learns,
                    scaled,
                    training_weights,
                    targets_after(before),
                    order_after(before),
                    checked,
                    settings.batch_size,
                ),
            )
        )
    return stages


def _sigma_floor(
    network: TwinPerceptron, inputs: Scaling, validation: Subset, study: LineOfSight
) -> float:
    """Smallest uncertainty the exported model may return, in standardised units.

    A network has no grounds to be more certain of a new star than it was of any star it was
    validated on; without a floor one unlucky star with sigma near zero ruins every mean.
    """
    sigma = np.asarray(network.sigma(inputs.apply(validation.features)))[:, 0]
    dead = sigma <= 2 * SIGMA_OFFSET
    fraction = float(dead.mean())
    log.info("share of validation stars with sigma = 0: %.2g", fraction)
    if fraction > study.training.max_dead_fraction or dead.all():
        raise TrainingError(
            "units of the uncertainty network are dead: it returns sigma = 0 and has no gradient",
            item="network.sigma_activation",
            found=f"sigma = 0 for {fraction:.3%} of the validation stars",
            expected=f"at most {study.training.max_dead_fraction:.3%}",
            remedy="set line_of_sight.network.sigma_activation to softplus, or "
            "network.sigma_initial to 1, which starts every star in the living range",
        )
    return float(np.quantile(sigma[~dead], study.network.sigma_floor_quantile))


def _write_history(history: list[Epoch], path: Path) -> None:
    write_table(
        path,
        TRAINING_HISTORY,
        {
            name: np.array([getattr(row, name) for row in history])
            for name in TRAINING_HISTORY.names
        },
    )
