"""The rules of the workflow, and what the cost of each grows with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mwatlas.tables.sky_surveys import SURVEYS

STUDY = "line_of_sight"
"""Folder of the study; those of its variants are inside it."""


@dataclass(frozen=True)
class Stage:
    """A rule of the workflow, and what its cost grows with.

    Parameters
    ----------
    rule
        Its name.
    work
        rows: rows of the release; sample: stars after the base cut; training: training stars times
        epochs; partitions: files it merges; nothing: every job costs the same.
    benchmarks
        Patterns of its benchmark files in ``benchmarks/<rule>``; empty for ``<rule>.tsv``.
    growing, fixed
        Patterns of the files a job writes, whose size grows with the work or does not; ``{name}``
        is the stem of the benchmark file.
    runs
        Which runs have the rule: the study alone, also every variant, those with networks of
        their own, or those of them that predict densities. ``{run}`` in patterns is its folder.
    only
        Kind of source without which the rule does not run; empty if any.
    study
        Without this study the rule does not run; empty if any.
    held
        What a job holds in memory at once: the rows of its largest cell, of a partition,
        its training stars, or an amount that does not depend on rows.
    asked
        It runs only if it is asked for, so that a run to come is not taken to have it.
    """

    rule: str
    work: Literal["rows", "sample", "training", "partitions", "nothing"] = "nothing"
    benchmarks: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    runs: Literal["study", "all", "predictors", "densities"] = "study"
    only: str = ""
    study: str = ""
    held: Literal["cell", "partition", "training", "constant"] = "constant"
    asked: bool = False

    @property
    def per(self) -> Literal["part", "round", "named"]:
        """What there is one job for: a partition, a round of cross-validation, or its files."""
        if self.study:
            # Its partitions are not those of the release.
            return "named"
        last = self.benchmarks[0].rsplit("/", 1)[-1] if self.benchmarks else ""
        return "part" if "part-" in last else "round" if "round" in last else "named"


def _per_part(rule: str, work: Literal["rows", "sample"], growing: str, only: str = "") -> Stage:
    outputs = tuple(f"{folder}/{{name}}.parquet" for folder in growing.split())
    return Stage(rule, work, ("part-*",), outputs, only=only, held="cell")


def _of_mock(rule: str, files: str) -> Stage:
    """A rule of the conditional-potential study: its mock is the same for every release."""
    study = "conditional_potential"
    folders = (study, f"{study}/variants/*")
    return Stage(
        rule,
        "nothing",
        tuple(f"{folder}/{files}" if files else folder for folder in folders),
        study=study,
    )


_SURVEYS = " ".join(f"raw/{name}" for name in SURVEYS)
_OF_NEARBY_MEMBERS = ("train", "distil", "solve")
STAGES = (
    Stage("check_readiness", "nothing", ("*",), fixed=("preflight/{name}.json",), only="files"),
    Stage("acquire_table", "nothing", ("*",), only="files"),
    Stage(
        "import_files", "rows", (), ("raw/gaia_source/*.parquet",), only="files", held="partition"
    ),
    Stage("tabulate_galaxy", fixed=("truth/galaxy.h5",), only="sky"),
    Stage("evolve_stars", fixed=("truth/stars.h5",), only="sky"),
    Stage("map_dust", fixed=("raw/dust_map.h5",), only="sky"),
    Stage("plan_sky", fixed=("truth/plan.h5",), only="sky"),
    _per_part("synthesize_sky", "rows", "raw/gaia_source truth/gaia_source", "sky"),
    _per_part("synthesize_surveys", "rows", f"{_SURVEYS} truth/surveys", "sky"),
    _per_part("synthesize_spectra", "rows", "raw/xp_continuous_mean_spectrum truth/xp", "sky"),
    Stage("synthesize_clusters", "rows", (), ("raw/hunt2023_*.parquet",), only="sky", held="cell"),
    Stage("synthesize_pulsars", fixed=("raw/p*.parquet",), only="sky"),
    Stage("portray_sky", "rows", fixed=("sky/data/*",), only="sky", held="cell"),
    Stage("describe_sky", fixed=("sky/tables/*",), only="sky"),
    _per_part("clean_stars", "rows", "catalogs/stars"),
    Stage("import_survey", "nothing", ("*",), fixed=("catalogs/surveys/{name}.parquet",)),
    _per_part("match_surveys", "rows", "catalogs/survey_matches"),
    _per_part("select_line_of_sight", "rows", f"{STUDY}/sample"),
    Stage("sort_line_of_sight_folds", "sample", (), (f"{STUDY}/folds/*",), held="cell"),
    Stage(
        "train_line_of_sight",
        "training",
        ("{run}/round*",),
        fixed=("models/{run}/{name}.*",),
        runs="predictors",
        held="training",
    ),
    Stage(
        "predict_line_of_sight",
        "sample",
        ("{run}/part-*",),
        ("{run}/predictions/{name}.parquet",),
        runs="predictors",
        held="cell",
    ),
    Stage(
        "accumulate_line_of_sight",
        "sample",
        ("{run}/part-*",),
        ("{run}/orbits/{name}.parquet", "{run}/candidates/{name}.parquet"),
        ("{run}/statistics/{name}.h5",),
        runs="all",
        held="cell",
    ),
    Stage(
        "reveal_line_of_sight",
        "sample",
        ("part-*",),
        (f"{STUDY}/truth/{{name}}.parquet",),
        (f"{STUDY}/truth/{{name}}.h5",),
        only="sky",
        held="cell",
    ),
    Stage(
        "compare_line_of_sight",
        "sample",
        ("{run}/part-*",),
        fixed=("{run}/comparison/{name}.h5",),
        runs="all",
        only="sky",
        held="cell",
    ),
    Stage("summarise_line_of_sight", "partitions", ("{run}",), fixed=("{run}/data/*",), runs="all"),
    Stage("recover_line_of_sight", "partitions", ("{run}",), runs="all", only="sky"),
    Stage(
        "publish_line_of_sight",
        "sample",
        ("{run}/*",),
        ("{run}/catalogs/{name}/**/*",),
        runs="densities",
        held="cell",
    ),
    Stage("tabulate_line_of_sight"),
    Stage("contrast_line_of_sight"),
    _of_mock("obscure_conditional_potential", ""),
    _of_mock("draw_conditional_potential", "part-*"),
    _of_mock("train_conditional_potential", "*"),
    _of_mock("distil_conditional_potential", "*"),
    _of_mock("solve_conditional_potential", "*"),
    _of_mock("evaluate_conditional_potential", ""),
    _of_mock("measure_conditional_potential", ""),
    # Its row has all files of the study.
    Stage(
        "summarise_conditional_potential",
        fixed=("conditional_potential/**/*", "models/conditional_potential/**/*"),
        study="conditional_potential",
    ),
    Stage("tabulate_conditional_potential", study="conditional_potential"),
    # A comparison of mocks, a search and a first look at real stars are not of every run.
    Stage("compare_conditional_potential", asked=True),
    Stage("search_conditional_potential", "nothing", ("*",), asked=True),
    Stage("gather_nearby", asked=True),
    *(Stage(f"{what}_nearby", "nothing", ("*",), asked=True) for what in _OF_NEARBY_MEMBERS),
    Stage("measure_nearby", asked=True),
    Stage("draw_figure", "nothing", ("conditional_potential-*",), study="conditional_potential"),
    Stage("draw_figure", "nothing", (f"{STUDY}-fig0*", f"{STUDY}-fig1[0-2]")),
    Stage("draw_figure", "nothing", ("sky-*", f"{STUDY}-fig13"), only="sky"),
    Stage("write_ledger", fixed=("ledger.*",)),
    Stage("write_report", fixed=("report/*",)),
)
"""Every rule of the workflow, in the order of the data."""
