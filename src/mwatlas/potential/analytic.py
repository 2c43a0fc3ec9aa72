"""Potentials in closed form, with the density of the matter that makes them.

Units are any consistent set with G = 1: lengths, velocities, and masses as G M. Mass densities
are the Laplacian of the potential over 4 pi.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mwatlas.potential.parameters import require

Number = float | Tensor


class AnalyticPotential(Protocol):
    """A potential with a known mass density."""

    def potential(self, x: Tensor) -> Tensor:
        """Potential at points (..., 3); shape (...,), in velocity squared."""
        ...

    def mass_density(self, x: Tensor) -> Tensor:
        """Laplacian over 4 pi at points (..., 3); shape (...,)."""
        ...


@dataclass(frozen=True)
class PlummerPotential:
    """The potential of a Plummer sphere (Binney & Tremaine 2008, equation 2.44).

    Parameters
    ----------
    gm
        G times the total mass.
    b
        Scale length.

    Raises
    ------
    ConfigError
        If a parameter is not positive.
    """

    gm: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        require(self.gm > 0, "gm", self.gm, "a positive number")
        require(self.b > 0, "b", self.b, "a positive number")

    def potential(self, x: Tensor) -> Tensor:
        """-G M / sqrt(r^2 + b^2)."""
        return -self.gm / torch.sqrt((x * x).sum(dim=-1) + self.b**2)

    def mass_density(self, x: Tensor) -> Tensor:
        """3 M b^2 / (4 pi) (r^2 + b^2)^(-5/2)."""
        square = (x * x).sum(dim=-1) + self.b**2
        return 3 * self.gm * self.b**2 / (4 * math.pi) * square**-2.5


@dataclass(frozen=True)
class LogarithmicPotential:
    """A cored logarithmic potential with three axes (Binney & Tremaine 2008, equation 2.71).

    ``v^2 / 2 ln(core^2 + x'^2 + y'^2 / p^2 + z^2 / q^2)``, where x' is the long axis of the bar.

    Parameters
    ----------
    speed
        Circular speed v at large radius for p = q = 1.
    core
        Core radius.
    y_ratio, z_ratio
        The axis ratios p and q of the potential; p = 1 is axisymmetric.
    angle_rad
        Angle from x to x', towards y.

    Raises
    ------
    ConfigError
        If a length, the speed or a ratio is not positive.
    """

    speed: float = 1.0
    core: float = 1.0
    y_ratio: float = 1.0
    z_ratio: float = 1.0
    angle_rad: float = 0.0

    def __post_init__(self) -> None:
        for item in ("speed", "core", "y_ratio", "z_ratio"):
            value = getattr(self, item)
            require(value > 0, item, value, "a positive number")

    def _squares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Squares along the axes, (..., 3), and one over the squared axis ratios, (3,)."""
        cosine, sine = math.cos(self.angle_rad), math.sin(self.angle_rad)
        along = x[..., 0] * cosine + x[..., 1] * sine
        across = x[..., 1] * cosine - x[..., 0] * sine
        stretch = x.new_tensor([1.0, self.y_ratio**-2, self.z_ratio**-2])
        return torch.stack([along, across, x[..., 2]], dim=-1) ** 2, stretch

    def potential(self, x: Tensor) -> Tensor:
        """The potential; zero where the argument of the logarithm is one."""
        squares, stretch = self._squares(x)
        return 0.5 * self.speed**2 * torch.log(self.core**2 + (squares * stretch).sum(dim=-1))

    def mass_density(self, x: Tensor) -> Tensor:
        """v^2 / (4 pi) (sum_i s_i / m^2 - 2 sum_i s_i^2 x_i^2 / m^4), s_i the inverse squares."""
        squares, stretch = self._squares(x)
        m = self.core**2 + (squares * stretch).sum(dim=-1)
        curved = 2 * (squares * stretch**2).sum(dim=-1) / m
        return self.speed**2 / (4 * math.pi) * (stretch.sum() - curved) / m


@dataclass(frozen=True)
class MiyamotoNagaiPotential:
    """A flattened disc (Miyamoto & Nagai 1975; Binney & Tremaine 2008, equation 2.69).

    Parameters
    ----------
    gm
        G times the total mass.
    a, b
        Scale length and height; a = 0 is a Plummer sphere.

    Raises
    ------
    ConfigError
        If ``gm`` or ``b`` is not positive or ``a`` is negative.
    """

    gm: float = 1.0
    a: float = 0.5
    b: float = 0.5

    def __post_init__(self) -> None:
        require(self.gm > 0, "gm", self.gm, "a positive number")
        require(self.a >= 0, "a", self.a, "zero or a positive number")
        require(self.b > 0, "b", self.b, "a positive number")

    def potential(self, x: Tensor) -> Tensor:
        """-G M / sqrt(R^2 + (a + sqrt(z^2 + b^2))^2)."""
        return miyamoto_nagai(x, self.gm, self.a, self.b)

    def mass_density(self, x: Tensor) -> Tensor:
        """Equation 2.69b of Binney & Tremaine (2008)."""
        planar = x[..., 0] ** 2 + x[..., 1] ** 2
        zeta = torch.sqrt(x[..., 2] ** 2 + self.b**2)
        height = self.a + zeta
        above = self.a * planar + (self.a + 3 * zeta) * height**2
        return self.gm * self.b**2 / (4 * math.pi) * above / (planar + height**2) ** 2.5 / zeta**3


@dataclass(frozen=True)
class NFWPotential:
    """A halo after Navarro, Frenk & White (1997), not to be asked for at its centre.

    Parameters
    ----------
    gm
        G times the mass whose density is M / (4 pi r (r + a)^2); it is within 5.3 a.
    a
        Scale length.

    Raises
    ------
    ConfigError
        If a parameter is not positive.
    """

    gm: float = 1.0
    a: float = 1.0

    def __post_init__(self) -> None:
        require(self.gm > 0, "gm", self.gm, "a positive number")
        require(self.a > 0, "a", self.a, "a positive number")

    def potential(self, x: Tensor) -> Tensor:
        """-G M ln(1 + r/a) / r."""
        return nfw(x, self.gm, self.a)

    def mass_density(self, x: Tensor) -> Tensor:
        """M / (4 pi r (r + a)^2)."""
        r = torch.linalg.vector_norm(x, dim=-1)
        return self.gm / (4 * math.pi * r * (r + self.a) ** 2)


def miyamoto_nagai(x: Tensor, gm: Number, a: Number, b: Number) -> Tensor:
    """Potential of :class:`MiyamotoNagaiPotential` at points (..., 3) for numbers or tensors."""
    height = a + torch.sqrt(x[..., 2] ** 2 + b**2)
    return -gm / torch.sqrt(x[..., 0] ** 2 + x[..., 1] ** 2 + height**2)


def nfw(x: Tensor, gm: Number, a: Number) -> Tensor:
    """Potential of :class:`NFWPotential` at points (..., 3) for numbers or tensors."""
    r = torch.linalg.vector_norm(x, dim=-1)
    return -gm * torch.log1p(r / a) / r


@dataclass(frozen=True)
class SumOfPotentials:
    """Several potentials together."""

    parts: tuple[AnalyticPotential, ...]

    def potential(self, x: Tensor) -> Tensor:
        """Sum of the potentials."""
        return torch.stack([part.potential(x) for part in self.parts]).sum(dim=0)

    def mass_density(self, x: Tensor) -> Tensor:
        """Sum of the mass densities."""
        return torch.stack([part.mass_density(x) for part in self.parts]).sum(dim=0)
