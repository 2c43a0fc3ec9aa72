"""An axisymmetric galaxy in closed form, fitted by the same loss to compare potentials with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mwatlas.potential.analytic import (
    MiyamotoNagaiPotential,
    NFWPotential,
    miyamoto_nagai,
    nfw,
)
from mwatlas.potential.parameters import require


@dataclass(frozen=True)
class AxisymmetricGalaxy:
    """Discs and a halo, whose numbers are where a fit starts (Kalda & Green 2025, section 3).

    All of them are free but the place of the centre. Amplitudes and lengths stay positive.

    Parameters
    ----------
    discs
        Miyamoto-Nagai discs, three in the paper; with a > 0.
    halo
        The NFW halo.
    centre
        The Galactic centre relative to the origin of coordinates, in the plane of the Sun.
    sun_height
        Height of the origin above the plane of the discs.

    Raises
    ------
    ConfigError
        If there is no disc, or one of them has a = 0.
    """

    discs: tuple[MiyamotoNagaiPotential, ...]
    halo: NFWPotential
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sun_height: float = 0.0

    def __post_init__(self) -> None:
        require(bool(self.discs), "discs", "none", "one disc or more")
        for disc in self.discs:
            require(disc.a > 0, "a", disc.a, "a positive number, for its logarithm is fitted")


class AxisymmetricField(torch.nn.Module):
    """The potential of M members, whose parameters are trained.

    Parameters
    ----------
    start
        Where all members start.
    members
        Number M.
    """

    def __init__(self, start: AxisymmetricGalaxy, members: int) -> None:
        super().__init__()
        self._centre, self._height = start.centre, start.sun_height
        # Heights above the plane change by about the flattest disc's scale.
        self._unit = min(disc.b for disc in start.discs)
        discs = torch.tensor([[disc.gm, disc.a, disc.b] for disc in start.discs])
        halo = torch.tensor([start.halo.gm, start.halo.a])
        self.log_discs = torch.nn.Parameter(torch.log(discs).repeat(members, 1, 1))
        self.log_halo = torch.nn.Parameter(torch.log(halo).repeat(members, 1))
        self.rise = torch.nn.Parameter(torch.zeros(members, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Potential (M, N) at points (M, N, 3)."""
        height = (self._height + self._unit * self.rise)[..., None]
        centre = torch.as_tensor(self._centre, dtype=x.dtype, device=x.device)
        x = x - centre + torch.nn.functional.pad(height, (2, 0))
        discs, halo = self.log_discs.exp()[..., None], self.log_halo.exp()[..., None]
        potential = nfw(x, halo[:, 0], halo[:, 1])
        for k in range(discs.shape[1]):
            gm, a, b = discs[:, k].unbind(dim=1)
            potential = potential + miyamoto_nagai(x, gm, a, b)
        return potential

    def galaxies(self) -> list[AxisymmetricGalaxy]:
        """The members' present parameters."""
        discs, halo = self.log_discs.exp().tolist(), self.log_halo.exp().tolist()
        rises = self.rise[:, 0].tolist()
        return [
            AxisymmetricGalaxy(
                tuple(MiyamotoNagaiPotential(*numbers) for numbers in of_member),
                NFWPotential(*halo[m]),
                self._centre,
                self._height + self._unit * rises[m],
            )
            for m, of_member in enumerate(discs)
        ]
