"""The alpha elements show in XP spectra, and on the null sky they do not."""

import logging
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from mwatlas.config import load_settings
from mwatlas.progress import Progress
from mwatlas.sky.generate import Sky
from mwatlas.sky.model import SkyModel
from mwatlas.sky.plan import Plan
from mwatlas.sky.xp import true_coefficients
from mwatlas.tables.table import Columns

LABELS = ("teff_true", "logg_true", "fe_h_true", "a_v_true")


def _giants(release: str, root: Path, sky_model: SkyModel) -> tuple[Columns, float]:
    """Giants of a small sky, and how strongly their spectra show alpha elements."""
    settings = load_settings({"release": release, "adapter": {"source": {"n_stars": 20_000}}}, root)
    adapter, progress = settings.adapter, Progress("test", logging.getLogger("mwatlas"))
    order = adapter.healpix_order
    plan = Plan.compute(adapter.source, settings.seed, order, sky_model, progress)
    sky = Sky(adapter.source, settings.seed, order, sky_model, plan)
    cells = [sky.cell(cell) for cell in range(12 * 4**order)]
    stars = {name: np.concatenate([cell[name] for cell in cells]) for name in cells[0]}
    chosen = (stars["logg_true"] < 3.5) & (stars["logg_true"] > 1) & (stars["a_v_true"] < 1)
    chosen &= stars["fe_h_true"] > -1.2
    return {
        name: values[chosen] for name, values in stars.items()
    }, adapter.source.xp.alpha_strength


def _gain(stars: Columns, alpha_strength: float) -> float:
    """Share of the variance of [alpha/M] at given labels that noiseless spectra explain."""
    coefficients = true_coefficients(stars, alpha_strength)
    g_flux = 10 ** (-0.4 * stars["phot_g_mean_mag_true"])
    spectra = np.hstack([coefficients["bp"][:, :20], coefficients["rp"][:, :20]]) / g_flux[:, None]
    labels = np.stack([stars[name] for name in LABELS], axis=1)
    train = np.arange(len(labels)) % 2 == 0
    of_labels = make_pipeline(StandardScaler(), PolynomialFeatures(3), RidgeCV())
    rest = stars["alpha_m_true"] - of_labels.fit(
        labels[train], stars["alpha_m_true"][train]
    ).predict(labels)
    everything = np.hstack([PolynomialFeatures(3).fit_transform(labels), spectra])
    of_spectra = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 4, 9)))
    of_spectra.fit(everything[train], rest[train])
    return float(of_spectra.score(everything[~train], rest[~train]))


@pytest.mark.parametrize(("release", "low", "high"), [("sky", 0.5, 1.0), ("sky_null", -1.0, 0.03)])
def test_spectra_tell_alpha_only_where_it_is_in_them(
    root: Path, sky_model: SkyModel, release: str, low: float, high: float
) -> None:
    stars, strength = _giants(release, root, sky_model)
    assert len(stars["ra"]) > 2000
    # Out of sample: without information the score is zero within 2 / sqrt(1000).
    assert low < _gain(stars, strength) < high + 2 / np.sqrt(1000) * (release == "sky_null")
