"""Figures draw from their data, with labels, and the report holds them."""

import re
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from mwatlas.config import Settings, chosen_settings, load_published, load_settings
from mwatlas.figures import line_of_sight as figures
from mwatlas.figures.planes import Plane
from mwatlas.figures.style import save
from mwatlas.files import read_json, write_json
from mwatlas.ledger import Measurement, judge, write_ledger
from mwatlas.report.page import Shown, merge_counts, write_report
from mwatlas.tables.schemas import FIGURE_PLANES
from mwatlas.tables.table import Columns

from .figure_tables import BUILDERS, plane_rows, table_of

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


CASES = {
    "fig01": _velocities,
    "fig02": _pull,
    "fig03": _eccentricities,
    **{name: partial(build, 40) for name, build in BUILDERS.items()},
}


def _texts(figure: Figure) -> str:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    shown = [text for axes in figure.axes for text in axes.texts]
    shown += [text for legend in legends if legend for text in legend.get_texts()]
    return "\n".join(text.get_text() for text in shown)


@pytest.mark.parametrize("name", CASES)
def test_axes_are_labelled_with_units(name: str) -> None:
    figure = getattr(figures, name)(CASES[name](), "a sample")
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel()
            continue
        place = axes.get_subplotspec()
        shared = len(axes.get_shared_x_axes().get_siblings(axes)) > 1
        assert axes.get_xlabel() or (shared and not place.is_last_row())
        assert axes.get_ylabel() or (shared and not place.is_first_col())
    if name == "fig01":
        assert all("km s" in axes.get_xlabel() for axes in figure.axes[:6])


# Between them: curves, heat maps and contours.
@pytest.mark.parametrize("name", ["fig02", "fig03", "fig06"])
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


@pytest.mark.parametrize(
    ("name", "number"),
    [*((name, 0) for name in BUILDERS), ("fig07", 1), ("fig09", 1), ("fig10", 1)],
)
def test_a_sample_of_hardly_any_stars_is_drawn(name: str, number: int) -> None:
    figure = getattr(figures, name)(BUILDERS[name](number), "hardly any")
    figure.draw_without_rendering()
    if not number:
        assert re.search("no stars|fewer than 10 stars", _texts(figure))
    assert "nan" not in _texts(figure)


def test_filled_bins_come_back_as_the_histogram_they_are_from() -> None:
    rng = np.random.default_rng(0)
    stars = {"a": rng.normal(0, 300, 400), "b": rng.normal(0, 100, 400)}
    edges = (np.linspace(-500, 500, 11), np.linspace(-200, 200, 9))
    table = table_of(FIGURE_PLANES, plane_rows("p", "rv", [stars], "a", "b", edges))
    plane = Plane.of(table, "p", "rv")
    expected, _, _ = np.histogram2d(stars["a"], stars["b"], edges)
    np.testing.assert_array_equal(plane.counts, expected)
    np.testing.assert_allclose(plane.x, edges[0], atol=1e-12)
    assert plane.number == 400


def test_the_background_shows_where_the_sample_above_it_has_no_stars() -> None:
    figure = figures.fig07(BUILDERS["fig07"](40), "a sample")
    _, above = (m for m in figure.axes[0].collections if isinstance(m, QuadMesh))
    empty = above.get_array().mask
    assert empty.any()
    opacity = above.to_rgba(above.get_array())[..., 3]
    np.testing.assert_array_equal(opacity, np.where(empty, 0, 1))


def test_truth_is_solid_and_prediction_dashed() -> None:
    figure = figures.fig06(BUILDERS["fig06"](500), "a sample")
    measured, predicted = figure.legends[0].get_lines()
    assert measured.get_linestyle() == "-"
    assert predicted.get_linestyle() == "--"
    for axes in figure.axes[:3]:
        lines = [c for c in axes.collections if isinstance(c, ContourSet)]
        assert [line.levels.size for line in lines] == [3, 3]


def test_the_tilt_of_an_ellipse_is_written_beside_it() -> None:
    """Stars of the test Galaxy have y = a + z / 2 with standard deviations of 1.3 and 1.7."""
    figure = figures.fig05(BUILDERS["fig05"](3000), "a sample")
    variance = np.array([[1.3**2 + 0.85**2, 0.85 * 1.7], [0.85 * 1.7, 1.7**2]])
    tilt = 0.5 * np.degrees(np.arctan2(2 * variance[0, 1], variance[0, 0] - variance[1, 1]))
    found = [float(t) for t in re.findall(r"tilt (-?\d+)°", _texts(figure))]
    assert len(found) == 2
    # The error of the angle is sqrt(l1 l2 / n) / (l1 - l2) with eigenvalues l: 0.8 degrees.
    np.testing.assert_allclose(found, tilt, atol=4)


def test_spread_among_draws_is_a_band_between_the_smallest_and_the_largest() -> None:
    data = BUILDERS["fig09"](200)
    figure = figures.fig09(data, "a sample")
    bands = [p for p in figure.axes[0].patches if p.get_alpha()]
    mine = (data["panel"] == "galah") & (data["sample"] == "ml_rv") & (data["kind"] == "bar")
    counts = data["count"][mine].reshape(5, -1)
    density = counts / (0.1 * counts.sum(axis=1, keepdims=True))
    values, _, baseline = bands[-1].get_data()
    np.testing.assert_allclose(values, density.max(axis=0), rtol=1e-9)
    np.testing.assert_allclose(baseline, density.min(axis=0), rtol=1e-9)


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
    for item, quantity in (
        ("sec2.1", "in_the_text"),
        ("tab01.row2", "in_the_table"),
        ("variants.mixture", "of_a_variant"),
    ):
        measured.append(Measurement(item, quantity, "what it is", "", 0.9, 0.01, 10))
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
        assert link.startswith(("../", "https://arxiv.org/abs/", "https://doi.org/", "#")), link
        assert not link.startswith("#") or f'id="{link[1:]}"' in html, link
    assert "Dropulic, Liu, Ostdiek &amp; Lisanti (2022)" in html
    assert "data: Gaia Collaboration" in html
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
            'id="variants"',
            'id="chosen"',
            'id="provenance"',
        )
    ]
    assert order == sorted(order)


def test_numbers_stand_beside_what_they_are_of(page: tuple[str, Settings]) -> None:
    html, _ = page
    anchors = ("line_of_sight-fig02", "line_of_sight-tab01", "text", "ledger", "variants", "rows")
    places = [html.index(f'<h2 id="{anchor}"') for anchor in anchors]
    sections = dict(zip(anchors, (html[a:b] for a, b in pairwise(places)), strict=False))
    for quantity, anchor in (
        ("pull_width", "line_of_sight-fig02"),
        ("in_the_table", "line_of_sight-tab01"),
        ("in_the_text", "text"),
    ):
        assert {name for name, text in sections.items() if quantity in text} == {anchor, "ledger"}
    assert [name for name, text in sections.items() if "of_a_variant" in text] == ["variants"]


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
