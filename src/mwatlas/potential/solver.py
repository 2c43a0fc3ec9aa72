"""Potentials from samples in phase space by the collisionless Boltzmann equation."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mwatlas.flows.annealing import Annealing, anneal, epoch_generator
from mwatlas.flows.device import checked_device
from mwatlas.learning.loop import Checkpoint
from mwatlas.potential.axisymmetric import AxisymmetricGalaxy
from mwatlas.potential.boltzmann_fields import BoltzmannFields, Method
from mwatlas.potential.degeneracy import Degeneracy, misfit, own_share
from mwatlas.potential.derivatives import gradient_and_laplacian
from mwatlas.potential.ensemble import Ensemble
from mwatlas.potential.fields import FieldShape
from mwatlas.potential.free_frame import FreeFrame
from mwatlas.potential.least_squares import LeastSquares, fit_least_squares
from mwatlas.potential.local_rate import local_rate
from mwatlas.potential.parameters import require
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.potential.recipe import Recipe
from mwatlas.potential.residuals import BoltzmannLoss
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.progress import Advance

log = logging.getLogger("mwatlas")

# Samples that losses and diagnostics are taken from after training.
_CHECKED = 2**14


@dataclass(frozen=True)
class SolverSettings:
    """How to solve.

    Parameters
    ----------
    potential
        Network of the potential, or an axisymmetric galaxy to fit instead.
    extra
        Network of ln n (conditional method) or ln S (selection function).
    optimiser
        Least squares for networks of a few thousand weights; AdamW, as in the paper, for larger
        ones. There is no other difference.
    loss
        Penalties on the residual and on negative densities.
    weight_penalty
        Times the mean square of each layer's weights, it joins the loss.
    """

    potential: FieldShape | AxisymmetricGalaxy = field(default_factory=FieldShape)
    extra: FieldShape = field(default_factory=FieldShape)
    optimiser: LeastSquares | Annealing = field(default_factory=LeastSquares)
    loss: BoltzmannLoss = field(default_factory=BoltzmannLoss)
    weight_penalty: float = 0.0

    def __post_init__(self) -> None:
        penalty = self.weight_penalty
        require(penalty >= 0, "weight_penalty", penalty, "zero or a positive number")


def solve(
    samples: PhaseSamples,
    method: Method,
    settings: SolverSettings,
    seeds: Sequence[int],
    advance: Advance,
    *,
    frame: RotatingFrame | FreeFrame | None = None,
    device: str = "cpu",
    checkpoint: Checkpoint | None = None,
    validation: PhaseSamples | None = None,
) -> Ensemble:
    """Find the potential in which the samples are steady, and what the method leaves open of f.

    Parameters
    ----------
    samples
        With slopes of ln f, of ln f observed, or of ln p(v|x), as the method says.
    method
        One of three.
    settings
        How.
    seeds
        One for each member of the ensemble; a member depends on nothing else.
    advance
        Called with 1 and a note after each epoch, or each batch of least squares of a member.
    frame
        In which the system is steady, in the units of the samples; None for one at rest.
    device
        What to compute on: ``cpu``, ``cuda``.
    checkpoint
        Where to save, and continue from. Its fingerprint must tell samples and settings.
    validation
        Samples for the final loss.

    Returns
    -------
    Ensemble
        If the velocities cannot tell the two fields apart, its ``degeneracy`` says so, and a
        warning is logged.

    Raises
    ------
    ConfigError
        If the device is not there, or there are no seeds.
    InputError
        If there are fewer than 512 samples for a method of two fields.
    TrainingError
        If the training diverges.
    """
    require(bool(seeds), "seeds", "none", "one or more")
    where = checked_device(device)
    # Before the work, for it refuses too few samples.
    share = None if method is Method.VANILLA else own_share(samples)
    recipe = _recipe(samples, method, settings, frame)
    if isinstance(settings.optimiser, LeastSquares):
        fields, history = _by_least_squares(
            recipe, samples, settings, settings.optimiser, seeds, where, advance, checkpoint
        )
    else:
        fields, history = _by_adamw(
            recipe, samples, settings, settings.optimiser, seeds, where, advance, checkpoint
        )
    return _judged(fields, recipe, history, samples, validation, settings.loss, share)


def _recipe(
    samples: PhaseSamples,
    method: Method,
    settings: SolverSettings,
    frame: RotatingFrame | FreeFrame | None,
) -> Recipe:
    length = float(np.median(np.linalg.norm(samples.x, axis=1)))
    speed = float((samples.v - samples.v.mean(axis=0)).std())
    return Recipe(method, settings.potential, settings.extra, length, speed, frame)


def _by_least_squares(
    recipe: Recipe,
    samples: PhaseSamples,
    settings: SolverSettings,
    optimiser: LeastSquares,
    seeds: Sequence[int],
    device: torch.device,
    advance: Advance,
    checkpoint: Checkpoint | None,
) -> tuple[BoltzmannFields, list[list[float]]]:
    models = [recipe.build([seed]).to(device, torch.float64) for seed in seeds]
    rate = torch.as_tensor(local_rate(samples), device=device)
    history = fit_least_squares(
        models,
        seeds,
        samples.tensors(torch.float64, device),
        rate,
        optimiser,
        settings.loss,
        settings.weight_penalty,
        advance,
        checkpoint,
    )
    together = recipe.build(seeds).to(device, torch.float64)
    arrays = zip(*(model.get_arrays() for model in models), strict=True)
    together.set_arrays([np.concatenate(members) for members in arrays])
    return together, history


def _by_adamw(
    recipe: Recipe,
    samples: PhaseSamples,
    settings: SolverSettings,
    optimiser: Annealing,
    seeds: Sequence[int],
    device: torch.device,
    advance: Advance,
    checkpoint: Checkpoint | None,
) -> tuple[BoltzmannFields, list[list[float]]]:
    fields = recipe.build(seeds).to(device)
    tensors = samples.tensors(torch.float32, device)

    def batches(epoch: int) -> Iterator[Tensor]:
        """Rows (M, batch) in an order of each member's own."""
        orders = [
            torch.randperm(
                len(samples), generator=epoch_generator(seed, epoch, device), device=device
            )
            for seed in seeds
        ]
        yield from torch.split(torch.stack(orders), optimiser.batch_size, dim=1)

    def loss(rows: Tensor) -> Tensor:
        x, v, score_x, score_v = (tensor[rows] for tensor in tensors)
        slope, laplacian = gradient_and_laplacian(fields.potential, x)
        residual = fields.residual(x, v, score_x, score_v, slope)
        penalty = settings.weight_penalty * fields.weight_penalty()
        return settings.loss(residual, laplacian, penalty)

    history = anneal(fields, len(samples), batches, loss, optimiser, advance, checkpoint)
    # Derivatives of what was learned in single precision are taken in double.
    return fields.double(), [list(row) for row in zip(*history, strict=True)]


