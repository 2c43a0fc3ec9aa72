"""One TAP service for all tests of the folder; a test errs if it cannot be started."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mwatlas.archive.adql import Query, load_query
from mwatlas.archive.request import table_requests
from mwatlas.archive.tap_client import PyvoClient
from mwatlas.archive.transport import Politeness, Transport
from mwatlas.config import load_settings
from mwatlas.config.registry import load_registry
from mwatlas.tables.table import TableSchema

from .dachs import tap_service
from .front import GaiaFront, gaia_front
from .sky import Loaded, served_tables


def local(text: str) -> str:
    """ADQL, or the name of a table, in words of this server.

    EXTERNAL is a reserved word: the Gaia archive takes it for a schema all the same, DaCHS only in
    quotes. Names of VizieR's tables are none that DaCHS can give.
    """
    text = text.replace("external.", '"external".')
    return re.sub(r'"?J/A\+A/673/A114/(\w+)"?', r"vizier.\1", text)


@pytest.fixture(scope="session")
def tables(root: Path) -> dict[str, Loaded]:
    """What the service serves, by schema and name."""
    return served_tables(root)


@pytest.fixture(scope="session")
def service(tables: dict[str, Loaded]) -> Iterator[str]:
    """Address of the service."""
    # A test run that is told to end ends what it started, as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tap_service(tables) as url:
        yield url
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def transport() -> Transport:
    """Requests of the project; this server need not be spared."""
    return Transport(Politeness(interval_s=0, retries=0))


@pytest.fixture
def client(service: str, transport: Transport) -> PyvoClient:
    return PyvoClient(service, transport.session)


@pytest.fixture
def front(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GaiaFront]:
    """The service as astroquery's Gaia client expects it."""
    with gaia_front(service, tmp_path) as front:
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        yield front


@pytest.fixture(scope="session")
def load(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Query]:
    """Loads a query of the project for this server."""
    folder = tmp_path_factory.mktemp("queries")

    def load(name: str) -> Query:
        path = folder / name
        path.write_text(local((root / "workflow/queries" / name).read_text()))
        return load_query(path)

    return load


@pytest.fixture(scope="session")
def contracts(root: Path) -> dict[str, TableSchema]:
    """Columns that the releases expect of each query's answer."""
    registry = load_registry(root)
    found = {
        request.query.name: request.table
        for release in ("gaiaedr3", "gaiadr3", "gaiadr4")
        for request in table_requests(
            load_settings({"release": release}, root), registry, root
        ).values()
        if request.query is not None
    }
    # The same table at another server, which no release prefers.
    return {"esa_fidelity.adql": found["gavo_fidelity.adql"], **found}
