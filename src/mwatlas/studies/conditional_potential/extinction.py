"""Extinction between the observer and every place: the dust's density integrated once on a grid.

The grid has the directions of HEALPix pixels and even distances. Between them the extinction is
bilinear on the sphere and linear in distance. The interpolated extinction, not the integral it
stands for, dims the mock's stars and defines their selection function, so that the mock is exact
whatever the resolution of the grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import healpy
import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.arrays import read_arrays, write_arrays

Floats = NDArray[np.float64]

# Directions integrated at once: 256 distances of them take some MB.
_PIXELS_AT_ONCE = 512
# Places that single precision moved outwards are still inside.
_ROUNDING = 1e-6
_UNITS = {"extinction": "mag", "radius": "kpc"}


@dataclass(frozen=True)
class Extinction:
    """Extinction as seen from the origin.

    Parameters
    ----------
    extinction_mag
        Extinction from the origin to even distances, the first 0, in the nested HEALPix pixels
        about the z axis; float32, shape (pixels, steps + 1).
    radius_kpc
        The last distance.
    """

    extinction_mag: NDArray[np.float32]
    radius_kpc: float

    @classmethod
    def integrate(
        cls,
        density: Callable[[Floats], Floats],
        radius_kpc: float,
        steps: int,
        nside: int,
        progress: Progress,
    ) -> Extinction:
        """Integrate a density by the trapezoidal rule along the centres of all pixels.

        Parameters
        ----------
        density
            Density in mag/kpc, shape (...), at places in kpc, shape (..., 3).
        radius_kpc
            Distance to integrate to.
        steps
            Number of steps.
        nside
            HEALPix nside, a power of two.
        progress
            Where progress is reported.
        """
        radius = np.linspace(0, radius_kpc, steps + 1)
        pixels = healpy.nside2npix(nside)
        out = np.zeros((pixels, radius.size), dtype=np.float32)
        with progress.task("extinction", pixels, "sightlines") as advance:
            for first in range(0, pixels, _PIXELS_AT_ONCE):
                some = np.arange(first, min(first + _PIXELS_AT_ONCE, pixels))
                sight = np.stack(healpy.pix2vec(nside, some, nest=True), axis=-1)
                values = density(radius[:, None] * sight[:, None])
                steps_mag = (0.5 * radius_kpc / steps) * (values[:, 1:] + values[:, :-1])
                out[some, 1:] = np.cumsum(steps_mag, axis=1)
                advance(some.size)
        return cls(out, radius_kpc)

    @property
    def nside(self) -> int:
        """HEALPix nside of the grid."""
        return int(healpy.npix2nside(len(self.extinction_mag)))

    def at(self, position_kpc: Floats) -> Floats:
        """Extinction in mag between the origin and places.

        Parameters
        ----------
        position_kpc
            Shape (N, 3).

        Returns
        -------
        float64, shape (N,)

        Raises
        ------
        InputError
            If a place is not finite or beyond the grid.
        """
        x, y, z = position_kpc.T
        across = np.hypot(x, y)
        distance = np.hypot(across, z)
        inside = distance <= self.radius_kpc * (1 + _ROUNDING)
        if not inside.all():
            raise InputError(
                "places are not inside the grid of extinctions",
                item="position_kpc",
                found=f"{int((~inside).sum())} of {inside.size}, for instance "
                f"{position_kpc[~inside][0].tolist()}",
                expected=f"finite, and at most {self.radius_kpc} kpc from the origin",
                remedy="cut the stars at mock.tracer.radius_kpc and remove missing values",
            )
        pixel, weight = healpy.get_interp_weights(
            self.nside, np.arctan2(across, z), np.arctan2(y, x), nest=True
        )
        last = self.extinction_mag.shape[1] - 1
        steps = np.minimum(distance * (last / self.radius_kpc), last)
        shell = np.minimum(steps.astype(np.int64), last - 1)
        below = (weight * self.extinction_mag[pixel, shell]).sum(axis=0)
        above = (weight * self.extinction_mag[pixel, shell + 1]).sum(axis=0)
        share = steps - shell
        return (1 - share) * below + share * above

    def save(self, path: str | Path) -> None:
        """Write to HDF5."""
        values = {"extinction": self.extinction_mag, "radius": np.float64(self.radius_kpc)}
        write_arrays(
            path, {name: (np.asarray(values[name]), unit) for name, unit in _UNITS.items()}
        )

    @classmethod
    def load(cls, path: str | Path) -> Extinction:
        """Read from HDF5; an :class:`~mwatlas.errors.InputError` says if it cannot be."""
        extinction, radius = read_arrays(path, _UNITS)
        return cls(extinction, float(radius))
