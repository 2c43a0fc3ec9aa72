"""Fixtures of the tests of the synthetic Gaia, whose truth is its own, and of archives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mwatlas.archive.transport import Transport
from mwatlas.tables.table import Columns
from tests.fake_clock import FakeClock
from tests.faulty_server import FaultyServer

from .downloads import SETTINGS
from .gaia_sample import Observed, observed, stars


@pytest.fixture(scope="session")
def truth() -> Columns:
    return stars()


@pytest.fixture(scope="session")
def dr3() -> Observed:
    return observed("gaiadr3")


@pytest.fixture(scope="session")
def edr3() -> Observed:
    return observed("gaiaedr3")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def transport(clock: FakeClock) -> Transport:
    return Transport(SETTINGS, clock=clock, sleep=clock.sleep)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "GaiaSource_000000-003111.csv.gz"
