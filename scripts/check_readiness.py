"""See whether everything a run fetches and writes has its place."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.archive.acquire import polite
from mwatlas.archive.request import table_requests
from mwatlas.archive.transport import Transport
from mwatlas.config import load_settings
from mwatlas.config.registry import load_registry
from mwatlas.job import job
from mwatlas.readiness import check, preflight

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    root = Path(snakemake.params.root)
    settings = load_settings(snakemake.params.config, root)
    findings = preflight(
        settings,
        table_requests(settings, load_registry(root), root),
        Transport(polite(settings.archives, to_look=True)),
        root,
        inputs=snakemake.params.inputs,
    )
    logging.getLogger("mwatlas").info("%s", "\n".join(map(str, findings)))
    check(findings, Path(snakemake.output[0]))
