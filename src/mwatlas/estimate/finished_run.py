"""What the jobs of a finished run took and wrote, and what each of them worked on."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pyarrow.parquet as pq

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.errors import InputError
from mwatlas.estimate.stages import STUDY, Stage
from mwatlas.studies.line_of_sight.folds import training_subsets

# Snakemake measures a job's processor time each half second for 15 s, then each 30 s (measured on
# version 9.27: 31 short intervals, see its benchmark.py).
_OFTEN_S, _SELDOM_S = 15.0, 30.0


@dataclass(frozen=True)
class Job:
    """What a finished job worked on, took and wrote.

    Parameters
    ----------
    run
        Folder of the finished run.
    work
        In the unit of its stage.
    held
        Rows it holds in memory at once.
    seconds
        Of processor time.
    memory_gb
        Largest resident memory; NaN where a job was too short to be measured.
    growing_gb, fixed_gb
        Size of its files.
    """

    run: Path
    work: float
    held: float
    seconds: float
    memory_gb: float
    growing_gb: float
    fixed_gb: float


@cache
def _rows(path: Path) -> tuple[int, int]:
    """Rows of a Parquet file, and of its largest row group, which is a cell."""
    metadata = pq.read_metadata(path)
    groups = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    return metadata.num_rows, max(groups, default=0)


def processor_seconds(wall: float, measured: float) -> float:
    """Processor time of a whole job from what Snakemake saw of it.

    Parameters
    ----------
    wall
        Length of the job, s.
    measured
        Its processor time when Snakemake last looked, s; taken to go on at that rate.

    Returns
    -------
    float
        At least ``measured``.
    """
    seldom = max(0.0, wall - _OFTEN_S)
    last = wall if wall <= _OFTEN_S else _OFTEN_S + _SELDOM_S * (seldom // _SELDOM_S)
    return measured * wall / last


class FinishedRun:
    """A finished run, read from its benchmark files and the footers of its tables.

    Parameters
    ----------
    folder
        For instance ``results/sky``.

    Raises
    ------
    InputError
        If there is no such run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "benchmarks").is_dir():
            raise InputError(
                "there is no finished run to estimate from",
                file=folder,
                found="no folder benchmarks in it" if folder.is_dir() else "no such folder",
                expected="results of a finished run",
                remedy="make one first, for instance with `make demo`, which makes results/sky",
            )

    def measured(self, stage: Stage, run: str, study: LineOfSight) -> list[Job]:
        """Jobs of a stage; none if the run has no such rule.

        Parameters
        ----------
        stage
            The rule.
        run
            Folder of the study or of a variant.
        study
            Its settings, which say what trains in a round.

        Raises
        ------
        InputError
            If a job of the rule is missing or a file that it worked on.
        """
        jobs = []
        for path in self._benchmarks(stage, run):
            try:
                jobs.append(self._job(stage, run, path, study))
            except (OSError, KeyError, ValueError) as error:
                raise self._unfinished(f"{type(error).__name__}: {error}", path) from error
        if jobs and stage.per == "part" and len(jobs) < len(self._parts):
            raise self._unfinished(f"{len(jobs)} of {len(self._parts)} jobs of {stage.rule}")
        return jobs

    def _unfinished(self, found: str, file: Path | None = None) -> InputError:
        return InputError(
            "the run to estimate from is not finished",
            file=file or self.folder,
            found=found,
            expected="a benchmark of every job, and the tables it worked on",
            remedy=f"finish it first: snakemake --config release={self.folder.name}",
        )

    @property
    def kind(self) -> str:
        """Its source.kind: sky or files."""
        imported = self.folder / "benchmarks" / "import_files.tsv"
        return "files" if imported.exists() else "sky"

    @cached_property
    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("raw/gaia_source/part-*.parquet"))

    @cached_property
    def rows(self) -> int:
        """Rows of the release."""
        return sum(_rows(path)[0] for path in self._parts)

    @cached_property
    def sample(self) -> int:
        """Stars after the base cut."""
        return sum(_rows(path)[0] for path in self.folder.glob(f"{STUDY}/sample/part-*.parquet"))

    @cached_property
    def folds(self) -> list[int]:
        """Stars with a velocity, in each subset of cross-validation."""
        return [_rows(path)[0] for path in sorted(self.folder.glob(f"{STUDY}/folds/fold*.parquet"))]

    @cached_property
    def contrast(self) -> float:
        """Stars of the fullest cell over those of the mean cell."""
        cells = sum(pq.read_metadata(path).num_row_groups for path in self._parts)
        return max(_rows(path)[1] for path in self._parts) * cells / self.rows

    def epochs(self, run: str) -> list[int]:
        """Epochs of each training."""
        found = sorted(self.folder.glob(f"models/{run}/round*.history.parquet"))
        return [_rows(path)[0] for path in found]

    def _benchmarks(self, stage: Stage, run: str) -> Iterator[Path]:
        top = self.folder / "benchmarks"
        for pattern in stage.benchmarks or ("",):
            name = f"{stage.rule}/{pattern}" if pattern else stage.rule
            for path in sorted(top.glob(f"{name.replace('{run}', run)}.tsv")):
                # Where there were more partitions once, their benchmarks are still there.
                if stage.per != "part" or (self._parts[0].parent / f"{path.stem}.parquet").exists():
                    yield path

    def _job(self, stage: Stage, run: str, path: Path, study: LineOfSight) -> Job:
        with path.open(encoding="utf-8") as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
        wall = float(row["s"])
        seen = row["cpu_time"] not in ("NA", "-")
        work, held = self._work(stage, run, path.stem, study)
        sizes = [
            sum(
                file.stat().st_size / 1e9
                for pattern in patterns
                for file in self.folder.glob(pattern.format(run=run, name=path.stem))
                if file.is_file()
            )
            for patterns in (stage.growing, stage.fixed)
        ]
        return Job(
            run=self.folder,
            work=work,
            held=held,
            seconds=processor_seconds(wall, float(row["cpu_time"])) if seen else wall,
            memory_gb=float(row["max_rss"]) / 1024 if seen else math.nan,
            growing_gb=sizes[0],
            fixed_gb=sizes[1],
        )

    def _work(self, stage: Stage, run: str, name: str, study: LineOfSight) -> tuple[float, float]:
        if stage.work == "nothing":
            return 0.0, 0.0
        if stage.work == "partitions":
            return float(len(self._parts)), 0.0
        if stage.work == "training":
            number = int(name.removeprefix("round"))
            split = study.cross_validation.model_copy(update={"folds": len(self.folds)})
            stars = sum(self.folds[fold] for fold in training_subsets(number, split))
            history = self.folder / f"models/{run}/{name}.history.parquet"
            return float(stars * _rows(history)[0]), float(stars)
        table = self.folder / ("raw/gaia_source" if stage.work == "rows" else f"{STUDY}/sample")
        if stage.per == "part":
            files = [table / f"{name}.parquet"]
        else:
            files = [table / path.name for path in self._parts]
        rows = [_rows(path) for path in files]
        total, cell = sum(number for number, _ in rows), max(largest for _, largest in rows)
        return float(total), float(cell if stage.held == "cell" else total / len(rows))
