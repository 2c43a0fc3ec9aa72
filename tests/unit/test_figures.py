"""Figures draw from their data, with labels, and the report holds them."""

import re
from pathlib import Path

import numpy as np
import pytest

from mwatlas.config import Settings, chosen_settings, load_published, load_settings
from mwatlas.figures import line_of_sight as figures
from mwatlas.figures.style import save
from mwatlas.files import read_json, write_json
from mwatlas.ledger import Measurement, judge, write_ledger
from mwatlas.report.page import Shown, merge_counts, write_report
from mwatlas.tables.table import Columns

N = np.array([np.nan])


def _heat(count: float = 5.0) -> Columns:
    low = np.array([0.80, 0.60])
    return {
        "kind": np.array(["heat", "heat"], dtype=object),
        "x_low": low,
        "x_high": low + 0.01,
        "y_low": low,
        "y_high": low + 0.01,
        "count": np.array([count, 1.0]),
    }


def _velocities() -> Columns:
    names = ("v_r", "v_theta", "v_phi")
    rows = 2 + len(names)
    out: Columns = {"panel": np.array(["v_r", "v_r", *names], dtype=object)}
    out["kind"] = np.array(["heat", "box", *["range"] * len(names)], dtype=object)
    for name, value in (("x_low", -10), ("x_high", 40), ("y_low", 0), ("y_high", 10)):
        out[name] = np.full(rows, float(value))
    out["x_low"][2:], out["x_high"][2:] = -400.0, 400.0
    out["count"] = np.array([3.0, 50.0, *[np.nan] * len(names)])
    for i, name in enumerate(("p05", "p25", "p50", "p75", "p95")):
        out[name] = np.array([np.nan, 10.0 + i, *[np.nan] * len(names)])
    return out


def _pull() -> Columns:
    edges = np.linspace(-5, 5, 101)
    counts = np.exp(-0.5 * (0.5 * (edges[1:] + edges[:-1])) ** 2)
    fill = np.full(2, np.nan)
    return {
        "kind": np.array(["bar"] * 100 + ["likelihood", "least squares"], dtype=object),
        "x_low": np.concatenate([edges[:-1], fill]),
        "x_high": np.concatenate([edges[1:], fill]),
        "count": np.concatenate([counts, fill]),
        "mean": np.concatenate([np.full(100, np.nan), [0.0, 0.01]]),
        "sigma": np.concatenate([np.full(100, np.nan), [1.0, 0.9]]),
        "share": np.concatenate([np.full(100, np.nan), [1.0, 0.97]]),
    }


def _eccentricities() -> Columns:
    out = {**_heat(), "share": np.full(2, np.nan)}
    extra = ["upper_right", "upper_left", "lower_right", "limit"]
    for name in out:
        out[name] = np.concatenate(
            [
                out[name],
                np.array(extra, dtype=object)
                if name == "kind"
                else np.array([0.3, 0.2, 0.1, 0.8])
                if name == "share"
                else np.full(4, np.nan),
            ]
        )
    return out


CASES = {"fig01": _velocities, "fig02": _pull, "fig03": _eccentricities}


@pytest.mark.parametrize("name", CASES)
def test_axes_are_labelled_with_units(name: str) -> None:
    figure = getattr(figures, name)(CASES[name](), "a sample")
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel()
            continue
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    if name == "fig01":
        assert all("km s" in axes.get_xlabel() for axes in figure.axes[:6])


@pytest.mark.parametrize("name", CASES)
def test_the_same_data_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    for copy in ("a", "b"):
        figure = getattr(figures, name)(CASES[name](), "a sample")
        save(figure, tmp_path / f"{copy}.pdf", tmp_path / f"{copy}.png")
    for suffix in ("pdf", "png"):
        first, second = ((tmp_path / f"{c}.{suffix}").read_bytes() for c in "ab")
        assert first == second
        assert len(first) > 5000


@pytest.mark.parametrize("name", ["fig01", "fig03"])
def test_a_figure_without_entries_is_drawn_empty(name: str) -> None:
    full = CASES[name]()
    keep = ~np.isin(full["kind"], ["heat", "box"])
    data = {k: v[keep] for k, v in full.items()}
    figure = getattr(figures, name)(data, "nothing")
    assert figure.axes


