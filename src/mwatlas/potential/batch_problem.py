"""Damped steps of Gauss and Newton for one batch of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from mwatlas.potential.boltzmann_fields import BoltzmannFields, is_weight
from mwatlas.potential.derivatives import gradient_and_laplacian
from mwatlas.potential.residuals import BoltzmannLoss

# A damped step that fails is tried again with more damping, so often at most.
_TRIALS = 8
_LESS, _MORE, _LEAST = 0.2, 4.0, 1e-12
# Rows of the Jacobian at a time hold so many numbers (64 MB).
_CHUNK = 2**23
# Residuals below this share of the typical one weigh no more in the robust fit: the penalty has
# a kink at zero that no quadratic function has.
_KINK = 0.1

Parameters = dict[str, Tensor]


class BatchProblem:
    """The least squares of one batch of samples, for a model of one member.

    Minimised is the mean square of residuals over the local rate, plus that of negative
    Laplacians over its square times the weight the loss gives them, plus the penalty on weights.

    Parameters
    ----------
    model
        Whose parameters are moved; in double precision.
    rows
        Positions, velocities and their slopes, shape (N, 3) each, and the local rate, shape (N,).
    loss
        Of it the weight of negative densities is used, and alpha if robust.
    weight_penalty
        Times the mean square of each layer's weights.
    robust
        Give residuals the weights with which squares have the slopes of the penalty of the loss
        where the model is now.
    """

    def __init__(
        self,
        model: BoltzmannFields,
        rows: Sequence[Tensor],
        loss: BoltzmannLoss,
        weight_penalty: float,
        robust: bool,
    ) -> None:
        self._model = model
        self._samples, rate = [row[None] for row in rows[:4]], rows[4]
        self._density_scale = math.sqrt(loss.density_weight) / rate**2
        self._parameters = self._of_model()
        self._decay = self._decay_of_weights(weight_penalty)
        self._scale = 1 / rate
        # Of the residual itself; weights are constant within a batch.
        if robust:
            self._scale = self._robust_scale(rate, loss)

    def _of_model(self) -> Parameters:
        return {name: p.detach() for name, p in self._model.named_parameters()}

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
        residual = self._residual(self._parameters, *self._samples).abs()
        typical = (residual / rate).median()
        size = torch.maximum(residual, _KINK * typical * rate)
        return (rate * size * torch.sqrt(1 + (loss.alpha * residual) ** 2)) ** -0.5

    def _residual(self, parameters: Parameters, *rows: Tensor) -> Tensor:
        """Residuals (N,) of samples (1, N, 3)."""
        return functional_call(self._model, parameters, rows)[0]

    def _laplacian(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Laplacians of the potential (N,) at points (1, N, 3)."""
        start = "potential."
        own = {k.removeprefix(start): p for k, p in parameters.items() if k.startswith(start)}

        def potential(points: Tensor) -> Tensor:
            return functional_call(self._model.potential, own, points)

        return gradient_and_laplacian(potential, x)[1][0]

    def _terms(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """Scaled residuals, and negative densities in their scale; shapes (N,)."""
        scaled = self._scale * self._residual(parameters, *self._samples)
        if not self._density_scale.any():
            return scaled, torch.zeros_like(scaled)
        laplacian = self._laplacian(parameters, self._samples[0])
        return scaled, self._density_scale * laplacian.clamp(max=0.0)

    def _cost(self, parameters: Parameters, terms: tuple[Tensor, Tensor]) -> float:
        weights = self._decay @ _flat(parameters) ** 2
        return float(sum(term @ term for term in terms) / len(terms[0]) + weights)

    def cost(self) -> float:
        """What is minimised, for the parameters the model has now."""
        parameters = self._of_model()
        return self._cost(parameters, self._terms(parameters))

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
            (self._residual, self._samples, self._scale, terms[0], every),
            (self._laplacian, x, self._density_scale, terms[1], negative),
        ]
        for function, rows, scale, values, chosen in parts:
            derivative = vmap(grad(_of_one(function)), in_dims=(None, *[0] * len(rows)))
            for part in torch.split(chosen, max(_CHUNK // len(flat), 1)) if len(chosen) else ():
                each = derivative(self._parameters, *(row[0, part] for row in rows))
                jacobian = torch.cat([g.flatten(1) for g in each.values()], dim=1)
                jacobian *= scale[part, None]
                matrix.addmm_(jacobian.T, jacobian, alpha=1 / count)
                slope += jacobian.T @ values[part] / count
        return matrix, slope


def _of_one(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of samples (1, N, 3) with values (N,), as one of one sample with one value."""
    return lambda parameters, *row: function(parameters, *(part[None, None] for part in row))[0]


def _flat(parameters: Parameters) -> Tensor:
    return torch.cat([p.flatten() for p in parameters.values()])
