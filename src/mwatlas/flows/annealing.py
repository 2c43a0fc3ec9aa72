"""Training with cosine annealing, resumable, for networks side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, get_args

import torch
from torch import Tensor

from mwatlas.errors import ConfigError, TrainingError
from mwatlas.flows.muon import Muon
from mwatlas.learning.loop import Arrays, Checkpoint
from mwatlas.progress import Advance
from mwatlas.random import block_generator

Batch = TypeVar("Batch")
Optimizer = Literal["adamw", "muon"]


@dataclass(frozen=True)
class Annealing:
    """How long and how fast to train (Kalda & Green 2026).

    The rate of step k of K is ``learning_rate * (1 + cos(pi k / K)) / 2``. The paper has AdamW.
    """

    epochs: int
    batch_size: int = 8192
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    optimizer: Optimizer = "adamw"

    def __post_init__(self) -> None:
        positive = {
            "epochs": isinstance(self.epochs, int) and self.epochs > 0,
            "batch_size": isinstance(self.batch_size, int) and self.batch_size > 0,
            "learning_rate": 0 < self.learning_rate < math.inf,
        }
        for name, right in positive.items():
            if not right:
                kind = "number" if name == "learning_rate" else "whole number"
                raise ConfigError(
                    "training needs time, rows and a rate",
                    item=name,
                    found=getattr(self, name),
                    expected=f"a finite {kind} above zero",
                    remedy=f"set {name} above zero",
                )
        if self.optimizer not in get_args(Optimizer):
            raise ConfigError(
                "the optimizer is not known",
                item="optimizer",
                found=self.optimizer,
                expected=" or ".join(get_args(Optimizer)),
                remedy="set optimizer to one of them",
            )

    def steps(self, rows: int) -> int:
        """Number of batches of an epoch over that many rows."""
        return math.ceil(rows / self.batch_size)


class Members(Protocol):
    """Networks side by side: each parameter has the members along its first axis."""

    @property
    def members(self) -> int:
        """Number of networks."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """What is trained; two axes or more."""
        ...

    def get_arrays(self) -> Arrays:
        """All parameters."""
        ...

    def set_arrays(self, arrays: Arrays) -> None:
        """Restore :meth:`get_arrays`."""
        ...


def epoch_generator(seed: int, epoch: int, device: torch.device) -> torch.Generator:
    """Random numbers of one epoch of one member; the same whenever it is asked for."""
    start = int(block_generator(seed, "flows/epoch", epoch).integers(2**63))
    return torch.Generator(device).manual_seed(start)


def shuffled_parts(rows: int, settings: Annealing, rng: torch.Generator) -> tuple[Tensor, ...]:
    """Indices of the batches of an epoch: each row once, in parts of nearly equal size.

    Parameters
    ----------
    rows
        Number of training rows.
    settings
        Size of batches.
    rng
        Of :func:`epoch_generator`; it decides the order and the device.
    """
    order = torch.randperm(rows, generator=rng, device=rng.device)
    return order.tensor_split(settings.steps(rows))


def anneal(
    network: Members,
    rows: int,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    settings: Annealing,
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> list[list[float]]:
    """Train the members of a network, each on its own loss.

    Parameters
    ----------
    network
        What learns, on its device.
    rows
        Number of training rows.
    batches
        Function of the epoch's number that gives its :meth:`Annealing.steps` batches. It must
        depend on nothing else, so that a killed run continues as if nothing had happened.
    loss
        Loss of each member, shape (M,), for a batch.
    settings
        How long and how fast.
    advance
        Called with 1 after each epoch and a note on the loss.
    checkpoint
        Where to save, and continue from; it is kept after the last epoch.

    Returns
    -------
    list of lists
        Mean loss of each member in each epoch.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    parameters = list(network.parameters())
    for parameter in parameters:
        # The loss may not depend on all of them: it may see a field's gradient alone.
        parameter.grad = torch.zeros_like(parameter)
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "muon":
        optimizer = Muon(parameters, settings.weight_decay)
    else:
        optimizer = torch.optim.AdamW(parameters, weight_decay=settings.weight_decay, fused=True)
    history: list[list[float]] = []
    resumed = checkpoint.load() if checkpoint is not None else None
    if resumed is not None:
        state, arrays = resumed
        history = state["history"]
        network.set_arrays(arrays["weights"])
        set_moments(optimizer, parameters, arrays["optimizer"])
        advance(len(history), "resumed")
    steps = settings.steps(rows)
    for epoch in range(len(history), settings.epochs):
        total = torch.zeros(network.members, device=parameters[0].device)
        for number, batch in enumerate(batches(epoch)):
            progress = (epoch * steps + number) / (settings.epochs * steps)
            rate = 0.5 * settings.learning_rate * (1 + math.cos(math.pi * progress))
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad(set_to_none=False)
            each = loss(batch)
            torch.autograd.backward(each.sum())
            optimizer.step()
            total += each.detach()
        history.append([value / steps for value in total.tolist()])
        _check(history, epoch, settings, parameters)
        mean = sum(history[-1]) / network.members
        if checkpoint is not None:
            checkpoint.save(
                {"history": history},
                {"weights": network.get_arrays(), "optimizer": get_moments(optimizer, parameters)},
                force=epoch + 1 == settings.epochs,
            )
        advance(1, f"loss {mean:.4f}")
    return history


def _check(
    history: list[list[float]], epoch: int, settings: Annealing, parameters: Sequence[Tensor]
) -> None:
    """The last step of an epoch may spoil the weights after its loss was taken."""
    finite = torch.stack([torch.isfinite(p.detach()).flatten(1).all(dim=1) for p in parameters])
    for member, (value, sound) in enumerate(
        zip(history[-1], finite.all(dim=0).tolist(), strict=True)
    ):
        if not (math.isfinite(value) and sound):
            before = f"{history[-2][member]:g}" if epoch else "none"
            raise TrainingError(
                "training diverged",
                item=f"epoch {epoch} of {settings.epochs}, member {member}",
                found=f"loss {value}, the epoch before {before}, weights "
                f"{'finite' if sound else 'not finite'}, learning rate {settings.learning_rate:g}",
                expected="a finite loss and finite weights",
                remedy="lower learning_rate, and look for absurd values among the samples; the "
                "checkpoint of the epoch before is kept",
            )


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def get_moments(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> Arrays:
    """State of an optimizer of Adam's kind, for a checkpoint."""
    return [optimizer.state[p][name].cpu().numpy() for p in parameters for name in _MOMENTS]


def set_moments(
    optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], arrays: Arrays
) -> None:
    """Restore :func:`get_moments`."""
    for i, parameter in enumerate(parameters):
        group = arrays[len(_MOMENTS) * i : len(_MOMENTS) * (i + 1)]
        optimizer.state[parameter] = {
            name: torch.as_tensor(array, device=parameter.device)
            for name, array in zip(_MOMENTS, group, strict=True)
        }
