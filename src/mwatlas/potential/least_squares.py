"""Levenberg-Marquardt for the Boltzmann equation: exact where gradient descent stays rough.

The residual is linear in the gradients of the fields, and small networks have few enough weights
for the normal equations. Each batch of samples is fitted for some steps, then a fresh one is
taken, so that what is learned holds between the samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from mwatlas.errors import TrainingError
from mwatlas.learning.loop import Checkpoint
from mwatlas.potential.boltzmann_fields import BoltzmannFields, is_weight
from mwatlas.potential.derivatives import gradient_and_laplacian
from mwatlas.potential.parameters import require
from mwatlas.potential.residuals import BoltzmannLoss
from mwatlas.progress import Advance
from mwatlas.random import block_generator

# A damped step that fails is tried again with more damping, so often at most.
_TRIALS = 8
_LESS, _MORE, _LEAST = 0.2, 4.0, 1e-12
# Rows of the Jacobian at a time hold so many numbers (64 MB).
_CHUNK = 2**23
# Residuals below this share of the typical one weigh no more in the robust fit: the penalty has
# a kink at zero that no quadratic function has.
_KINK = 0.1

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class LeastSquares:
    """How to solve by Levenberg-Marquardt, in double precision.

    The fit is of residuals in units of the local rate (:func:`local_rate`), so that all distances
    count alike. From the loss it takes the weight of negative densities, here the square of the
    density in units of the local rate squared.

    Parameters
    ----------
    batches, steps
        Number of batches, and of steps on each.
    batch_size, last_batch_size
        Rows of the first and of the last batch; sizes between grow by equal factors. Noise in the
        slopes averages out only over the rows of a batch, so let the last ones be large.
    robust
        Minimise the penalty of the loss instead of the square of the residual, by weights
        renewed with each batch. For slopes that were learned, which have outliers.
    damping
        Of the first step, in units of the diagonal of the normal matrix.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    batches: int = 10
    steps: int = 10
    batch_size: int = 4096
    last_batch_size: int = 4096
    robust: bool = False
    damping: float = 1e-2

    def __post_init__(self) -> None:
        for item in ("batches", "steps", "batch_size", "last_batch_size", "damping"):
            require(getattr(self, item) > 0, item, getattr(self, item), "a number above zero")

    def rows(self, number: int, available: int) -> int:
        """Rows of a batch, at most those available."""
        share = number / max(self.batches - 1, 1)
        size = self.batch_size * (self.last_batch_size / self.batch_size) ** share
        return min(round(size), available)


def fit_least_squares(
    models: Sequence[BoltzmannFields],
    seeds: Sequence[int],
    samples: Sequence[Tensor],
    rate: Tensor,
    settings: LeastSquares,
    loss: BoltzmannLoss,
    weight_penalty: float,
    advance: Advance,
    checkpoint: Checkpoint | None = None,
) -> list[list[float]]:
    """Fit members one after the other.

    Parameters
    ----------
    models
        One of one member each, in double precision.
    seeds
        Of their batches.
    samples
        Positions, velocities and their slopes; shape (N, 3) each.
    rate
        Typical rate of change at each sample; shape (N,).
    settings, loss
        How, and what of.
    weight_penalty
        Times the mean square of the weights, it is added to the mean square of the residuals.
    advance
        Called with 1 after each batch and a note on the misfit.
    checkpoint
        Where to save, and continue from.

    Returns
    -------
    list of lists
        Root mean square of the scaled residuals of each batch, for each member.

    Raises
    ------
    TrainingError
        If the misfit is not finite.
    """
    history: list[list[float]] = [[] for _ in models]
    damping = settings.damping
    resumed = checkpoint.load() if checkpoint is not None else None
    if resumed is not None:
        state, arrays = resumed
        history, damping = state["history"], state["damping"]
        for number, model in enumerate(models):
            model.set_arrays(arrays[f"weights {number}"])
        advance(sum(map(len, history)), "resumed")
    for member, (model, seed) in enumerate(zip(models, seeds, strict=True)):
        if not history[member]:
            damping = settings.damping
        for number in range(len(history[member]), settings.batches):
            generator = block_generator(seed, "potential/batch", number)
            size = settings.rows(number, len(rate))
            chosen = torch.from_numpy(generator.choice(len(rate), size, replace=False))
            rows = [tensor[chosen.to(rate.device)] for tensor in (*samples, rate)]
            problem = _Problem(model, rows, settings, loss, weight_penalty)
            damping = problem.descend(settings.steps, damping)
            misfit = problem.misfit()
            if not math.isfinite(misfit):
                raise _diverged(member, number, misfit)
            history[member].append(misfit)
            if checkpoint is not None:
                checkpoint.save(
                    {"history": history, "damping": damping},
                    {f"weights {i}": m.get_arrays() for i, m in enumerate(models)},
                    force=number + 1 == settings.batches,
                )
            advance(1, f"member {member}, misfit {misfit:.3g}")
    return history


