"""How the first look at stars near the Sun hangs on the way their scores are learned.

    python benchmarks/nearby.py [--draws N] [--ways flow stopped stars]
    python benchmarks/nearby.py --stars results/brightsky/conditional_potential/nearby/stars.parquet

Ways: `flow`, the study's, from the flow by a network with quick scores; `stopped`, from the stars
themselves until validation stars are told from noise worse than before; `stars`, from all of them
with nothing to stop it. Each row is a draw of 50,000 mock stars in a known potential, with numbers
in units of the truth, or with `--stars` a bootstrapped member of real ones, in Msun/pc^3 and
km^2/s^2/pc. Last, mean and standard deviation. On one thread a row takes half a minute, one of
`stopped` two minutes.
"""

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import torch

from mwatlas.config.conditional_potential import Flows, Sampling
from mwatlas.config.flows import Distillation, FromStars
from mwatlas.potential.ensemble import Ensemble
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.distilling import distil_flow
from mwatlas.studies.conditional_potential.nearby_fields import NearbyFields
from mwatlas.studies.conditional_potential.nearby_learning import flows_of
from mwatlas.studies.conditional_potential.nearby_mock import (
    FRAME,
    SETTINGS,
    true_ensemble,
    write_stars,
)
from mwatlas.studies.conditional_potential.nearby_numbers import PULLS_PC
from mwatlas.studies.conditional_potential.solving import solve_member
from mwatlas.studies.conditional_potential.training import train_flow

RADIUS = SETTINGS.sample.radius_kpc
STARS, SEED, FIRST_DRAW = 50_000, 3, 21
MAGNITUDES = ("slab", "250 pc", *(f"pull {height} pc" for height in PULLS_PC), "speed")
# Up to 64 epochs, of a smaller network, as the mock's few stars need them.
STOPPED = {"validation_share": 0.2, "repeats": 16}
FEW = Distillation(width=32, from_stars=FromStars(epochs=4, batch_size=1024, noise=4))


def ways() -> dict[str, Flows]:
    """Settings of flows for each way; all share the flow of the first."""
    ours = flows_of("cpu", velocities=SETTINGS.velocities, distillation=SETTINGS.distillation)
    itself = SETTINGS.distillation.model_copy(update={"from_stars": FromStars()})
    return {
        "flow": ours,
        "stopped": ours.model_copy(update={**STOPPED, "distillation": FEW}),
        "stars": ours.model_copy(update={"distillation": itself}),
    }


def learned(
    stars: Path, member: int, folder: Path, chosen: dict[str, Flows]
) -> dict[str, NearbyFields]:
    """Fields of one member, for each way."""
    progress = Progress("benchmark", logging.getLogger("silent"))
    flow, quick, potential = (folder / name for name in ("flow.h5", "quick.h5", "potential.h5"))
    common = {"stars": [stars], "code": "", "progress": progress}
    train_flow("velocities", member, ways()["flow"], SEED, truth=[], model_file=flow, **common)
    found = {}
    for way, settings in chosen.items():
        files = {"flow_file": flow, "model_file": quick}
        distil_flow("velocities", member, settings, RADIUS, SEED, **files, **common)
        sampling = Sampling(number=SETTINGS.samples, uniform_share=SETTINGS.uniform_share)
        solve_member(
            *("conditional", member, SETTINGS.solver, "cpu", sampling, RADIUS, SEED),
            flow_files={"velocities": flow},
            quick_files={"velocities": quick},
            model_file=potential,
            frame=FRAME,
            **common,
        )
        found[way] = NearbyFields(SETTINGS, [Ensemble.load(potential)], seed=1)
    return found


def magnitudes(fields: NearbyFields) -> np.ndarray:
    """Numbers of a member: densities of the plane and a sphere, pulls, circular speed."""
    pulls = [fields.pull(height) for height in PULLS_PC]
    return np.concatenate([fields.slab(), fields.sphere(0.25), *pulls, fields.in_plane()[0]])


def main(options: argparse.Namespace) -> None:
    """Print a row for each way and draw or member."""
    torch.set_num_threads(1)
    true = NearbyFields(SETTINGS, [true_ensemble()], seed=1)
    unit = np.ones(len(MAGNITUDES)) if options.stars else magnitudes(true)
    print(" ".join(f"{name:>11}" for name in ("", "way", *MAGNITUDES)))
    chosen = {way: settings for way, settings in ways().items() if way in options.ways}
    rows: dict[str, list[np.ndarray]] = {way: [] for way in chosen}
    for number in range(options.draws):
        with tempfile.TemporaryDirectory() as name:
            stars, member = options.stars, number
            if stars is None:
                stars, member = Path(name) / "stars.parquet", 0
                write_stars(stars, STARS, np.random.default_rng(FIRST_DRAW + number))
            for way, fields in learned(stars, member, Path(name), chosen).items():
                rows[way].append(magnitudes(fields) / unit)
                show(str(number), way, rows[way][-1])
    for way, values in rows.items():
        show("mean", way, np.mean(values, axis=0))
        show("scatter", way, np.std(values, axis=0, ddof=1))


def show(name: str, way: str, values: np.ndarray) -> None:
    """Print one row."""
    print(f"{name:>11} {way:>11} " + " ".join(f"{value:11.4g}" for value in values), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=6, help="draws, or members of real stars")
    parser.add_argument("--ways", nargs="+", choices=list(ways()), default=list(ways()))
    parser.add_argument("--stars", type=Path, help="a table that gather_nearby wrote")
    main(parser.parse_args())
