"""The embedded sky at scale: sources per second and memory, and galpy's sampler in the same run.

    python benchmarks/sky.py [sources] [partitions]

Plans a sky of that many sources (10 million by default) and makes that many of its 96 partitions
(6 by default) in two processes: stars with positions, velocities, magnitudes and extinction, and
the whole gaia_source of the synthetic Gaia. Prints sources per second of both cores together, the
peak memory of a process, and how many disc stars with velocities galpy's quasi-isothermal sampler
draws in a second of one core.
"""

import logging
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mwatlas.config import Settings, load_settings
from mwatlas.healpix import balanced_partitions
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.gaia import observe_gaia
from mwatlas.sky.generate import Sky
from mwatlas.sky.model import library_ages, load_model, write_galaxy
from mwatlas.sky.partition import write_partition
from mwatlas.sky.plan import Plan
from mwatlas.sky.stars import Library

ROOT = Path(__file__).resolve().parent.parent
PROGRESS = Progress("benchmark", logging.getLogger("benchmark"))
ORDER, PARTITIONS, CORES = 3, 96, 2
PEER_STARS = 2000


def prepare(sources: int, folder: Path) -> dict[str, Path]:
    """Make what the partitions are made from."""
    adapter = settings(sources).adapter
    source, seed = adapter.source, 1
    files = {name: folder / f"{name}.h5" for name in ("galaxy", "stellar_library", "dust")}
    write_galaxy(source.components, files["galaxy"], PROGRESS)
    ages = library_ages(source.components, source.barred, source.clusters)
    Library.compute(ages, seed, PROGRESS).save(files["stellar_library"])
    SkyDust.compute(source.dust, seed, PROGRESS).save(files["dust"])
    plan = Plan.compute(source, seed, ORDER, load_model(source, **files), PROGRESS)
    plan.save(folder / "plan.h5")
    return files | {"plan": folder / "plan.h5"}


def settings(sources: int) -> Settings:
    """The default sky with another number of sources."""
    return load_settings(
        {
            "adapter": {
                "source": {"n_stars": sources},
                "healpix_order": ORDER,
                "partitions": PARTITIONS,
            }
        },
        ROOT,
    )


def draw(number: int, sources: int, files: dict[str, Path]) -> tuple[int, float, float]:
    """Draw and observe one partition in memory: stars, seconds, peak memory in GB."""
    adapter = settings(sources).adapter
    source, model = adapter.source, load_model(adapter.source, **without_plan(files))
    sky = Sky(source, 1, ORDER, model, Plan.load(files["plan"]))
    cells = balanced_partitions(sky.counts, PARTITIONS)[number]
    # Compile, and let tables of the scanning law be made.
    observe_gaia(sky.cell(cells.start), source.gaia, block_generator(1, "warm", 0))
    start, stars = time.perf_counter(), 0
    for cell in cells:
        truth = sky.cell(cell)
        observe_gaia(truth, source.gaia, block_generator(1, "sky/gaia", cell))
        stars += len(truth["source_id"])
    return stars, time.perf_counter() - start, peak_gb()


def write(number: int, sources: int, files: dict[str, Path], folder: Path) -> tuple[float, float]:
    """The whole job of a partition, with loading and writing: seconds, peak memory in GB."""
    start = time.perf_counter()
    write_partition(
        number,
        settings(sources).adapter,
        1,
        **files,
        source=folder / f"{number}.parquet",
        truth=folder / f"{number}-truth.parquet",
        progress=PROGRESS,
    )
    return time.perf_counter() - start, peak_gb()


def without_plan(files: dict[str, Path]) -> dict[str, Path]:
    """Files of the model."""
    return {name: path for name, path in files.items() if name != "plan"}


def peak_gb() -> float:
    """Largest resident memory of this process so far; of the parent, too, where not on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def galpy_rate() -> float:
    """Disc stars per second of galpy's quasi-isothermal distribution function, at one place."""
    from galpy.actionAngle import actionAngleStaeckel
    from galpy.df import quasiisothermaldf
    from galpy.potential import MWPotential2014

    actions = actionAngleStaeckel(pot=MWPotential2014, delta=0.45, c=True)
    disc = quasiisothermaldf(
        1 / 3, 0.2, 0.1, 1.0, 1.0, pot=MWPotential2014, aA=actions, cutcounter=True
    )
    start = time.perf_counter()
    disc.sampleV(1.0, 0.05, n=PEER_STARS)
    return PEER_STARS / (time.perf_counter() - start)


def main(sources: int, partitions: int) -> None:
    """Time and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        files = prepare(sources, folder)
        print(f"preparation: {time.perf_counter() - start:.0f} s once, {peak_gb():.2f} GB")
        chosen = np.linspace(0, PARTITIONS - 1, partitions).astype(int).tolist()
        with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
            made = list(pool.map(draw, chosen, [sources] * partitions, [files] * partitions))
        stars = sum(row[0] for row in made)
        rate = CORES * stars / sum(row[1] for row in made)
        print(
            f"drawn and observed: {stars:,} sources, {rate:,.0f} sources/s on {CORES} cores, "
            f"{max(row[2] for row in made):.2f} GB"
        )
        with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
            jobs = [pool.submit(write, n, sources, files, folder) for n in chosen]
            written = [job.result() for job in jobs]
        whole = CORES * stars / sum(row[0] for row in written)
        print(
            f"whole jobs, with loading and writing: {whole:,.0f} sources/s on {CORES} cores, "
            f"{max(row[1] for row in written):.2f} GB; "
            f"all {sources:,} in {sources / whole / 60:.1f} min"
        )
    peer = galpy_rate()
    print(f"galpy, velocities at one place: {peer:,.0f} stars/s; ours {rate / CORES / peer:.0f} x")


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main(*(given + [10_000_000, 6][len(given) :]))
