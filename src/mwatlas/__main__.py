"""Command line: ``python -m mwatlas``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.errors import MwatlasError

if TYPE_CHECKING:
    from mwatlas.config import Settings


_LIKE = "results of finished runs, for instance results/sky; best of several sizes"
_CORES = "cores the run may use"


def main() -> int:
    """Run one of the package's commands; return the exit status."""
    parser = argparse.ArgumentParser(prog="mwatlas", description="Milky Way Atlas")
    commands = parser.add_subparsers(dest="command", required=True)
    documents = commands.add_parser(
        "documents", help="regenerate the default configuration and reference pages"
    )
    documents.add_argument("--root", type=Path, default=Path.cwd())
    summary = commands.add_parser("summary", help="print where a report is and what it found")
    summary.add_argument("results", type=Path, help="for instance results/sky")
    export = commands.add_parser("export", help="write a catalogue as one FITS file")
    export.add_argument(
        "catalogue", type=Path, help="for instance results/sky/line_of_sight/catalogs/test_set"
    )
    export.add_argument("output", type=Path, help="FITS file to write")
    estimate = commands.add_parser(
        "estimate", help="print what a run on a release will take, scaled up from finished runs"
    )
    estimate.add_argument("release", help="for instance gaiadr3")
    estimate.add_argument(
        "--like",
        type=Path,
        nargs="+",
        required=True,
        help=_LIKE,
    )
    estimate.add_argument("--cores", type=_positive, default=2, help=_CORES)
    estimate.add_argument("--configfile", type=Path, help="settings of the run to come")
    estimate.add_argument("--json", action="store_true", help="print JSON")
    estimate.add_argument("--root", type=Path, default=Path.cwd())
    for name, text in (
        ("check-release", "compare a release adapter with what archives and files serve now"),
        ("preflight", "say whether a run on a release can start, before it does"),
        ("account", "say where the time and memory of a run on a release went"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("release", help="for instance gaiadr3")
        command.add_argument("--configfile", type=Path, help="settings of the run to come")
        command.add_argument("--root", type=Path, default=Path.cwd())
        if name == "preflight":
            command.add_argument(
                "--like", type=Path, nargs="+", default=[], help=f"{_LIKE}; all in results/ if none"
            )
            command.add_argument("--cores", type=_positive, default=2, help=_CORES)
    arguments = parser.parse_args()
    # Whoever looks at archives is told of each what came of it, and not of every try.
    logging.getLogger("mwatlas").setLevel(logging.ERROR)
    try:
        if arguments.command == "documents":
            from mwatlas.documents import write_documents

            for path in write_documents(arguments.root):
                print(f"wrote {path}")  # noqa: T201
        elif arguments.command == "export":
            from mwatlas.tables.fits import export_fits

            rows = export_fits(arguments.catalogue, arguments.output)
            print(f"wrote {rows:,} rows to {arguments.output}")  # noqa: T201
        elif arguments.command == "check-release":
            return _check_release(arguments)
        elif arguments.command == "preflight":
            return _preflight(arguments)
        elif arguments.command == "account":
            from mwatlas.estimate.accounting import write_accounting

            folder = arguments.root / "results" / arguments.release
            print(write_accounting(_settings(arguments), folder))  # noqa: T201
        elif arguments.command == "estimate":
            print(_estimate(arguments))  # noqa: T201
        else:
            from mwatlas.ledger import summary_text

            print(summary_text(arguments.results))  # noqa: T201
    except MwatlasError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {number}")
    return number


def _settings(arguments: argparse.Namespace) -> Settings:
    from mwatlas.config import load_settings, read_yaml

    user = read_yaml(arguments.configfile) if arguments.configfile else {}
    return load_settings({**user, "release": arguments.release}, arguments.root)


def _check_release(arguments: argparse.Namespace) -> int:
    from mwatlas.archive.acquire import polite
    from mwatlas.archive.release_check import check_release
    from mwatlas.archive.request import table_requests
    from mwatlas.archive.transport import Transport
    from mwatlas.config.registry import load_registry

    settings = _settings(arguments)
    requests = table_requests(settings, load_registry(arguments.root), arguments.root)
    good = True
    for checked in check_release(
        settings, requests, Transport(polite(settings.archives, to_look=True))
    ):
        print(checked)  # noqa: T201
        good &= checked.good
    return 0 if good else 1


def _preflight(arguments: argparse.Namespace) -> int:
    from mwatlas.archive.acquire import polite
    from mwatlas.archive.request import table_requests
    from mwatlas.archive.transport import Transport
    from mwatlas.config.registry import load_registry
    from mwatlas.readiness import finished_runs, preflight, summary, verdict

    settings = _settings(arguments)
    requests = table_requests(settings, load_registry(arguments.root), arguments.root)
    findings = preflight(
        settings,
        requests,
        Transport(polite(settings.archives, to_look=True)),
        arguments.root,
        arguments.like or finished_runs(arguments.root / "results"),
        arguments.cores,
    )
    print(*findings, summary(findings), sep="\n")  # noqa: T201
    return 1 if verdict(findings) == "stop" else 0


def _estimate(arguments: argparse.Namespace) -> str:
    from mwatlas.estimate.finished_run import FinishedRun
    from mwatlas.estimate.plan import estimate

    settings = _settings(arguments)
    like = [FinishedRun(folder) for folder in arguments.like]
    result = estimate(settings, like, arguments.cores)
    if arguments.json:
        return json.dumps(result.as_dict(), indent=1, allow_nan=False)
    return result.text()


if __name__ == "__main__":
    sys.exit(main())
