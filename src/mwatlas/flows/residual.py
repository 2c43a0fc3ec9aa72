"""Residual networks, several of the same shape side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import silu

from mwatlas.flows.weights import WeightsModule
from mwatlas.random import block_generator


class ResidualNetwork(WeightsModule):
    """h = SiLU(W0 u); blocks h <- h + W2 SiLU(W1 h); linear output; biases in every layer.

    The vector field and the scalar networks of Kalda & Green 2026. The networks of an ensemble
    are its members: one matrix product serves them all, and none influences another.

    Parameters
    ----------
    seeds
        One for each member: its starting weights depend on nothing else.
    inputs, outputs
        Numbers of columns.
    width
        Units of a layer.
    depth
        Number of residual blocks.
    """

    def __init__(
        self, seeds: Sequence[int], inputs: int, outputs: int, width: int, depth: int
    ) -> None:
        super().__init__()
        shapes = [(inputs, width), *[(width, width)] * (2 * depth), (width, outputs)]
        matrices: list[list[Tensor]] = [[] for _ in shapes]
        biases: list[list[Tensor]] = [[] for _ in shapes]
        for seed in seeds:
            rng = block_generator(seed, "flows/start", 0)
            for i, (rows, columns) in enumerate(shapes):
                # The uniform start of torch's and equinox's linear layers.
                bound = rows**-0.5
                matrices[i].append(_uniform(rng, bound, (rows, columns)))
                biases[i].append(_uniform(rng, bound, (1, columns)))
        self.matrices = torch.nn.ParameterList([torch.stack(m) for m in matrices])
        self.biases = torch.nn.ParameterList([torch.stack(b) for b in biases])

    @property
    def members(self) -> int:
        """Number of networks side by side."""
        return len(self.matrices[0])

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (M, N, outputs) of M members for inputs (M, N, inputs)."""
        return self.after_first(self.layer(0, inputs))

    def after_first(self, first: Tensor) -> Tensor:
        """Outputs from what the first layer gave before its SiLU; shape (M, N, width)."""
        h = silu(first)
        last = len(self.matrices) - 1
        for i in range(1, last, 2):
            h = h + self.layer(i + 1, silu(self.layer(i, h)))
        return self.layer(last, h)

    def layer(self, number: int, inputs: Tensor) -> Tensor:
        """One linear layer."""
        return torch.baddbmm(self.biases[number], inputs, self.matrices[number])


def _uniform(rng: np.random.Generator, bound: float, shape: tuple[int, int]) -> Tensor:
    return torch.from_numpy(rng.uniform(-bound, bound, shape).astype(np.float32))
