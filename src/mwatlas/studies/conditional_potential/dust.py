"""The mock's dust: a log-normal random field on a cube about the observer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from mwatlas.config.conditional_mock import MockDust
from mwatlas.random import block_generator
from mwatlas.sky.dust_density import log_density_field
from mwatlas.studies.conditional_potential.arrays import read_arrays, write_arrays

Floats = NDArray[np.float64]

_UNITS = {"density": "mag / kpc", "half_width": "kpc"}


@dataclass(frozen=True)
class DustField:
    """Density of dust, in extinction per distance, between the cells of a periodic cube.

    Parameters
    ----------
    density
        Density at the centres of the cells in mag/kpc; float32, shape (modes, modes, modes),
        along x, y and z.
    half_width_kpc
        The cube reaches from minus this to this along each axis.
    """

    density: NDArray[np.float32]
    half_width_kpc: float

    @classmethod
    def draw(cls, settings: MockDust, half_width_kpc: float, seed: int) -> DustField:
        """Draw the field of Kalda & Green (2026), section III.1.

        Mean and variance of ln(density) are exact over the cube, not only over draws, as in the
        authors' code.

        Parameters
        ----------
        settings
            The field.
        half_width_kpc
            Half the side of the cube.
        seed
            Seed of the run; one seed gives one field.
        """
        rng = block_generator(seed, "conditional_potential/dust", 0)
        log_density = log_density_field(settings.modes, settings.spectral_slope, 1.0, rng)
        log_density -= log_density.mean()
        log_density *= settings.sigma_ln / log_density.std()
        log_density += settings.mean_ln
        density = settings.strength * np.exp(log_density, out=log_density)
        return cls(density.astype(np.float32), half_width_kpc)

    @property
    def cell_kpc(self) -> float:
        """Side of a cell."""
        return 2 * self.half_width_kpc / len(self.density)

    def at(self, position_kpc: Floats) -> Floats:
        """Density at places, trilinear between the centres of cells; the cube repeats.

        Parameters
        ----------
        position_kpc
            Shape (..., 3), with at least two axes.

        Returns
        -------
        float64, shape (...)
            In mag/kpc.
        """
        cells = (np.moveaxis(position_kpc, -1, 0) + self.half_width_kpc) / self.cell_kpc - 0.5
        return map_coordinates(
            self.density, cells, output=np.float64, order=1, mode="grid-wrap", prefilter=False
        )

    def save(self, path: str | Path) -> None:
        """Write to HDF5."""
        values = {"density": self.density, "half_width": np.float64(self.half_width_kpc)}
        write_arrays(
            path, {name: (np.asarray(values[name]), unit) for name, unit in _UNITS.items()}
        )

    @classmethod
    def load(cls, path: str | Path) -> DustField:
        """Read from HDF5; an :class:`~mwatlas.errors.InputError` says if it cannot be."""
        density, half_width = read_arrays(path, _UNITS)
        return cls(density, float(half_width))
