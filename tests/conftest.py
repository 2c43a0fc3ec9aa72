"""Shared fixtures."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from mwatlas.config import Settings, load_settings
from mwatlas.config.release import ReleaseAdapter
from mwatlas.progress import Progress
from mwatlas.tables.table import Columns

ROOT = Path(__file__).resolve().parent.parent

# As the jobs of the workflow have; with more, sums differ in their last bits.
torch.set_num_threads(1)


_LONGEST = "tests/workflow/"


class _Files(LoadScopeScheduling):
    """Keeps in one process what shares something long to make: a file, and all runs."""

    def _split_scope(self, nodeid: str) -> str:
        return _LONGEST if nodeid.startswith(_LONGEST) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Of our own: marks of groups are lost between xdist 3.8 and pytest 9.2."""
    return _Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest goes first."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Undo what the command line does to the level of our messages, also where a test calls it."""
    log = logging.getLogger("mwatlas")
    before = log.level
    yield
    log.setLevel(before)


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
def sky_files(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files the default sky is made from: populations, stellar library, dust."""
    from mwatlas.sky.dust import SkyDust
    from mwatlas.sky.model import library_ages, write_galaxy
    from mwatlas.sky.stars import Library

    source, folder = settings.adapter.source, tmp_path_factory.mktemp("sky")
    files = {name: folder / f"{name}.h5" for name in ("galaxy", "stellar_library", "dust")}
    progress = Progress("test", logging.getLogger("mwatlas"))
    write_galaxy(source.components, files["galaxy"], progress)
    ages = library_ages(source.components, source.barred, source.clusters)
    Library.compute(ages, settings.seed, progress).save(files["stellar_library"])
    SkyDust.compute(source.dust, settings.seed, progress).save(files["dust"])
    return files


@pytest.fixture(scope="session")
def sky_model(settings: Settings, sky_files: dict[str, Path]) -> Any:
    """Populations of the default sky, what their stars look like, and what dims them."""
    from mwatlas.sky.model import load_model

    return load_model(settings.adapter.source, **sky_files)


@pytest.fixture(scope="session")
def galaxy(sky_model: Any) -> Any:
    """The default sky's populations."""
    return sky_model.galaxy


@pytest.fixture(scope="session")
def library(sky_model: Any) -> Any:
    """What the stars of the default sky look like."""
    return sky_model.stellar_library


@pytest.fixture(scope="session")
def plan(small_sky: Settings, sky_model: Any) -> Any:
    """Where the stars of the small sky are."""
    from mwatlas.sky.plan import Plan

    adapter, progress = small_sky.adapter, Progress("test", logging.getLogger("mwatlas"))
    return Plan.compute(adapter.source, small_sky.seed, adapter.healpix_order, sky_model, progress)


@pytest.fixture(scope="session")
def sky_stars(small_sky: Settings, sky_model: Any, plan: Any) -> tuple[Columns, Columns]:
    """Served columns and truth of the whole small sky."""
    from mwatlas.random import block_generator
    from mwatlas.sky.gaia import observe_gaia
    from mwatlas.sky.generate import Sky

    adapter, seed = small_sky.adapter, small_sky.seed
    sky = Sky(adapter.source, seed, adapter.healpix_order, sky_model, plan)
    cells = []
    for cell in range(12 * 4**adapter.healpix_order):
        truth = sky.cell(cell)
        rng = block_generator(seed, "sky/gaia", cell)
        served, flaws = observe_gaia(truth, adapter.source.gaia, rng)
        cells.append((served, {**truth, **flaws}))
    return tuple(
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*cells, strict=True)
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
        from mwatlas.astrometry.ecliptic import ecliptic

        return {
            "source_id": (index << 35) + 128,
            "ra": ra,
            "dec": dec,
            "l": galactic.l.deg,
            "b": galactic.b.deg,
            "ecl_lat": ecliptic(ra, dec)[1],
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
