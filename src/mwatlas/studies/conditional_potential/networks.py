"""The trained networks of a run, as Tables 2 and 3 list them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mwatlas.config.conditional_potential import ConditionalPotential, MethodName
from mwatlas.config.flows import Flow
from mwatlas.config.solvers import FieldNetwork, GradientSettings
from mwatlas.files import read_json
from mwatlas.studies.conditional_potential.evaluated_tables import NETWORKS
from mwatlas.studies.conditional_potential.names import positions_of
from mwatlas.tables.parquet import write_table
from mwatlas.tables.table import Columns

Record = Mapping[str, Any]

_OPTIMISERS = {"adamw": "AdamW", "muon": "Muon"}
_EXTRA = {"selection": "selection", "conditional": "tracers"}


def networks_table(
    study: ConditionalPotential,
    flows: Mapping[str, Sequence[Record]],
    quick: Sequence[Record],
    solved: Mapping[MethodName, Sequence[Record]],
) -> Columns:
    """Rows of the table ``conditional_potential_networks``.

    Parameters
    ----------
    study
        Settings of the run.
    flows, quick, solved
        What the jobs recorded of the members of each flow, of the networks that give scores of
        p(v|x), and of the members of each method.

    Returns
    -------
    Columns
    """
    rows = [*_flow_rows(study, flows), _quick_row(study, quick), *_solver_rows(study, solved)]
    columns = {
        name: [row.get(name, math.nan) for row in rows]
        for name in (c.name for c in NETWORKS.columns)
    }
    return {name: np.array(values) for name, values in columns.items()}


def _quick_row(study: ConditionalPotential, records: Sequence[Record]) -> dict[str, Any]:
    distillation = study.flows.distillation
    from_stars = distillation.from_stars
    training = from_stars or distillation.training
    return {
        "field": "scores",
        "methods": " ".join(study.methods),
        "purpose": "gives scores, "
        + ("trained on stars" if from_stars else "distilled from the flow"),
        "width": distillation.width,
        "depth": distillation.depth,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "epochs": float(np.mean([record["epochs"] for record in records])),
        "parameters": records[0]["parameters"],
        "members": len(records),
        "training_seconds": sum(record["seconds"] for record in records),
    }


def _members(records: Sequence[Record]) -> dict[str, Any]:
    """What the members have in common: time of all, losses in the mean."""
    return {
        "members": len(records),
        "training_seconds": sum(record["seconds"] for record in records),
        "loss": float(np.mean([record["loss"] for record in records])),
        "epochs": records[0]["epochs"],
    }


def _flow_rows(
    study: ConditionalPotential, flows: Mapping[str, Sequence[Record]]
) -> Iterator[dict[str, Any]]:
    for name, records in flows.items():
        flow: Flow = study.flows.velocities if name == "velocities" else study.flows.positions
        methods = [m for m in study.methods if name in ("velocities", positions_of(m))]
        degree = flow.harmonics_degree
        yield {
            "field": name,
            "methods": " ".join(methods),
            "purpose": "flow trained on stars",
            "width": flow.width,
            "depth": flow.depth,
            "time_embedding": flow.time_features,
            "harmonics_degree": math.nan if degree is None else degree,
            "learning_rate": flow.training.learning_rate,
            "batch_size": flow.training.batch_size,
            "parameters": records[0]["parameters"],
            **_members(records),
        }


def _solver_rows(
    study: ConditionalPotential, solved: Mapping[MethodName, Sequence[Record]]
) -> Iterator[dict[str, Any]]:
    for method, records in solved.items():
        solver = getattr(study.solvers, method)
        optimiser = solver.optimiser
        gradient = isinstance(optimiser, GradientSettings)
        shared = {
            "methods": method,
            "learning_rate": optimiser.learning_rate if gradient else math.nan,
            "batch_size": optimiser.batch_size if gradient else optimiser.last_batch_size,
            "regularization": solver.weight_penalty,
            "validation": float(np.mean([record["validation"] for record in records])),
            **_members(records),
        }
        networks: list[tuple[str, str, FieldNetwork]] = [
            ("potential", "potential", solver.potential)
        ]
        if method in _EXTRA:
            networks.append((_EXTRA[method], "extra", solver.extra))
        for field, part, network in networks:
            degree = network.harmonics_degree
            yield {
                "field": field,
                "purpose": "solved for with the Boltzmann equation",
                "width": network.width,
                "depth": network.depth,
                "harmonics_degree": math.nan if degree is None else degree,
                "parameters": records[0]["parameters"][part],
                **shared,
            }


def write_networks(
    study: ConditionalPotential,
    flows: Mapping[str, Sequence[Path]],
    quick: Sequence[Path],
    solved: Mapping[str, Sequence[Path]],
    path: Path,
) -> None:
    """Write the table from the records of the jobs; arguments as for :func:`networks_table`."""

    def read(files: Mapping[str, Sequence[Path]]) -> dict[Any, list[Record]]:
        return {name: [read_json(file) for file in each] for name, each in files.items()}

    quick_records = [read_json(file) for file in quick]
    write_table(path, NETWORKS, networks_table(study, read(flows), quick_records, read(solved)))


def general_choices(study: ConditionalPotential) -> dict[str, dict[str, str]]:
    """What the networks of each method have in common, under the names of Table 2.

    Parameters
    ----------
    study
        Settings of the run.
    """
    return {method: _choices_of(study, method) for method in study.methods}


def _choices_of(study: ConditionalPotential, method: MethodName) -> dict[str, str]:
    flows, positions = study.flows, study.flows.positions
    distillation, solver = flows.distillation, getattr(study.solvers, method)
    has_positions = positions_of(method) is not None
    trainings = [flows.velocities.training, distillation.from_stars or distillation.training]
    if has_positions:
        trainings += [positions.training, distillation.training]
    gradient = isinstance(solver.optimiser, GradientSettings)
    if gradient:
        trainings.append(solver.optimiser)
    optimisers = [_OPTIMISERS[name] for name in sorted({t.optimizer for t in trainings})]
    transport = positions.transport if has_positions else None
    return {
        "base network": "ResNet",
        "activation": "SiLU",
        "optimizer": ", ".join([*optimisers, *["Levenberg-Marquardt"] * (not gradient)]),
        "learning-rate schedule": "cosine annealing",
        "minibatch optimal transport, epochs": str(transport.passes) if transport else "none",
        "minibatch optimal transport, batch": str(transport.batch) if transport else "none",
    }
