"""Data files of the line-of-sight figures for a simple Milky Way of any number of stars."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from mwatlas.tables.schemas import (
    FIGURE_CALIBRATION,
    FIGURE_HISTOGRAMS,
    FIGURE_PLANES,
    FIGURE_RECOVERY,
)
from mwatlas.tables.table import Columns, TableSchema

DRAWS = 5
SUN_KPC = {"x": -8.122, "y": 0.0, "z": 0.0208}
Stars = dict[str, NDArray[np.float64]]
Row = dict[str, object]


def table_of(schema: TableSchema, rows: Iterable[Row]) -> Columns:
    rows = list(rows)
    out = {}
    for column in schema.columns:
        text = column.dtype == "string"
        missing = "" if text else -1 if column.name == "draw" else np.nan
        values = [row.get(column.name, missing) for row in rows]
        out[column.name] = np.array(values, dtype=object if text else float)
    return schema.conform(out, schema.name)


def accreted(number: int, seed: int, blur: float = 0) -> Stars:
    """Stars like those of GSE near the Sun, with velocities blurred as by a prediction."""
    rng = np.random.default_rng(seed)
    lobe = rng.choice([-1, 1], number)
    tilted = rng.normal(size=(number, 3)) * [1.5, 1.3, 1.7]
    out = {
        "v_r": lobe * 170 + rng.normal(0, 90, number) + rng.normal(0, blur, number),
        "v_theta": rng.normal(0, 65 + blur / 4, number),
        "v_phi": rng.normal(0, 35 + blur / 4, number),
        "x": SUN_KPC["x"] + tilted[:, 0],
        "y": tilted[:, 1] + 0.5 * tilted[:, 2],
        "z": tilted[:, 2],
        "fe_h": rng.normal(-1.15, 0.35, number),
    }
    splash = rng.random(number) < 0.2
    out["fe_h"][splash] = rng.normal(-0.55, 0.15, splash.sum())
    knee = np.clip(-0.25 * (out["fe_h"] + 0.4), 0.05, 0.3)
    out["mg_fe"] = np.where(splash, 0.31, knee) + rng.normal(0, 0.04, number)
    return {**out, **_integrals(out, rng, -1.4)}


def disc(number: int, seed: int) -> Stars:
    """Stars of the thin and thick disc near the Sun."""
    rng = np.random.default_rng(seed)
    thick = rng.random(number) < 0.15
    heat = np.where(thick, 1.7, 1.0)
    out = {
        "v_r": rng.normal(0, 38 * heat),
        "v_theta": rng.normal(0, 20 * heat),
        "v_phi": -225 + 30 * heat * rng.gamma(1.5, 1, number) - 20 + rng.normal(0, 15, number),
        "x": SUN_KPC["x"] + rng.normal(0, 1, number),
        "y": rng.normal(0, 1, number),
        "z": rng.normal(0, 0.4, number),
        "fe_h": np.where(thick, rng.normal(-0.5, 0.25, number), rng.normal(-0.05, 0.2, number)),
    }
    out["mg_fe"] = np.where(thick, 0.28, 0.05 - 0.15 * out["fe_h"]) + rng.normal(0, 0.03, number)
    return {**out, **_integrals(out, rng, -1.55)}


def _integrals(stars: Stars, rng: np.random.Generator, energy: float) -> Stars:
    momentum = 8.0 * stars["v_phi"] / 1e3
    total = energy + 0.5 * (stars["v_r"] / 500) ** 2 + rng.normal(0, 0.03, momentum.size)
    action = np.abs(0.1 * np.abs(stars["v_r"]) + 10 + rng.normal(0, 4, momentum.size))
    return {"lz": momentum, "e": total, "sqrt_jr": action}


def _bins(low: float, high: float, number: int) -> NDArray[np.float64]:
    return np.linspace(low, high, number + 1)


def plane_rows(
    panel: str,
    sample: str,
    draws: list[Stars],
    x: str,
    y: str,
    edges: tuple,
    positions: bool = False,
) -> list[Row]:
    """Rows of one histogram averaged over draws."""
    horizontal, vertical = edges
    names = {"panel": panel, "sample": sample}
    counts = sum(np.histogram2d(d[x], d[y], edges)[0] for d in draws) / len(draws)
    out: list[Row] = [
        {
            **names,
            "kind": "range",
            "x_low": horizontal[0],
            "x_high": horizontal[-1],
            "y_low": vertical[0],
            "y_high": vertical[-1],
            "xx": horizontal[1] - horizontal[0],
            "yy": vertical[1] - vertical[0],
            "count": float(np.mean([d[x].size for d in draws])),
        }
    ]
    for i, j in zip(*np.nonzero(counts), strict=True):
        bin_edges = (horizontal[i], horizontal[i + 1], vertical[j], vertical[j + 1])
        values = dict(zip(("x_low", "x_high", "y_low", "y_high"), bin_edges, strict=True))
        out.append({**names, "kind": "heat", **values, "count": counts[i, j]})
    if positions and draws[0][x].size > 2:
        (xx, xy), (_, yy) = np.cov(draws[0][x], draws[0][y])
        mean = {"x_mean": draws[0][x].mean(), "y_mean": draws[0][y].mean()}
        out.append({**names, "kind": "ellipse", **mean, "xx": xx, "xy": xy, "yy": yy})
    return out


def _samples(number: int, seed: int, make: Callable[..., Stars] = accreted) -> dict[str, list]:
    """Each catalogue's draws; 20 times as many stars have no measured velocity, as in the paper."""
    return {
        "rv": [make(number, seed)],
        "test_set": [make(int(0.75 * number), seed + 1 + k, 40) for k in range(DRAWS)],
        "ml_rv": [make(20 * number, seed + 10 + k, 60) for k in range(DRAWS)],
    }


