"""Whether a long run can start: archives, login, disk, versions, processor, hours."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from mwatlas import __version__
from mwatlas.archive.bulk import AHEAD
from mwatlas.archive.disk import free_bytes, row_bytes
from mwatlas.archive.request import TableRequest, acquired_file, column_maps, matching_files
from mwatlas.archive.tap_gaia import GAIA_ARCHIVE, gaia_credentials
from mwatlas.archive.transport import Transport
from mwatlas.config import Settings
from mwatlas.errors import InputError, MwatlasError
from mwatlas.estimate.finished_run import FinishedRun
from mwatlas.estimate.plan import estimate
from mwatlas.files import write_json
from mwatlas.reachability import Answers, Finding, Verdict, answers_of

Totals = dict[str, float] | str
# How large a file of a tree is.
_TREE_FILE_BYTES = 250_000_000


def preflight(
    settings: Settings,
    requests_: dict[str, TableRequest],
    transport: Transport,
    root: Path,
    like: Sequence[Path] = (),
    cores: int = 1,
    inputs: bool = False,
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
    inputs
        Whether the tables of studies to come are fetched too, as `acquire_inputs` does.
    """
    missing = {name: request for name, request in requests_.items() if request.needed or inputs}
    there = _there(settings, inputs)
    for name in there.keys() & missing.keys():
        del missing[name]
    answers = answers_of(missing, transport)
    totals = _totals(settings, like, cores)
    return [
        *(Finding(name, found) for name, found in there.items()),
        *_archives(missing, answers),
        *_login(missing),
        *_line(settings, missing, answers),
        *_disk(settings, missing, totals),
        *_versions(root),
        *_processors(),
        *_run(totals, cores),
    ]


def finished_runs(results: Path) -> list[Path]:
    """Results of finished runs in a folder, which tell how long another takes."""
    return sorted(path.parent for path in results.glob("*/ledger.json"))


def verdict(findings: Sequence[Finding]) -> Verdict:
    """The worst of the findings."""
    order: tuple[Verdict, ...] = ("go", "mind", "stop")
    return max((finding.verdict for finding in findings), key=order.index, default="go")


def summary(findings: Sequence[Finding]) -> str:
    """One line to decide on."""
    named = {kind: [f.what for f in findings if f.verdict == kind] for kind in ("stop", "mind")}
    if named["stop"]:
        return f"NO GO, first mend: {', '.join(named['stop'])}"
    return f"GO, but mind: {', '.join(named['mind'])}" if named["mind"] else "GO"


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


def _there(settings: Settings, inputs: bool) -> dict[str, str]:
    """Tables that need not be fetched, and why."""
    names = settings.adapter.inputs if inputs else ()
    fetched = {name: acquired_file(settings, name) for name in names}
    out = {n: f"fetched, {path.parent}" for n, path in fetched.items() if path.exists()}
    for name, _, fetch, patterns in column_maps(settings):
        own = [path for pattern in patterns for path in matching_files(settings, pattern)]
        if own:
            out[name] = f"your own, {len(own)} file(s)"
        elif fetch is not None and acquired_file(settings, name).exists():
            out[name] = f"fetched, {acquired_file(settings, name).parent}"
    return out


def _archives(missing: dict[str, TableRequest], answers: Answers) -> Iterator[Finding]:
    for table, request in missing.items():
        mine = [finding for name, _, finding in answers if name == table]
        yield from mine
        if not any(finding.verdict == "go" for finding in mine):
            # Another input can be fetched all the same.
            yield Finding(
                table, "none of its routes can be reached", "stop" if request.needed else "mind"
            )


def _login(missing: dict[str, TableRequest]) -> Iterator[Finding]:
    urls = [route.url for request in missing.values() for route in request.routes]
    if not any(url.startswith(GAIA_ARCHIVE) for url in urls):
        return
    try:
        known = gaia_credentials()
    except MwatlasError as error:
        yield Finding("Gaia archive", str(error), "stop")
        return
    found = "without an account: jobs are shorter, results may wait"
    if known:
        found = f"as {known[0]}; whether the password is right shows when the archive is asked"
    yield Finding("Gaia archive", found, "go" if known else "mind")


