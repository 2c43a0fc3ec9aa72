"""What a run was made from: code, configuration, software, times."""

from __future__ import annotations

import csv
import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mwatlas import __version__
from mwatlas.config import Settings

SOFTWARE = (
    "snakemake",
    "numpy",
    "scipy",
    "numba",
    "astropy",
    "gala",
    "healpy",
    "pyarrow",
    "h5py",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "gaiadr3-zeropoint",
    "pygaia",
    "hats",
    "pydantic",
    "matplotlib",
    "cmasher",
)


def git_version(root: Path) -> str:
    """Commit of the repository, marked when files differ from it; empty outside a repository."""
    try:
        return subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def config_hash(settings: Settings) -> str:
    """Hash of every setting of the run."""
    return hashlib.blake2b(settings.model_dump_json().encode(), digest_size=8).hexdigest()


def software_versions() -> dict[str, str]:
    """Versions of the libraries that decide results."""
    found = {"python": platform.python_version(), "mwatlas": __version__}
    for name in SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_times(benchmarks: Path) -> list[dict[str, str | float]]:
    """Seconds and peak memory of each rule, from Snakemake's benchmark files.

    Returns
    -------
    list
        One row per rule: its name, jobs, total seconds, and the largest memory in MB.
    """
    rules: dict[str, dict[str, str | float]] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = path.relative_to(benchmarks).parts[0].removesuffix(".tsv")
        with path.open(encoding="utf-8") as stream:
            for line in csv.DictReader(stream, delimiter="\t"):
                row = rules.setdefault(
                    rule, {"rule": rule, "jobs": 0, "seconds": 0.0, "memory_mb": 0.0}
                )
                row["jobs"] = int(row["jobs"]) + 1
                row["seconds"] = float(row["seconds"]) + float(line["s"])
                memory = line.get("max_rss", "-")
                if memory not in ("-", "", "NA"):
                    row["memory_mb"] = max(float(row["memory_mb"]), float(memory))
    return list(rules.values())
