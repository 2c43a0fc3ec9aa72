"""Queries: the chunk, explicit columns that our schemas know, headers that explain them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mwatlas.archive.adql import chunk_query, load_query
from mwatlas.astrometry.zero_point import parallax_zero_point
from mwatlas.config import load_settings
from mwatlas.config.registry import load_registry
from mwatlas.config.release import FilesSource
from mwatlas.tables.clusters import CLUSTERS, MEMBERS
from mwatlas.tables.external import (
    ALLWISE_MATCH,
    DISTANCES,
    EXTINCTION,
    TMASS_MATCH,
    XP_SOURCES,
)
from mwatlas.tables.fidelity import FIDELITY
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.infrared import (
    PIXEL,
    TMASS_BEST_NEIGHBOUR,
    TMASS_JOIN,
    TMASS_ORIGINAL_VALID,
    UNWISE,
)

FOLDER = Path(__file__).resolve().parents[2] / "workflow/queries"
QUERIES = sorted(FOLDER.glob("*.adql"))

_STUDY = "_line_of_sight"

NAME = r"[A-Za-z_][A-Za-z_0-9]*"

_DR3 = set(GAIA_SOURCE_FULL["gaiadr3"].names)
_NEIGHBOUR = set(TMASS_BEST_NEIGHBOUR.names)
_FIDELITY = set(FIDELITY.names)
TABLES = {
    "gaiaedr3.gaia_source": set(GAIA_SOURCE_FULL["gaiaedr3"].names),
    "gaiadr3.gaia_source": _DR3,
    "gaia_dr3.gaia_source": _DR3,
    "gaia.dr3lite": {"source_id", "parallax", "phot_g_mean_mag"},
    "gaiaedr3.tmass_psc_xsc_best_neighbour": _NEIGHBOUR,
    "gaiadr3.tmass_psc_xsc_best_neighbour": _NEIGHBOUR,
    "gaiaedr3.tmass_psc_xsc_join": set(TMASS_JOIN.names),
    "gaiadr3.tmass_psc_xsc_join": set(TMASS_JOIN.names),
    "gaiadr1.tmass_original_valid": set(TMASS_ORIGINAL_VALID.names),
    "gaiaedr3.allwise_best_neighbour": set(ALLWISE_MATCH.names),
    "gaiadr1.allwise_original_valid": set(ALLWISE_MATCH.names),
    "external.gaiaedr3_spurious": _FIDELITY,
    "gedr3spur.main": _FIDELITY,
    "external.gaiaedr3_distance": set(DISTANCES.names),
    "xpparams2.main": set(EXTINCTION.names),
    "unwise_dr1.object": {PIXEL.name, *UNWISE.names},
    CLUSTERS.name: set(CLUSTERS.names),
    MEMBERS.name: set(MEMBERS.names),
}
"""Columns of the tables the queries read; a release's own table is added below."""

RELEASES = sorted(path.stem.removesuffix(_STUDY) for path in FOLDER.glob(f"*{_STUDY}.adql"))
"""Releases whose stars a query asks for."""

KEYS = {
    "datalab_unwise": PIXEL.name,
    "vizier_open_clusters": "ID",
    "vizier_open_cluster_members": "GaiaDR3",
}
"""Column by which a query is cut in pieces, where that is not source_id."""

WHOLE = {
    "tmass": TMASS_MATCH.names,
    "allwise": ALLWISE_MATCH.names,
    "fidelity": FIDELITY.names,
    "distances": DISTANCES.names,
    "extinction": EXTINCTION.names,
    "xp_sources": XP_SOURCES.names,
    "unwise": (PIXEL.name, *UNWISE.names),
    "open_clusters": CLUSTERS.names,
    "open_cluster_members": MEMBERS.names,
}
"""Columns of the table a query fills, by a part of its name."""


@dataclass(frozen=True)
class Query:
    """Parts of a query."""

    header: list[str]
    columns: list[tuple[str, str]]
    tables: dict[str, str]
    conditions: list[str]
    joins: str


def _parse(path: Path) -> Query:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = [line for line in lines if line.startswith("--")]
    body = "\n".join(line for line in lines if not line.startswith("--"))
    match = re.fullmatch(r"SELECT\n(.*)\nFROM\n(.*)\nWHERE\n(.*)", body, re.DOTALL)
    assert match, f"{path.name} is not SELECT, FROM, WHERE"
    select, joins, where = match.groups()
    columns = [tuple(item.strip().replace('"', "").split(".")) for item in select.split(",")]
    tables = {alias: table for table, alias in re.findall(r'"?([\w.+/]+)"? AS (\w+)', joins)}
    return Query(header, columns, tables, [c.strip() for c in where.split("\n")], joins)


