"""Figures of the conditional-potential study draw from made-up runs, with labels."""

from pathlib import Path
from typing import Any

import healpy
import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mwatlas.config import read_yaml
from mwatlas.errors import ConfigError
from mwatlas.figures import conditional_potential as figures
from mwatlas.figures.draw import draw_figure
from mwatlas.figures.mollweide import draw_mollweide
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.figure_data import Run, write_figure
from mwatlas.tables.parquet import from_arrow
from mwatlas.tables.table import Columns

from . import mock_runs

# The others have data of their own.
NAMES = [name for name in figures.__all__ if name <= "fig07"]
SMALL: dict[str, Any] = {"points": 2048, "side": 24}


def _run(run: Evaluated, dusty: bool = True) -> Run:
    return Run(run, mock_runs.counts(dusty)["observed"], mock_runs.STUDY)


def _data(name: str, run: Run, folder: Path) -> Columns:
    write_figure(name, run, folder / f"{name}.parquet")
    return from_arrow(pq.read_table(folder / f"{name}.parquet"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Columns]:
    folder = tmp_path_factory.mktemp("data")
    runs = {
        dusty: _run(mock_runs.evaluated(dusty=dusty, **SMALL), dusty) for dusty in (True, False)
    }
    return {name: _data(name, runs[name != "fig06"], folder) for name in NAMES}


def _axes(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


@pytest.mark.parametrize("name", NAMES)
def test_axes_are_labelled(data: dict[str, Columns], name: str) -> None:
    figure = getattr(figures, name)(data[name], "a sample")
    figure.draw_without_rendering()
    if name == "fig04":
        assert all(axes.get_title() for axes in _axes(figure))
        return
    for axes in _axes(figure):
        place = axes.get_subplotspec()
        many = len(axes.get_shared_x_axes().get_siblings(axes)) > 1
        assert axes.get_xlabel() or (many and not place.is_last_row())
        assert axes.get_ylabel() or not place.is_first_col()
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert all(bar.get_ylabel() or bar.get_xlabel() for bar in bars)


@pytest.mark.parametrize("name", ["fig02", "fig04"])
def test_the_same_data_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    write_figure(name, _run(mock_runs.evaluated(**SMALL)), tmp_path / "data.parquet")
    for copy in ("a", "b"):
        draw_figure(
            "conditional_potential",
            name,
            tmp_path / "data.parquet",
            "a sample",
            tmp_path / f"{copy}.pdf",
            tmp_path / f"{copy}.png",
        )
    for suffix in ("pdf", "png"):
        first, second = ((tmp_path / f"{copy}.{suffix}").read_bytes() for copy in "ab")
        assert first == second
        assert len(first) > 5000


def test_cells_of_maps_touch(data: dict[str, Columns]) -> None:
    mine = data["fig03"]["panel"] == "tracers_true"
    for axis in "xy":
        low, high = (np.unique(data["fig03"][f"{axis}_{end}"][mine]) for end in ("low", "high"))
        # As numbers, not only nearly: else there would be cells without width between them.
        np.testing.assert_array_equal(low[1:], high[:-1])
        # The outermost rows touch the volume in a point, which no cell has as its centre.
        assert low.size == SMALL["side"] - 2


def test_maps_hold_the_fields(data: dict[str, Columns]) -> None:
    maps = {
        panel: data["fig03"]["value"][data["fig03"]["panel"] == panel]
        for panel in ("tracers_true", "tracers_model", "tracers_error", "selection_error")
    }
    error = maps["tracers_model"] / maps["tracers_true"] - 1
    np.testing.assert_allclose(error, maps["tracers_error"], atol=1e-12)
    assert np.median(error[np.isfinite(error)]) == pytest.approx(0, abs=0.01)
    # Where next to no star is observed, the error of S is not shown.
    assert 0 < maps["selection_error"].size < maps["tracers_error"].size


def test_profiles_hold_the_errors(data: dict[str, Columns]) -> None:
    table = data["fig02"]
    error = (table["panel"] == "selection") & (table["kind"] == "error")
    for method, made_up in mock_runs.ERRORS.items():
        mine = error & (table["sample"] == method)
        brightest = np.argmax(table["x"][mine])
        # About 60 places: 12 per cent, and 2.7 per cent by which errors grow there.
        expected = 0.6745 * made_up
        assert table["p50"][mine][brightest] == pytest.approx(expected, rel=0.5)
    stars = (table["panel"] == "radius") & (table["kind"] == "stars")
    # 2048 places whose densities scatter by about 3.5 times their mean.
    assert table["value"][stars].sum() == pytest.approx(mock_runs.OBSERVED, rel=14 / np.sqrt(2048))


def test_the_scale_of_s_is_removed_on_the_sky(data: dict[str, Columns]) -> None:
    table = data["fig04"]
    error = table["value"][table["panel"] == "error"]
    assert np.nanmedian(error) == pytest.approx(0, abs=0.02)
    assert np.nanstd(error) == pytest.approx(mock_runs.SELECTION_ERROR, rel=0.1)


def test_only_the_conditional_method_is_shown_without_dust(data: dict[str, Columns]) -> None:
    assert set(data["fig06"]["sample"]) == {"", "conditional"}
    assert "derived_error" in data["fig06"]["panel"]


@pytest.mark.parametrize("name", ["fig02", "fig07"])
def test_an_ensemble_of_one_has_no_spread(tmp_path: Path, name: str) -> None:
    run = mock_runs.evaluated(**SMALL)
    for method in mock_runs.ERRORS:
        for places in (run.points, run.profile):
            places[f"density_spread_{method}"][:] = 0
    found = _data(name, _run(run), tmp_path)
    getattr(figures, name)(found, "one member").draw_without_rendering()


@pytest.mark.parametrize("name", NAMES)
def test_hardly_any_places(tmp_path: Path, name: str) -> None:
    run = mock_runs.evaluated(points=8, side=2, dusty=name != "fig06")
    run = Evaluated(
        run.points,
        run.profile,
        run.plane,
        run.sky,
        {k: v[:3] for k, v in run.phase.items()},
        run.networks,
    )
    found = _data(name, _run(run), tmp_path)
    getattr(figures, name)(found, "hardly any").draw_without_rendering()


@pytest.mark.parametrize("name", ["fig05", "fig06"])
def test_without_the_density_of_observed_stars(tmp_path: Path, name: str) -> None:
    run = mock_runs.without_observed(mock_runs.evaluated(dusty=False, **SMALL))
    found = _data(name, _run(run, dusty=False), tmp_path)
    assert "velocity" in found["panel"]
    assert not {"phase", "derived_error"} & set(found["panel"])
    getattr(figures, name)(found, "velocities alone").draw_without_rendering()


def test_an_unknown_figure_is_refused(tmp_path: Path) -> None:
    run = _run(mock_runs.evaluated(**SMALL))
    with pytest.raises(ConfigError, match="fig08"):
        write_figure("fig08", run, tmp_path / "data.parquet")


def test_every_figure_and_table_has_a_caption(root: Path) -> None:
    captions = read_yaml(root / "workflow" / "report" / "captions.yaml")["conditional_potential"]
    assert set(captions) == {*figures.__all__, "tab01", "tab02", "tab03", "tab04"}


@pytest.mark.parametrize("nest", [True, False])
def test_longitude_grows_to_the_left(nest: bool) -> None:
    nside = 16
    values = np.zeros(healpy.nside2npix(nside))
    values[healpy.ang2pix(nside, 90.0, 30.0, nest=nest, lonlat=True)] = 1.0
    with mpl.rc_context():
        axes = Figure().add_subplot(projection="mollweide")
        mesh = draw_mollweide(axes, values, Normalize(), nest=nest)
    x, y = (
        0.25 * (a[1:, 1:] + a[:-1, 1:] + a[1:, :-1] + a[:-1, :-1])
        for a in np.moveaxis(mesh.get_coordinates(), -1, 0)
    )
    marked = mesh.get_array().reshape(x.shape) > 0
    pixel = np.degrees(healpy.nside2resol(nside))
    assert np.degrees(x[marked]).mean() == pytest.approx(-90, abs=pixel)
    assert np.degrees(y[marked]).mean() == pytest.approx(30, abs=pixel)
