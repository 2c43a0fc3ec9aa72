"""Tables 1 and 2 of the paper, ours beside the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from mwatlas.config.line_of_sight import Cuts
from mwatlas.config.published import Published
from mwatlas.cuts import describe
from mwatlas.files import write_text
from mwatlas.latex import latex_table
from mwatlas.ledger import read_measurements
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.studies.line_of_sight.views import TABLE_ROWS
from mwatlas.tables.parquet import from_arrow


def row_labels(cuts: Cuts) -> dict[str, str]:
    """Rows of the table and what they say."""
    high = f"e > {cuts.high_eccentricity:g}"
    return {
        "row0": "[0] base cut",
        "row1": f"[1] = [0] and {describe(cuts.complete, 'G')}",
        "row2": f"[2] = [1] and {high}",
        **{
            row: f"[{row.removeprefix('row')}] = [2] and in {survey.upper()}"
            for row, survey in TABLE_ROWS.items()
        },
        "row0_high": f"[0] and {high} (not in the paper)",
    }


@dataclass(frozen=True)
class Cell:
    """One number of the table with its scatter among error draws, and the published one."""

    number: float
    scatter: float
    published: float | None


def table_1(data: Path, published: Published) -> dict[str, dict[str, Cell]]:
    """Counts by row and catalogue.

    Parameters
    ----------
    data
        Table ``table_counts``.
    published
        Published numbers, matched by quantity.
    """
    claims = {claim.quantity: claim.value for claim in published.claims}
    table: dict[str, dict[str, Cell]] = {}
    columns = from_arrow(pq.read_table(data))
    for sample, row, number, scatter in zip(
        *(columns[name] for name in ("sample", "row", "number", "scatter")), strict=True
    ):
        table.setdefault(row, {})[sample] = Cell(
            number, scatter, claims.get(f"count_{sample}_{row}")
        )
    return table


def _plain(cell: Cell) -> str:
    return f"{cell.number:,.1f} ± {cell.scatter:,.1f}" if cell.scatter else f"{cell.number:,.0f}"


def _csv(cell: Cell) -> str:
    return f"{cell.number:.1f},{cell.scatter:.1f}" if cell.scatter else f"{cell.number:.0f},"


def write_table_1(data: Path, published: Published, cuts: Cuts, csv: Path, tex: Path) -> None:
    """Write Table 1 as CSV and as LaTeX.

    Parameters
    ----------
    data, published
        As for :func:`table_1`.
    cuts
        Selection of the study.
    csv, tex
        Files to write.
    """
    table, labels = table_1(data, published), row_labels(cuts)
    lines = ["row,catalogue,number,scatter_among_draws,published"]
    for row, cells in table.items():
        for sample, cell in cells.items():
            paper = "" if cell.published is None else f"{cell.published:.0f}"
            lines.append(f'"{labels[row]}",{SAMPLES[sample]},{_csv(cell)},{paper}')
    write_text(csv, "\n".join(lines) + "\n")
    body = [
        [
            labels[row].replace("<=", r"$\le$").replace(">=", r"$\ge$").replace(" > ", " $>$ "),
            *(_plain(cells[s]).replace("±", r"$\pm$") for s in SAMPLES),
        ]
        for row, cells in table.items()
    ]
    write_text(tex, latex_table(["cut", *SAMPLES.values()], body))


def write_table_2(
    numbers: Path, published: Published, within_kpc: Sequence[float], csv: Path, tex: Path
) -> None:
    """Write Table 2, tilts and axis ratios of the positions, as CSV and as LaTeX.

    Parameters
    ----------
    numbers
        Measurements of the study.
    published
        Published numbers, matched by quantity.
    within_kpc
        Distances from the Sun; the paper gives all numbers for the first.
    csv, tex
        Files to write.
    """
    measured = {m.quantity: m for m in read_measurements(numbers)}
    claims = {claim.quantity: claim.value for claim in published.claims}
    lines, body = ["within_kpc,quantity,catalogue,value,error,published"], []
    for within in within_kpc:
        for name, label in (
            ("tilt", "tilt angle [deg]"),
            ("axis_ratio_b_a", "b/a"),
            ("axis_ratio_c_a", "c/a"),
        ):
            cells = []
            for sample in SAMPLES:
                m = measured[f"{name}_{within:g}kpc_{sample}"]
                paper = claims.get(m.quantity)
                shown = ["", ""] if m.error is None else [f"{m.value:.3g}", f"{m.error:.2g}"]
                published_text = "" if paper is None else f"{paper:g}"
                lines.append(
                    ",".join([f"{within:g}", label, SAMPLES[sample], *shown, published_text])
                )
                cells.append(rf"{shown[0]} $\pm$ {shown[1]}" if shown[0] else "--")
            body.append([f"{label}, $d<{within:g}$ kpc", *cells])
    write_text(csv, "\n".join(lines) + "\n")
    write_text(tex, latex_table(["", *SAMPLES.values()], body))
