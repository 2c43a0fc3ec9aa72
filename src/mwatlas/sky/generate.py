"""Drawing the embedded sky, cell by cell.

The number of stars of each population in each HEALPix cell is one multinomial draw for the
whole sky; the stars of a cell come from a generator of its own. So the same seed gives the
same stars whatever the partitioning.
"""

from __future__ import annotations

from typing import Any

import healpy
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from mwatlas.astrometry.frames import KMS_PER_MASYR_KPC, sky_basis
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config.release import MAX_SKY_ORDER, SkySource
from mwatlas.healpix import SOURCE_ID_ORDER, SOURCE_ID_SHIFT, number_of_cells
from mwatlas.photometry import effective_wavenumber
from mwatlas.random import block_generator
from mwatlas.sky import survey as measured
from mwatlas.sky.galaxy import SKY_FRAME, Galaxy
from mwatlas.tables.schemas import Columns

Floats = NDArray[np.float64]

# Directions and distances on which the density of visible stars is tabulated.
_TABLE_ORDER = MAX_SKY_ORDER
_TABLE_DISTANCES = 120
_FINEST_ORDER = 29
# A star is proposed from the table and kept in proportion to the true density; the true
# density exceeds this multiple of the table in no bin that holds a relevant share of stars.
_ENVELOPE = 3.0
_OBLIQUITY_RAD = np.radians(23.4392911)


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
    galaxy
        The tabulated populations.
    """

    def __init__(self, source: SkySource, seed: int, healpix_order: int, galaxy: Galaxy) -> None:
        self._survey = source.survey
        self._seed = seed
        self._order = healpix_order
        self._galaxy = galaxy
        members = range(len(galaxy.populations))
        # Bins equal in sqrt(distance) resolve the Sun's neighbourhood.
        top = np.sqrt(source.survey.max_distance_kpc)
        self._edges = np.linspace(0, top, _TABLE_DISTANCES + 1) ** 2
        self._table = np.stack([self._visible(number) for number in members])
        weights = self._table.reshape(len(members), number_of_cells(healpix_order), -1)
        share = weights.sum(axis=2).T
        rng = block_generator(seed, "sky/counts", 0)
        self.counts: NDArray[np.int64] = rng.multinomial(
            source.n_stars, share.ravel() / share.sum()
        ).reshape(share.shape)

    def _visible(self, number: int) -> Floats:
        """Visible stars of a population in each (direction, distance) bin, up to a factor."""
        giant_share = self._galaxy.populations[number].giant_share
        pixels = np.arange(number_of_cells(_TABLE_ORDER))
        middle = 0.5 * (self._edges[1:] + self._edges[:-1])
        position = _positions(_TABLE_ORDER, pixels, middle)
        density = self._galaxy.density(number, position.reshape(-1, 3))
        density = density.reshape(pixels.size, middle.size)
        seen = measured.visible_share(middle, giant_share, self._survey).sum(axis=0)
        return density * seen * np.diff(self._edges**3)

    def cell(self, cell: int) -> tuple[Columns, Columns]:
        """Stars of one cell.

        Returns
        -------
        gaia_source, truth
            Columns of the served table and of the truth table, in order of source_id.
        """
        rng = block_generator(self._seed, "sky/stars", cell)
        parts = [
            self._draw(member, cell, int(n), rng) for member, n in enumerate(self.counts[cell]) if n
        ]
        if not parts:
            return self._measure(*_no_stars(), rng)
        index, distance, m_g, kind, code, velocity = (
            np.concatenate(columns) for columns in zip(*parts, strict=True)
        )
        order = np.argsort(index, kind="stable")
        return self._measure(
            index[order],
            distance[order],
            m_g[order],
            kind[order],
            code[order],
            velocity[order],
            rng,
        )

    def _draw(
        self, member: int, cell: int, number: int, rng: np.random.Generator
    ) -> tuple[NDArray[Any], ...]:
        """Positions, magnitudes and velocities of ``number`` stars of one population."""
        population = self._galaxy.populations[member]
        giant_share = population.giant_share
        per_cell = 4 ** (_TABLE_ORDER - self._order)
        table = self._table[member].reshape(-1, per_cell * _TABLE_DISTANCES)[cell]
        cumulative = np.cumsum(table) / table.sum()
        indices, distances, positions = [], [], []
        missing = number
        while missing:
            size = int(missing * _ENVELOPE) + 16
            bins = np.minimum(
                np.searchsorted(cumulative, rng.random(size), side="right"), table.size - 1
            )
            pixel = cell * per_cell + bins // _TABLE_DISTANCES
            shell = bins % _TABLE_DISTANCES
            fine = rng.integers(0, 4 ** (_FINEST_ORDER - _TABLE_ORDER), size)
            index = pixel * 4 ** (_FINEST_ORDER - _TABLE_ORDER) + fine
            low, high = self._edges[shell] ** 3, self._edges[shell + 1] ** 3
            distance = np.cbrt(low + (high - low) * rng.random(size))
            position = _positions_paired(_FINEST_ORDER, index, distance)
            seen = measured.visible_share(distance, giant_share, self._survey).sum(axis=0)
            true = self._galaxy.density(member, position) * seen * (high - low)
            kept = rng.random(size) * _ENVELOPE * table[bins] < true
            take = np.flatnonzero(kept)[:missing]
            indices.append(index[take])
            distances.append(distance[take])
            positions.append(position[take])
            missing -= take.size
        index, distance = np.concatenate(indices), np.concatenate(distances)
        position = np.concatenate(positions)
        share = measured.visible_share(distance, giant_share, self._survey)
        kind = (rng.random(number) * share.sum(axis=0) < share[measured.GIANT]).astype(np.int64)
        m_g = measured.draw_absolute_magnitude(kind, distance, rng.random(number), self._survey)
        velocity = self._galaxy.draw_velocities(member, position, rng)
        return index, distance, m_g, kind, np.full(number, population.component), velocity

    def _measure(
        self,
        index: NDArray[np.int64],
        distance: Floats,
        m_g: Floats,
        kind: NDArray[np.int64],
        code: NDArray[np.int64],
        velocity: Floats,
        rng: np.random.Generator,
    ) -> tuple[Columns, Columns]:
        """Observe stars given in order of their HEALPix index."""
        settings, size = self._survey, index.size
        ra, dec = healpy.pix2ang(2**_FINEST_ORDER, index, nest=True, lonlat=True)
        source_id = _source_id(index)
        g = m_g + measured.distance_modulus(distance)
        bp_rp = measured.colour(m_g, kind) + 0.05 * rng.standard_normal(size)
        rotation, _ = SKY_FRAME.affine()
        heliocentric = (velocity - np.asarray(SKY_FRAME.v_sun_kms)) @ rotation
        radial, east, north = sky_basis(np.radians(ra), np.radians(dec))
        pmra = (heliocentric * east).sum(axis=1) / (KMS_PER_MASYR_KPC * distance)
        pmdec = (heliocentric * north).sum(axis=1) / (KMS_PER_MASYR_KPC * distance)
        v_los = (heliocentric * radial).sum(axis=1)

        nu_eff = effective_wavenumber(bp_rp)
        six = rng.random(size) < settings.six_parameter_share
        params = np.where(six, 95, 31)
        pseudocolour = np.where(
            six, np.clip(nu_eff + 0.02 * rng.standard_normal(size), 1.24, 1.72), np.nan
        )
        nu_eff_used = np.where(six, np.nan, nu_eff)
        ecl_lat = _ecliptic_latitude(ra, dec)
        parallax_error = measured.parallax_error_mas(g)
        pmra_error, pmdec_error = measured.proper_motion_errors_masyr(g)
        # The served values are rounded to the archive's types first, so that the correction
        # a study computes from them is exactly the offset put in here.
        zero_point = parallax_zero_point(
            g.astype(np.float32),
            nu_eff_used.astype(np.float32),
            pseudocolour.astype(np.float32),
            ecl_lat,
            params,
        )
        noise = rng.standard_normal((3, size))
        outlier = rng.random(size) < settings.ruwe_outlier_share
        ruwe = np.where(
            outlier,
            1.2 + rng.exponential(1.5, size),
            np.exp(settings.ruwe_scatter * rng.standard_normal(size)),
        )
        measured_rv = rng.random(size) < measured.radial_velocity_probability(g, settings)
        rv_error = measured.radial_velocity_error_kms(g, settings)
        rv = v_los + rv_error * rng.standard_normal(size)
        galactic = SkyCoord(ra * u.deg, dec * u.deg).galactic
        source: Columns = {
            "source_id": source_id,
            "ra": ra,
            "dec": dec,
            "l": galactic.l.deg,
            "b": galactic.b.deg,
            "ecl_lat": ecl_lat,
            "parallax": 1 / distance + np.nan_to_num(zero_point) + parallax_error * noise[0],
            "parallax_error": parallax_error,
            "pmra": pmra + pmra_error * noise[1],
            "pmra_error": pmra_error,
            "pmdec": pmdec + pmdec_error * noise[2],
            "pmdec_error": pmdec_error,
            "astrometric_params_solved": params,
            "nu_eff_used_in_astrometry": nu_eff_used,
            "pseudocolour": pseudocolour,
            "ruwe": ruwe,
            "phot_g_mean_mag": g,
            "bp_rp": bp_rp,
            "radial_velocity": np.where(measured_rv, rv, np.nan),
            "radial_velocity_error": np.where(measured_rv, rv_error, np.nan),
        }
        truth: Columns = {
            "source_id": source_id,
            "component": code,
            "distance_kpc_true": distance,
            "pmra_true": pmra,
            "pmdec_true": pmdec,
            "radial_velocity_true": v_los,
            "phot_g_mean_mag_true": g,
        }
        return source, truth


def _positions(order: int, pixels: NDArray[np.int64], distance: Floats) -> Floats:
    """Galactocentric positions of all pairs of pixel and distance: (P, D, 3)."""
    ra, dec = healpy.pix2ang(2**order, pixels, nest=True, lonlat=True)
    radial, _, _ = sky_basis(np.radians(ra), np.radians(dec))
    rotation, offset = SKY_FRAME.affine()
    return (radial @ rotation.T)[:, None] * distance[:, None] + offset


def _positions_paired(order: int, pixels: NDArray[np.int64], distance: Floats) -> Floats:
    """Galactocentric positions of pixels at one distance each: (N, 3)."""
    ra, dec = healpy.pix2ang(2**order, pixels, nest=True, lonlat=True)
    radial, _, _ = sky_basis(np.radians(ra), np.radians(dec))
    rotation, offset = SKY_FRAME.affine()
    return (radial @ rotation.T) * distance[:, None] + offset


def _source_id(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gaia identifiers: HEALPix bits of level 12 and a running number within the pixel."""
    pixel = index >> 2 * (_FINEST_ORDER - SOURCE_ID_ORDER)
    first = np.concatenate([[0], np.flatnonzero(np.diff(pixel)) + 1]) if pixel.size else pixel
    lengths = np.diff([*first, pixel.size])
    running = np.arange(pixel.size) - np.repeat(first, lengths)
    return (pixel << SOURCE_ID_SHIFT) + 128 * (running + 1)


def _ecliptic_latitude(ra: Floats, dec: Floats) -> Floats:
    """Ecliptic latitude in degrees for the obliquity of J2000."""
    ra, dec = np.radians(ra), np.radians(dec)
    sine = np.sin(dec) * np.cos(_OBLIQUITY_RAD) - np.cos(dec) * np.sin(_OBLIQUITY_RAD) * np.sin(ra)
    return np.degrees(np.arcsin(sine))


def _no_stars() -> tuple[Any, Any, Any, Any, Any, Any]:
    empty, none = np.empty(0), np.empty(0, dtype=np.int64)
    return none, empty, empty, none, none, np.empty((0, 3))
