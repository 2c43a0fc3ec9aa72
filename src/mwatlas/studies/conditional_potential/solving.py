"""One member's potential by one method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mwatlas.config.conditional_potential import MethodName, Sampling
from mwatlas.config.solvers import FieldNetwork, LeastSquaresSettings, Solver
from mwatlas.flows.annealing import Annealing
from mwatlas.learning.loop import Checkpoint
from mwatlas.potential.boltzmann_fields import Method
from mwatlas.potential.ensemble import Ensemble
from mwatlas.potential.fields import FieldShape
from mwatlas.potential.least_squares import LeastSquares
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.potential.residuals import BoltzmannLoss
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.potential.solver import SolverSettings, solve
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.studies.conditional_potential.names import positions_of
from mwatlas.studies.conditional_potential.sampling import LearnedDensity, phase_samples
from mwatlas.studies.conditional_potential.training import checkpoint_of, read_positions

# Samples kept for the final loss, as a share of those that train.
_VALIDATION = 8


@dataclass(frozen=True)
class Draws:
    """What a method solves with, and what judges it."""

    method: MethodName
    samples: PhaseSamples
    validation: PhaseSamples

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """All that decides the fields: places, velocities and scores of the samples."""
        samples = self.samples
        return [samples.x, samples.v, samples.score_x, samples.score_v]


def solve_member(
    method: MethodName,
    member: int,
    solver: Solver,
    device: str,
    sampling: Sampling,
    radius_kpc: float,
    seed: int,
    *,
    flow_files: Mapping[str, Path],
    quick_files: Mapping[str, Path],
    stars: Sequence[Path],
    code: str,
    model_file: Path,
    progress: Progress,
    frame: RotatingFrame | None = None,
) -> dict[str, Any]:
    """Find the potential in which what one member learned from the stars is steady.

    Parameters
    ----------
    method, member
        Which, and its number in the ensemble.
    solver, device, sampling
        Settings of the method's solver, where it computes, and settings of the samples.
    radius_kpc
        Radius of the volume.
    seed
        Seed of the run.
    flow_files, quick_files
        Flows, and the networks that give their scores, by what they learned.
    stars
        Observed stars, of which the conditional method takes places.
    code
        Hash of the code, part of the checkpoint's fingerprint.
    model_file
        File to write. The checkpoint lies beside it.
    progress
        Where to report.
    frame
        In which the stars are steady, in kpc and 100 km/s; None for one at rest.

    Returns
    -------
    dict
        ``seconds`` of processor time, ``loss`` and ``validation``, ``parameters``
        of each field, ``epochs`` or batches, and what is known of a ``degeneracy``.

    Raises
    ------
    ConfigError, InputError, TrainingError
        If the device or a file is not there, or training diverges.
    """
    draws = draws_of_member(
        method,
        member,
        device,
        sampling,
        radius_kpc,
        seed,
        flow_files=flow_files,
        quick_files=quick_files,
        stars=stars,
    )
    checkpoint = checkpoint_of(
        model_file, f"{solver.model_dump_json()} {frame} {seed} {code}", *draws.arrays
    )
    ensemble = solve_draws(
        draws, member, solver, device, seed, frame=frame, progress=progress, checkpoint=checkpoint
    )
    seconds = checkpoint.spent_seconds()
    ensemble.save(model_file)
    checkpoint.remove()
    verdict = ensemble.degeneracy
    return {
        "seconds": seconds,
        "loss": ensemble.history[0][-1],
        "validation": ensemble.validation_loss[0],
        "parameters": ensemble.parameter_counts(),
        "epochs": len(ensemble.history[0]),
        "samples": sampling.number,
        "degenerate": None if verdict is None else verdict.degenerate,
        "possible_error": None if verdict is None else verdict.possible_error,
    }


def draws_of_member(
    method: MethodName,
    member: int,
    device: str,
    sampling: Sampling,
    radius_kpc: float,
    seed: int,
    *,
    flow_files: Mapping[str, Path],
    quick_files: Mapping[str, Path],
    stars: Sequence[Path],
) -> Draws:
    """Samples of what one member learned; arguments as for :func:`solve_member`.

    Raises
    ------
    ConfigError, InputError
        If the device or a file is not there.
    """
    learned = {
        name: LearnedDensity.load(flow_files[name], quick_files[name], device)
        for name in flow_files
    }
    positions = positions_of(method)
    observed = read_positions(stars) if positions is None else None

    def draw(step: int, number: int) -> PhaseSamples:
        return phase_samples(
            learned["velocities"],
            None if positions is None else learned[positions],
            observed,
            sampling.model_copy(update={"number": number}),
            radius_kpc,
            block_generator(seed, f"conditional_potential/samples/{method}", member, step),
        )

    validation = max(sampling.number // _VALIDATION, 1)
    return Draws(method, draw(0, sampling.number), draw(1, validation))


def solve_draws(
    draws: Draws,
    member: int,
    solver: Solver,
    device: str,
    seed: int,
    *,
    progress: Progress,
    frame: RotatingFrame | None = None,
    checkpoint: Checkpoint | None = None,
) -> Ensemble:
    """Solve for the fields of one member with samples that were drawn.

    Parameters
    ----------
    draws
        The samples.
    member, solver, device, seed, progress, frame
        As for :func:`solve_member`.
    checkpoint
        Where to save, and continue from. The caller removes it.

    Raises
    ------
    ConfigError, InputError, TrainingError
        If the device is not there, the samples are too few, or training diverges.
    """
    settings = solver_settings(solver)
    optimiser = settings.optimiser
    rounds = optimiser.batches if isinstance(optimiser, LeastSquares) else optimiser.epochs
    start = block_generator(seed, f"conditional_potential/{draws.method}", member)
    with progress.task("solving", rounds, "rounds") as advance:
        return solve(
            draws.samples,
            Method(draws.method),
            settings,
            [int(start.integers(2**62))],
            advance,
            frame=frame,
            device=device,
            checkpoint=checkpoint,
            validation=draws.validation,
        )


def solver_settings(solver: Solver) -> SolverSettings:
    """Settings of a method as its engine takes them."""
    chosen = solver.optimiser
    optimiser: LeastSquares | Annealing
    values = chosen.model_dump(exclude={"kind"})
    if isinstance(chosen, LeastSquaresSettings):
        optimiser = LeastSquares(**values)
    else:
        optimiser = Annealing(**values)
    return SolverSettings(
        potential=_shape(solver.potential),
        extra=_shape(solver.extra or FieldNetwork()),
        optimiser=optimiser,
        loss=BoltzmannLoss(solver.alpha, solver.beta, solver.density_weight),
        weight_penalty=solver.weight_penalty,
    )


def _shape(network: FieldNetwork) -> FieldShape:
    return FieldShape(**network.model_dump())
