"""The training loop: epochs, learning rate, early stopping, checkpoints.

It knows no framework. Anything that can train one epoch and hand over its weights can be
trained, and every random choice is a function of the epoch's number, so a run that was killed
continues from its checkpoint to the same weights as one that was not.
"""

from __future__ import annotations

import json
import logging
import math
import time
import zlib
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import TrainingError
from mwatlas.files import atomic_path
from mwatlas.progress import Advance

log = logging.getLogger("mwatlas")

Arrays = list[NDArray[np.generic]]


class Trainable(Protocol):
    """A network in one stage of its training."""

    learning_rate: float

    def train_epoch(self, epoch: int) -> float:
        """Train once over the data; return the mean training loss."""
        ...

    def validate(self) -> float:
        """Return the loss on the validation data."""
        ...

    def get_weights(self) -> Arrays:
        """All weights, also those this stage does not train."""
        ...

    def set_weights(self, weights: Arrays) -> None:
        """Restore :meth:`get_weights`."""
        ...

    def get_optimizer_state(self) -> Arrays:
        """State of the optimiser apart from the learning rate."""
        ...

    def set_optimizer_state(self, state: Arrays) -> None:
        """Restore :meth:`get_optimizer_state`."""
        ...


@dataclass(frozen=True)
class Schedule:
    """When the learning rate falls and when a stage ends.

    The rules are those of Keras's ReduceLROnPlateau and EarlyStopping: the rate falls by
    ``plateau_factor`` after ``plateau_patience`` epochs without an improvement of more than
    ``plateau_min_delta``; the stage ends after ``stop_patience`` epochs without any, and the
    weights of its best epoch are restored.
    """

    max_epochs: int
    learning_rate: float
    plateau_patience: int
    plateau_factor: float
    plateau_min_delta: float
    min_learning_rate: float
    stop_patience: int


@dataclass
class Epoch:
    """One row of the training history."""

    stage: str
    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float


@dataclass
class _Progressing:
    """Where a stage stands."""

    epoch: int = 0
    learning_rate: float = math.nan
    best_loss: float = math.inf
    waited: int = 0
    plateau_loss: float = math.inf
    plateau_waited: int = 0
    finished: bool = False


@dataclass
class Checkpoint:
    """Saves the state of a training run now and then.

    Parameters
    ----------
    path
        File to keep it in; it is replaced atomically.
    fingerprint
        Anything that decides the outcome: settings, data, code. A checkpoint with another
        fingerprint is not used.
    every_seconds
        Least time between two saves; 0 saves after every epoch.
    """

    path: Path
    fingerprint: str
    every_seconds: float
    _last: float = field(default_factory=time.monotonic)
    # Seconds of earlier processes, by file: of this run and of its parts.
    _before: dict[Path, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._started = time.process_time()

    def save(self, state: dict[str, Any], arrays: dict[str, Arrays], force: bool = False) -> None:
        """Write ``state`` and ``arrays`` if it is time, or if ``force`` says so."""
        if not force and time.monotonic() - self._last < self.every_seconds:
            return
        self._last = time.monotonic()
        flat = {
            f"{name}/{i:03d}": array
            for name, list_ in arrays.items()
            for i, array in enumerate(list_)
        }
        own = self._before.get(self.path, 0.0) + time.process_time() - self._started
        text = json.dumps({**state, "fingerprint": self.fingerprint, "seconds": own})
        with atomic_path(self.path) as partial, partial.open("wb") as stream:
            np.savez(stream, allow_pickle=False, state=np.array(text), **flat)

    def load(self) -> tuple[dict[str, Any], dict[str, Arrays]] | None:
        """Return what was saved, or None without a usable checkpoint."""
        if not self.path.exists():
            return None
        try:
            with np.load(self.path) as file:
                state = json.loads(str(file["state"]))
                arrays: dict[str, Arrays] = {}
                for key in sorted(k for k in file.files if k != "state"):
                    arrays.setdefault(key.split("/")[0], []).append(file[key])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            log.info("checkpoint %s cannot be read (%s); starting afresh", self.path, error)
            return None
        if state.pop("fingerprint") != self.fingerprint:
            log.info("checkpoint %s belongs to other settings or data; starting afresh", self.path)
            return None
        self._before[self.path] = state.pop("seconds")
        return state, arrays

    def spent_seconds(self) -> float:
        """Processor time of the run so far, with that of processes that were killed."""
        return sum(self._before.values()) + time.process_time() - self._started

    def part(self, name: str) -> Checkpoint:
        """A checkpoint of a part of the run, beside this one and removed with it."""
        other = copy(self)
        other.path = self.path.with_stem(f"{self.path.stem}-{name}")
        other._started = time.process_time()
        return other

    def remove(self) -> None:
        """Delete the checkpoint of a finished run, and those of its parts."""
        self.path.unlink(missing_ok=True)
        for path in self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}"):
            path.unlink()


