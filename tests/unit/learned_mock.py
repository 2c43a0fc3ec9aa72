"""A mock of few stars and what small networks learn from it, for tests of the study's stages."""

from __future__ import annotations

import logging
from pathlib import Path

from mwatlas.config.conditional_potential import ConditionalPotential, Flows
from mwatlas.files import read_json
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.distilling import distil_flow
from mwatlas.studies.conditional_potential.mock import obscure, selection_of
from mwatlas.studies.conditional_potential.names import FlowKind
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.stars import write_partition
from mwatlas.studies.conditional_potential.training import train_flow

PROGRESS = Progress("test", logging.getLogger("mwatlas"))
SEED = 7

TINY = ConditionalPotential.model_validate(
    {
        "mock": {"observed_stars": 20_000, "dust": {"modes": 16, "nside": 4, "steps": 16}},
        "partitions": 2,
        "flows": {
            "members": 2,
            "bootstrap": True,
            "velocities": {
                "width": 16,
                "depth": 1,
                "steps": 4,
                "training": {"epochs": 2, "batch_size": 1024},
            },
            "positions": {
                "width": 16,
                "depth": 1,
                "steps": 4,
                "harmonics_degree": 2,
                "transport": {"passes": 1},
                "training": {"epochs": 2, "batch_size": 1024},
            },
            "distillation": {
                "points": 1024,
                "width": 16,
                "depth": 1,
                "training": {"epochs": 3},
                "from_stars": {"epochs": 1},
            },
        },
        "sampling": {"number": 2000},
        "solvers": {
            method: {
                "potential": {"width": 6},
                "extra": None if method == "vanilla" else {"width": 6, "depth": 1},
                "optimiser": {
                    "kind": "least_squares",
                    "batches": 2,
                    "steps": 2,
                    "batch_size": 256,
                    "last_batch_size": 512,
                },
            }
            for method in ("vanilla", "selection", "conditional")
        },
        "evaluation": {"places": 300, "plane_cells": 12, "sky_nside": 2, "stars": 200},
    }
)
"""Its numbers mean nothing."""


def make_mock(folder: Path) -> dict[str, list[Path]]:
    """Write the mock of :data:`TINY`; its files of ``stars`` and ``truth``, and its ``dust``."""
    mock = TINY.mock
    dust, extinction, plan = (folder / name for name in ("dust.h5", "extinction.h5", "plan.json"))
    obscure(
        mock,
        SEED,
        like=None,
        dust_file=dust,
        extinction_file=extinction,
        plan_file=plan,
        progress=PROGRESS,
    )
    out: dict[str, list[Path]] = {"stars": [], "truth": [], "counts": []}
    for part in range(TINY.partitions):
        files = {name: folder / f"{name}-{part}" for name in out}
        write_partition(
            part,
            TINY.partitions,
            read_json(plan)["observed_stars"],
            Plummer.of(mock.tracer),
            selection_of(mock, extinction),
            SEED,
            progress=PROGRESS,
            **files,
        )
        for name, path in files.items():
            out[name].append(path)
    return out | {"dust": [dust], "extinction": [extinction]}


def train_one(
    kind: FlowKind, mock: dict[str, list[Path]], path: Path, member: int = 0
) -> dict[str, float]:
    """Train a flow of :data:`TINY`; its record."""
    return train_flow(
        kind,
        member,
        TINY.flows,
        SEED,
        stars=mock["stars"],
        truth=mock["truth"],
        code="test",
        model_file=path,
        progress=PROGRESS,
    )


def distil_one(
    kind: FlowKind,
    mock: dict[str, list[Path]],
    flow: Path,
    path: Path,
    settings: Flows = TINY.flows,
) -> dict[str, float]:
    """Train the network that gives the scores of a flow's first member; its record."""
    return distil_flow(
        kind,
        0,
        settings,
        TINY.mock.tracer.radius_kpc,
        SEED,
        flow_file=flow,
        stars=mock["stars"],
        code="test",
        model_file=path,
        progress=PROGRESS,
    )
