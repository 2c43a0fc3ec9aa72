"""DaCHS, the TAP server of several archives, private to a test session and on loopback only."""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from mwatlas.tables.column import Column

from .database import INSTALL, database
from .processes import Account, Daemon, free_port
from .sky import Loaded

HARD_LIMIT = 700
"""Most rows in an answer."""
_TYPES = {
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "float32": "real",
    "float64": "double precision",
    "bool": "boolean",
    "string": "text",
}
# As the Gaia archive writes them.
_UNITS = {
    "km/s": "km.s**-1",
    "mas/yr": "mas.yr**-1",
    "arcsec/yr": "arcsec.yr**-1",
    "um-1": "um**-1",
    "electron / s": "'electron'.s**-1",
    "dex": "'dex'",
}
_SETTINGS = """[general]
rootDir: {home}/root
group: {group}
gavoGroup: {group}
[web]
bindAddress: 127.0.0.1
serverPort: {port}
serverURL: http://127.0.0.1:{port}
[async]
hardMAXREC: {limit}
"""
# As `dachs imp` does, but with all schemas in one process, which takes seconds to start.
_IMPORT = """
import sys
from gavo import rsc
from gavo.user import importing
for definition in sys.argv[1:]:
    importing.process(rsc.getParseOptions(), [definition])
"""
_META = """<meta name="title">A small embedded sky</meta>
<meta name="description">Tables of archives, with their columns.</meta>
<meta name="creationDate">2026-01-01T00:00:00Z</meta>
<meta name="subject">stars</meta>
<meta name="creator.name">Milky Way Atlas</meta>
<meta name="source">none</meta>
"""


@contextmanager
def tap_service(tables: Mapping[str, Loaded]) -> Iterator[str]:
    """Run a TAP service with these tables; its address.

    Parameters
    ----------
    tables
        By schema and name.

    Raises
    ------
    RuntimeError
        If the packages are not there, or the service does not start.
    """
    if shutil.which("dachs", path="/usr/bin") is None:
        raise RuntimeError(f"DaCHS is not installed: {INSTALL}")
    home = Path(tempfile.mkdtemp(prefix="mwatlas-tap-"))
    account, port = Account.at(home), free_port()
    account.own(home)
    try:
        with database(account) as connection:
            settings = home / "gavo.rc"
            settings.write_text(
                _SETTINGS.format(home=home, group=account.group, port=port, limit=HARD_LIMIT)
            )
            account.own(settings)
            environment = {"GAVOSETTINGS": str(settings), "GAVOCUSTOM": "/dev/null"}
            account.run("dachs", "init", "-d", connection, **environment)
            _load(account, tables, environment)
            words = ("dachs", "serve", "start", "--foreground")
            with Daemon(account, words, home / "dachs.log", environment) as server:
                url = f"http://127.0.0.1:{port}/tap"
                _await(url, server, home / "dachs.log")
                yield url
    finally:
        shutil.rmtree(home)


def _await(url: str, server: Daemon, log: Path) -> None:
    """Knock until somebody opens."""
    with requests.Session() as session:
        retry = Retry(total=None, connect=200, backoff_factor=0.1, backoff_max=0.5)
        session.mount("http://", HTTPAdapter(max_retries=retry))
        try:
            session.get(f"{url}/availability", timeout=60).raise_for_status()
        except requests.RequestException as error:
            state = "answers wrongly" if server.alive else "does not start"
            raise RuntimeError(f"DaCHS {state}: {error}\n{log.read_text()}") from error


def _load(account: Account, tables: Mapping[str, Loaded], environment: dict[str, str]) -> None:
    schemas = defaultdict(dict)
    for name, table in tables.items():
        schema, _, short = name.partition(".")
        schemas[schema][short] = table
    for schema, members in schemas.items():
        folder = account.home / "root" / "inputs" / schema
        folder.mkdir()
        for name, table in members.items():
            account.own(_write_rows(folder / f"{name}.csv", table.rows))
        definition = folder / "q.rd"
        definition.write_text(_definition(schema, members))
        account.own(definition)
        account.own(folder)
    account.run("python3", "-c", _IMPORT, *(f"{schema}/q" for schema in schemas), **environment)


def _definition(schema: str, members: Mapping[str, Loaded]) -> str:
    """Resource descriptor: tables, columns, and where their rows are."""
    text = f'<resource schema="{schema}">\n{_META}'
    for name, table in members.items():
        text += f'<table id="{name}" onDisk="True" adql="True">\n'
        text += "".join(map(_column, table.contract.columns))
        text += (
            f'</table>\n<data id="import_{name}"><sources>{name}.csv</sources><csvGrammar/>'
            f'<make table="{name}"><rowmaker idmaps="*"/></make></data>\n'
        )
    return text + "</resource>\n"


def _column(column: Column) -> str:
    attributes = {
        "name": _name(column.name),
        "type": _TYPES[column.dtype],
        "unit": _UNITS.get(column.unit, column.unit),
        "ucd": column.ucd,
        "description": column.description,
        "required": str(not column.nullable),
    }
    listed = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items() if value)
    if column.nullable and column.dtype.startswith("int"):
        return f'<column {listed}><values nullLiteral="-32768"/></column>\n'
    return f"<column {listed}/>\n"


def _name(column: str) -> str:
    """Name in a definition, which tells those that queries must put in quotes."""
    plain = re.fullmatch(r"[a-z]\w*", column) and column == column.lower() != "primary"
    return column if plain else f"quoted/{column}"


def _write_rows(path: Path, rows: pa.Table) -> Path:
    """Comma-separated values whose digits tell each number exactly; nulls are empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows.column_names)
        columns = [column.to_pylist() for column in rows.columns]
        writer.writerows(
            ["" if v is None else repr(v) if isinstance(v, float) else v for v in row]
            for row in zip(*columns, strict=True)
        )
    return path