VELOCITY = (_bins(-500, 500, 100), _bins(-500, 500, 100))
PAIRS = (("v_r", "v_theta"), ("v_r", "v_phi"), ("v_theta", "v_phi"))
LIMIT: Row = {"kind": "limit", "share": 0.8}


def fig04(number: int) -> Columns:
    high = _samples(number, 1)
    low = {"rv": [disc(200 * number, 2)], "test_set": [disc(200 * number, 3 + k) for k in range(2)]}
    rows = [LIMIT]
    for part, samples in (("high", high), ("low", low)):
        for x, y in PAIRS:
            for name in ("rv", "test_set"):
                rows += plane_rows(
                    f"{part}/{x}_{y}".replace("v_", "v"), name, samples[name], x, y, VELOCITY
                )
    return table_of(FIGURE_PLANES, rows)


def fig06(number: int) -> Columns:
    samples = _samples(number, 4)
    rows = [LIMIT]
    for x, y in PAIRS:
        for name in ("rv", "ml_rv"):
            rows += plane_rows(
                f"high/{x}_{y}".replace("v_", "v"), name, samples[name], x, y, VELOCITY
            )
    return table_of(FIGURE_PLANES, rows)


_POSITIONS = {"x": _bins(-14, -2, 60), "y": _bins(-6, 6, 60), "z": _bins(-6, 6, 60)}


def _positions(number: int, names: tuple[str, ...]) -> Columns:
    samples = _samples(number, 5)
    rows = [LIMIT]
    for x, y in (("x", "y"), ("x", "z"), ("y", "z")):
        panel, edges = f"{x}_{y}", (_POSITIONS[x], _POSITIONS[y])
        rows.append({"panel": panel, "kind": "sun", "x_mean": SUN_KPC[x], "y_mean": SUN_KPC[y]})
        for name in names:
            rows += plane_rows(panel, name, samples[name], x, y, edges, positions=True)
    return table_of(FIGURE_PLANES, rows)


def fig05(number: int) -> Columns:
    return _positions(number, ("rv", "test_set"))


def fig11(number: int) -> Columns:
    return _positions(number, ("rv", "ml_rv"))


def fig07(number: int) -> Columns:
    samples = {**_samples(number, 6), "background": [disc(200 * number, 7)]}
    axes = {"e": _bins(-2.2, -0.5, 100), "sqrt_jr": _bins(0, 80, 100)}
    rows = [LIMIT]
    for name, edges in axes.items():
        for sample in ("background", "ml_rv", "rv"):
            both = (_bins(-3, 3, 100), edges)
            rows += plane_rows(f"lz_{name}", sample, samples[sample], "lz", name, both)
    rows += [
        {
            "panel": "lz_e",
            "sample": "Koppelman et al. (2019)",
            "kind": "box",
            "y_low": -1.5,
            "y_high": -1.1,
        },
        {
            "panel": "lz_sqrt_jr",
            "sample": "Feuillet et al. (2021)",
            "kind": "box",
            "x_low": -0.5,
            "x_high": 0.5,
            "y_low": 30,
            "y_high": 50,
        },
    ]
    return table_of(FIGURE_PLANES, rows)


