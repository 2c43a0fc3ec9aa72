"""Fixtures of the tests of the synthetic Gaia, whose truth is its own, and of archives."""

from collections.abc import Iterator

import pytest

from mwatlas.tables.table import Columns
from tests.faulty_server import FaultyServer

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
