"""Where on the sky, and how far away, the visible stars of each population are.

The number of visible stars of each population is tabulated by direction and distance, once for
the whole sky. The number in each HEALPix cell is one multinomial draw, so that cells can be made
in any order and any partitioning.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import healpy
import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import galactic_angles, sky_basis
from mwatlas.config.sky import MAX_SKY_ORDER, SkySource
from mwatlas.files import atomic_path
from mwatlas.healpix import number_of_cells
from mwatlas.photometry import EXTINCTION_RATIOS
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.chemistry import fe_h_shift
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.model import SkyModel, members_of
from mwatlas.sky.visibility import Visibility, distance_modulus

Floats = NDArray[np.float64]

TABLE_ORDER = MAX_SKY_ORDER
"""HEALPix order of the directions of the tables."""
DISTANCES = 140
"""Number of distance bins."""
# Sub-pixels whose extinctions bound that of a pixel.
_DUST_ORDER = TABLE_ORDER + 1


@dataclass(frozen=True)
class Plan:
    """Tables of visible stars and the number to make in each cell.

    Parameters
    ----------
    edges_kpc
        Edges of the distance bins, equal in the square root of distance, which resolves the
        Sun's neighbourhood; shape (D + 1,).
    envelope
        At least the number of visible stars in each bin, up to a factor, but for structure
        within the bin; shape (populations, pixels, D).
    counts
        Number of stars of each population in each cell; shape (cells, populations).
    """

    edges_kpc: Floats
    envelope: NDArray[np.float32]
    counts: NDArray[np.int64]

    @classmethod
    def compute(
        cls,
        source: SkySource,
        seed: int,
        healpix_order: int,
        model: SkyModel,
        progress: Progress,
    ) -> Plan:
        """Tabulate all populations and draw the numbers of stars.

        Parameters
        ----------
        source
            Settings of the sky.
        seed
            Seed of the run.
        healpix_order
            Order of the cells stars are made in.
        model
            Populations, what their stars look like, and what dims them.
        """
        survey = source.survey
        clustered = members_of(source, seed, model)
        field_stars = source.n_stars - (0 if clustered is None else len(clustered["index"]))
        edges = np.linspace(0, np.sqrt(survey.max_distance_kpc), DISTANCES + 1) ** 2
        middle = 0.5 * (edges[1:] + edges[:-1])
        pixels = np.arange(number_of_cells(TABLE_ORDER))
        ra, dec = healpy.pix2ang(2**TABLE_ORDER, pixels, nest=True, lonlat=True)
        radial, _, _ = sky_basis(np.radians(ra), np.radians(dec))
        rotation, offset = SKY_FRAME.affine()
        place = ((radial @ rotation.T)[:, None] * middle[:, None] + offset).reshape(-1, 3)
        shape = pixels.size, middle.size
        least, mean = _extinctions(model.dust, middle)
        modulus = distance_modulus(middle)
        volume = np.diff(edges**3)
        envelopes, expected = [], []
        members = model.galaxy.populations
        with progress.task("visible stars", len(members), "populations") as advance:
            for member, population in enumerate(members):
                seen = Visibility(
                    model.stellar_library,
                    member,
                    population,
                    survey.g_bright,
                    survey.g_faint,
                    source.xp.alpha_strength,
                )
                number = model.galaxy.density(member, place).reshape(shape) * volume
                shift = fe_h_shift(population, place).reshape(shape)
                envelopes.append((number * seen.largest(modulus + least)).astype(np.float32))
                visible = number * seen.expected(modulus + mean, shift)
                expected.append(visible.reshape(number_of_cells(healpix_order), -1).sum(axis=1))
                advance(1)
        share = np.stack(expected, axis=1)
        rng = block_generator(seed, "sky/counts", 0)
        counts = rng.multinomial(field_stars, share.ravel() / share.sum()).reshape(share.shape)
        return cls(edges, np.stack(envelopes), counts)

    def save(self, path: Path) -> None:
        """Write to HDF5."""
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            for name in ("edges_kpc", "envelope", "counts"):
                file.create_dataset(name, data=getattr(self, name), track_times=False)
            file["edges_kpc"].attrs["unit"] = "kpc"

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read from HDF5."""
        with h5py.File(path) as file:
            return cls(*(file[name][()] for name in ("edges_kpc", "envelope", "counts")))


def _extinctions(dust: SkyDust, distance_kpc: Floats) -> tuple[Floats, Floats]:
    """Least and mean extinction in G of each pixel at each distance; shape (pixels, D)."""
    pixels = np.arange(number_of_cells(_DUST_ORDER))
    ra, dec = healpy.pix2ang(2**_DUST_ORDER, pixels, nest=True, lonlat=True)
    l_deg, b_deg = galactic_angles(ra, dec)
    a_v = dust.a_v(l_deg[:, None], b_deg[:, None], distance_kpc)
    a_g = EXTINCTION_RATIOS["g"] * a_v.reshape(-1, 4, distance_kpc.size)
    return a_g.min(axis=1), a_g.mean(axis=1)
