"""Drawing the embedded sky's stars, cell by cell: what they are before anybody observes them.

The stars of a cell come from a generator of its own. So the same seed gives the same stars
whatever the partitioning.
"""

from __future__ import annotations

import healpy
import numpy as np
from numpy.typing import NDArray

from mwatlas.astrometry.frames import galactic_angles
from mwatlas.astrometry.heliocentric import galactocentric_position, sky_motion
from mwatlas.config.sky import SkySource
from mwatlas.config.sky_bulge import BulgeMetallicity
from mwatlas.healpix import SOURCE_ID_ORDER, SOURCE_ID_SHIFT
from mwatlas.photometry import EXTINCTION_RATIOS
from mwatlas.random import block_generator
from mwatlas.sky.bulge import tilt_velocities
from mwatlas.sky.chemistry import draw_abundances, nearest_track, overall_metallicity
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.model import SkyModel, members_of
from mwatlas.sky.plan import DISTANCES, TABLE_ORDER, Plan
from mwatlas.sky.stars import PROPERTIES
from mwatlas.sky.visibility import distance_modulus
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_FINEST_ORDER = 29
ENVELOPE = 3.0
"""A star is proposed from the table and kept in proportion to the true density; the true density
exceeds this multiple of the table in no bin that holds a relevant share of stars."""

# No star is closer than Proxima Centauri.
_NEAREST_KPC = 0.0013
# Proposals per round and star wanted.
_TRIALS = 4
_BANDS = {
    "g": "phot_g_mean_mag",
    "bp": "phot_bp_mean_mag",
    "rp": "phot_rp_mean_mag",
    "j": "j_m",
    "h": "h_m",
    "ks": "ks_m",
    "w1": "w1",
    "w2": "w2",
}


