"""Set what one run learned beside the truth."""

from pathlib import Path
from typing import TYPE_CHECKING

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.job import grouped, job
from mwatlas.studies.conditional_potential.evaluate import Evaluation, MockTruth, Models
from mwatlas.studies.conditional_potential.networks import write_networks

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as progress:
    study = ConditionalPotential.model_validate(snakemake.params.study)
    given, learned = snakemake.input, snakemake.params.learned
    methods = study.methods
    models = Models.load(
        grouped(snakemake.params.positions, given.positions),
        [Path(path) for path in given.velocities],
        grouped(methods, given.potentials),
        study.flows.device,
    )
    truth = MockTruth.load(study.mock, Path(given.dust), Path(given.extinction))
    out = {name: Path(path) for name, path in snakemake.output.items()}
    write_networks(
        study,
        grouped(learned, given.flow_records),
        [Path(path) for path in given.quick_records],
        grouped(methods, given.potential_records),
        out.pop("networks"),
    )
    evaluation = Evaluation(models, truth, study, snakemake.params.seed)
    evaluation.write([Path(path) for path in given.stars], out, progress)