def test_heat_maps_are_pixels_in_vector_files() -> None:
    figure = figures.fig03(_eccentricities(), "a sample")
    assert any(mesh.get_rasterized() for mesh in figure.axes[0].collections)


def test_colours_are_told_apart_without_colour_vision() -> None:
    """Lightness of the two curves of Figure 2 differs, and so do their line styles."""
    figure = figures.fig02(_pull(), "a sample")
    lines = figure.axes[0].get_lines()
    assert len({line.get_linestyle() for line in lines}) == len(lines)


@pytest.fixture
def page(tmp_path: Path, root: Path) -> tuple[str, Settings]:
    """A report of one figure and one table on the bright stars."""
    settings = load_settings({"release": "brightsky"}, root)
    folder = tmp_path / "results" / "brightsky"
    study = folder / "line_of_sight"
    for sub in ("figures", "data", "tables"):
        (study / sub).mkdir(parents=True)
    save(figures.fig02(_pull(), "x"), study / "figures/fig02.pdf", study / "figures/fig02.png")
    (study / "data/fig02.parquet").write_bytes(b"data")
    (study / "tables/tab01.csv").write_text("row,number\n[0],<5>\n")
    measured = [Measurement("fig02", "pull_width", "a <width>", "", 0.9, 0.01, 10)]
    rows = judge("line_of_sight", measured, [], [], settings.adapter)
    write_ledger(
        rows,
        "brightsky",
        settings.adapter,
        {"line_of_sight": {"ruwe": "no ruwe"}},
        folder / "ledger.json",
        folder / "ledger.parquet",
    )
    benchmarks = folder / "benchmarks" / "train_line_of_sight"
    benchmarks.mkdir(parents=True)
    (benchmarks / "round0.tsv").write_text("s\tmax_rss\n12.5\t300\n")
    (benchmarks / "round1.tsv").write_text("s\tmax_rss\n7.5\t-\n")
    write_report(
        settings=settings,
        root=root,
        ledger=folder / "ledger.json",
        shown=Shown.from_paths(
            [study / "figures/fig02.png"],
            [study / "figures/fig02.pdf"],
            [study / "data/fig02.parquet"],
            [study / "tables/tab01.csv"],
            {"line_of_sight": {"fig02": "Caption & more.", "tab01": "Counts."}},
        ),
        counts={"clean_stars": {"read": 12345}},
        papers={"line_of_sight": load_published("line_of_sight", root).paper},
        benchmarks=folder / "benchmarks",
        output=folder / "report/index.html",
    )
    return (folder / "report/index.html").read_text(), settings


def test_the_report_is_self_contained(page: tuple[str, Settings]) -> None:
    html, _ = page
    assert "data:image/png;base64," in html
    for link in re.findall(r'src="([^"]+)"', html):
        assert link.startswith("data:"), link
    for link in re.findall(r'href="([^"]+)"', html):
        assert link.startswith(("../", "https://arxiv.org/abs/")), link
    assert "Dropulic, Liu, Ostdiek &amp; Lisanti (2022)" in html
    assert "<script" not in html


def test_the_report_opens_with_agreement_and_says_what_is_off(page: tuple[str, Settings]) -> None:
    html, _ = page
    order = [
        html.index(text)
        for text in (
            "Where it agrees",
            "Switched off in line_of_sight",
            'id="line_of_sight-fig02"',
            'id="line_of_sight-tab01"',
            'id="ledger"',
            'id="chosen"',
            'id="provenance"',
        )
    ]
    assert order == sorted(order)


def test_the_report_shows_its_provenance(page: tuple[str, Settings]) -> None:
    html, settings = page
    for text in (
        "12,345",
        str(settings.seed),
        "brightsky",
        "numpy",
        "20.0",
        "300",
        "Caption &amp; more.",
        "a &lt;width&gt;",
    ):
        assert text in html, text
    for key, _ in chosen_settings(settings.line_of_sight):
        assert key in html


def test_counts_of_partitions_add_up(tmp_path: Path) -> None:
    for i in range(3):
        write_json(tmp_path / f"{i}.json", {"read": i, "kept": 1})
    assert merge_counts(sorted(tmp_path.glob("*.json"))) == {"read": 3, "kept": 3}
    assert read_json(tmp_path / "0.json") == {"kept": 1, "read": 0}