def _wanted(root: Path, release: str) -> set[str]:
    """Columns that the adapter of a release reads."""
    source = load_settings({"release": release}, root).adapter.source
    assert isinstance(source, FilesSource)
    return {source.columns.get(name, name) for name in source.served_table.names}


def _tables(root: Path) -> dict[str, set[str]]:
    """Columns by table; of a release that is not listed, DR3's and those its adapter names."""
    out = dict(TABLES)
    for release in RELEASES:
        for table in _parse(FOLDER / f"{release}{_STUDY}.adql").tables.values():
            if table not in TABLES:
                out[table] = _DR3 | _wanted(root, release)
    return out


@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.stem)
def test_a_query_has_one_chunk_and_its_cuts_before_it(path: Path) -> None:
    query = load_query(path)
    assert query.key == KEYS.get(path.stem, "source_id")
    assert chunk_query(query, 12, 34).endswith(" BETWEEN 12 AND 34")
    # As it stands it is for the whole sky.
    last = path.read_text(encoding="utf-8").rstrip().splitlines()[-1]
    whole = 12 * 4**12 - 1 if query.key == PIXEL.name else 2**63 - 1
    assert f"BETWEEN 0 AND {whole}  -- chunk" in last
    cuts = _parse(path).conditions[:-1]
    assert cuts or "all of them" in query.text
    assert all(cut.startswith("AND ") for cut in cuts[1:])


@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.stem)
def test_a_query_names_columns_the_schemas_know(path: Path, root: Path) -> None:
    query, tables = _parse(path), _tables(root)
    assert all(len(column) == 2 for column in query.columns), "a column without its table"
    names = [name for _, name in query.columns]
    assert len(names) == len(set(names))
    assert names[0] == KEYS.get(path.stem, "source_id")
    used = "\n".join([*query.conditions, query.joins]).replace('"', "")
    aliases = "|".join(query.tables)
    inside = re.findall(rf"\b({aliases})\.({NAME})\b", used)
    assert inside
    assert query.tables
    for alias, name in [*query.columns, *inside]:
        assert name in tables[query.tables[alias]], f"{path.name}: {alias}.{name}"


@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.stem)
def test_a_query_fills_a_whole_table(path: Path) -> None:
    wanted = [columns for part, columns in WHOLE.items() if part in path.stem]
    for columns in wanted:
        assert {name for _, name in _parse(path).columns} == set(columns)
    assert wanted or path.stem.startswith("gaia") or path.stem.endswith(_STUDY)


@pytest.mark.parametrize("release", RELEASES)
def test_the_query_of_a_release_asks_for_what_its_adapter_reads(root: Path, release: str) -> None:
    wanted = _wanted(root, release)
    query = _parse(FOLDER / f"{release}{_STUDY}.adql")
    assert {name for _, name in query.columns} == wanted


@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.stem)
def test_a_header_says_what_for_whom_where_and_how_many(path: Path, root: Path) -> None:
    header = "\n".join(_parse(path).header)
    for part in ("For: ", "Server: https://", "Expected: ", "section"):
        assert part in header, f"{path.name} lacks {part!r}"
    datasets = [
        dataset for dataset in load_registry(root).datasets.values() if path.name in dataset.queries
    ]
    study = re.search(r"For: (\w+)", header)
    assert study is not None
    assert any(study.group(1) in dataset.studies for dataset in datasets)
    server = re.search(r"Server: (https://[\w./-]*\w)", header)
    assert server is not None
    addresses = {route.url for dataset in datasets for route in dataset.routes}
    assert server.group(1) in addresses
    assert max(len(line) for line in path.read_text(encoding="utf-8").splitlines()) <= 100


def test_the_limit_on_parallax_is_looser_than_the_papers() -> None:
    # error / (parallax - zero point) < 0.2 implies error < 0.2 (parallax + 0.1) with any zero
    # point above -0.1 mas, which holds over the range of magnitudes and colours of the recipe.
    magnitude, colour, latitude = (
        axis.ravel()
        for axis in np.meshgrid(
            np.linspace(6.01, 17.0, 60), np.linspace(1.1, 1.9, 41), np.linspace(-90, 90, 61)
        )
    )
    for solved in (31, 95):
        zero_point = parallax_zero_point(
            magnitude, colour, colour, latitude, np.full(magnitude.size, solved)
        )
        assert -0.1 < np.nanmin(zero_point) < -0.05
    for path in FOLDER.glob("*_line_of_sight.adql"):
        assert "g.parallax_error < 0.2 * (g.parallax + 0.1)" in _parse(path).conditions
