"""Scalar fields as networks: the potential, and the tracers' density or the selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mwatlas.flows.harmonics import real_harmonics
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.potential.parameters import require


@dataclass(frozen=True)
class FieldShape:
    """Shape of a network from places to numbers (Kalda & Green 2026, appendix A.2).

    Parameters
    ----------
    width, depth
        Units of a layer and number of residual blocks.
    radial
        For fields that reach over many scale lengths from the origin: positions are compressed,
        and the logarithm of the distance joins them. Without it a field of the distance alone,
        over a factor of a hundred in distance, is out of reach of small networks.
    harmonics_degree
        Highest l of the spherical harmonics around the origin of coordinates; None for none.
    harmonics_core
        Distance from the origin, in the unit of x, below which they fade.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    width: int = 16
    depth: int = 1
    radial: bool = True
    harmonics_degree: int | None = None
    harmonics_core: float = 0.1

    def __post_init__(self) -> None:
        require(self.width >= 1, "width", self.width, "one or more")
        require(self.depth >= 0, "depth", self.depth, "zero or more")
        degree = self.harmonics_degree
        require(degree is None or degree >= 0, "harmonics_degree", degree, "zero or more, or None")
        core = self.harmonics_core
        require(core > 0, "harmonics_core", core, "a positive number")

    @property
    def inputs(self) -> int:
        """Number of columns the network sees."""
        degree = self.harmonics_degree
        return 3 + self.radial + (0 if degree is None else (degree + 1) ** 2)


class ScalarField(torch.nn.Module):
    """A field of M members side by side.

    Parameters
    ----------
    shape
        Of the network.
    length
        Unit of positions, typical of the samples.
    unit
        Unit of the values.
    seeds
        One for each member.
    """

    def __init__(self, shape: FieldShape, length: float, unit: float, seeds: Sequence[int]) -> None:
        super().__init__()
        self._shape, self._length, self._unit = shape, length, unit
        self.network = ResidualNetwork(seeds, shape.inputs, 1, shape.width, shape.depth)

    def forward(self, x: Tensor) -> Tensor:
        """Values (M, N) at points (M, N, 3)."""
        return self._unit * self.network(self._features(x))[..., 0]

    def _features(self, x: Tensor) -> Tensor:
        shape, scaled = self._shape, x / self._length
        parts = [scaled]
        if shape.radial:
            square = 1 + (scaled**2).sum(dim=-1, keepdim=True)
            parts = [scaled * square**-0.25, 0.5 * torch.log(square)]
        if shape.harmonics_degree is not None:
            parts.append(real_harmonics(x, shape.harmonics_degree, shape.harmonics_core))
        return torch.cat(parts, dim=-1)
