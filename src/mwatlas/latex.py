"""Tables as LaTeX."""

from __future__ import annotations


def latex_table(head: list[str], body: list[list[str]]) -> str:
    """A LaTeX tabular; the first column is set to the left.

    Parameters
    ----------
    head, body
        Cells of the first row and of the others, as LaTeX.
    """
    rows = [" & ".join(cells) + r" \\" for cells in (head, *body)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\hline",
            rows[0],
            r"\hline",
            *rows[1:],
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    )
