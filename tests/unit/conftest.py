"""Fixtures of the tests of the synthetic Gaia; other files define their own truth."""

import pytest

from mwatlas.tables.table import Columns

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
