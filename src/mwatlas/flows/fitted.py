"""A trained velocity field in the units of the data: ln p, scores, samples and deviates."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.flows import ode
from mwatlas.flows.data import Standard
from mwatlas.flows.vector_field import VectorField

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedField:
    """A field of one member with the standard units it was trained in.

    All methods take and return arrays in the units of the data: x (N, D), given (N, C) or None.

    Parameters
    ----------
    x, given
        Standard units of the data and of the condition, if any.
    field
        With one member.
    """

    x: Standard
    given: Standard | None
    field: VectorField

    def log_prob(self, x: Floats, given: Floats | None, solver: ode.Solver) -> Floats:
        """Ln of the density, shape (N,)."""

        def part(field: ode.Field, z: Tensor, _: Tensor | None) -> Tensor:
            return ode.log_density(field, z, solver)[:, None]

        with torch.no_grad():
            value = self._evaluate(part, self.x.apply(x), given, solver, solver.rows)
        return value[:, 0] - np.log(self.x.std).sum()

    def score(
        self, x: Floats, given: Floats | None, solver: ode.Solver
    ) -> tuple[Floats, Floats | None]:
        """Derivatives of ln p by x and by given: those of the integrated ln p itself."""

        def part(field: ode.Field, z: Tensor, condition: Tensor | None) -> Tensor:
            inputs = [z] if condition is None else [z, condition]
            value = ode.log_density(field, z, solver).sum()
            return torch.cat(torch.autograd.grad(value, inputs, materialize_grads=True), dim=1)

        both = self._evaluate(part, self.x.apply(x), given, solver, solver.score_rows)
        by_x = both[:, : self.x.std.size] / self.x.std
        return by_x, None if self.given is None else both[:, self.x.std.size :] / self.given.std

    def from_normal(self, deviates: Floats, given: Floats | None, solver: ode.Solver) -> Floats:
        """Samples made of standard normal deviates, shape (N, D)."""

        def part(field: ode.Field, z: Tensor, _: Tensor | None) -> Tensor:
            return ode.from_normal(field, z, solver)

        with torch.no_grad():
            return self.x.invert(self._evaluate(part, deviates, given, solver, solver.rows))

    def to_normal(self, x: Floats, given: Floats | None, solver: ode.Solver) -> Floats:
        """Standard normal deviates of samples, shape (N, D)."""

        def part(field: ode.Field, z: Tensor, _: Tensor | None) -> Tensor:
            return ode.to_normal(field, z, solver)[0]

        with torch.no_grad():
            return self._evaluate(part, self.x.apply(x), given, solver, solver.rows)

    def _evaluate(
        self,
        part: Callable[[ode.Field, Tensor, Tensor | None], Tensor],
        z: Floats,
        given: Floats | None,
        solver: ode.Solver,
        rows: int,
    ) -> Floats:
        """``part`` of the field, of z and of given, so many rows at a time; shape (N, columns)."""
        arrays = [z]
        if self.given is not None and given is not None:
            arrays.append(self.given.apply(given))
        field, device = self.field, self.field.mean.device
        if solver.dtype != torch.float32:
            field = copy.deepcopy(field).to(solver.dtype)
        out = []
        # Once, without rows, for no rows: the result has its columns all the same.
        for start in range(0, max(len(z), 1), rows):
            tensors = [
                torch.as_tensor(a[start : start + rows], dtype=solver.dtype)
                .to(device)
                .requires_grad_(torch.is_grad_enabled())
                for a in arrays
            ]
            condition = tensors[1] if len(tensors) == 2 else None
            value = part(_at(field, condition), tensors[0], condition)
            out.append(value.double().cpu().numpy())
        return np.concatenate(out)


def _at(field: VectorField, condition: Tensor | None) -> ode.Field:
    """The field at conditions (N, C) in standard units."""
    given = None if condition is None else condition[None]

    def velocity(t: float, z: Tensor) -> Tensor:
        return field(z.new_full((1, 1, 1), t), z[None], given)[0]

    return velocity
