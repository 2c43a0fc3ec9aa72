"""What the Boltzmann equation is solved for: a potential, what it leaves open of f, a frame."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

from mwatlas.flows.weights import WeightsModule
from mwatlas.potential.derivatives import gradient
from mwatlas.potential.free_frame import FrameOfMembers
from mwatlas.potential.residuals import (
    conditional_residual,
    selection_residual,
    vanilla_residual,
)
from mwatlas.potential.rotating_frame import RotatingFrame


class Method(StrEnum):
    """What is learned from the stars, and what from the equation (Kalda & Green 2026, table 1)."""

    VANILLA = "vanilla"
    """f from the stars, the potential from the equation."""
    SELECTION = "selection"
    """The observed f from the stars, potential and selection function from the equation."""
    CONDITIONAL = "conditional"
    """p(v|x) from the stars, potential and density of the tracers from the equation."""


class BoltzmannFields(WeightsModule):
    """The unknowns of M members side by side, and how far they are from a steady state.

    Parameters
    ----------
    method
        What the slopes of the samples are of.
    potential
        Takes points (M, N, 3) and gives potentials (M, N).
    extra
        The same for ln n or ln S; None for the vanilla method.
    frame
        In which nothing changes; None for one at rest.
    """

    def __init__(
        self,
        method: Method,
        potential: torch.nn.Module,
        extra: torch.nn.Module | None = None,
        frame: RotatingFrame | FrameOfMembers | None = None,
    ) -> None:
        super().__init__()
        self.method, self.potential, self.extra = method, potential, extra
        self._frame = frame

    @property
    def members(self) -> int:
        """Number of members."""
        return len(next(self.parameters()))

    def frame(self) -> RotatingFrame | None:
        """The frame, that of each member if it is free."""
        return self._frame() if isinstance(self._frame, FrameOfMembers) else self._frame

    def free_frame(self) -> dict[str, Tensor]:
        """Free parameters of the frame by name; shapes (M, K)."""
        return self._frame.values() if isinstance(self._frame, FrameOfMembers) else {}

    def forward(self, x: Tensor, v: Tensor, score_x: Tensor, score_v: Tensor) -> Tensor:
        """Residuals (M, N) of samples (M, N, 3), or of (1, N, 3) that members share."""
        x, v = self.for_members(x), self.for_members(v)
        score_x, score_v = self.for_members(score_x), self.for_members(score_v)
        return self.residual(x, v, score_x, score_v, gradient(self.potential, x))

    def residual(
        self, x: Tensor, v: Tensor, score_x: Tensor, score_v: Tensor, potential_gradient: Tensor
    ) -> Tensor:
        """Residuals (M, N) if the gradient of the potential is known; all of shape (M, N, 3)."""
        arguments = (x, v, score_x, score_v, potential_gradient)
        if self.extra is None:
            return vanilla_residual(*arguments, self.frame())
        slope = gradient(self.extra, x)
        if self.method is Method.SELECTION:
            return selection_residual(*arguments, slope, self.frame())
        return conditional_residual(*arguments, slope, self.frame())

    def weight_penalty(self) -> Tensor:
        """Mean square of the weights of each layer, without biases, summed; shape (M,)."""
        penalty = next(self.parameters()).new_zeros(self.members)
        for name, parameter in self.named_parameters():
            if is_weight(name):
                penalty = penalty + parameter.square().mean(dim=(1, 2))
        return penalty

    def for_members(self, x: Tensor) -> Tensor:
        """Points (M, N, 3) of points (1, N, 3) or (M, N, 3)."""
        return x.expand(self.members, -1, -1)


def is_weight(name: str) -> bool:
    """Whether a parameter of that name is penalised: matrices of networks are, biases are not."""
    return ".matrices." in name
