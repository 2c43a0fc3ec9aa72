"""Density of the sky's dust, in extinction A_V per kpc, and its integral along sightlines.

The mean is a double-exponential disc. The clumps about it are a log-normal random field whose
logarithm has a power-law spectrum, as in the mock dust of Kalda & Green (2026,
arXiv:2512.02115). The field lives on a cube that repeats in space; the cube is turned at random
against the Galaxy, so that a sightline in the plane does not meet the same clumps again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mwatlas.config.sky_dust import Dust
from mwatlas.sky.distribution import SOLAR_RADIUS_KPC

Floats = NDArray[np.float64]

# Steps of the integral per cell of the cube.
_STEPS_PER_CELL = 2
# Where the disc is below this, in e-folds from the Sun's place, it adds nothing to a float32.
_LOWEST_LOG_DENSITY = -40.0


def log_density_field(
    cells: int, spectral_slope: float, sigma: float, rng: np.random.Generator
) -> Floats:
    """Draw a periodic Gaussian random field with a power-law spectrum.

    Every cell is normal with standard deviation ``sigma`` and mean ``-sigma**2 / 2``, so its
    exponential has mean 1. The mean over the cube has no scatter (no power at k = 0). One
    draw's own variance scatters, because few waves are as long as the cube.

    Parameters
    ----------
    cells
        Cells along a side, even.
    spectral_slope
        The power spectrum is proportional to ``k**-spectral_slope``.
    sigma
        Standard deviation over draws.
    rng
        Source of randomness.

    Returns
    -------
    float64, shape (cells, cells, cells)
    """
    k, k_last = np.fft.fftfreq(cells), np.fft.rfftfreq(cells)
    k_squared = k[:, None, None] ** 2 + k[None, :, None] ** 2 + k_last**2
    k_squared[0, 0, 0] = np.inf
    power = k_squared ** (-0.5 * spectral_slope)
    # Waves that the half-spectrum leaves out have the power of their conjugates.
    copies = np.full(k_last.size, 2.0)
    copies[[0, -1]] = 1.0
    power *= sigma**2 * cells**3 / (power * copies).sum()
    waves = scipy.fft.rfftn(rng.standard_normal((cells,) * 3), overwrite_x=True)
    waves *= np.sqrt(power)
    return scipy.fft.irfftn(waves, s=(cells,) * 3, overwrite_x=True) - 0.5 * sigma**2


@dataclass(frozen=True)
class DustDensity:
    """The dust's density at every place.

    Parameters
    ----------
    settings
        Disc and cube.
    rotation
        From Galactocentric axes to those of the cube; shape (3, 3).
    clumps
        Density relative to the disc in the cells of the cube; float32, shape (cells,) * 3.
    """

    settings: Dust
    rotation: Floats
    clumps: NDArray[np.float32]

    @classmethod
    def draw(cls, settings: Dust, rng: np.random.Generator) -> DustDensity:
        """Draw the clumps."""
        rotation = Rotation.random(rng=rng).as_matrix()
        field = log_density_field(
            settings.box_cells, settings.spectral_slope, settings.sigma_ln, rng
        )
        return cls(settings, rotation, np.exp(field, out=field).astype(np.float32))

    def a_v(self, start_kpc: Floats, sight: Floats, distance_kpc: Floats) -> NDArray[np.float32]:
        """Extinction along sightlines, integrated by the trapezoidal rule.

        Steps are at most half a cell of the cube. Between cells the density is trilinear.

        Parameters
        ----------
        start_kpc
            Galactocentric position all sightlines start from; shape (3,).
        sight
            Galactocentric unit vectors; shape (N, 3).
        distance_kpc
            Ascending distances from 0; shape (D,).

        Returns
        -------
        float32, shape (N, D)
            A_V in mag from the start to each distance.
        """
        cell = self.settings.box_kpc / self.settings.box_cells
        steps = np.ceil(np.diff(distance_kpc) * _STEPS_PER_CELL / cell).astype(np.int64)
        return _integrate(
            start_kpc,
            sight,
            sight @ (self.rotation.T / cell),
            distance_kpc,
            steps,
            self.clumps,
            self.settings.local_a_v_per_kpc,
            self.settings.scale_length_kpc,
            self.settings.scale_height_kpc,
        )


@njit(cache=True)
def _integrate(
    start: Floats,
    sight: Floats,
    cube_sight: Floats,
    distance: Floats,
    steps: NDArray[np.int64],
    clumps: NDArray[np.float32],
    local: float,
    scale_length: float,
    scale_height: float,
) -> NDArray[np.float32]:
    disc = local, scale_length, scale_height
    out = np.zeros((sight.shape[0], distance.size), dtype=np.float32)
    for n in range(sight.shape[0]):
        total = 0.0
        before = _density(start, sight[n], cube_sight[n], 0.0, disc, clumps)
        for shell in range(steps.size):
            step = (distance[shell + 1] - distance[shell]) / steps[shell]
            for m in range(1, steps[shell] + 1):
                r = distance[shell] + m * step
                here = _density(start, sight[n], cube_sight[n], r, disc, clumps)
                total += 0.5 * step * (before + here)
                before = here
            out[n, shell + 1] = total
    return out


@njit(inline="always")
def _density(
    start: Floats,
    sight: Floats,
    cube_sight: Floats,
    r: float,
    disc: tuple[float, float, float],
    clumps: NDArray[np.float32],
) -> float:
    """Extinction per kpc at a distance along a sightline."""
    local, scale_length, scale_height = disc
    radius = np.hypot(start[0] + r * sight[0], start[1] + r * sight[1])
    height = abs(start[2] + r * sight[2])
    log_disc = (SOLAR_RADIUS_KPC - radius) / scale_length - height / scale_height
    if log_disc < _LOWEST_LOG_DENSITY:
        return 0.0
    clump = _trilinear(clumps, r * cube_sight[0], r * cube_sight[1], r * cube_sight[2])
    return local * np.exp(log_disc) * clump


@njit(inline="always")
def _trilinear(clumps: NDArray[np.float32], x: float, y: float, z: float) -> float:
    """Value between the cells of a periodic cube, at a place in units of cells."""
    cells = clumps.shape[0]
    floor_x, floor_y, floor_z = np.floor(x), np.floor(y), np.floor(z)
    u, v, w = x - floor_x, y - floor_y, z - floor_z
    i, j, k = int(floor_x) % cells, int(floor_y) % cells, int(floor_z) % cells
    i_next, j_next, k_next = (i + 1) % cells, (j + 1) % cells, (k + 1) % cells
    low = (1 - v) * ((1 - w) * clumps[i, j, k] + w * clumps[i, j, k_next]) + v * (
        (1 - w) * clumps[i, j_next, k] + w * clumps[i, j_next, k_next]
    )
    high = (1 - v) * ((1 - w) * clumps[i_next, j, k] + w * clumps[i_next, j, k_next]) + v * (
        (1 - w) * clumps[i_next, j_next, k] + w * clumps[i_next, j_next, k_next]
    )
    return (1 - u) * low + u * high
