"""Find the potential of one member by one method."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import Sampling
from mwatlas.config.solvers import Solver
from mwatlas.files import write_json
from mwatlas.job import by_name, job
from mwatlas.studies.conditional_potential.solving import solve_member

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    record = solve_member(
        snakemake.wildcards.method,
        int(snakemake.wildcards.member),
        Solver.model_validate(snakemake.params.solver),
        snakemake.params.device,
        Sampling.model_validate(snakemake.params.sampling),
        snakemake.params.radius_kpc,
        snakemake.params.seed,
        flow_files=by_name(snakemake.params.learned, snakemake.input.flows),
        quick_files=by_name(snakemake.params.learned, snakemake.input.quick),
        stars=[Path(path) for path in snakemake.input.stars],
        code=snakemake.params.code,
        model_file=Path(snakemake.output.model),
        progress=progress,
    )
    write_json(snakemake.output.record, record)
