"""What the stars of the mock teach: flows of their velocities and of their positions.

f = n(x) p(v|x) (Kalda & Green 2026, Appendix A). The velocities serve all three methods; the
positions are those of the observed stars, or for the vanilla method weighted by 1/S.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from mwatlas.config.conditional_potential import Flows
from mwatlas.config.flows import Flow, Training
from mwatlas.errors import InputError
from mwatlas.flows.annealing import Annealing
from mwatlas.flows.matching import MatchingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.ode import Solver
from mwatlas.flows.pairing import OptimalTransport
from mwatlas.flows.vector_field import FieldSettings
from mwatlas.learning.loop import Checkpoint
from mwatlas.progress import Progress
from mwatlas.random import block_generator, keyed_uniform
from mwatlas.studies.conditional_potential.names import FlowKind
from mwatlas.studies.conditional_potential.plummer import VELOCITY_UNIT_KMS
from mwatlas.tables.parquet import read_rows

Floats = NDArray[np.float64]
log = logging.getLogger("mwatlas")

_CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Stars:
    """Stars of the mock.

    Parameters
    ----------
    star_id
        Shape (N,).
    position_kpc
        From the observer; shape (N, 3).
    velocity
        In units of 100 km/s, with which G = 1; shape (N, 3).
    """

    star_id: NDArray[np.int64]
    position_kpc: Floats
    velocity: Floats

    def __getitem__(self, rows: NDArray[np.bool_]) -> Stars:
        return Stars(self.star_id[rows], self.position_kpc[rows], self.velocity[rows])


def read_stars(paths: Sequence[Path]) -> Stars:
    """Read the observed stars of all partitions."""
    names = [f"v{axis}_kms" for axis in "xyz"]
    data = read_rows(paths, ["star_id", *names])
    velocity = np.stack([data[name] for name in names], axis=1).astype(np.float64)
    return Stars(
        data["star_id"].astype(np.int64), read_positions(paths), velocity / VELOCITY_UNIT_KMS
    )


def read_positions(paths: Sequence[Path]) -> Floats:
    """Positions of the observed stars of all partitions in kpc; shape (N, 3)."""
    names = [f"{axis}_kpc" for axis in "xyz"]
    data = read_rows(paths, names)
    return np.stack([data[name] for name in names], axis=1).astype(np.float64)


def is_validation(star_id: NDArray[np.int64], settings: Flows, seed: int) -> NDArray[np.bool_]:
    """Which stars are kept for validation: the same whatever the partitions; shape (N,)."""
    uniform = keyed_uniform(seed, "conditional_potential/validation", star_id)
    return uniform < settings.validation_share


def star_weights(
    star_id: NDArray[np.int64],
    log_selection: Floats | None,
    settings: Flows,
    member: int,
    seed: int,
) -> Floats:
    """Weights with which a member learns from stars.

    Parameters
    ----------
    star_id
        Shape (N,).
    log_selection
        Ln S where the stars are, for weights 1/S up to the largest one; None for none.
    settings
        Largest weight, and whether members weight the stars at random.
    member
        Number of the member.
    seed
        Seed of the run.

    Returns
    -------
    float64, shape (N,)
    """
    weights = np.ones(star_id.size)
    if log_selection is not None:
        weights = np.minimum(np.exp(-log_selection), settings.largest_weight)
    if settings.bootstrap:
        uniform = keyed_uniform(seed, "conditional_potential/bootstrap", star_id, member)
        weights *= poisson.ppf(uniform, 1.0)
    return weights


def training_stars(
    kind: FlowKind,
    member: int,
    settings: Flows,
    seed: int,
    stars: Sequence[Path],
    truth: Sequence[Path],
    *,
    validation: bool = False,
) -> tuple[Floats, Floats | None, Floats]:
    """What a member of a flow learns from, or is validated with.

    Parameters
    ----------
    kind, member, settings, seed, stars, truth
        As for :func:`train_flow`.
    validation
        Whether those kept for validation are wanted.

    Returns
    -------
    x, given
        Velocities (N, 3) at positions (N, 3), or positions (N, 3) and None.
    weights
        Shape (N,).
    """
    table = read_stars(stars)
    log_selection = None
    if kind == "weighted":
        log_selection = _log_selection(truth, table.star_id)
    weights = star_weights(table.star_id, log_selection, settings, member, seed)
    taken = is_validation(table.star_id, settings, seed) == validation
    table, weights = table[taken], weights[taken]
    if kind == "velocities":
        return table.velocity, table.position_kpc, weights
    return table.position_kpc, None, weights


def _log_selection(truth: Sequence[Path], star_id: NDArray[np.int64]) -> Floats:
    """Ln S of stars from the tables of their truth, which have the same rows; shape (N,)."""
    data = read_rows(truth, ["star_id", "log_selection_true"])
    if not np.array_equal(data["star_id"], star_id):
        raise InputError(
            "the truth is not that of the stars",
            file=truth[0] if truth else None,
            item="star_id",
            found=f"{len(data['star_id'])} rows, for {len(star_id)} stars, or in another order",
            expected="the stars' own partitions, in the same order",
            remedy="delete the mock and run again",
        )
    log_selection: Floats = data["log_selection_true"]
    return log_selection


def train_flow(
    kind: FlowKind,
    member: int,
    settings: Flows,
    seed: int,
    *,
    stars: Sequence[Path],
    truth: Sequence[Path],
    code: str,
    model_file: Path,
    progress: Progress,
) -> dict[str, float]:
    """Train one flow.

    Parameters
    ----------
    kind
        What it learns.
    member
        Its number in the ensemble; decides start, order, deviates and bootstrap.
    settings, seed
        Settings of the study's flows, and seed of the run.
    stars, truth
        Tables of the mock, in the same order. Of the truth only S is read, for the weights.
    code
        Hash of the code, part of the checkpoint's fingerprint.
    model_file
        File to write. The checkpoint lies beside it.
    progress
        Where to report epochs.

    Returns
    -------
    dict
        ``rows``, ``seconds`` of processor time, last ``loss``, ``parameters``.

    Raises
    ------
    ConfigError, InputError, TrainingError
        If the device is not there, the stars teach nothing, or training diverges.
    """
    x, given, weights = training_stars(kind, member, settings, seed, stars, truth)
    flow = make_flow(kind, settings, member, seed)
    fingerprint = f"{settings.model_dump_json()} {kind} {member} {seed} {code}"
    checkpoint = checkpoint_of(model_file, fingerprint, x, weights)
    history = flow.fit(x, given, weights, progress=progress, checkpoint=checkpoint)
    seconds = checkpoint.spent_seconds()
    flow.save(model_file)
    checkpoint.remove()
    log.info("%d stars, %d weights, loss %.5f", len(x), flow.parameters, history[-1])
    return {
        "rows": len(x),
        "seconds": seconds,
        "loss": history[-1],
        "parameters": flow.parameters,
        "epochs": len(history),
    }


def make_flow(kind: FlowKind, settings: Flows, member: int, seed: int) -> MatchingFlow:
    """The untrained flow of a member."""
    flow = settings.of(velocities=kind == "velocities")
    start = block_generator(seed, f"conditional_potential/{kind}", member).integers(2**62)
    return MatchingFlow(
        3,
        3 if kind == "velocities" else 0,
        settings=matching_settings(flow),
        solver=Solver(steps=flow.steps),
        seed=int(start),
        device=settings.device,
    )


def matching_settings(flow: Flow) -> MatchingSettings:
    """Settings of a flow as its engine takes them."""
    transport = flow.transport
    return MatchingSettings(
        FieldSettings(
            flow.width,
            flow.depth,
            flow.time_features,
            flow.highest_frequency,
            flow.harmonics_degree,
        ),
        annealing(flow.training),
        None if transport is None else OptimalTransport(transport.batch, transport.passes),
    )


def annealing(training: Training) -> Annealing:
    """Settings of a training as its engine takes them, without what kinds of it have beside."""
    return Annealing(**training.model_dump(include=set(Training.model_fields)))


def checkpoint_of(model_file: Path, text: str, *arrays: NDArray[Any]) -> Checkpoint:
    """Checkpoint beside a model's file.

    Parameters
    ----------
    model_file
        The file that the training will write.
    text, arrays
        All that decides its outcome: settings, seed and code, and what it learns from.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    path = model_file.with_name(f".{model_file.stem}.checkpoint.npz")
    return Checkpoint(path, digest.hexdigest(), _CHECKPOINT_SECONDS)
