"""The sky's three-dimensional extinction map, queried as the maps of dustmaps are."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import healpy
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numba import njit
from numpy.typing import ArrayLike, NDArray

from mwatlas.config.sky_dust import Dust
from mwatlas.files import atomic_path
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.dust_density import DustDensity
from mwatlas.sky.galaxy import SKY_FRAME

with warnings.catch_warnings():
    # dustmaps wants a file that says where downloaded maps are; this map is none of them.
    warnings.filterwarnings("ignore", "Configuration file not found")
    from dustmaps.map_base import DustMap, ensure_flat_galactic

Floats = NDArray[np.float64]

# Distances are even in asinh(distance / scale): linear near the Sun, then logarithmic.
_DISTANCE_SCALE_KPC = 0.5
_PIXELS_AT_ONCE = 1024


# dustmaps has no types, hence the two ignored checks of this class.
class SkyDust(DustMap):  # type: ignore[misc]
    """Extinction A_V of the embedded sky, by direction and distance.

    Queries are bilinear on the sphere and linear in distance.

    Parameters
    ----------
    distance_kpc
        Ascending distances from the Sun, the first 0; shape (D,).
    a_v
        A_V in mag from the Sun to those distances, in the nested HEALPix pixels of the
        Galactic frame; float32, shape (pixels, D).
    """

    def __init__(self, distance_kpc: Floats, a_v: NDArray[np.float32]) -> None:
        super().__init__()
        self.distance_kpc = distance_kpc
        self.map_mag = a_v
        self.nside: int = healpy.npix2nside(len(a_v))

    @classmethod
    def compute(cls, settings: Dust, seed: int, progress: Progress) -> SkyDust:
        """Draw the clumps and integrate the dust along the centres of all pixels.

        Parameters
        ----------
        settings
            Dust and grid.
        seed
            Seed of the run.
        progress
            Where progress is reported.
        """
        density = DustDensity.draw(settings, block_generator(seed, "sky/dust", 0))
        top = np.arcsinh(settings.max_distance_kpc / _DISTANCE_SCALE_KPC)
        distance = _DISTANCE_SCALE_KPC * np.sinh(np.linspace(0, top, settings.n_distances))
        distance[-1] = settings.max_distance_kpc
        rotation, sun = SKY_FRAME.affine()
        pixels = np.arange(healpy.nside2npix(settings.nside))
        l_deg, b_deg = healpy.pix2ang(settings.nside, pixels, nest=True, lonlat=True)
        icrs = SkyCoord(l_deg, b_deg, unit="deg", frame="galactic").icrs
        sight = np.ascontiguousarray(icrs.cartesian.xyz.value.T @ rotation.T)
        a_v = np.empty((pixels.size, distance.size), dtype=np.float32)
        with progress.task("dust", pixels.size, "sightlines") as advance:
            for first in range(0, pixels.size, _PIXELS_AT_ONCE):
                some = slice(first, first + _PIXELS_AT_ONCE)
                a_v[some] = density.a_v(sun, sight[some], distance)
                advance(len(a_v[some]))
        return cls(distance, a_v)

    def save(self, path: Path) -> None:
        """Write the map to an HDF5 file."""
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            file.create_dataset("distance_kpc", data=self.distance_kpc, track_times=False)
            file.create_dataset("a_v", data=self.map_mag, track_times=False)

    @classmethod
    def load(cls, path: Path) -> SkyDust:
        """Read the map from an HDF5 file."""
        with h5py.File(path) as file:
            return cls(file["distance_kpc"][()], file["a_v"][()])

    @ensure_flat_galactic  # type: ignore[untyped-decorator]
    def query(self, coords: SkyCoord) -> Floats:
        """Extinction A_V in mag at coordinates.

        Parameters
        ----------
        coords
            Any frame and shape. Without distances, the extinction to the end of the map.

        Returns
        -------
        float64, the shape of ``coords``
            NaN beyond the end of the map, as
            :class:`dustmaps.edenhofer2023.Edenhofer2023Query` gives outside its range, and
            where a direction or distance is missing.
        """
        # Coordinates without distance have a dimensionless one.
        known = coords.distance.unit.is_equivalent(u.kpc)
        distance = coords.distance.to_value(u.kpc) if known else self.distance_kpc[-1]
        return self.a_v(coords.l.deg, coords.b.deg, distance)

    def a_v(self, l_deg: ArrayLike, b_deg: ArrayLike, distance_kpc: ArrayLike) -> Floats:
        """Extinction A_V in mag at Galactic coordinates.

        Parameters
        ----------
        l_deg, b_deg
            Galactic longitude and latitude in degrees.
        distance_kpc
            Distance from the Sun; broadcast with them.

        Returns
        -------
        float64, the broadcast shape
            NaN at distances that are missing, negative or beyond the end of the map, and
            where the direction is missing or no direction.
        """
        l_deg, b_deg, distance = np.broadcast_arrays(
            np.asarray(l_deg, float), np.asarray(b_deg, float), np.asarray(distance_kpc, float)
        )
        # healpy answers anything but a direction with pixels that do not exist.
        known = np.isfinite(l_deg) & (np.abs(b_deg) <= 90.0)
        pixel, weight = healpy.get_interp_weights(
            self.nside,
            np.where(known, l_deg, 0.0).ravel(),
            np.where(known, b_deg, 0.0).ravel(),
            nest=True,
            lonlat=True,
        )
        distance = np.where(known, distance, np.nan)
        found = _interpolate(self.map_mag, self.distance_kpc, pixel, weight, distance.ravel())
        return found.reshape(distance.shape)


@njit(cache=True)
def _interpolate(
    a_v: NDArray[np.float32],
    nodes: Floats,
    pixel: NDArray[np.int64],
    weight: Floats,
    distance: Floats,
) -> Floats:
    out = np.full(distance.size, np.nan)
    for n in range(distance.size):
        if not 0.0 <= distance[n] <= nodes[-1]:
            continue
        upper = max(np.searchsorted(nodes, distance[n]), 1)
        share = (distance[n] - nodes[upper - 1]) / (nodes[upper] - nodes[upper - 1])
        total = 0.0
        for corner in range(4):
            row = a_v[pixel[corner, n]]
            total += weight[corner, n] * ((1 - share) * row[upper - 1] + share * row[upper])
        out[n] = total
    return out