def fig08(number: int) -> Columns:
    rows, edges = [LIMIT], (_bins(-500, 500, 50), _bins(-500, 500, 50))
    for i, survey in enumerate(("galah", "apogee")):
        true = accreted((i + 1) * number, 8 + i)
        rng = np.random.default_rng(9 + i)
        for name in ("v_r", "v_theta", "v_phi"):
            draws = [
                {"x": true[name] + rng.normal(0, 50, true[name].size), "y": true[name]}
                for _ in range(DRAWS)
            ]
            rows += plane_rows(f"{survey}/{name}", "ml_rv", draws, "x", "y", edges)
    return table_of(FIGURE_PLANES, rows)


def fig09(number: int) -> Columns:
    rows: list[Row] = []
    edges = _bins(-4, 1, 50)
    for i, panel in enumerate(("galah", "apogee")):
        samples = {**_samples(number, 20 + 30 * i), "all": [disc(1000 * number, 21 + i)]}
        for name, draws in samples.items():
            for k, stars in enumerate(draws):
                counts, _ = np.histogram(stars["fe_h"], edges)
                rows += [
                    {
                        "panel": panel,
                        "sample": name,
                        "kind": "bar",
                        "draw": k if len(draws) > 1 else -1,
                        "x_low": low,
                        "x_high": high,
                        "count": count,
                    }
                    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
                ]
            values = np.concatenate([stars["fe_h"] for stars in draws])
            if name != "all" and values.size > 2:
                fit = {"mean": values.mean(), "sigma": values.std(), "share": 1.0}
                rows.append({"panel": panel, "sample": name, "kind": "fit", **fit})
    return table_of(FIGURE_HISTOGRAMS, rows)


def fig10(number: int) -> Columns:
    samples = {**_samples(number, 50), "all": [disc(1000 * number, 51)]}
    edges = (_bins(-2.5, 0.7, 80), _bins(-0.2, 0.6, 80))
    rows: list[Row] = [LIMIT]
    for panel, names in (("left", ("all", "rv", "test_set")), ("right", ("ml_rv",))):
        for name in names:
            rows += plane_rows(panel, name, samples[name], "fe_h", "mg_fe", edges)
            if name != "all":
                share = 0.2 if number else np.nan
                rows.append({"panel": panel, "sample": name, "kind": "share", "share": share})
    regions = {"accreted": (-2.5, -0.75, 0.1, 0.4), "high_alpha": (-0.75, -0.3, 0.2, 0.4)}
    for name, limits in regions.items():
        box = dict(zip(("x_low", "x_high", "y_low", "y_high"), limits, strict=True))
        rows.append({"panel": name, "kind": "box", **box})
    return table_of(FIGURE_PLANES, rows)


def fig12(number: int) -> Columns:
    rows: list[Row] = []
    for i, name in enumerate(("paper", "mixture", "conformal") if number else ()):
        nominal = np.linspace(0.02, 0.98, 49)
        power = (0.85, 0.95, 1.0)[i]
        for x in nominal:
            share = x**power
            error = np.sqrt(share * (1 - share) / number)
            band = {"y_low": share - error, "y_high": share + error}
            rows.append({"sample": name, "kind": "reliability", "x": x, "y": share, **band})
        centres = 0.5 * (_bins(0, 1, 25)[1:] + _bins(0, 1, 25)[:-1])
        for x in centres:
            density = 1 + (1 - power) * (0.6 - 7.2 * (x - 0.5) ** 2)
            rows.append({"sample": name, "kind": "pit", "x": x, "y": density})
    return table_of(FIGURE_CALIBRATION, rows)


def fig13(number: int) -> Columns:
    rows: list[Row] = []
    levels = {"completeness": 0.7, "purity": 0.5, "recovered": 1.1}
    for i, panel in enumerate(("rv", "test_set", "ml_rv") if number else ()):
        for j, predictor in enumerate(("measured",) if panel == "rv" else ("paper", "mixture")):
            for kind, level in levels.items():
                for x in (0.6, 0.7, 0.8, 0.9):
                    slope = 0.8 * (x - 0.8) * (1 if kind == "purity" else -1)
                    y = level - 0.1 * i + 0.05 * j + slope
                    error = 0.5 / np.sqrt(number)
                    band = {"y_low": y - error, "y_high": y + error}
                    names = {"panel": panel, "sample": predictor, "kind": kind}
                    rows.append({**names, "x": x, "y": y, **band})
    return table_of(FIGURE_RECOVERY, rows)


BUILDERS: dict[str, Callable[[int], Columns]] = {
    "fig04": fig04,
    "fig05": fig05,
    "fig06": fig06,
    "fig07": fig07,
    "fig08": fig08,
    "fig09": fig09,
    "fig10": fig10,
    "fig11": fig11,
    "fig12": fig12,
    "fig13": fig13,
}
"""Makers of the data of each figure from a number of stars with a measured velocity."""
