"""Size of the graph: jobs of a run, and the time Snakemake takes to plan it.

    python benchmarks/graph.py

Plans, without running: the embedded sky of 1e5 and of 1e7 sources, and the release `gaiaedr3` of
the line-of-sight paper, 9.2e7 stars, over stand-ins for its files. The number of jobs does not
depend on what is in them.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = {
    "sky, 1e5 sources": ["adapter={source: {n_stars: 100000}}"],
    "sky, 1e7 sources": ["adapter={healpix_order: 2, partitions: 12, source: {n_stars: 10000000}}"],
    "gaiaedr3, 9.2e7 stars": ["release=gaiaedr3"],
    "gaiaedr3, without variants": ["release=gaiaedr3", "line_of_sight={compare: []}"],
}
STAND_INS = (
    "gaiaedr3/stars.parquet",
    "allStar-dr17-synspec_rev1.fits",
    "GALAH_DR3_main_allstar_v2.fits",
)
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Plan every run and print a table."""
    with tempfile.TemporaryDirectory() as data:
        for name in STAND_INS:
            path = Path(data) / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        print(f"{'run':<28} {'jobs':>6} {'seconds':>8}")
        for what, config in RUNS.items():
            command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--nolock"]
            started = time.perf_counter()
            planned = subprocess.run(
                [*command, "--config", *config, f"data_dir={data}"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds = time.perf_counter() - started
            jobs = re.search(r"^total +(\d+)$", planned.stdout + planned.stderr, re.M)[1]
            print(f"{what:<28} {jobs:>6} {seconds:8.1f}")


if __name__ == "__main__":
    main()
