"""MWPotential2014 with a rotating bar, in the frame that rotates with it.

The bar is the quadrupole of Dehnen (2000, AJ 119, 800) in the three dimensions of Monari et
al. (2016, MNRAS 461, 3835). Outside its length it is a harmonic function, so there the density
of matter is that of MWPotential2014. The force of the bar diverges at the centre.

Axes are Galactocentric and right-handed with the Sun at negative x, where the Galaxy turns
clockwise seen from the north pole: the rotation vector of the bar has negative z for a positive
pattern speed. Positions and velocities are given along axes that rotate with the bar and are
the Galactocentric ones now; velocities are those an observer at rest at the centre measures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mwatlas.config.sky_bar import Bar
from mwatlas.dynamics.integrals import PotentialTable, potential_at, potential_table
from mwatlas.dynamics.potential import KPC_PER_MYR, circular_velocity

Floats = NDArray[np.float64]

# Where Dehnen's strength is defined: the Sun's radius in MWPotential2014 (Bovy 2015).
REFERENCE_RADIUS_KPC = 8.0
# The quadrupole has no limit at the centre; within this radius it is cut.
_CENTRE_KPC = 1e-6

BarParameters = tuple[float, float, float, float]


@dataclass(frozen=True)
class BarredPotential:
    """The potential and what follows from it.

    Parameters
    ----------
    amplitude
        A_f of Dehnen (2000) in (km/s)**2.
    length_kpc
        Half-length of the bar.
    major_axis_rad
        Angle of the major axis, from x to y.
    rotation_kms_kpc
        z component of the rotation vector; negative if the bar turns with the Galaxy.
    """

    amplitude: float
    length_kpc: float
    major_axis_rad: float
    rotation_kms_kpc: float

    @classmethod
    def of(cls, bar: Bar) -> BarredPotential:
        """Build it from settings; Dehnen's strength is 3 A_f / v_0**2 (length / R_0)**3."""
        speed = float(circular_velocity(np.array(REFERENCE_RADIUS_KPC)))
        ratio = REFERENCE_RADIUS_KPC / bar.length_kpc
        # The near end, at x < 0, has y > 0 for a positive angle.
        return cls(
            amplitude=bar.strength * speed**2 / 3 * ratio**3,
            length_kpc=bar.length_kpc,
            major_axis_rad=-float(np.radians(bar.angle_deg)),
            rotation_kms_kpc=-bar.pattern_speed_kms_kpc,
        )

    def at(self, time_myr: float) -> BarredPotential:
        """The potential along the present axes, kept fixed, at another time."""
        turned = self.rotation_kms_kpc * time_myr * KPC_PER_MYR
        return replace(self, major_axis_rad=self.major_axis_rad + turned)

    @property
    def parameters(self) -> BarParameters:
        """What the kernels take: amplitude, length, cosine and sine of twice the angle."""
        double = 2 * self.major_axis_rad
        return self.amplitude, self.length_kpc, float(np.cos(double)), float(np.sin(double))

    def potential(self, position_kpc: Floats) -> Floats:
        """Potential in (km/s)**2; positions (N, 3), result (N,)."""
        return _potential(np.ascontiguousarray(position_kpc), potential_table(), self.parameters)

    def acceleration(self, position_kpc: Floats) -> Floats:
        """Minus the gradient of the potential in (km/s)**2 / kpc; shape (N, 3)."""
        return _acceleration(np.ascontiguousarray(position_kpc), potential_table(), self.parameters)

    def effective_potential(self, position_kpc: Floats) -> Floats:
        """Potential and centrifugal potential, in (km/s)**2; shape (N,)."""
        x, y = position_kpc[:, 0], position_kpc[:, 1]
        return self.potential(position_kpc) - 0.5 * self.rotation_kms_kpc**2 * (x**2 + y**2)

    def rotation(self, position_kpc: Floats) -> Floats:
        """Velocity in km/s of points that rotate with the bar; shape (N, 3)."""
        x, y = position_kpc[:, 0], position_kpc[:, 1]
        turning = self.rotation_kms_kpc
        return np.stack([-turning * y, turning * x, np.zeros_like(x)], axis=-1)

    def jacobi_energy(self, position_kpc: Floats, velocity_kms: Floats) -> Floats:
        """Jacobi energy in (km/s)**2, conserved along orbits (Binney & Tremaine 2008, sect. 3.3.2).

        Parameters
        ----------
        position_kpc, velocity_kms
            Shape (N, 3).
        """
        relative = velocity_kms - self.rotation(position_kpc)
        return self.effective_potential(position_kpc) + 0.5 * (relative**2).sum(axis=1)


@njit(inline="always")
def bar_potential_at(x: float, y: float, z: float, bar: BarParameters) -> float:
    """Potential of the bar in (km/s)**2."""
    amplitude, length, cosine, sine = bar
    square = max(x * x + y * y + z * z, _CENTRE_KPC**2)
    # R**2 cos(2 (phi - phi_bar)).
    quadrupole = (x * x - y * y) * cosine + 2 * x * y * sine
    cube = square * np.sqrt(square) / length**3
    profile = -1 / cube if cube > 1 else cube - 2
    return amplitude * profile * quadrupole / square


@njit(inline="always")
def acceleration_at(
    x: float, y: float, z: float, p: PotentialTable, bar: BarParameters
) -> tuple[float, float, float]:
    """Acceleration in (km/s)**2 / kpc: the gradient of :func:`potential_at` and of the bar."""
    table, first, step, disc_gm, disc_a, disc_b = p
    square = max(x * x + y * y + z * z, _CENTRE_KPC**2)
    row = (0.5 * np.log(square) - first) / step
    i = min(max(int(row), 0), table.shape[0] - 2)
    t = max(row - i, 0.0)
    low, high, d_low, d_high = table[i, 0], table[i + 1, 0], table[i, 1], table[i + 1, 1]
    cubic = 2 * (low - high) + d_low + d_high
    second = 3 * (high - low) - 2 * d_low - d_high
    spherical = (d_low + t * (2 * second + 3 * t * cubic)) / (step * square)
    height = np.sqrt(z * z + disc_b * disc_b)
    s = disc_a + height
    denominator = x * x + y * y + s * s
    disc = disc_gm / (denominator * np.sqrt(denominator))

    amplitude, length, cosine, sine = bar
    quadrupole = (x * x - y * y) * cosine + 2 * x * y * sine
    cube = square * np.sqrt(square) / length**3
    # The bar's potential is profile * quadrupole; `slope` is (d profile / dr) / r.
    if cube > 1:
        profile = -amplitude / (cube * square)
        slope = -5 * profile / square
    else:
        profile = amplitude * (cube - 2) / square
        slope = amplitude * (cube + 4) / (square * square)
    radial = spherical + slope * quadrupole
    return (
        -(radial + disc) * x - 2 * profile * (x * cosine + y * sine),
        -(radial + disc) * y - 2 * profile * (x * sine - y * cosine),
        -(radial + disc * s / height) * z,
    )


@njit(cache=True)
def _potential(position: Floats, p: PotentialTable, bar: BarParameters) -> Floats:
    out = np.empty(position.shape[0])
    for n in range(position.shape[0]):
        x, y, z = position[n]
        out[n] = potential_at(x * x + y * y, z * z, p) + bar_potential_at(x, y, z, bar)
    return out


@njit(cache=True)
def _acceleration(position: Floats, p: PotentialTable, bar: BarParameters) -> Floats:
    out = np.empty_like(position)
    for n in range(position.shape[0]):
        out[n] = acceleration_at(position[n, 0], position[n, 1], position[n, 2], p, bar)
    return out
