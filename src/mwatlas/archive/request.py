"""Tables that a run needs and does not have: what to fetch, and where it may be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mwatlas.archive.adql import load_query, reads_table
from mwatlas.archive.manifest import listed_sizes
from mwatlas.config import Settings
from mwatlas.config.archives import Fetch, Ids
from mwatlas.config.column_map import ColumnMap
from mwatlas.config.registry import Registry, Route
from mwatlas.config.release import FilesSource
from mwatlas.errors import ConfigError, InputError
from mwatlas.files import read_json
from mwatlas.tables.column import Column
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.infrared import PIXEL
from mwatlas.tables.schemas import TABLES
from mwatlas.tables.table import TableSchema

ACQUIRED = "acquired.json"
"""File that says which files a fetched table has; it appears when all of them are there."""
QUERIES = Path("workflow/queries")


@dataclass(frozen=True)
class TableRequest:
    """A table to fetch.

    Parameters
    ----------
    name
        In this run: ``gaia_source``, or ``<survey>.<table>``.
    dataset, routes
        Name in the registry, and the places to try, in this order.
    query
        File with the columns and rows wanted; ``None`` for files that are kept as they are.
    table
        Contract of the columns of ``query``, with the archive's names and units.
    needed
        Whether the studies of this project read it.
    expected_rows
        About how many rows, where that is known.
    ids
        Where the sources whose products are wanted are listed, in place of a query.
    """

    name: str
    dataset: str
    routes: tuple[Route, ...]
    query: Path | None
    table: TableSchema
    needed: bool = True
    expected_rows: int | None = None
    ids: Ids | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, of which :meth:`of` makes the request again."""
        return {
            "name": self.name,
            "dataset": self.dataset,
            "routes": [route.model_dump(mode="json") for route in self.routes],
            "query": str(self.query) if self.query else None,
            "table": asdict(self.table),
            "needed": self.needed,
            "expected_rows": self.expected_rows,
            "ids": self.ids.model_dump(mode="json") if self.ids else None,
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TableRequest:
        """The request that :meth:`as_dict` took apart."""
        table = dict(values["table"])
        columns = tuple(Column(**column) for column in table.pop("columns"))
        return cls(
            values["name"],
            values["dataset"],
            tuple(Route.model_validate(route) for route in values["routes"]),
            Path(values["query"]) if values["query"] else None,
            TableSchema(columns=columns, **table),
            values["needed"],
            values["expected_rows"],
            Ids.model_validate(values["ids"]) if values["ids"] else None,
        )


def acquired_file(settings: Settings, name: str) -> Path:
    """The file that says that a table is there."""
    return Path(settings.archives.folder) / settings.release / name / ACQUIRED


def matching_files(settings: Settings, pattern: str) -> list[Path]:
    """Files of the user's that a path or pattern of a release names; hidden ones are none."""
    path = Path(pattern)
    found = [path] if path.is_absolute() else sorted(Path(settings.data_dir).glob(pattern))
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


def column_maps(settings: Settings) -> Iterator[tuple[str, ColumnMap, Fetch | None, list[str]]]:
    """Tables a release reads from files: name, mapping, where it is fetched from, patterns."""
    source = settings.adapter.source
    if isinstance(source, FilesSource):
        yield "gaia_source", source, source.fetch, source.paths
    for survey, content in settings.adapter.used_surveys().items():
        for key, table in content.tables.items():
            if not table.sky_table:
                yield f"{survey}.{key}", table, table.fetch, table.paths


def table_requests(settings: Settings, registry: Registry, root: Path) -> dict[str, TableRequest]:
    """Tables of a release that can be fetched, by name.

    Products of sources that a survey lists are not among them where that survey is left out.

    Parameters
    ----------
    settings
        Configuration of the run.
    registry
        Where data sets lie.
    root
        Root of the repository, which holds the queries.

    Raises
    ------
    ConfigError
        If a data set or a kind of route is not in the registry, or a query is absent.
    """
    out = {}
    expected = settings.adapter.expected
    maps = list(column_maps(settings))
    for name, source, fetch, _ in maps:
        if fetch is not None:
            out[name] = TableRequest(
                name,
                fetch.dataset,
                _routes(settings, name, fetch, registry, root),
                _query(settings, name, fetch, root),
                archive_table(source),
                expected_rows=expected.rows if expected and name == "gaia_source" else None,
            )
    for name, wanted in settings.adapter.inputs.items():
        ids = wanted.fetch.ids
        if ids and ids.table.partition(".")[0] in settings.adapter.absent_surveys():
            continue
        if ids and ids.table not in {*settings.adapter.inputs, *(m[0] for m in maps)} - {name}:
            known = ", ".join([*settings.adapter.inputs, *(m[0] for m in maps)])
            raise _wrong(settings, name, "ids", ids.table, known)
        query = _query(settings, name, wanted.fetch, root)
        out[name] = TableRequest(
            name,
            wanted.fetch.dataset,
            _routes(settings, name, wanted.fetch, registry, root),
            query,
            _contract(settings, name, wanted.table, query),
            needed=False,
            expected_rows=wanted.rows,
            ids=ids,
        )
    return out


def _query(settings: Settings, name: str, fetch: Fetch, root: Path) -> Path | None:
    if not fetch.query:
        return None
    query = root / QUERIES / fetch.query
    if not query.exists():
        known = sorted(path.name for path in (root / QUERIES).glob("*.adql"))
        raise _wrong(settings, name, "query", fetch.query, ", ".join(known))
    return query


def _contract(settings: Settings, name: str, table: str, query: Path | None) -> TableSchema:
    """Columns of a query as our tables know them; a match also has columns of the star's own."""
    if not table:
        return TableSchema(name, "Files as they are", (), key="")
    if table not in TABLES:
        raise _wrong(settings, name, "table", table, ", ".join(TABLES))
    if query is None:
        return TABLES[table]
    of_stars = (column for full in GAIA_SOURCE_FULL.values() for column in full.columns)
    known = {c.name: c for c in (*of_stars, PIXEL, *TABLES[table].columns)}
    columns = load_query(query).columns
    unknown = [column for column in columns if column not in known]
    if unknown:
        raise _wrong(settings, name, "query", ", ".join(unknown), f"columns of table {table}")
    return replace(TABLES[table], columns=tuple(known[column] for column in columns))


def archive_table(source: ColumnMap) -> TableSchema:
    """Contract of the columns an adapter reads, under the archive's names and in its units.

    Inputs of derived columns have no contract of ours and are left out.
    """
    columns = [
        replace(
            column,
            name=source.columns.get(column.name, column.name),
            unit=source.units.get(column.name, column.unit),
        )
        for column in source.served_table.columns
        if column.name not in source.derive
    ]
    return replace(source.table, columns=tuple(columns))


def _routes(
    settings: Settings, name: str, fetch: Fetch, registry: Registry, root: Path
) -> tuple[Route, ...]:
    """Routes of the registry that give this table: mirrors with another name of it do not."""
    dataset = registry.datasets.get(fetch.dataset)
    if dataset is None:
        raise _wrong(settings, name, "dataset", fetch.dataset, ", ".join(registry.datasets))
    kinds: list[str] = list(fetch.routes or dict.fromkeys(route.kind for route in dataset.routes))
    missing = [kind for kind in fetch.routes if kind not in {r.kind for r in dataset.routes}]
    if missing or not dataset.routes:
        has = ", ".join(dict.fromkeys(route.kind for route in dataset.routes)) or "none"
        raise _wrong(settings, name, "routes", ", ".join(missing) or "none", has)
    routes = [route for kind in kinds for route in dataset.routes if route.kind == kind]
    path = _query(settings, name, fetch, root)
    query = load_query(path) if path else None
    served = [r for r in routes if r.kind != "tap" or query is None or reads_table(query, r.table)]
    if not served:
        tables = ", ".join(route.table for route in routes)
        raise _wrong(settings, name, "query", fetch.query, f"a query that reads one of {tables}")
    return tuple(served)


def _wrong(settings: Settings, table: str, key: str, found: str, expected: str) -> ConfigError:
    survey, _, part = table.partition(".")
    place = f"surveys.{survey}.tables.{part}" if part else f"inputs.{table}"
    place = "source" if table == "gaia_source" else place
    return ConfigError(
        "a table cannot be fetched as the release says",
        file=f"config/releases/{settings.release}.yaml",
        item=f"{place}.fetch.{key}",
        found=found,
        expected=expected,
        remedy="correct it, or register the data set in config/registry.yaml",
    )


def listed_files(paths: Sequence[Path]) -> list[Path]:
    """Files of tables, where a path may also be the list of a fetched one.

    Raises
    ------
    InputError
        If a listed file is gone, or has not the size it had when it was fetched, where that was
        noted: of pieces, not of files that are kept as they are.
    """
    out = []
    for path in paths:
        if path.name != ACQUIRED:
            out.append(path)
            continue
        files = [path.parent / name for name in read_json(path)["files"]]
        gone = [file for file in files if not file.exists()]
        if gone:
            raise InputError(
                f"{len(gone)} file(s) of a fetched table are gone",
                file=gone[0],
                expected=f"the {len(files)} files listed in {path}",
                remedy=f"remove {path}: the next run fetches what is missing",
            )
        for file, size in _sizes(files).items():
            if file.stat().st_size != size:
                raise InputError(
                    "a file of a fetched table is damaged",
                    file=file,
                    found=f"{file.stat().st_size:,} bytes",
                    expected=f"{size:,} bytes, as it was fetched",
                    remedy=f"remove {path}: the next run fetches this file again",
                )
        out += files
    return out


def _sizes(files: Sequence[Path]) -> dict[Path, int]:
    noted: dict[Path, int] = {}
    for folder in {file.parent for file in files}:
        noted |= listed_sizes(folder)
    return {file: noted[file] for file in files if file in noted}