class Sky:
    """The synthetic sky of a release.

    Parameters
    ----------
    source
        Its settings.
    seed
        Seed of the run.
    healpix_order
        Order of the cells stars are made in.
    model
        Populations, what their stars look like, and what dims them.
    plan
        Where the visible ones are.
    """

    def __init__(
        self,
        source: SkySource,
        seed: int,
        healpix_order: int,
        model: SkyModel,
        plan: Plan,
    ) -> None:
        self._survey = source.survey
        self._alpha_strength = source.xp.alpha_strength
        self._seed = seed
        self._order = healpix_order
        self._galaxy, self._library, self._dust = model.galaxy, model.stellar_library, model.dust
        self._plan = plan
        self._members = members_of(source, seed, model)
        self._tilt = source.components.bulge.vertex_deviation if source.components else None

    @property
    def counts(self) -> Integers:
        """Number of stars in each cell; shape (cells,)."""
        return self._plan.counts.sum(axis=1)

    def cell(self, cell: int) -> Columns:
        """True properties of the stars of one cell, in order of source_id."""
        rng = block_generator(self._seed, "sky/stars", cell)
        counts = self._plan.counts[cell]
        parts = [self._draw(member, cell, int(n), rng) for member, n in enumerate(counts) if n]
        if self._members is not None:
            parts.append(self._members_in(cell, self._members))
        if not parts:
            parts = [_no_stars()]
        stars = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.argsort(stars["index"], kind="stable")
        return self._truth({name: values[order] for name, values in stars.items()})

    def _members_in(self, cell: int, members: Columns) -> Columns:
        """Members of clusters in a cell."""
        width = 4 ** (_FINEST_ORDER - self._order)
        low, high = np.searchsorted(members["index"], [cell * width, (cell + 1) * width])
        return {name: values[low:high] for name, values in members.items()}

    def _draw(self, member: int, cell: int, number: int, rng: np.random.Generator) -> Columns:
        """Places, velocities and looks of ``number`` stars of one population."""
        population = self._galaxy.populations[member]
        taken: list[Columns] = []
        missing = number
        while missing:
            size = _TRIALS * missing + 64
            trial = self.propose(member, cell, size, rng)
            kept = np.flatnonzero(rng.random(size) * ENVELOPE < trial.pop("excess"))[:missing]
            stars = {name: values[kept] for name, values in trial.items()}
            low, high = stars.pop("bright"), stars.pop("faint")
            share = low + (high - low) * rng.random(kept.size)
            stars["looks"] = self._library.pick(member, stars.pop("track"), share)
            taken.append(stars)
            missing -= kept.size
        stars = {name: np.concatenate([part[name] for part in taken]) for name in taken[0]}
        position = stars.pop("position")
        velocity = self._galaxy.draw_velocities(member, position, rng)
        if self._tilt is not None and isinstance(population.chemistry, BulgeMetallicity):
            mean, _, _ = self._galaxy.moments(member, position)
            velocity = tilt_velocities(self._tilt, stars["fe_h"], velocity, mean)
        return {
            **stars,
            "velocity": velocity,
            "component": np.full(number, population.component),
            "cluster": np.full(number, -1),
        }

    def propose(self, member: int, cell: int, size: int, rng: np.random.Generator) -> Columns:
        """Places and abundances drawn from the tables.

        Parameters
        ----------
        member, cell
            Population and HEALPix cell.
        size
            How many.
        rng
            Source of the random numbers.

        Returns
        -------
        Columns
            ``index``, ``distance``, ``position``, ``fe_h``, ``alpha_m``, ``track``, ``a_v``, the
            cumulative shares ``bright`` and ``faint`` of stars at the limits, and ``excess``, the
            number of visible stars there over that of the table.
        """
        population, edges = self._galaxy.populations[member], self._plan.edges_kpc
        per_cell = 4 ** (TABLE_ORDER - self._order)
        table = self._plan.envelope[member].reshape(-1, per_cell * DISTANCES)[cell]
        cumulative = np.cumsum(table, dtype=np.float64)
        bins = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
        bins = np.minimum(bins, table.size - 1)
        pixel, shell = cell * per_cell + bins // DISTANCES, bins % DISTANCES
        fine = rng.integers(0, 4 ** (_FINEST_ORDER - TABLE_ORDER), size)
        index = pixel * 4 ** (_FINEST_ORDER - TABLE_ORDER) + fine
        low, high = edges[shell] ** 3, edges[shell + 1] ** 3
        distance = np.cbrt(low + (high - low) * rng.random(size))
        ra, dec = _direction(index)
        position = galactocentric_position(SKY_FRAME, ra, dec, distance)
        fe_h, alpha_m = draw_abundances(population, position, rng)
        track = nearest_track(overall_metallicity(fe_h, self._alpha_strength * alpha_m))
        a_v = self._dust.a_v(*galactic_angles(ra, dec), distance)
        bright, faint = self._visible(member, track, distance, a_v)
        number = self._galaxy.density(member, position) * (faint - bright) * (high - low)
        number[distance < _NEAREST_KPC] = 0.0
        return {
            "index": index,
            "distance": distance,
            "position": position,
            "fe_h": fe_h,
            "alpha_m": alpha_m,
            "track": track,
            "a_v": a_v,
            "bright": bright,
            "faint": faint,
            "excess": number / table[bins],
        }

    def _visible(
        self, member: int, track: Integers, distance: Floats, a_v: Floats
    ) -> tuple[Floats, Floats]:
        """Cumulative shares of stars at the bright and at the faint limit; shape (N,)."""
        modulus = distance_modulus(distance) + EXTINCTION_RATIOS["g"] * a_v
        return self._library.share_between(
            member, track, self._survey.g_bright - modulus, self._survey.g_faint - modulus
        )

    def _truth(self, stars: Columns) -> Columns:
        """Columns of the truth table for stars in order of their HEALPix index."""
        ra, dec = _direction(stars["index"])
        distance, a_v = stars["distance"], stars["a_v"]
        pmra, pmdec, v_los = sky_motion(SKY_FRAME, ra, dec, distance, stars["velocity"])
        looks = dict(zip(PROPERTIES, stars["looks"].T, strict=True))
        modulus = distance_modulus(distance)
        magnitudes = {
            f"{column}_true": looks[f"m_{band}"] + modulus + EXTINCTION_RATIOS[band] * a_v
            for band, column in _BANDS.items()
        }
        return {
            "source_id": _source_id(stars["index"]),
            "ra": ra,
            "dec": dec,
            "component": stars["component"],
            "cluster_true": stars["cluster"],
            "distance_kpc_true": distance,
            "pmra_true": pmra,
            "pmdec_true": pmdec,
            "radial_velocity_true": v_los,
            "fe_h_true": stars["fe_h"],
            "alpha_m_true": stars["alpha_m"],
            **{f"{name}_true": looks[name] for name in ("age_gyr", "mass", "teff", "logg")},
            "a_v_true": a_v,
            **magnitudes,
        }


def _direction(index: Integers) -> tuple[Floats, Floats]:
    ra, dec = healpy.pix2ang(2**_FINEST_ORDER, index, nest=True, lonlat=True)
    return ra, dec


def _source_id(index: Integers) -> Integers:
    """Gaia identifiers: HEALPix bits of level 12 and a running number within the pixel."""
    pixel = index >> 2 * (_FINEST_ORDER - SOURCE_ID_ORDER)
    first = np.concatenate([[0], np.flatnonzero(np.diff(pixel)) + 1]) if pixel.size else pixel
    lengths = np.diff([*first, pixel.size])
    running = np.arange(pixel.size) - np.repeat(first, lengths)
    return (pixel << SOURCE_ID_SHIFT) + 128 * (running + 1)


def _no_stars() -> Columns:
    empty, none = np.empty(0), np.empty(0, dtype=np.int64)
    return {
        "index": none,
        "component": none,
        "cluster": none,
        "velocity": np.empty((0, 3)),
        "looks": np.empty((0, len(PROPERTIES))),
        **dict.fromkeys(("distance", "fe_h", "alpha_m", "a_v"), empty),
    }
