"""Command line: ``python -m mwatlas``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mwatlas.errors import MwatlasError


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
    arguments = parser.parse_args()
    try:
        if arguments.command == "documents":
            from mwatlas.documents import write_documents

            for path in write_documents(arguments.root):
                print(f"wrote {path}")  # noqa: T201
        elif arguments.command == "export":
            from mwatlas.tables.fits import export_fits

            rows = export_fits(arguments.catalogue, arguments.output)
            print(f"wrote {rows:,} rows to {arguments.output}")  # noqa: T201
        else:
            from mwatlas.ledger import summary_text

            print(summary_text(arguments.results))  # noqa: T201
    except MwatlasError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