def train_stages(
    stages: Sequence[tuple[str, Trainable]],
    schedule: Schedule,
    checkpoint: Checkpoint,
    advance: Advance,
) -> list[Epoch]:
    """Train the stages one after the other, each from the best weights of the one before.

    Parameters
    ----------
    stages
        Name and network of each stage. Networks of later stages share or take over the
        weights of earlier ones through :meth:`Trainable.set_weights`.
    schedule
        Rules that hold in every stage.
    checkpoint
        Where to save, and continue from.
    advance
        Called with 1 after each epoch and a note on the losses.

    Returns
    -------
    list of Epoch
        The history.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    first, progressing = 0, _Progressing()
    history: list[Epoch] = []
    resumed = checkpoint.load()
    if resumed is not None:
        state, arrays = resumed
        first = state["stage"]
        progressing = _Progressing(**state["progressing"])
        history = [Epoch(**row) for row in state["history"]]
        _, network = stages[first]
        network.set_weights(arrays["weights"])
        network.set_optimizer_state(arrays.get("optimizer", []))
        network.learning_rate = progressing.learning_rate
        best = arrays["best"]
        log.info("resumed stage '%s' after epoch %d", stages[first][0], progressing.epoch)
        advance(len(history), "resumed")
    for index in range(first, len(stages)):
        name, network = stages[index]
        if resumed is None:
            progressing = _Progressing(learning_rate=schedule.learning_rate)
            network.learning_rate = schedule.learning_rate
            best = network.get_weights()
        resumed = None
        while not progressing.finished and progressing.epoch < schedule.max_epochs:
            row = _one_epoch(name, network, progressing)
            history.append(row)
            if row.validation_loss < progressing.best_loss:
                best = network.get_weights()
            _apply_rules(schedule, progressing, network, row.validation_loss)
            advance(1, f"stage {index + 1}/{len(stages)} '{name}', loss {row.validation_loss:.4f}")
            checkpoint.save(
                {
                    "stage": index,
                    "progressing": asdict(progressing),
                    "history": [asdict(row) for row in history],
                },
                {
                    "weights": network.get_weights(),
                    "best": best,
                    "optimizer": network.get_optimizer_state(),
                },
            )
        network.set_weights(best)
        log.info(
            "stage '%s': %d epochs, best validation loss %.5f",
            name,
            progressing.epoch,
            progressing.best_loss,
        )
    return history


def _one_epoch(name: str, network: Trainable, progressing: _Progressing) -> Epoch:
    epoch, rate = progressing.epoch, network.learning_rate
    losses = {"training": network.train_epoch(epoch), "validation": network.validate()}
    for kind, loss in losses.items():
        if not math.isfinite(loss):
            raise TrainingError(
                "training diverged",
                item=f"{name}, epoch {epoch}",
                found=f"{kind} loss {loss} at learning rate {rate:g}; the best validation loss "
                f"before was {progressing.best_loss:g}",
                expected="a finite loss",
                remedy="lower training.learning_rate, and look for absurd values among the "
                "inputs; the last checkpoint is kept",
            )
    progressing.epoch += 1
    return Epoch(name, epoch, losses["training"], losses["validation"], rate)


def _apply_rules(
    schedule: Schedule, progressing: _Progressing, network: Trainable, loss: float
) -> None:
    if loss < progressing.best_loss:
        progressing.best_loss, progressing.waited = loss, 0
    else:
        progressing.waited += 1
        progressing.finished = progressing.waited >= schedule.stop_patience
    if loss < progressing.plateau_loss - schedule.plateau_min_delta:
        progressing.plateau_loss, progressing.plateau_waited = loss, 0
    else:
        progressing.plateau_waited += 1
        if progressing.plateau_waited >= schedule.plateau_patience:
            progressing.plateau_waited = 0
            network.learning_rate = max(
                network.learning_rate * schedule.plateau_factor, schedule.min_learning_rate
            )
    progressing.learning_rate = network.learning_rate
