"""Frames that rotate about the Galactic centre, as an observer at the Sun describes them.

Kalda & Green (2025), section 2, after Green et al. (2023), section 2.3. Positions are in kpc and
velocities in km/s, both relative to the Sun, with x towards the Galactic centre, y along l = 90
degrees and z to the north. The Galaxy turns clockwise seen from the north, so its rotation
vector has negative z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Vector = Tensor | Sequence[float]


@dataclass(frozen=True)
class RotatingFrame:
    """A frame in which the Galaxy may be steady.

    Each parameter may be a tensor that is trained; then gradients pass through all methods.

    Parameters
    ----------
    x0_kpc
        Position of the Galactic centre from the Sun; three numbers.
    v0_km_s
        Velocity of the Galactic centre seen from the Sun, minus the motion of the Sun about it;
        three numbers.
    omega_z_km_s_kpc
        z component of the rotation vector; negative if it turns with the Galaxy.
    """

    x0_kpc: Vector
    v0_km_s: Vector
    omega_z_km_s_kpc: Tensor | float

    def _turned(self, vector: Tensor) -> Tensor:
        """Cross product of the rotation vector and a vector; shape (..., 3)."""
        omega = torch.as_tensor(self.omega_z_km_s_kpc, dtype=vector.dtype, device=vector.device)
        x, y = vector[..., 0], vector[..., 1]
        return torch.stack([-omega * y, omega * x, torch.zeros_like(x)], dim=-1)

    def from_centre(self, x_kpc: Tensor) -> Tensor:
        """Positions from the Galactic centre, along the same axes; shape (..., 3)."""
        return x_kpc - torch.as_tensor(self.x0_kpc, dtype=x_kpc.dtype, device=x_kpc.device)

    def u(self, x_kpc: Tensor) -> Tensor:
        """Velocity of points that rest in the frame, v0 + Omega x (x - x0), in km/s.

        Parameters
        ----------
        x_kpc
            Positions; shape (..., 3).
        """
        v0 = torch.as_tensor(self.v0_km_s, dtype=x_kpc.dtype, device=x_kpc.device)
        return v0 + self._turned(self.from_centre(x_kpc))

    def w(self, v_km_s: Tensor) -> Tensor:
        """Rate at which the frame turns velocities, Omega x (v - v0), in (km/s)**2 / kpc.

        Parameters
        ----------
        v_km_s
            Velocities; shape (..., 3).
        """
        v0 = torch.as_tensor(self.v0_km_s, dtype=v_km_s.dtype, device=v_km_s.device)
        return self._turned(v_km_s - v0)

    def centrifugal_potential(self, x_kpc: Tensor) -> Tensor:
        """-(Omega R)^2 / 2 in (km/s)**2, R from the axis of rotation; shape (...,)."""
        return -0.5 * (self._turned(self.from_centre(x_kpc)) ** 2).sum(dim=-1)
