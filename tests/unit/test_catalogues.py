"""The published catalogues of small partitions."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from mwatlas.config import Settings
from mwatlas.config.release import ReleaseAdapter
from mwatlas.predictive import MIXTURE_COLUMNS
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.catalogues import Catalogue, Tables, write_catalogue
from mwatlas.tables.columns import VLOS_QUANTILES
from mwatlas.tables.parquet import from_arrow
from mwatlas.tables.schemas import (
    DENSITY_CATALOGUE,
    GSE_CANDIDATES,
    LINE_OF_SIGHT_CATALOGUE,
    RV_CATALOGUE,
)
from mwatlas.tables.table import Columns

from .line_of_sight_samples import (
    ORDER,
    Cell,
    accumulate_files,
    cell_stars,
    with_mixture,
    write_partition,
)

PARTS = ((4, 5), (30,))


@pytest.fixture
def adapter(settings: Settings) -> ReleaseAdapter:
    return settings.adapter.model_copy(update={"healpix_order": ORDER})


def _tables(
    folder: Path, cells: dict[int, Cell], progress: Progress
) -> tuple[Tables, dict[str, Columns]]:
    files, out = [], []
    for part in PARTS:
        where = folder / f"part{part[0]}"
        files.append(write_partition(where, {number: cells[number] for number in part}))
        out.append(accumulate_files(files[-1], where, progress))
    tables = Tables(
        [f.sample for f in files],
        [f.predictions for f in files],
        [o["orbits"] for o in out],
        [o["candidates"] for o in out],
    )
    whole = {
        name: from_arrow(pq.read_table(paths))
        for name, paths in (
            ("sample", tables.samples),
            ("predictions", tables.predictions),
            ("orbits", tables.orbits),
            ("candidates", tables.candidates),
        )
    }
    return tables, whole


def _written(
    catalogue: Catalogue, tables: Tables, adapter: ReleaseAdapter, folder: Path, progress: Progress
) -> Columns:
    write_catalogue(catalogue, tables, adapter, folder / catalogue, progress)
    parts = sorted((folder / catalogue / "dataset").rglob("Npix=*.parquet"), key=_cell)
    assert [_cell(path) for path in parts] == [4, 5, 30]
    # The folders are no columns.
    return from_arrow(pq.read_table(parts, partitioning=None))


def _cell(path: Path) -> int:
    return int(path.stem.removeprefix("Npix="))


def test_each_catalogue_has_its_stars(
    tmp_path: Path, adapter: ReleaseAdapter, progress: Progress
) -> None:
    cells = {number: cell_stars(number, 60) for part in PARTS for number in part}
    tables, whole = _tables(tmp_path, cells, progress)
    known = whole["sample"]["fold"] >= 0
    every = {**whole["sample"], **whole["predictions"], **whole["orbits"]}
    for catalogue, schema, mine in (
        ("rv", RV_CATALOGUE, known),
        ("test_set", LINE_OF_SIGHT_CATALOGUE, known),
        ("ml_rv", LINE_OF_SIGHT_CATALOGUE, ~known),
    ):
        found = _written(catalogue, tables, adapter, tmp_path / "out", progress)
        assert tuple(found) == schema.names
        for name in schema.names:
            np.testing.assert_array_equal(found[name], every[name][mine])
    found = _written("gse_candidates", tables, adapter, tmp_path / "out", progress)
    assert tuple(found) == GSE_CANDIDATES.names
    for name in GSE_CANDIDATES.names:
        np.testing.assert_array_equal(found[name], whole["candidates"][name])
    assert len(found["draw"]) > 20


def test_a_catalogue_does_not_depend_on_partitions(
    tmp_path: Path, adapter: ReleaseAdapter, progress: Progress
) -> None:
    cells = {number: cell_stars(number, 30) for part in PARTS for number in part}
    tables, _ = _tables(tmp_path, cells, progress)
    whole = write_partition(tmp_path / "whole", cells)
    out = accumulate_files(whole, tmp_path / "whole", progress)
    one = Tables([whole.sample], [whole.predictions], [out["orbits"]], [out["candidates"]])
    for name, these in (("two", tables), ("one", one)):
        write_catalogue("test_set", these, adapter, tmp_path / name / "test_set", progress)
    first, second = (tmp_path / name / "test_set" for name in ("one", "two"))
    files = [path.relative_to(first) for path in first.rglob("Npix=*.parquet")]
    assert len(files) == 3
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_a_mixture_is_published_with_its_quantiles(
    tmp_path: Path, adapter: ReleaseAdapter, progress: Progress
) -> None:
    cells = {number: with_mixture(cell_stars(number, 20)) for part in PARTS for number in part}
    tables, whole = _tables(tmp_path, cells, progress)
    known = whole["sample"]["fold"] >= 0
    for catalogue, mine in (("test_set", known), ("ml_rv", ~known)):
        found = _written(catalogue, tables, adapter, tmp_path / "out", progress)
        assert tuple(found) == DENSITY_CATALOGUE.names
        np.testing.assert_array_equal(found["source_id"], whole["sample"]["source_id"][mine])
        for name in MIXTURE_COLUMNS:
            np.testing.assert_array_equal(found[name], whole["predictions"][name][mine])
        for star in range(mine.sum()):
            weight, mean, sigma = (found[name][star].astype(float) for name in MIXTURE_COLUMNS)
            weight /= weight.sum()

            def excess(v: float, level: float, w=weight, m=mean, s=sigma) -> float:
                return float((w * norm.cdf(v, m, s)).sum() - level)

            for level in VLOS_QUANTILES:
                expected = brentq(excess, -2000, 2000, args=(level / 100,), xtol=1e-9)
                # Single precision of up to 500 km/s.
                assert found[f"vlos_p{level:02d}"][star] == pytest.approx(expected, abs=5e-5)


def test_a_single_normal_has_no_quantiles(
    tmp_path: Path, adapter: ReleaseAdapter, progress: Progress
) -> None:
    """They follow from mean and standard deviation, which say it all."""
    cells = {number: cell_stars(number, 10) for part in PARTS for number in part}
    tables, _ = _tables(tmp_path, cells, progress)
    found = _written("ml_rv", tables, adapter, tmp_path / "out", progress)
    assert not [name for name in found if name.startswith(("vlos_p0", "mixture"))]
