"""Tables 1 to 3: what methods learn, and their networks beside the paper's."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mwatlas.config import load_published
from mwatlas.config.published import Published
from mwatlas.errors import InputError
from mwatlas.ledger import write_measurements
from mwatlas.studies.conditional_potential.methods_tables import (
    LOST,
    write_table_methods,
    write_table_networks,
)
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.studies.conditional_potential.numbers import measure

from . import mock_runs


@pytest.fixture(scope="module")
def published(root: Path) -> Published:
    return load_published("conditional_potential", root)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_methods(tmp_path: Path) -> None:
    run = mock_runs.evaluated()
    found = measure(run, mock_runs.counts(), mock_runs.STUDY)
    write_measurements(found, tmp_path / "numbers.json")
    write_table_methods(tmp_path / "numbers.json", tmp_path / "t.csv", tmp_path / "t.tex")
    vanilla, selection, conditional = _read(tmp_path / "t.csv")
    assert vanilla["learned from CBE"] == "potential"
    assert selection["learned from CBE"] == "potential, S"
    assert conditional["learned from stars"] == "p(v|x)"
    (share,) = (m for m in found if m.quantity == "density_share_conditional")
    assert float(conditional["share of volume within 10%"]) == pytest.approx(share.value, abs=6e-4)
    tex = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert r"within 10\%" in tex
    assert r"f\_obs" in tex
    assert tex.count(r"\\") == 4


def test_networks(tmp_path: Path, published: Published) -> None:
    networks = mock_runs.evaluated().networks
    general = {method: {"activation": "SiLU"} for method in METHODS}
    write_table_networks(networks, published, general, tmp_path / "t.csv", tmp_path / "t.tex")
    rows = {(r["network"], r["parameter"]): r for r in _read(tmp_path / "t.csv")}
    size = rows["S(x)", "parameters"]
    assert (size["vanilla"], size["selection function"]) == ("", "1,337,857")
    assert size["published"] == "1.4e+06"
    assert rows["n(x)", "parameters"]["published"] == "4.7e+04"
    assert rows["p(v|x)", "parameters"]["published"] == LOST
    assert rows["p(v|x)", "width x depth"]["conditional"] == "256 x 6"
    # Three methods share this flow.
    assert rows["p(v|x)", "epochs"]["vanilla"] == rows["p(v|x)", "epochs"]["selection function"]
    assert rows["n_obs(x)", "epochs"]["vanilla"] == ""
    assert rows["potential", "training time [min]"]["vanilla"] == "12.22"
    assert ("S(x)", "parameters") in rows
    assert ("S(x)", "training time [min]") not in rows
    assert rows["potential", "members"]["published"] == ""
    assert rows["all", "activation"] == {
        "network": "all",
        "parameter": "activation",
        **dict.fromkeys(("vanilla", "selection function", "conditional", "published"), "SiLU"),
    }
    assert ("p(v|x)", "regularization") not in rows
    assert ("potential", "regularization") in rows


def test_networks_without_dust(tmp_path: Path, published: Published) -> None:
    networks = mock_runs.evaluated(dusty=False).networks
    write_table_networks(networks, published, {}, tmp_path / "t.csv", tmp_path / "t.tex")
    (first, *_) = _read(tmp_path / "t.csv")
    assert list(first) == ["network", "parameter", "conditional", "published"]


def test_two_networks_for_one_field_are_refused(tmp_path: Path, published: Published) -> None:
    networks = mock_runs.evaluated().networks
    twice = {name: np.concatenate([v, v]) for name, v in networks.items()}
    with pytest.raises(InputError, match="2 networks"):
        write_table_networks(twice, published, {}, tmp_path / "t.csv", tmp_path / "t.tex")
