"""The study and its variants side by side: calibration, recovery, headline numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mwatlas.files import write_text
from mwatlas.latex import latex_table
from mwatlas.ledger import Measurement, read_measurements
from mwatlas.statistics import Histogram, Statistics
from mwatlas.studies.line_of_sight.claims import HEADLINES, read_recovered
from mwatlas.studies.line_of_sight.figure_data import over_rounds
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.parquet import write_table
from mwatlas.tables.schemas import FIGURE_CALIBRATION, FIGURE_RECOVERY
from mwatlas.tables.stack import stack_rows

STUDY_ITSELF = "paper"
"""What the study without changes is called beside its variants."""

_PIT_BARS = 20
_LEVELS = np.linspace(0.02, 0.98, 49)
_FEWEST = 5


def write_figure_calibration(merged: Mapping[str, Path], path: Path) -> None:
    """Write the data of Figure 12: shares of stars inside central intervals.

    Parameters
    ----------
    merged
        Files of merged statistics by variant, the study itself under an empty name.
    path
        File to write.
    """
    parts = []
    for name, statistics in _loaded(merged):
        pit = over_rounds(statistics, "pit")
        number = max(int(pit.counts.sum()), 1)
        ends = 0.5 * (1 + np.array([-1, 1])[:, None] * _LEVELS)
        inside = np.diff(_below(pit, ends), axis=0)[0] / number
        error = np.sqrt(inside * (1 - inside) / number)
        parts.append(
            {
                "sample": name,
                "kind": "reliability",
                "x": _LEVELS,
                "y": inside,
                "y_low": inside - error,
                "y_high": inside + error,
            }
        )
        density = np.diff(_below(pit, np.linspace(0, 1, _PIT_BARS + 1))) * _PIT_BARS / number
        error = np.sqrt(density * _PIT_BARS / number)
        parts.append(
            {
                "sample": name,
                "kind": "pit",
                "x": (np.arange(_PIT_BARS) + 0.5) / _PIT_BARS,
                "y": density,
                "y_low": density - error,
                "y_high": density + error,
            }
        )
    write_table(path, FIGURE_CALIBRATION, stack_rows(parts, FIGURE_CALIBRATION.names))


def _loaded(files: Mapping[str, Path]) -> Iterator[tuple[str, Statistics]]:
    for name, path in files.items():
        yield name or STUDY_ITSELF, Statistics.load(path)


def _below(pit: Histogram, level: np.ndarray) -> np.ndarray:
    """Entries below levels of probability, bins cut where a level lies in them."""
    cumulative = np.concatenate([[0], np.cumsum(pit.counts)])
    return np.interp(level, pit.axes[0].edges, cumulative)


def write_figure_recovery(merged: Mapping[str, Path], path: Path) -> None:
    """Write the data of Figure 13: completeness and purity against the limit in eccentricity.

    Parameters
    ----------
    merged
        Files of the merged comparison with the truth, by variant.
    path
        File to write.
    """
    parts = []
    for name, statistics in _loaded(merged):
        for catalogue in SAMPLES:
            histogram = statistics.histograms[f"recovery/{catalogue}/selected"]
            limits = histogram.axes[1].edges[:-1]
            selected, gse = (
                _above(statistics.histograms[f"recovery/{catalogue}/{kind}"])
                for kind in ("selected", "true_gse")
            )
            high = _above(statistics.histograms[f"recovery/{catalogue}/high"])
            total = np.full_like(gse, statistics.counts[f"recovery/{catalogue}/gse"])
            for kind, part, whole in (
                ("completeness", gse, total),
                ("purity", gse, selected),
                ("recovered", selected, np.broadcast_to(high, selected.shape)),
            ):
                enough = whole.mean(axis=0) >= _FEWEST
                with np.errstate(divide="ignore", invalid="ignore"):
                    value = (part / whole)[:, enough]
                y, parent = value.mean(axis=0), whole.mean(axis=0)[enough]
                # Counts of one thing in another are binomial, a ratio of two counts is not.
                variance = np.where(kind == "recovered", y, y * np.maximum(1 - y, 0)) / parent
                error = np.sqrt(variance + value.var(axis=0))
                parts.append(
                    {
                        "panel": catalogue,
                        "sample": name,
                        "kind": kind,
                        "x": limits[enough],
                        "y": y,
                        "y_low": y - error,
                        "y_high": y + error,
                    }
                )
    write_table(path, FIGURE_RECOVERY, stack_rows(parts, FIGURE_RECOVERY.names))


def _above(histogram: Histogram) -> np.ndarray:
    """Entries above each lower edge, by draw where there are draws; shape (D, B)."""
    counts = np.atleast_2d(histogram.counts)
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1].astype(float)


def write_table_variants(
    numbers: Mapping[str, Path], recovered: Mapping[str, Path], csv: Path, tex: Path
) -> None:
    """Write Table 3, the headline numbers of the study and of its variants.

    Parameters
    ----------
    numbers, recovered
        Files by variant, the study itself under an empty name; as for the ledger.
    csv, tex
        Files to write.
    """
    values: dict[str, dict[str, Measurement]] = {}
    for name, path in numbers.items():
        rows = read_measurements(path)
        rows += read_recovered(recovered[name]).measurements if recovered else []
        values[name] = {m.quantity: m for m in rows}
    names = list(numbers)
    head = [name or STUDY_ITSELF for name in names]
    lines, body = ["quantity,unit," + ",".join(head)], []
    for quantity in HEADLINES:
        if quantity in values[""]:
            cells = [_cell(values[name].get(quantity)) for name in names]
            lines.append(f"{quantity},{values[''][quantity].unit},{','.join(cells)}")
            body.append([quantity.replace("_", r"\_"), *(c.replace("±", r"$\pm$") for c in cells)])
    write_text(csv, "\n".join(lines) + "\n")
    write_text(tex, latex_table(["", *head], body))


def _cell(m: Measurement | None) -> str:
    if m is None or not math.isfinite(m.value):
        return ""
    return f"{m.value:.4g}" + (f" ± {m.error:.2g}" if m.error else "")