def _line(
    settings: Settings, missing: dict[str, TableRequest], answers: Answers
) -> Iterator[Finding]:
    """Bytes that travel by the first route that answers, and how long that takes at least."""
    sizes = {}
    for name, route, finding in answers:
        if finding.verdict == "go" and name not in sizes:
            sizes[name] = route.bytes or _rows_bytes(missing[name]) or 0
    if sizes:
        speed = settings.archives.megabit_per_s
        total = sum(sizes.values())
        unknown = [name for name, size in sizes.items() if not size]
        found = f"{total / 1e9:,.1f} GB, at least {total * 8e-6 / speed / 3600:,.1f} hours at "
        found += f"{speed:,.0f} Mbit/s" + _without(unknown)
        yield Finding("what is fetched", found)


def _rows_bytes(request: TableRequest) -> int | None:
    """Size of the rows wanted; ``None`` where their number is not known."""
    return request.expected_rows * row_bytes(request.table) if request.expected_rows else None


def _without(unknown: Sequence[str]) -> str:
    return f"; without {', '.join(unknown)}, of unknown size" if unknown else ""


def _disk(
    settings: Settings, missing: dict[str, TableRequest], totals: Totals
) -> Iterator[Finding]:
    """Room for what is fetched and for results, which may share a disk."""
    ahead = (settings.archives.files_at_once + AHEAD) * _TREE_FILE_BYTES
    fetched, unknown = 0, []
    for name, request in missing.items():
        whole = [route.bytes for route in request.routes if route.kind in ("file", "record")]
        known = [size for size in (*whole, _rows_bytes(request)) if size]
        if not known:
            unknown.append(name)
        size = max(known, default=0) + (0 if whole else ahead)
        folder = acquired_file(settings, name).parent
        there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        fetched += max(0, size - there)
    needs = {Path(settings.archives.folder): fetched} if missing else {}
    if isinstance(totals, dict):
        needs[Path("results")] = round(totals["written_gb"] * 1e9)
    disks: dict[int, list[Path]] = {}
    for folder in needs:
        disks.setdefault(_existing(folder).stat().st_dev, []).append(folder)
    for folders in disks.values():
        needed, free = sum(needs[folder] for folder in folders), free_bytes(_existing(folders[0]))
        names = " and ".join(str(folder) for folder in folders)
        found = f"{free / 1e9:,.1f} GB free, about {needed / 1e9:,.1f} GB needed"
        left_out = unknown if Path(settings.archives.folder) in folders else []
        enough: Verdict = "mind" if left_out else "go"
        yield Finding(
            f"disk of {names}", found + _without(left_out), enough if free > needed else "stop"
        )


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
    found = f"{len(other)} of {len(pins)} packages differ from the lock: {', '.join(other[:5])}"
    found = found if other else f"{len(pins)} packages as locked"
    what = f"mwatlas {__version__}, Python {platform.python_version()}"
    yield Finding("versions", f"{what}, {found}", "mind" if other else "go")


def _processors() -> Iterator[Finding]:
    import torch

    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none: networks "
    found += "" if torch.cuda.is_available() else "train on the processor"
    yield Finding("GPU", found)


def _totals(settings: Settings, like: Sequence[Path], cores: int) -> Totals:
    """Totals of the estimate from finished runs, or why there is none."""
    if not like:
        return "unknown without a finished run: `make demo`, then --like results/sky"
    try:
        runs = [FinishedRun(folder) for folder in like]
        return estimate(settings, runs, cores).totals()["with variants"]
    except MwatlasError as error:
        return f"unknown: {error.problem} ({error.file})"


def _run(totals: Totals, cores: int) -> Iterator[Finding]:
    if isinstance(totals, str):
        yield Finding("time, memory and disk of the run", totals, "mind")
        return
    hours, memory = totals["wall_hours"], totals["memory_gb"]
    yield Finding("time", f"about {hours:,.1f} hours on {cores} cores, after acquisition")
    yield Finding("memory", f"about {memory:,.1f} GB for the largest job")
