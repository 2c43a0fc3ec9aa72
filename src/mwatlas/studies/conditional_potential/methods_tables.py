"""Table 1, the methods, and Tables 2 and 3, their networks, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mwatlas.config.published import Published
from mwatlas.errors import InputError
from mwatlas.files import write_text
from mwatlas.latex import latex_table
from mwatlas.ledger import Measurement, read_measurements
from mwatlas.studies.conditional_potential.names import FIELDS, METHODS
from mwatlas.tables.table import Columns

LOST = "not recovered"
"""What stands for a number of the paper that no text at hand has."""

_LEARNED = {
    "vanilla": ("f(x, v)", "potential", "S must be known"),
    "selection": ("f_obs(x, v)", "potential, S", ""),
    "conditional": ("p(v|x)", "potential, n", "n_obs(x) of the stars may help with n"),
}

_OURS = {
    "density_error": "median error of density",
    "density_share": "share of volume within 10%",
    "density_radius": "within 10% out to [kpc]",
    "density_selection": "within 10% down to S",
}

GENERAL = {
    "base network": "ResNet",
    "activation": "SiLU",
    "optimizer": "AdamW",
    "learning-rate schedule": "cosine annealing",
    "minibatch optimal transport, epochs": "512",
    "minibatch optimal transport, batch": "256",
}
"""What the paper says of all networks: Table 2 and Appendix A of Kalda & Green (2026)."""

_PARAMETERS = {
    "time_embedding": "time embedding",
    "harmonics_degree": "degree of harmonics",
    "learning_rate": "learning rate",
    "regularization": "regularization",
    "batch_size": "batch size",
    "epochs": "epochs",
    "parameters": "parameters",
    "members": "members",
    "training_seconds": "training time [min]",
    "loss": "loss at the end",
    "validation": "validation at the end",
}
# Rows that the paper's tables do not have.
_OURS_ALONE = ("batch_size", "members", "loss", "validation")


def write_table_methods(numbers: Path, table: Path, tex: Path) -> None:
    """Write Table 1: what each method learns from what, and how well it did.

    Parameters
    ----------
    numbers
        Measurements of the study.
    table, tex
        CSV and LaTeX file to write.
    """
    measured = {m.quantity: m for m in read_measurements(numbers)}
    head = ["method", "learned from stars", "learned from CBE", "notes", *_OURS.values()]
    body = [
        [METHODS[m], *_LEARNED[m], *(shown(measured.get(f"{name}_{m}")) for name in _OURS)]
        for m in METHODS
    ]
    write_cells(head, body, table, tex)


def write_table_networks(
    networks: Columns,
    published: Published,
    general: Mapping[str, Mapping[str, str]],
    table: Path,
    tex: Path,
) -> None:
    """Write Table 2, or Table 3 of the run without dust: hyper-parameters beside the paper's.

    Parameters
    ----------
    networks
        Table ``conditional_potential_networks``.
    published
        The paper's numbers; of its tables only two numbers of parameters are left.
    general
        Our choices for all networks of each method, by the names of :data:`GENERAL`.
    table, tex
        CSV and LaTeX file to write.

    Raises
    ------
    InputError
        If a method has two networks for the same field.
    """
    methods = [m for m in METHODS if any(m in used.split() for used in networks["methods"])]
    head = ["network", "parameter", *(METHODS[m] for m in methods), "published"]
    body = [
        ["all", name, *(general.get(m, {}).get(name, "") for m in methods), paper]
        for name, paper in GENERAL.items()
    ]
    claims = {claim.quantity: claim.value for claim in published.claims}
    for field, label in FIELDS.items():
        rows = [_row_of(networks, field, method) for method in methods]
        if all(row is None for row in rows):
            continue
        sizes = [
            "" if i is None else f"{_cell(networks, i, 'width')} x {_cell(networks, i, 'depth')}"
            for i in rows
        ]
        body.append([label, "width x depth", *sizes, "" if field == "scores" else LOST])
        for name, text in _PARAMETERS.items():
            cells = ["" if i is None else _cell(networks, i, name) for i in rows]
            # Both fields of a method are solved for together: the time is the potential's.
            joint = name == "training_seconds" and field in ("selection", "tracers")
            if any(cells) and not joint:
                paper = claims.get(f"parameters_{field}") if name == "parameters" else None
                lost = "" if name in _OURS_ALONE or field == "scores" else LOST
                body.append([label, text, *cells, lost if paper is None else f"{paper:.3g}"])
    write_cells(head, body, table, tex)


def _row_of(networks: Columns, field: str, method: str) -> int | None:
    """Row of the network that a method has for a field."""
    uses = np.array([method in used.split() for used in networks["methods"]])
    found = np.flatnonzero((networks["field"] == field) & uses)
    if found.size > 1:
        raise InputError(
            "a method has several networks for one field",
            item="methods",
            found=f"{found.size} networks for {field} of the {METHODS[method]} method",
            expected="one row for each network, ensembles included",
            remedy="give the number of networks alike in the column members",
        )
    return int(found[0]) if found.size else None


def _cell(networks: Columns, row: int, name: str) -> str:
    value = float(networks[name][row])
    if math.isnan(value):
        return ""
    if name == "training_seconds":
        value /= 60
    return f"{value:,.0f}" if name == "parameters" else f"{value:.4g}"


def shown(m: Measurement | None) -> str:
    """A number as a table has it: empty if there is none."""
    if m is None or not math.isfinite(m.value):
        return ""
    return f"{m.value:.3g}"


def write_cells(head: list[str], body: Sequence[list[str]], table: Path, tex: Path) -> None:
    """Write a table as CSV and as LaTeX.

    Parameters
    ----------
    head, body
        Its cells: names of the columns, and rows as long.
    table, tex
        CSV and LaTeX file to write.
    """
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *body])
    write_text(table, stream.getvalue())
    write_text(tex, latex_table(_as_latex(head), [_as_latex(row) for row in body]))


def _as_latex(cells: list[str]) -> list[str]:
    special = {"%": r"\%", "_": r"\_", "|": r"$|$", " x ": r" $\times$ "}
    out = []
    for cell in cells:
        for sign, replacement in special.items():
            cell = cell.replace(sign, replacement)
        out.append(cell)
    return out
