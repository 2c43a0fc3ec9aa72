"""The whole configuration of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mwatlas.config.archives import Archives
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.fields import Strict, setting
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.release import ReleaseAdapter

STUDIES = ("line_of_sight", "conditional_potential")


class Settings(Strict):
    """Root of the configuration; `adapter` and the studies come from files of their own."""

    release: str = setting("sky", "data release: a file in config/releases, without .yaml")
    studies: list[Literal["line_of_sight", "conditional_potential"]] = setting(
        list(STUDIES), "studies to run", min_length=1
    )
    seed: int = setting(20221, "seed of every random draw of the run", ge=0, lt=2**63)
    gpus: int = setting(0, "GPUs of a job that trains, on a cluster that has them", ge=0)
    data_dir: str = setting(
        "../shared/data", "folder of the survey files that a release reads, if it reads any"
    )
    archives: Archives = Field(
        default=Archives(), description="how tables are fetched from the archives"
    )
    adapter: ReleaseAdapter = Field(description="the release, from config/releases/<release>.yaml")
    line_of_sight: LineOfSight = Field(
        default=LineOfSight(), description="from config/studies/line_of_sight.yaml"
    )
    conditional_potential: ConditionalPotential = Field(
        default=ConditionalPotential(),
        description="from config/studies/conditional_potential.yaml",
    )