def _judged(
    fields: BoltzmannFields,
    recipe: Recipe,
    history: list[list[float]],
    samples: PhaseSamples,
    validation: PhaseSamples | None,
    loss: BoltzmannLoss,
    share: float | None,
) -> Ensemble:
    """The ensemble with its loss on the validation and the verdict on degeneracy."""
    checked = (validation or samples).first(_CHECKED)
    unjudged = Ensemble(fields, recipe, history, [], [0.0] * fields.members, None)
    residual = unjudged.residual(checked)
    laplacian = 4 * math.pi * unjudged.mass_density(checked.x)
    final = loss(torch.from_numpy(residual), torch.from_numpy(laplacian)).tolist()
    ensemble = replace(unjudged, validation_loss=final)
    if share is None:
        return ensemble
    values = ensemble.log_extra(samples.x)
    zero = values.max(axis=1) if recipe.method is Method.SELECTION else values.mean(axis=1)
    # The misfit of the median of the members, as the fields are reported.
    acceleration = np.median(ensemble.acceleration(checked.x), axis=0)
    verdict = Degeneracy(share, misfit(checked, np.median(residual, axis=0), acceleration))
    log.log(logging.WARNING if verdict.degenerate else logging.INFO, "%s", verdict.message())
    return replace(ensemble, log_extra_zero=zero.tolist(), degeneracy=verdict)
