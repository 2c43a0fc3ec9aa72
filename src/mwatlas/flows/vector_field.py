"""The velocity field of a continuous flow: a residual network of time, place and condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mwatlas.errors import ConfigError
from mwatlas.flows.data import Standard
from mwatlas.flows.harmonics import real_harmonics
from mwatlas.flows.residual import ResidualNetwork


@dataclass(frozen=True)
class FieldSettings:
    """Shape of the network (Kalda & Green 2026).

    Parameters
    ----------
    width, depth
        Units of a layer and number of residual blocks.
    time_features
        Length of the time's embedding: sines and cosines of t times frequencies.
    highest_frequency
        The frequencies are geometric from 1 to this. Steps in time must resolve it: with the
        original's 1024, 16 to 64 steps of Runge-Kutta leave errors of 0.05 nats in ln p, with 16
        below 1e-4 (correlated normal in three dimensions).
    harmonics_degree
        Highest l of the spherical harmonics of a three-dimensional x around the origin of its
        coordinates, where the observer is; None for none.
    harmonics_core
        Distance from the observer, in the unit of x, below which they fade. The original used
        solid harmonics, r^l times ours, which overwhelm the network at large r.
    """

    width: int = 256
    depth: int = 6
    time_features: int = 32
    highest_frequency: float = 1024.0
    harmonics_degree: int | None = None
    harmonics_core: float = 0.1

    def __post_init__(self) -> None:
        if self.time_features < 2 or self.time_features % 2:
            raise ConfigError(
                "the time embedding is made of pairs of a sine and a cosine",
                item="time_features",
                found=self.time_features,
                expected="an even number from 2 on",
                remedy="set an even number",
            )


class VectorField(torch.nn.Module):
    """Velocities u(t, z | given) in standard units, of M members side by side.

    Parameters
    ----------
    settings
        Shape of the network.
    standard
        Mean and deviation of x, which spherical harmonics need to find the observer.
    given_dimension
        Number C of conditions.
    seeds
        One for each member.
    """

    def __init__(
        self,
        settings: FieldSettings,
        standard: Standard,
        given_dimension: int,
        seeds: Sequence[int],
    ) -> None:
        super().__init__()
        dimension = standard.mean.size
        degree = settings.harmonics_degree
        if degree is not None and dimension != 3:
            raise ConfigError(
                "spherical harmonics are of positions in space",
                item="harmonics_degree",
                found=f"{degree} for x of {dimension} columns",
                expected="None, or x of 3 columns",
                remedy="set harmonics_degree to None for this flow",
            )
        self.settings = settings
        harmonics = 0 if degree is None else (degree + 1) ** 2
        inputs = settings.time_features + dimension + harmonics + given_dimension
        self.network = ResidualNetwork(seeds, inputs, dimension, settings.width, settings.depth)
        frequencies = torch.logspace(
            0.0, 1.0, settings.time_features // 2, settings.highest_frequency, dtype=torch.float64
        )
        self.register_buffer("frequencies", frequencies.float())
        self.register_buffer("mean", torch.as_tensor(standard.mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(standard.std, dtype=torch.float32))

    frequencies: Tensor
    mean: Tensor
    std: Tensor

    def forward(self, t: Tensor, z: Tensor, given: Tensor | None = None) -> Tensor:
        """Velocities.

        Parameters
        ----------
        t
            Time from 0 (normal) to 1 (data); shape (M, N, 1), or (1, 1, 1) for one time.
        z
            Place; shape (M, N, D).
        given
            Condition; shape (M, N, C) or None.

        Returns
        -------
        Tensor, shape (M, N, D)
        """
        angle = t * self.frequencies
        time = torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)
        features = [z]
        if self.settings.harmonics_degree is not None:
            position = z * self.std + self.mean
            settings = self.settings
            features.append(
                real_harmonics(position, self.settings.harmonics_degree, settings.harmonics_core)
            )
        if given is not None:
            features.append(given)
        # One time for all rows enters like a bias.
        matrix, split = self.network.matrices[0], self.settings.time_features
        of_time = time.expand(len(matrix), -1, -1) @ matrix[:, :split] + self.network.biases[0]
        first = of_time + torch.cat(features, dim=-1) @ matrix[:, split:]
        return self.network.after_first(first)
