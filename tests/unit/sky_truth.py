"""True columns of random stars, for tests of the sky's surveys."""

from __future__ import annotations

import healpy
import numpy as np

from mwatlas.tables.table import Columns


def random_truth(number: int, seed: int) -> Columns:
    """Draw stars all over the sky, of the ranges the embedded sky has."""
    rng = np.random.default_rng(seed)
    ra = rng.uniform(0, 360, number)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, number)))
    pixel = healpy.ang2pix(2**12, ra, dec, nest=True, lonlat=True)
    g = 17 - rng.exponential(2.0, number).clip(0, 13)
    distance = 10 ** rng.uniform(-1, 1, number)
    teff = rng.uniform(3900, 7500, number)
    a_v = rng.exponential(0.5, number)
    j_k = (7800 - teff) / 5500 + 0.05 + 0.165 * a_v
    ks = g - 2.2 * j_k - rng.uniform(0, 0.3, number)
    truth: Columns = {
        "source_id": (pixel.astype(np.int64) << 35) + np.arange(number),
        "ra": ra,
        "dec": dec,
        "component": rng.integers(0, 6, number),
        "distance_kpc_true": distance,
        "pmra_true": rng.normal(0, 30, number) / distance,
        "pmdec_true": rng.normal(0, 30, number) / distance,
        "radial_velocity_true": rng.normal(0, 60, number),
        "fe_h_true": rng.normal(-0.4, 0.4, number),
        "alpha_m_true": rng.normal(0.1, 0.1, number),
        "age_gyr_true": rng.uniform(0, 13, number),
        "mass_true": rng.uniform(0.7, 1.5, number),
        "teff_true": teff,
        "logg_true": rng.uniform(0.5, 4.8, number),
        "a_v_true": a_v,
        "a_v_column": 2 * a_v + 0.05,
        "phot_g_mean_mag_true": g,
        "phot_bp_mean_mag_true": g + 0.5 * j_k,
        "phot_rp_mean_mag_true": g - 0.6 * j_k,
        "j_m_true": ks + j_k,
        "h_m_true": ks + 0.15 * j_k,
        "ks_m_true": ks,
        "w1_true": ks - 0.05,
        "w2_true": ks - 0.03,
    }
    order = np.argsort(truth["source_id"])
    return {name: values[order] for name, values in truth.items()}


def as_measured(truth: Columns) -> Columns:
    """Astrometry of a Gaia without errors."""
    names = {"ra": "ra", "dec": "dec", "pmra": "pmra_true", "pmdec": "pmdec_true"}
    return {name: truth[true].copy() for name, true in names.items()}
