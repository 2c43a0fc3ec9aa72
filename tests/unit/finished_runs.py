"""Finished runs of known cost, made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mwatlas.config import Settings, load_settings
from mwatlas.estimate.stages import STAGES, STUDY

START_S, PER_STAR_S, PER_EPOCH_S, PER_FILE_S = 2.0, 1e-4, 1e-6, 0.01
START_GB, PER_HELD_GB, PER_STAR_GB = 0.1, 1e-5, 1e-7
EPOCHS = 10
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
VARIANTS = {"mixture": True, "gravity2022": False}  # whether it has networks of its own
SURVEYS = ("apogee", "galah")


def release(root: Path, rows: int, partitions: int, **study: object) -> Settings:
    """A release of files of which half is in the sample, and half of that has a velocity."""
    expected = {
        "rows": rows,
        "sample": rows // 2,
        "with_radial_velocity": rows // 4,
        "source": "made by hand",
    }
    user = {
        "release": "gaiadr3",
        "studies": [STUDY],
        "adapter": {"partitions": partitions, "healpix_order": 1, "expected": expected},
        STUDY: {"compare": list(VARIANTS), **study},
    }
    return load_settings(user, root)


def table(path: Path, groups: list[int]) -> None:
    """A Parquet file with row groups of these sizes,."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, pa.schema([("source_id", pa.int8())])) as writer:
        for rows in groups:
            writer.write_table(pa.table({"source_id": np.zeros(rows, dtype=np.int8)}))


def benchmark(path: Path, seconds: float, gigabytes: float) -> None:
    """A benchmark file as Snakemake writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = f"{seconds}\t0:00:00\t{gigabytes * 1024}\t0\t0\t0\t0\t0\t100\t{seconds}\n"
    path.write_text(HEADER + row)


def finished_run(folder: Path, rows: int, partitions: int) -> Path:
    """A run on a release of that size; a cell in each partition holds three quarters of it.

    A job takes ``START_S + PER_STAR_S * stars``; one that trains ``PER_EPOCH_S`` for each star
    and epoch, one that merges ``PER_FILE_S`` for each file.
    """
    parts, folds = [f"part-{i:04d}" for i in range(partitions)], 5
    each, trained = rows // partitions, rows // 4 // folds
    for name in parts:
        table(folder / "raw/gaia_source" / f"{name}.parquet", [each // 4, 3 * each // 4])
        table(folder / STUDY / "sample" / f"{name}.parquet", [each // 8, 3 * each // 8])
    for number in range(folds):
        table(folder / STUDY / "folds" / f"fold{number}.parquet", [trained])
    runs = {"": True, **VARIANTS}
    for name, own in runs.items():
        run = f"{STUDY}/variants/{name}" if name else STUDY
        for number in range(folds if own else 0):
            table(folder / f"models/{run}/round{number}.history.parquet", [EPOCHS])
    for stage in STAGES:
        if stage.only == "sky" or stage.study or stage.asked:
            continue
        rate = PER_STAR_S
        for name, own in runs.items():
            if name and (stage.runs == "study" or (stage.runs != "all" and not own)):
                continue
            run = f"{STUDY}/variants/{name}" if name else STUDY
            total = {"rows": rows, "sample": rows // 2}.get(stage.work, 0)
            held = 3 * total // partitions // 4 if stage.held == "cell" else total // partitions
            if stage.work == "training":
                # The mixture trains on all that neither validate nor are predicted.
                stars = trained * (3 if name == "mixture" else 1)
                total, held, rate = stars * EPOCHS, stars, PER_EPOCH_S
            elif stage.work == "partitions":
                total, held, rate = partitions, 0, PER_FILE_S
            names = {
                "part": parts,
                "round": [f"round{number}" for number in range(folds)],
                "named": SURVEYS if stage.rule == "import_survey" else ["rv", "test_set"],
            }[stage.per]
            work = total // partitions if stage.per == "part" else total
            cost = START_S + rate * work, START_GB + PER_HELD_GB * held
            top = folder / "benchmarks" / stage.rule
            if not stage.benchmarks:
                benchmark(top.with_suffix(".tsv"), *cost)
            elif stage.benchmarks == ("{run}",):
                benchmark(top / f"{run}.tsv", *cost)
            elif stage.rule == "draw_figure":
                benchmark(top / f"{STUDY}-fig01.tsv", *cost)
            else:
                deeper = top / run if "{run}" in stage.benchmarks[0] else top
                for file in names:
                    benchmark(deeper / f"{file}.tsv", *cost)
            if stage.rule == "clean_stars":
                for file in parts:
                    written = folder / "catalogs/stars" / f"{file}.parquet"
                    written.parent.mkdir(parents=True, exist_ok=True)
                    written.write_bytes(b"\0" * round(PER_STAR_GB * 1e9 * each))
    return folder
