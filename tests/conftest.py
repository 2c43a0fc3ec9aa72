"""Shared fixtures."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mwatlas.config import Settings, load_settings
from mwatlas.config.release import ReleaseAdapter
from mwatlas.progress import Progress
from mwatlas.tables.schemas import Columns

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def survey_data() -> Path:
    """Folder of real survey data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MWATLAS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "gaia_dr3_bright.parquet").exists():
        pytest.skip(f"real survey data are not at {folder}; set MWATLAS_DATA")
    return folder


@pytest.fixture
def progress() -> Progress:
    """Progress that goes to the log."""
    return Progress("test", logging.getLogger("mwatlas"))


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Default settings: the embedded sky."""
    return load_settings({}, ROOT)


@pytest.fixture(scope="session")
def small_sky() -> Settings:
    """An embedded sky of 20,000 sources."""
    return load_settings({"adapter": {"source": {"n_stars": 20_000}}}, ROOT)


@pytest.fixture(scope="session")
def galaxy_file(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of the default sky's populations."""
    from mwatlas.sky.galaxy import Galaxy

    path = tmp_path_factory.mktemp("galaxy") / "galaxy.h5"
    progress = Progress("test", logging.getLogger("mwatlas"))
    Galaxy.compute(settings.adapter.source.components, progress).save(path)
    return path


@pytest.fixture(scope="session")
def galaxy(settings: Settings, galaxy_file: Path) -> Any:
    """The default sky's populations."""
    from mwatlas.sky.galaxy import Galaxy

    return Galaxy.load(settings.adapter.source.components, galaxy_file)


@pytest.fixture(scope="session")
def sky_stars(small_sky: Settings, galaxy: Any) -> tuple[Columns, Columns]:
    """Served columns and truth of the whole small sky."""
    from mwatlas.sky.generate import Sky

    adapter = small_sky.adapter
    sky = Sky(adapter.source, small_sky.seed, adapter.healpix_order, galaxy)
    cells = [sky.cell(cell) for cell in range(12 * 4**adapter.healpix_order)]
    served, truth = zip(*cells, strict=True)
    return tuple(
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in (served, truth)
    )


@pytest.fixture
def gaia_rows() -> Callable[..., dict[str, Any]]:
    """Maker of well-formed Gaia rows with consistent source_id and position."""

    def make(number: int = 500, seed: int = 1) -> dict[str, Any]:
        import astropy.units as u
        import healpy
        from astropy.coordinates import SkyCoord

        rng = np.random.default_rng(seed)
        index = np.sort(rng.choice(12 * 4**12, number, replace=False))
        ra, dec = healpy.pix2ang(2**12, index, nest=True, lonlat=True)
        g = rng.uniform(8, 14, number)
        galactic = SkyCoord(ra * u.deg, dec * u.deg).galactic
        from mwatlas.sky.generate import _ecliptic_latitude

        return {
            "source_id": (index << 35) + 128,
            "ra": ra,
            "dec": dec,
            "l": galactic.l.deg,
            "b": galactic.b.deg,
            "ecl_lat": _ecliptic_latitude(ra, dec),
            "parallax": rng.uniform(0.5, 5, number),
            "parallax_error": np.full(number, 0.02, dtype=np.float32),
            "pmra": rng.normal(0, 20, number),
            "pmra_error": np.full(number, 0.02, dtype=np.float32),
            "pmdec": rng.normal(0, 20, number),
            "pmdec_error": np.full(number, 0.02, dtype=np.float32),
            "astrometric_params_solved": np.full(number, 31, dtype=np.int16),
            "nu_eff_used_in_astrometry": rng.uniform(1.3, 1.7, number).astype(np.float32),
            "pseudocolour": np.full(number, np.nan, dtype=np.float32),
            "ruwe": np.full(number, 1.0, dtype=np.float32),
            "phot_g_mean_mag": g.astype(np.float32),
            "bp_rp": np.full(number, 0.8, dtype=np.float32),
            "radial_velocity": rng.normal(0, 30, number).astype(np.float32),
            "radial_velocity_error": np.full(number, 0.5, dtype=np.float32),
        }

    return make


@pytest.fixture(scope="session")
def files_adapter() -> ReleaseAdapter:
    """A release that reads files with the archive's own names and every column of DR3."""
    return load_settings({"release": "gaiadr3"}, ROOT).adapter.model_copy(
        update={"healpix_order": 1, "partitions": 3}
    )
