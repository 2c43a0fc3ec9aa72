"""Find the potential near the Sun in which what one member learned from real stars is steady."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import Sampling
from mwatlas.config.line_of_sight import SolarFrame
from mwatlas.config.solvers import Solver
from mwatlas.files import write_json
from mwatlas.job import job
from mwatlas.studies.conditional_potential.nearby_stars import steady_frame
from mwatlas.studies.conditional_potential.solving import solve_member

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    params = snakemake.params
    sun = SolarFrame.model_validate(params.sun)
    record = solve_member(
        "conditional",
        int(snakemake.wildcards.member),
        Solver.model_validate(params.solver),
        params.device,
        Sampling.model_validate(params.sampling),
        params.radius_kpc,
        params.seed,
        flow_files={"velocities": Path(snakemake.input.flow)},
        quick_files={"velocities": Path(snakemake.input.quick)},
        stars=[Path(snakemake.input.stars)],
        code=params.code,
        model_file=Path(snakemake.output.model),
        progress=progress,
        frame=steady_frame(sun, params.pattern_speed),
    )
    write_json(snakemake.output.record, record)