class _Problem:
    """The least squares of one batch; moves the parameters of a model."""

    def __init__(
        self,
        model: BoltzmannFields,
        rows: Sequence[Tensor],
        settings: LeastSquares,
        loss: BoltzmannLoss,
        weight_penalty: float,
    ) -> None:
        self._model = model
        self._samples, rate = [row[:, None, None] for row in rows[:4]], rows[4]
        self._density_scale = math.sqrt(loss.density_weight) / rate**2
        self._parameters = {name: p.detach() for name, p in model.named_parameters()}
        self._decay = self._decay_of_weights(weight_penalty)
        self._scale = 1 / rate
        # Of the residual itself; weights are constant within a batch.
        if settings.robust:
            self._scale = self._robust_scale(rate, loss)

    def _decay_of_weights(self, weight_penalty: float) -> Tensor:
        """Factor of each squared parameter in the penalty on weights; shape (P,)."""
        return torch.cat(
            [
                torch.full_like(p, weight_penalty / p.numel() * is_weight(name)).flatten()
                for name, p in self._parameters.items()
            ]
        )

    def _robust_scale(self, rate: Tensor, loss: BoltzmannLoss) -> Tensor:
        """Root of the weight with which the square has the slope of the penalty."""
        residual = self._residual(self._parameters).abs()
        typical = (residual / rate).median()
        size = torch.maximum(residual, _KINK * typical * rate)
        return (rate * size * torch.sqrt(1 + (loss.alpha * residual) ** 2)) ** -0.5

    def _residual(self, parameters: Parameters) -> Tensor:
        """Residuals, shape (N,)."""
        return vmap(self._of_row, in_dims=(None, 0, 0, 0, 0))(parameters, *self._samples)

    def _of_row(self, parameters: Parameters, *row: Tensor) -> Tensor:
        return functional_call(self._model, parameters, row)[0, 0]

    def _laplacian_of_row(self, parameters: Parameters, x: Tensor) -> Tensor:
        def potential(points: Tensor) -> Tensor:
            of_potential = {
                name.removeprefix("potential."): p
                for name, p in parameters.items()
                if name.startswith("potential.")
            }
            return functional_call(self._model.potential, of_potential, points)

        return gradient_and_laplacian(potential, x)[1][0, 0]

    def _terms(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Scaled residuals, and negative densities in their scale; shapes (N,)."""
        scaled = self._scale * self._residual(parameters)
        if not self._density_scale.any():
            return scaled, torch.zeros_like(scaled)
        laplacian = vmap(self._laplacian_of_row, in_dims=(None, 0))(parameters, self._samples[0])
        return scaled, self._density_scale * laplacian.clamp(max=0.0)

    def _cost(self, parameters: Parameters, terms: tuple[Tensor, Tensor]) -> float:
        weights = self._decay @ _flat(parameters) ** 2
        return float(sum(term @ term for term in terms) / len(terms[0]) + weights)

    def misfit(self) -> float:
        """Root mean square of the scaled residuals."""
        return float(self._terms(self._parameters)[0].square().mean().sqrt())

    def descend(self, steps: int, damping: float) -> float:
        """Take steps; return the damping for the next ones."""
        terms = self._terms(self._parameters)
        cost = self._cost(self._parameters, terms)
        for _ in range(steps):
            matrix, slope = self._normal_equations(terms)
            diagonal = matrix.diagonal().clone()
            # A parameter without influence must not make the matrix singular.
            floor = torch.finfo(matrix.dtype).eps * diagonal.max()
            for _ in range(_TRIALS):
                matrix.diagonal().copy_(diagonal + damping * diagonal.clamp(min=float(floor)))
                factor, failed = torch.linalg.cholesky_ex(matrix)
                if not failed:
                    step = torch.cholesky_solve(slope[:, None], factor)[:, 0]
                    trial = self._shifted(step)
                    terms_then = self._terms(trial)
                    cost_then = self._cost(trial, terms_then)
                    if cost_then < cost:
                        self._parameters, terms, cost = trial, terms_then, cost_then
                        damping = max(_LESS * damping, _LEAST)
                        break
                damping *= _MORE
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(self._parameters[name])
        return damping

    def _shifted(self, step: Tensor) -> Parameters:
        sizes = [p.numel() for p in self._parameters.values()]
        parts = torch.split(step, sizes)
        return {
            name: p - part.view_as(p)
            for (name, p), part in zip(self._parameters.items(), parts, strict=True)
        }

    def _normal_equations(self, terms: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Normal matrix and right side; shapes (P, P) and (P,)."""
        flat, count = _flat(self._parameters), len(terms[0])
        matrix, slope = torch.diag(self._decay), self._decay * flat
        negative = torch.nonzero(terms[1])[:, 0]
        every = torch.arange(count, device=negative.device)
        x = self._samples[:1]
        parts: list[tuple[Callable[..., Tensor], list[Tensor], Tensor, Tensor, Tensor]] = [
            (self._of_row, self._samples, self._scale, terms[0], every),
            (self._laplacian_of_row, x, self._density_scale, terms[1], negative),
        ]
        for function, rows, scale, values, chosen in parts:
            derivative = vmap(grad(function), in_dims=(None, *[0] * len(rows)))
            for part in torch.split(chosen, max(_CHUNK // len(flat), 1)) if len(chosen) else ():
                each = derivative(self._parameters, *(row[part] for row in rows))
                jacobian = torch.cat([g.flatten(1) for g in each.values()], dim=1)
                jacobian *= scale[part, None]
                matrix.addmm_(jacobian.T, jacobian, alpha=1 / count)
                slope += jacobian.T @ values[part] / count
        return matrix, slope


def _flat(parameters: Parameters) -> Tensor:
    return torch.cat([p.flatten() for p in parameters.values()])


def _diverged(member: int, batch: int, misfit: float) -> TrainingError:
    return TrainingError(
        "the least squares diverged",
        item=f"batch {batch}, member {member}",
        found=f"misfit {misfit}",
        expected="a finite misfit",
        remedy="look for absurd values among the samples, and raise damping",
    )
