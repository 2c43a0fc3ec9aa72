"""Table 1 of the paper, ours beside the published one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from mwatlas.config.published import Published
from mwatlas.files import write_text
from mwatlas.tables.parquet import from_arrow

SAMPLES = {"rv": "RV", "test_set": "Test-Set", "ml_rv": "ML-RV"}
ROWS = {
    "row0": "[0] base cut",
    "row1": "[1] = [0] and 12 <= G <= 17",
    "row2": "[2] = [1] and e > 0.8",
    "row0_high": "[0] and e > 0.8 (not in the paper)",
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
    table: dict[str, dict[str, Cell]] = {row: {} for row in ROWS}
    columns = from_arrow(pq.read_table(data))
    for sample, row, number, scatter in zip(
        *(columns[name] for name in ("sample", "row", "number", "scatter")), strict=True
    ):
        table[row][sample] = Cell(number, scatter, claims.get(f"count_{sample}_{row}"))
    return table


def _plain(cell: Cell) -> str:
    return f"{cell.number:,.1f} ± {cell.scatter:,.1f}" if cell.scatter else f"{cell.number:,.0f}"


def write_table_1(data: Path, published: Published, csv: Path, tex: Path) -> None:
    """Write Table 1 as CSV and as LaTeX.

    Parameters
    ----------
    data, published
        As for :func:`table_1`.
    csv, tex
        Files to write.
    """
    table = table_1(data, published)
    lines = ["row,catalogue,number,scatter_among_draws,published"]
    for row, cells in table.items():
        for sample, cell in cells.items():
            paper = "" if cell.published is None else f"{cell.published:.0f}"
            lines.append(
                f'"{ROWS[row]}",{SAMPLES[sample]},{cell.number:.1f},{cell.scatter:.1f},{paper}'
            )
    write_text(csv, "\n".join(lines) + "\n")
    body = [
        " & ".join(
            [
                ROWS[row].replace("<=", r"$\le$").replace(">", "$>$"),
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
