"""What `mwatlas check-release` finds at a real server, as it is and after a change of columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mwatlas.archive.adql import Query
from mwatlas.archive.release_check import Checked, check_release
from mwatlas.archive.request import TableRequest, table_requests
from mwatlas.archive.transport import Transport
from mwatlas.config import load_settings
from mwatlas.config.registry import load_registry

from .conftest import local


def _check(
    root: Path,
    data_dir: Path,
    transport: Transport,
    load: Callable[[str], Query],
    release: str,
    url: str,
    **tables: str,
) -> dict[str, Checked]:
    """What is found of the tables that have a route by TAP, asked for here, some by other names."""
    left_out = {survey: {"left_out": "not here"} for survey in ("apogee", "galah")}
    settings = load_settings(
        {"release": release, "data_dir": str(data_dir), "adapter": {"surveys": left_out}}, root
    )
    requests: dict[str, TableRequest] = {}
    for name, request in table_requests(settings, load_registry(root), root).items():
        if request.query is None:
            continue
        text = request.query.read_text()
        for route in request.routes:
            if route.kind == "tap" and route.table in text:
                table = local(tables.get(name, route.table))
                here = route.model_copy(update={"url": url, "table": table})
                query = load(request.query.name).path
                requests[name] = replace(request, routes=(here,), query=query)
    found = list(check_release(settings, requests, transport))
    assert len(found) == len(requests)
    return {checked.table: checked for checked in found}


@pytest.mark.parametrize("release", ["gaiaedr3", "gaiadr3", "gaiadr4"])
def test_a_release_agrees_with_its_server(
    root: Path,
    tmp_path: Path,
    transport: Transport,
    load: Callable[[str], Query],
    service: str,
    release: str,
) -> None:
    for checked in _check(root, tmp_path, transport, load, release, service).values():
        assert checked.good, str(checked)


def test_changed_columns_are_named(
    root: Path,
    tmp_path: Path,
    transport: Transport,
    load: Callable[[str], Query],
    service: str,
) -> None:
    changed = {"gaia_source": "changed.gaia_source"}
    checked = _check(root, tmp_path, transport, load, "gaiadr3", service, **changed)["gaia_source"]
    assert not checked.good
    assert {d.column: (d.what, d.found, d.fatal) for d in checked.differences} == {
        "parallax": (
            "missing",
            "none of that name; renamed to parallax_value or parallax_error?",
            True,
        ),
        "pmra": ("unit", "arcsec / yr", True),
        "pseudocolour": ("missing", "none of that name; renamed to pseudocolour_error?", True),
        "bp_rp": ("dtype", "float64", False),
        "ra": ("dtype", "float32", True),
    }


def test_a_table_that_is_not_there_is_not_checked(
    root: Path,
    tmp_path: Path,
    transport: Transport,
    load: Callable[[str], Query],
    service: str,
) -> None:
    gone = {"gaia_source": "gaiadr9.gaia_source"}
    checked = _check(root, tmp_path, transport, load, "gaiadr3", service, **gone)["gaia_source"]
    assert "gaiadr9" in checked.failure
