"""Potential and density of tracers from exact p(v|x): least squares against AdamW.

    python benchmarks/solver.py [minutes] [system]

The conditional method is given the slopes of the true ln p(v|x) of a steady system, `plummer`
(the default), `osipkov_merritt` or `flattened`, at places spread evenly in the logarithm of the
distance. Each optimiser gets so many minutes of CPU time (15), on one thread; the table has
medians over shells of the relative errors, distances in scale lengths. Least squares is also shown
after a tenth of the time.
"""

import logging
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mwatlas.flows.annealing import Annealing
from mwatlas.potential.boltzmann_fields import Method
from mwatlas.potential.derivatives import gradient
from mwatlas.potential.ensemble import Ensemble
from mwatlas.potential.fields import FieldShape
from mwatlas.potential.flattened import FlattenedTracers
from mwatlas.potential.least_squares import LeastSquares
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.potential.plummer import OsipkovMerrittPlummer, Plummer
from mwatlas.potential.solver import SolverSettings, solve
from mwatlas.potential.systems import SteadySystem
from mwatlas.random import block_generator, draw_directions

SYSTEMS: dict[str, SteadySystem] = {
    "plummer": Plummer(),
    "osipkov_merritt": OsipkovMerrittPlummer(),
    "flattened": FlattenedTracers(),
}
SHELLS = ((0.2, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0))
# What the study asks for in all shells: acceleration, gradient of ln n, mass density.
CLAIM = (0.01, 0.01, 0.05)
NEAREST, FARTHEST = 0.05, 6.0
SAMPLES = 2**17
PLACES = 2000
SEED = 20262
LEAST_SQUARES = SolverSettings(FieldShape(20), FieldShape(20), LeastSquares(1, 10, 6144, 6144))
ADAMW = SolverSettings(
    FieldShape(64, 2), FieldShape(64, 2), Annealing(1, 2048, 2e-3, weight_decay=0.0)
)


def samples(system: SteadySystem) -> PhaseSamples:
    """Exact slopes at places whose logarithms of distance are uniform."""
    rng = block_generator(SEED, "benchmark/solver", 0)
    radius = np.exp(rng.uniform(math.log(NEAREST), math.log(FARTHEST), SAMPLES))
    x = radius[:, None] * draw_directions(SAMPLES, rng)
    return PhaseSamples.of_system(system, x, system.draw_velocities(x, rng), conditional=True)


def errors(ensemble: Ensemble, system: SteadySystem) -> np.ndarray:
    """Median relative errors; shape (shells, 3)."""
    rng, rows = block_generator(SEED, "benchmark/solver", 1), []
    for low, high in SHELLS:
        x = rng.uniform(low, high, PLACES)[:, None] * draw_directions(PLACES, rng)
        places = torch.from_numpy(x)
        density = system.mass_density(places).numpy()
        slope = gradient(system.log_density, places).numpy()
        rows.append(
            (
                relative(ensemble.acceleration(x)[0], system.acceleration(places).numpy()),
                relative(ensemble.log_extra_gradient(x)[0], slope),
                float(np.median(np.abs(ensemble.mass_density(x)[0] / density - 1))),
            )
        )
    return np.array(rows)


def relative(found: np.ndarray, true: np.ndarray) -> float:
    """Median of the length of the difference over the true length."""
    return float(np.median(np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1)))


def rounds_in(seconds: float, settings: SolverSettings, data: PhaseSamples) -> int:
    """Batches or epochs that fit into a CPU time, from the time that two more of them take."""

    def cost(count: int) -> float:
        start = time.process_time()
        train(count, settings, data)
        return time.process_time() - start

    few, more = (1, 3) if isinstance(settings.optimiser, LeastSquares) else (1, 2)
    first, second = cost(few), cost(more)
    each = (second - first) / (more - few)
    return max(int((seconds - (first - few * each)) / each), 1)


def train(count: int, settings: SolverSettings, data: PhaseSamples) -> Ensemble:
    """Solve with so many batches or epochs."""
    if isinstance(settings.optimiser, LeastSquares):
        optimiser = replace(settings.optimiser, batches=count)
    else:
        optimiser = replace(settings.optimiser, epochs=count)
    settings = replace(settings, optimiser=optimiser)
    return solve(data, Method.CONDITIONAL, settings, [SEED], lambda *_: None)


def peak_gb() -> float:
    """Largest resident memory of this process so far, where there is Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1e6


def report(name: str, seconds: float, count: int, found: np.ndarray, ensemble: Ensemble) -> None:
    """Print a table."""
    counts = ensemble.parameter_counts()
    assert ensemble.degeneracy is not None
    print(
        f"\n{name}: {seconds:.0f} s of CPU time, {count} batches or epochs, "
        f"{counts['potential']:,} + {counts['extra']:,} parameters, peak {peak_gb():.2f} GB, "
        f"share {ensemble.degeneracy.own_share:.3f}, misfit {ensemble.degeneracy.misfit:.2g}"
    )
    print(f"{'r/b':>10} {'acceleration':>13} {'grad ln n':>10} {'density':>9}")
    for (low, high), row in zip(SHELLS, found, strict=True):
        cells = [f"{100 * value:.3f} %" for value in row]
        print(f"{f'{low}-{high}':>10} {cells[0]:>13} {cells[1]:>10} {cells[2]:>9}")
    verdict = "met" if (found < np.array(CLAIM)).all() else "NOT met"
    print(f"claim of 1 %, 1 % and 5 %: {verdict}", flush=True)


def main() -> None:
    """Run and print."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    name = sys.argv[2] if len(sys.argv) > 2 else "plummer"
    torch.set_num_threads(1)
    # Runs of a few rounds, by which the time is told, end far from a solution and warn of it.
    logging.getLogger("mwatlas").setLevel(logging.ERROR)
    system, data = SYSTEMS[name], samples(SYSTEMS[name])
    print(f"{name}, {SAMPLES:,} samples at {NEAREST} < r < {FARTHEST}, seed {SEED}")
    for label, settings, shares in (
        ("least squares", LEAST_SQUARES, (0.1, 1.0)),
        ("AdamW", ADAMW, (1.0,)),
    ):
        for share in shares:
            count = rounds_in(share * 60 * minutes, settings, data)
            start = time.process_time()
            ensemble = train(count, settings, data)
            seconds = time.process_time() - start
            report(label, seconds, count, errors(ensemble, system), ensemble)


if __name__ == "__main__":
    main()
