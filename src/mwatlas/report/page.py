"""Building the page from the ledger, the figures and the records of the run."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from mwatlas.config import Settings, chosen_settings
from mwatlas.config.fields import changed_settings
from mwatlas.config.published import Paper
from mwatlas.config.registry import load_registry
from mwatlas.files import read_json, write_text
from mwatlas.ledger import VERDICTS, summarise
from mwatlas.provenance import config_hash, git_version, run_times, software_versions


@dataclass(frozen=True)
class FigureFiles:
    """A drawn figure."""

    study: str
    name: str
    png: Path
    pdf: Path
    data: Path
    caption: str


@dataclass(frozen=True)
class TableFiles:
    """A table as CSV."""

    study: str
    name: str
    csv: Path
    caption: str


@dataclass(frozen=True)
class Shown:
    """Figures and tables of the report, in order."""

    figures: list[FigureFiles]
    tables: list[TableFiles]

    @classmethod
    def from_paths(
        cls,
        png: Sequence[str],
        pdf: Sequence[str],
        data: Sequence[str],
        tables: Sequence[str],
        captions: Mapping[str, Mapping[str, str]],
    ) -> Shown:
        """Tell study and item from the paths ``<study>/<folder>/<item>.<suffix>``."""

        def identity(path: str) -> tuple[str, str]:
            return Path(path).parent.parent.name, Path(path).stem

        figures = []
        for one, vector, source in zip(png, pdf, data, strict=True):
            study, name = identity(one)
            figures.append(
                FigureFiles(
                    study, name, Path(one), Path(vector), Path(source), captions[study][name]
                )
            )
        listed = [
            TableFiles(*identity(path), Path(path), captions[identity(path)[0]][identity(path)[1]])
            for path in tables
        ]
        return cls(figures, listed)


def merge_counts(paths: Sequence[Path]) -> dict[str, int]:
    """Add up row counts of partitions."""
    total: dict[str, int] = {}
    for path in paths:
        for name, number in read_json(path).items():
            total[name] = total.get(name, 0) + int(number)
    return total


def _embedded(png: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode()


def _rows(csv: Path) -> list[list[str]]:
    import csv as reader

    with csv.open(encoding="utf-8", newline="") as stream:
        return list(reader.reader(stream))


@dataclass(frozen=True)
class _Rows:
    """Rows of the ledger by where the report shows them."""

    own: list[dict[str, Any]]
    variants: dict[str, list[dict[str, Any]]]

    @classmethod
    def sort(cls, ledger: Mapping[str, Any]) -> _Rows:
        """Tell the rows of a study from those of its variants, ``variants.<name>``."""
        own, variants = [], dict[str, list[dict[str, Any]]]()
        for row in ledger["rows"]:
            item, _, name = row["item"].partition(".")
            if item == "variants":
                variants.setdefault(name, []).append(row)
            else:
                own.append(row)
        return cls(own, variants)

    def of(self, study: str, item: str) -> list[dict[str, Any]]:
        """Rows of one figure or table, whose parts are named ``<item>.<part>``."""
        return [r for r in self.own if (r["study"], r["item"].split(".")[0]) == (study, item)]


def _overview(shown: Sequence[Mapping[str, Any]], rows: _Rows) -> list[dict[str, Any]]:
    """Numbers by verdict of each figure and table, of the rest, and of each variant."""
    places = [
        (f"{x['study']}-{x['name']}", f"{x['study']}: {x['name']}", x["numbers"]) for x in shown
    ]
    if rest := _rest(shown, rows):
        places.append(("text", "other numbers", rest))
    places += [(f"variants-{n}", f"variant {n}", found) for n, found in rows.variants.items()]
    return [
        {"anchor": anchor, "title": title, "summary": summarise(found)}
        for anchor, title, found in places
    ]


def _rest(shown: Sequence[Mapping[str, Any]], rows: _Rows) -> list[dict[str, Any]]:
    """Rows of a study that belong to no figure or table of the report."""
    placed = {(x["study"], x["name"]) for x in shown}
    return [r for r in rows.own if (r["study"], r["item"].split(".")[0]) not in placed]


def _significant(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def write_report(
    settings: Settings,
    root: Path,
    ledger: Path,
    shown: Shown,
    counts: Mapping[str, Mapping[str, int]],
    papers: Mapping[str, Paper],
    benchmarks: Path,
    output: Path,
) -> None:
    """Write the report.

    Parameters
    ----------
    settings
        Configuration of the run.
    root
        Root of the repository, for its version.
    ledger
        The ledger as JSON.
    shown
        Figures and tables.
    counts
        Rows read, removed and kept, by stage.
    papers
        What each study reproduces.
    benchmarks
        Folder of Snakemake's benchmark files.
    output
        HTML file to write.
    """
    environment = Environment(
        loader=PackageLoader("mwatlas", "report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["significant"] = _significant
    content: dict[str, Any] = read_json(ledger)
    rows = _Rows.sort(content)
    folder = output.parent
    figures = [
        {
            "name": figure.name,
            "study": figure.study,
            "image": _embedded(figure.png),
            "caption": figure.caption,
            "pdf": _relative(figure.pdf, folder),
            "data": _relative(figure.data, folder),
            "numbers": rows.of(figure.study, figure.name),
        }
        for figure in shown.figures
    ]
    tables = [
        {
            "name": table.name,
            "study": table.study,
            "rows": _rows(table.csv),
            "caption": table.caption,
            "csv": _relative(table.csv, folder),
            "numbers": rows.of(table.study, table.name),
        }
        for table in shown.tables
    ]
    page = environment.get_template("page.html.j2").render(
        ledger=content,
        ledger_json=_relative(ledger, folder),
        verdicts=VERDICTS,
        own=rows.own,
        summary=summarise(rows.own),
        overview=_overview([*figures, *tables], rows),
        rest=_rest([*figures, *tables], rows),
        variants=[
            {"name": name, "numbers": found, "summary": summarise(found)}
            for name, found in rows.variants.items()
        ],
        figures=figures,
        tables=tables,
        counts=counts,
        chosen={
            study: list(chosen_settings(getattr(settings, study))) for study in settings.studies
        },
        changed={
            study: list(changed_settings(getattr(settings, study))) for study in settings.studies
        },
        papers=papers,
        data_citations=load_registry(root).citations(settings.studies, settings.release),
        settings=settings,
        git=git_version(root) or "not a git checkout",
        config_hash=config_hash(settings),
        software=software_versions(),
        times=run_times(benchmarks),
    )
    write_text(output, page)


def _relative(path: Path, folder: Path) -> str:
    return path.resolve().relative_to(folder.resolve().parent).as_posix()
