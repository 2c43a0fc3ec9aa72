"""Scaling finished runs up to a release, before anything is downloaded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mwatlas.config import Settings
from mwatlas.config.sky import SkySource
from mwatlas.errors import ConfigError, InputError
from mwatlas.estimate.finished_run import FinishedRun, Job
from mwatlas.estimate.scaling import SIZES_APART, Line, apart, makespan
from mwatlas.estimate.stages import STAGES, STUDY, Stage
from mwatlas.estimate.table import Estimate, Row
from mwatlas.healpix import number_of_cells


@dataclass
class _Plan:
    """Sizes of the release, and what measures them."""

    settings: Settings
    like: Sequence[FinishedRun]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        adapter = self.settings.adapter
        self.largest = max(self.like, key=lambda run: run.rows)
        self.kind = adapter.source.kind
        if isinstance(adapter.source, SkySource):
            self.rows, sample, velocities = adapter.source.n_stars, None, None
            self.notes.append(f"{self.rows:,} rows: source.n_stars")
        elif adapter.expected is not None:
            expected = adapter.expected
            self.rows, sample = expected.rows, expected.sample
            velocities = expected.with_radial_velocity
            self.notes.append(f"{self.rows:,} rows: {expected.source}")
        else:
            raise ConfigError(
                "the release does not say how many rows it has",
                file=f"config/releases/{self.settings.release}.yaml",
                item="expected",
                expected="rows, source, and if known sample and with_radial_velocity",
                remedy="add them there; config/README.md explains every key",
            )
        run = self.largest
        self.sample = sample or round(self.rows * run.sample / run.rows)
        self.velocities = velocities or round(self.sample * sum(run.folds) / run.sample)
        for known, what, number in (
            (sample, "in the sample", self.sample),
            (velocities, "with a velocity", self.velocities),
        ):
            share = "" if known else f", the share of {run.folder}"
            self.notes.append(f"{number:,} stars {what}{share}")

    def measured(self, stage: Stage, run: str) -> list[Job]:
        """Jobs of a stage in the finished runs; a variant that was not run is as the study."""
        for folder in dict.fromkeys((run, STUDY)):
            study = self.settings.line_of_sight.variant(_variant(folder))
            found = [job for like in self.like for job in like.measured(stage, folder, study)]
            if found:
                if folder != run:
                    self._note(f"{run} was not run: its jobs are taken to be as those of the study")
                return found
        return []

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def work(self, stage: Stage, run: str) -> tuple[float, float, str]:
        """Work of one job, rows it holds, and the work in words."""
        adapter = self.settings.adapter
        if stage.work == "nothing":
            return 0.0, 0.0, ""
        if stage.work == "partitions":
            return float(adapter.partitions), 0.0, f"{adapter.partitions} files"
        if stage.work == "training":
            split = self.settings.line_of_sight.variant(_variant(run)).cross_validation
            epochs = self.largest.epochs(run) or self.largest.epochs(STUDY)
            number = split.training_subsets
            # One subset is predicted and one validates.
            subsets = split.folds - 2 if number == "all" else number
            stars, mean = self.velocities * subsets / split.folds, sum(epochs) / len(epochs)
            return stars * mean, stars, f"{stars:,.0f} stars, {mean:.0f} epochs"
        rows = self.rows if stage.work == "rows" else self.sample
        cell = rows / number_of_cells(adapter.healpix_order) * self.largest.contrast
        total = rows / adapter.partitions if stage.per == "part" else rows
        held = cell if stage.held == "cell" else rows / adapter.partitions
        return total, held, f"{total:,.0f} stars"


def _variant(run: str) -> str:
    return run.partition("/variants/")[2]


def runs_of(stage: Stage, settings: Settings) -> list[str]:
    """Folders of the runs of a stage, that of the study first."""
    study = settings.line_of_sight
    names = [] if stage.runs == "study" else list(study.compare)
    if stage.runs in ("predictors", "densities"):
        names = [name for name in names if study.predictor(name)]
    if stage.runs == "densities":
        names = [name for name in names if study.variant(name).network.kind == "mixture"]
    return [STUDY, *(f"{STUDY}/variants/{name}" for name in names)]


def estimate(settings: Settings, like: Sequence[FinishedRun], cores: int) -> Estimate:
    """Scale finished runs up to a release.

    Parameters
    ----------
    settings
        Configuration of the run to come.
    like
        Finished runs on the same machine; of different sizes, they tell start-up from rates.
    cores
        Cores it may use, at least 1.

    Raises
    ------
    ConfigError
        If the release does not say how many rows it has.
    InputError
        If a rule that a finished run should have was not run.
    """
    plan = _Plan(settings, like)
    measured = {
        (stage, run): plan.measured(stage, run)
        for stage in STAGES
        if stage.only in ("", plan.kind)
        and stage.study in ("", *settings.studies)
        and not stage.asked
        for run in runs_of(stage, settings)
    }
    every = [job.seconds for jobs in measured.values() for job in jobs]
    rows: dict[tuple[str, bool], Row] = {}
    for (stage, run), jobs in measured.items():
        if jobs:
            row = _row(plan, stage, run, jobs, min(every), cores)
            key = row.rule, row.variants
            rows[key] = rows[key].joined(row) if key in rows else row
        elif stage.only and stage.only not in {finished.kind for finished in like}:
            plan.notes.append(
                f"{stage.rule} is not counted, because no run given has it; add one of a release "
                f"with source.kind {stage.only} to --like"
            )
        else:
            raise InputError(
                "a rule was never run, so what it takes is not known",
                file=", ".join(str(finished.folder / "benchmarks") for finished in like),
                found=f"no benchmark file of {stage.rule}",
                expected="one for each of its jobs",
                remedy=f"finish the run first: snakemake --config release={like[0].folder.name}",
            )
    plan.notes += [
        f"start-up: fitted where jobs of a rule differ in size by {SIZES_APART:g} and more; else "
        f"the shortest job of all, {min(every):.1f} s, which overstates the rest: give runs of "
        "several sizes to --like",
        "processor time: cpu_time of the benchmark files, extended to the job's end (Snakemake "
        "looks each 30 s); other programs disturb it less than s, the wall time",
        "wall time: every job has a core for itself, one rule starts when the other is done",
        f"memory: the fullest cell holds {plan.largest.contrast:.1f} times the mean; > where the "
        "finished jobs do not differ enough to tell its growth, which is then left out",
        "training: as many epochs as there, and the same time per star and epoch in any batch",
        "folds and catalogues grow like the sample, whatever its share of stars with a velocity",
        "surveys have as many rows as there; Snakemake's own time is left out",
        *(
            ["the mock of conditional_potential does not grow with the release: its jobs as there"]
            if "conditional_potential" in settings.studies
            else []
        ),
    ]
    return Estimate(settings.release, cores, list(rows.values()), plan.notes)


def _row(
    plan: _Plan, stage: Stage, run: str, jobs: Sequence[Job], shortest: float, cores: int
) -> Row:
    work, held, works_on = plan.work(stage, run)
    number = {
        "part": plan.settings.adapter.partitions,
        "round": plan.settings.line_of_sight.cross_validation.folds,
        "named": max(Counter(job.run for job in jobs).values()),
    }[stage.per]
    sizes = [job.work for job in jobs]
    hours = Line.through(sizes, [job.seconds / 3600 for job in jobs], shortest / 3600).at(work)
    growing = Line.through(sizes, [job.growing_gb for job in jobs], 0.0).at(work)
    fixed = float(np.mean([job.fixed_gb for job in jobs]))
    seen = [job for job in jobs if not math.isnan(job.memory_gb)]
    memory = max((job.memory_gb for job in seen), default=0.0)
    scaled = stage.held == "constant"
    if seen and not scaled and apart([job.held for job in seen]):
        line = Line.through([job.held for job in seen], [job.memory_gb for job in seen], 0.0)
        # No finished job needed more than this line says.
        above = max(job.memory_gb - line.at(job.held) for job in seen)
        memory, scaled = max(memory, line.at(held) + above), True
    return Row(
        rule=stage.rule,
        variants=run != STUDY,
        jobs=number,
        works_on=works_on,
        cpu_hours=number * hours,
        wall_hours=makespan([hours] * number, cores),
        memory_gb=memory,
        memory_scaled=scaled,
        written_gb=number * (growing + fixed),
    )
