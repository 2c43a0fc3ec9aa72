"""Table 1 of the paper, ours beside the published one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from mwatlas.config.line_of_sight import Cuts
from mwatlas.config.published import Published
from mwatlas.cuts import describe
from mwatlas.files import write_text
from mwatlas.studies.line_of_sight.figure_data import TABLE_ROWS
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.parquet import from_arrow


def row_labels(cuts: Cuts) -> dict[str, str]:
    """Rows of the table and what they say."""
    high = f"e > {cuts.high_eccentricity:g}"
    return {
        "row0": "[0] base cut",
        "row1": f"[1] = [0] and {describe(cuts.complete, 'G')}",
        "row2": f"[2] = [1] and {high}",
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
    table: dict[str, dict[str, Cell]] = {row: {} for row in TABLE_ROWS}
    columns = from_arrow(pq.read_table(data))
    for sample, row, number, scatter in zip(
        *(columns[name] for name in ("sample", "row", "number", "scatter")), strict=True
    ):
        table[row][sample] = Cell(number, scatter, claims.get(f"count_{sample}_{row}"))
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
        " & ".join(
            [
                labels[row].replace("<=", r"$\le$").replace(">=", r"$\ge$").replace(" > ", " $>$ "),
                *(_plain(cells[s]).replace("±", r"$\pm$") for s in SAMPLES),
            ]
        )
        + r" \\"
        for row, cells in table.items()
    ]
    write_text(
        tex,
        "\n".join(
            [
                r"\begin{tabular}{lrrr}",
                r"\hline",
                "cut & " + " & ".join(SAMPLES.values()) + r" \\",
                r"\hline",
                *body,
                r"\hline",
                r"\end{tabular}",
                "",
            ]
        ),
    )
