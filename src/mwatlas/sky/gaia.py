"""The synthetic Gaia: rows of gaia_source for stars whose truth is known."""

from __future__ import annotations

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from mwatlas.config.sky_gaia import GaiaSurvey
from mwatlas.sky.gaia_astrometry import observe_astrometry
from mwatlas.sky.gaia_photometry import observe_photometry
from mwatlas.sky.gaia_spectrometer import observe_velocities
from mwatlas.sky.scanning import observed_transits, scan_pixel, scans_at
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.table import Columns

# solution_id and the prefix of designation: Gaia DR3 and EDR3 documentation, 20.1.1 and 13.1.1.
_RELEASES = {
    "gaiadr3": (1636148068921376768, "Gaia DR3 "),
    "gaiaedr3": (1636042515805110273, "Gaia EDR3 "),
}
_REFERENCE_EPOCH = 2016.0
# Number of sources of the real catalogue, the range of random_index.
_CATALOGUE_SIZE = 1_811_709_771
# Published mean spectra have more than 15 transits in each band and G < 17.65, sampled ones
# G < 15: De Angeli et al. (2023, A&A 674, A2), section 2.
_SPECTRUM_TRANSITS, _CONTINUOUS_G, _SAMPLED_G = 15, 17.65, 15.0


def observe_gaia(
    truth: Columns, settings: GaiaSurvey, rng: np.random.Generator
) -> tuple[Columns, Columns]:
    """Observe stars with the synthetic Gaia.

    Parameters
    ----------
    truth
        Columns of the truth table in order of ``source_id``; shape (N,) each. Positions are of
        epoch J2016.0, magnitudes include extinction.
    settings
        What is left to chance, and the release whose table is served.
    rng
        Random numbers, for instance of one HEALPix cell.

    Returns
    -------
    served
        Columns of ``GAIA_SOURCE_FULL[settings.columns]``, in its order and types.
    known
        Columns :data:`mwatlas.tables.gaia.GAIA_TRUTH`: what is wrong with which source.
    """
    size = truth["source_id"].size
    scans = scans_at(scan_pixel(truth["ra"], truth["dec"]))
    transits = observed_transits(scans, rng)
    photometry, blended = observe_photometry(truth, transits, settings.photometry, rng)
    astrometry, flawed = observe_astrometry(
        truth,
        photometry["phot_g_mean_mag"],
        photometry["bp_rp"],
        scans,
        transits,
        settings.astrometry,
        rng,
    )
    velocities, wrong = observe_velocities(
        truth, transits, settings.spectrometer, settings.columns, rng
    )
    solution, prefix = _RELEASES[settings.columns]
    ra, dec = astrometry["ra"], astrometry["dec"]
    galactic = SkyCoord(ra * u.deg, dec * u.deg).galactic
    spectrum = (
        (photometry["phot_g_mean_mag"] < _CONTINUOUS_G)
        & (photometry["phot_bp_n_obs"] > _SPECTRUM_TRANSITS)
        & (photometry["phot_rp_n_obs"] > _SPECTRUM_TRANSITS)
    )
    source_id = truth["source_id"]
    row: Columns = {
        "solution_id": np.full(size, solution),
        "designation": np.array([f"{prefix}{one}" for one in source_id.tolist()], dtype=object),
        "source_id": source_id,
        "random_index": rng.integers(0, _CATALOGUE_SIZE, size),
        "ref_epoch": np.full(size, _REFERENCE_EPOCH),
        "l": galactic.l.deg,
        "b": galactic.b.deg,
        "has_xp_continuous": spectrum,
        "has_xp_sampled": spectrum & (photometry["phot_g_mean_mag"] < _SAMPLED_G),
        **photometry,
        **astrometry,
        **velocities,
    }
    table = GAIA_SOURCE_FULL[settings.columns]
    served = table.conform({name: row[name] for name in table.names}, "the synthetic Gaia")
    return served, blended | flawed | wrong
