"""The page of inputs: the registry as a reader wants to see it."""

from __future__ import annotations

from mwatlas.config.registry import Citation, Dataset, Registry, Route


def inputs_page(registry: Registry, mark: str) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    registry
        All inputs.
    mark
        Comment that says what the page is made from.
    """
    text = f"""\
# Inputs

<!-- {mark} -->

What the studies need, where it is, under which terms, and what to cite. The page is made from
`config/registry.yaml`; correct facts there. Routes are tried in the order given here.
Facts are marked where they were checked: against a fixture, a page, public code or a paper. What no
mark names was not checked; `unverified` means none of a route's facts were.

| data set | version | for | releases | rows | licence |
|---|---|---|---|---|---|
"""
    for name, dataset in registry.datasets.items():
        rows = f"{dataset.rows:,}" if dataset.rows else ""
        text += (
            f"| [{dataset.title}](#{name}) | {dataset.version} | {_studies(dataset)} "
            f"| {', '.join(dataset.releases)} | {rows} | {dataset.licence} |\n"
        )
    return text + "".join(_section(n, d) for n, d in registry.datasets.items())


def _studies(dataset: Dataset) -> str:
    return ", ".join(f"`{study}`" for study in dataset.studies) or "none"


def _section(name: str, dataset: Dataset) -> str:
    lines = [f"\n## {name}\n", f"{dataset.title}, {dataset.version}: {dataset.what}.\n"]
    if dataset.unused:
        lines.append(f"- not used: {dataset.unused}")
    if dataset.by_hand:
        lines.append(f"- not fetched: {dataset.by_hand}")
    if dataset.tables:
        lines.append("- tables: " + ", ".join(f"`{table}`" for table in dataset.tables))
    if dataset.queries:
        lines.append(
            "- queries: " + ", ".join(f"[{q}](../workflow/queries/{q})" for q in dataset.queries)
        )
    if dataset.doi:
        lines.append(f"- data: {_link(dataset.doi)}")
    lines += [_route(number, route) for number, route in enumerate(dataset.routes, 1)]
    lines += [f"- cite: {_citation(citation)}" for citation in dataset.cite]
    lines.append(f"- checked: {'; '.join(dataset.verified)}")
    if dataset.notes:
        lines.append(f"- mind: {dataset.notes}")
    return "\n".join(lines) + "\n"


def _route(number: int, route: Route) -> str:
    parts = [f"- route {number}, {route.kind}, {route.host}: <{route.url}>"]
    if route.table:
        parts.append(f"`{route.table}`")
    if route.data_release:
        parts.append(route.data_release)
    parts += [
        f"`{file}`" + (f" ({route.checksums[file]})" if file in route.checksums else "")
        for file in route.files
    ]
    if route.bytes:
        parts.append(f"{route.bytes / 1e9:,.1f} GB")
    return f"{', '.join(parts)}. Checked: {'; '.join(route.verified)}"


def _citation(citation: Citation) -> str:
    marks = [f"`{citation.bibcode}`"] if citation.bibcode else []
    marks += [_link(citation.doi)] if citation.doi else []
    return f"{citation.text} ({', '.join(marks)})"


def _link(doi: str) -> str:
    return f"[doi:{doi}](https://doi.org/{doi})"
