"""Whether a long run can start: archives, login, disk, versions, processor, hours."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import requests

from mwatlas.archive.bulk import AHEAD
from mwatlas.archive.remote_files import record_list
from mwatlas.archive.request import TableRequest, acquired_file
from mwatlas.archive.tap_gaia import GAIA_ARCHIVE, gaia_credentials
from mwatlas.archive.transport import Transport
from mwatlas.config import Settings
from mwatlas.config.registry import Route
from mwatlas.errors import InputError, MwatlasError
from mwatlas.estimate.finished_run import FinishedRun
from mwatlas.estimate.plan import estimate
from mwatlas.files import write_json

Verdict = Literal["go", "mind", "stop"]

# What a row of gaia_source takes on disk with the columns of line_of_sight, as Parquet.
_FETCHED_BYTES = 140
# How large a file of a tree is.
_TREE_FILE_BYTES = 250_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    what, found
        In words.
    verdict
        ``stop``: the run would fail; ``mind``: it can run.
    """

    what: str
    found: str
    verdict: Verdict = "go"

    def __str__(self) -> str:
        """One line."""
        return f"{self.verdict:<5}{self.what}: {self.found}"


def preflight(
    settings: Settings,
    requests_: dict[str, TableRequest],
    transport: Transport,
    root: Path,
    like: Sequence[Path] = (),
    cores: int = 1,
) -> list[Finding]:
    """Look at everything a run on a release needs, before it starts.

    Parameters
    ----------
    settings
        Configuration of the run.
    requests_
        Tables that can be fetched, by name.
    transport
        Carries requests: one to each place a table can be had from.
    root
        Root of the repository.
    like, cores
        Results of finished runs and the cores of the run to come, for the time it takes.
    """
    missing = {
        name: request
        for name, request in requests_.items()
        if request.needed and not acquired_file(settings, name).exists()
    }
    return [
        *_archives(missing, transport),
        *_login(missing),
        *_disk(settings, missing),
        *_versions(root),
        *_processors(),
        *_run(settings, like, cores),
    ]


def verdict(findings: Sequence[Finding]) -> Verdict:
    """The worst of the findings."""
    order: tuple[Verdict, ...] = ("go", "mind", "stop")
    return max((finding.verdict for finding in findings), key=order.index, default="go")


def check(findings: Sequence[Finding], path: Path) -> None:
    """Write the findings to ``path``, unless one of them says that the run would fail.

    Raises
    ------
    InputError
        Naming what has to be mended first.
    """
    stops = [finding for finding in findings if finding.verdict == "stop"]
    if stops:
        raise InputError(
            "the run cannot start",
            item=", ".join(finding.what for finding in stops),
            found="; ".join(finding.found for finding in stops),
            remedy="mend this and run again; `python -m mwatlas preflight <release>` tells more",
        )
    write_json(
        path,
        {"verdict": verdict(findings), "findings": [asdict(finding) for finding in findings]},
    )


def _archives(missing: dict[str, TableRequest], transport: Transport) -> Iterator[Finding]:
    for name, request in missing.items():
        answers = [_asked(name, route, transport) for route in request.routes]
        if answers and not any(finding.verdict == "go" for finding in answers):
            answers.append(Finding(f"{name}", "none of its routes can be reached", "stop"))
        yield from answers


def _asked(table: str, route: Route, transport: Transport) -> Finding:
    what = f"{table} by {route.kind} at {route.host}"
    if not route.url.startswith("http"):
        return Finding(what, f"{route.url} is not asked: it is no web address", "mind")
    url = route.url
    if route.kind == "tap":
        url = f"{route.url.rstrip('/')}/capabilities"
    elif route.kind == "record":
        url = record_list(route.url)
    elif route.kind == "file":
        url = route.address_of(route.files[0])
    started = time.monotonic()
    try:
        # A body that is not read is not sent, but for its beginning.
        with transport.session.get(url, stream=True) as answer:
            status = answer.status_code
    except (MwatlasError, requests.RequestException) as error:
        found = error.problem if isinstance(error, MwatlasError) else type(error).__name__
        return Finding(what, f"{found} ({url})", "mind")
    found = f"HTTP {status} in {time.monotonic() - started:.1f} s ({url})"
    # A datalink service has no page of its own: without a question it answers that one is missing.
    good = {200, 206, 400} if route.kind == "datalink" else {200, 206}
    return Finding(what, found, "go" if status in good else "mind")


def _login(missing: dict[str, TableRequest]) -> Iterator[Finding]:
    urls = [route.url for request in missing.values() for route in request.routes]
    if not any(url.startswith(GAIA_ARCHIVE) for url in urls):
        return
    try:
        known = gaia_credentials()
    except MwatlasError as error:
        yield Finding("Gaia archive", str(error), "stop")
        return
    found = f"as {known[0]}" if known else "without an account: jobs are shorter, results may wait"
    yield Finding("Gaia archive", found, "go" if known else "mind")


def _disk(settings: Settings, missing: dict[str, TableRequest]) -> Iterator[Finding]:
    if not missing:
        return
    ahead = (settings.archives.files_at_once + AHEAD) * _TREE_FILE_BYTES
    needed = 0
    for request in missing.values():
        sizes = [route.bytes or 0 for route in request.routes if route.kind in ("file", "record")]
        needed += max(sizes) if sizes else (request.expected_rows or 0) * _FETCHED_BYTES + ahead
    yield _room("disk for what is fetched", Path(settings.archives.folder), needed)


def _room(what: str, folder: Path, needed: float) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    found = f"{free / 1e9:,.1f} GB free in {folder}, about {needed / 1e9:,.1f} GB needed"
    return Finding(what, found, "go" if free > needed else "stop")


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder


def _versions(root: Path) -> Iterator[Finding]:
    lock = (root / "requirements.lock.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    other = []
    for name, version in pins.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found.partition("+")[0] != version:
            other.append(f"{name} {found} for {version}")
    found = f"{len(other)} differ from the lock: {', '.join(other[:5])}" if other else "as locked"
    yield Finding("packages", found, "mind" if other else "go")


def _processors() -> Iterator[Finding]:
    import torch

    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none: networks "
    found += "" if torch.cuda.is_available() else "train on the processor"
    yield Finding("GPU", found)


def _run(settings: Settings, like: Sequence[Path], cores: int) -> Iterator[Finding]:
    if not like:
        yield Finding("time and disk of the run", "unknown: `make demo` first, then --like", "mind")
        return
    try:
        totals = estimate(settings, [FinishedRun(folder) for folder in like], cores).totals()
    except MwatlasError as error:
        yield Finding("time and disk of the run", error.problem, "mind")
        return
    total = totals["with variants"]
    hours, memory = total["wall_hours"], total["memory_gb"]
    yield Finding("time", f"about {hours:,.1f} hours on {cores} cores, after acquisition")
    yield Finding("memory", f"about {memory:,.1f} GB for the largest job")
    yield _room("disk for results", Path("results"), total["written_gb"] * 1e9)
