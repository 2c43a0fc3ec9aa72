"""Search for the hyper-parameters of the study's networks (Kalda & Green 2026, Appendix A)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.search import (
    Range,
    Searched,
    check_ranges,
    nested,
    section_of,
    value_at,
)
from mwatlas.config.solvers import Solver
from mwatlas.files import write_text
from mwatlas.learning.search import Outcome, Values, finished, search
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.search_trials import (
    KINDS,
    MEMBER,
    FlowTrials,
    SolverTrials,
)
from mwatlas.studies.conditional_potential.solving import draws_of_member
from mwatlas.studies.conditional_potential.training import checkpoint_of, read_stars


def search_network(
    network: Searched,
    study: ConditionalPotential,
    seed: int,
    *,
    stars: Sequence[Path],
    flow_files: Mapping[str, Path],
    quick_files: Mapping[str, Path],
    code: str,
    table_file: Path,
    settings_file: Path,
    progress: Progress,
) -> None:
    """Search for the hyper-parameters of a flow, or of a method's solver.

    Parameters
    ----------
    network
        What to search for.
    study, seed
        Settings of the study, and seed of the run.
    stars
        Tables of the observed stars.
    flow_files, quick_files
        For a solver: the flows it needs, and the networks that give their scores.
    code
        Hash of the code, part of the journal's fingerprint.
    table_file
        Table of all trials to write, as CSV. The journal of finished trials lies beside it.
    settings_file
        Settings to write that are the best found, for ``--configfile``.
    progress
        Where to report trials.

    Raises
    ------
    ConfigError
        If a range is not possible, or the device is not there.
    InputError
        If a file is not there.
    TrainingError
        If every trial fails.
    """
    ranges = study.search.ranges(network)
    check_ranges(network, ranges, study.searched(network))
    evaluate: Callable[[Values], Outcome]
    if network == "velocities" or network == "positions":
        flows = FlowTrials(network, study.flows, study.search, read_stars(stars), seed, progress)
        evaluate, arrays, context = flows, flows.arrays, flows.context
    else:
        solver = study.searched(network)
        assert isinstance(solver, Solver)
        draws = draws_of_member(
            network,
            MEMBER,
            study.flows.device,
            study.sampling,
            study.mock.tracer.radius_kpc,
            seed,
            flow_files=flow_files,
            quick_files=quick_files,
            stars=stars,
        )
        evaluate = SolverTrials(draws, solver, study.flows.device, seed, progress)
        arrays, context = draws.arrays, solver.model_dump_json()
    told = {name: tried.model_dump_json() for name, tried in ranges.items()}
    fingerprint = checkpoint_of(table_file, f"{told} {context} {seed} {code}", *arrays).fingerprint
    trials = search(
        evaluate,
        {name: _distribution(tried) for name, tried in ranges.items()},
        {name: value_at(study.searched(network), name) for name in ranges},
        maximise=network in KINDS,
        trials=study.search.trials,
        seed=seed,
        purpose=f"conditional_potential/search/{network}",
        journal=table_file.with_name(f".{table_file.stem}.journal"),
        fingerprint=fingerprint,
        progress=progress,
    )
    write_text(table_file, trial_table(trials, list(ranges)))
    write_text(settings_file, best_settings(trials, network))


def trial_table(trials: Sequence[FrozenTrial], names: Sequence[str]) -> str:
    """All trials as CSV: number, state, value, notes of the trial, and what was tried.

    Times are left out, so that the same search has the same bytes; they are in the log.

    Parameters
    ----------
    trials
        In order.
    names
        What was tried, in the order of the columns.
    """
    notes = [n for n in finished(list(trials))[0].user_attrs if n != "failure"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "value", *notes, *names])
    for trial in trials:
        row = [trial.value, *(trial.user_attrs.get(n) for n in notes)]
        row += [trial.params[n] for n in names]
        writer.writerow([trial.number, trial.state.name.lower(), *map(_cell, row)])
    return text.getvalue()


def best_settings(trials: Sequence[FrozenTrial], network: Searched) -> str:
    """Settings of the best trial as a configuration in YAML, with what it was chosen by."""
    done = finished(list(trials))
    maximise = network in KINDS
    values = [float(trial.value) for trial in done if trial.value is not None]
    best = done[values.index(max(values) if maximise else min(values))]
    chosen = {name: _rounded(value) for name, value in best.params.items()}
    what = "mean ln p of validation stars" if maximise else "loss on the validation"
    own = trials[0].value
    first = "none, for it failed" if own is None else f"{own:.6g}"
    tree = nested({".".join([*section_of(network), name]): value for name, value in chosen.items()})
    return (
        f"# Trial {best.number}, the best of {len(trials)} ({len(done)} finished) by {what}: "
        f"{best.value:.6g}.\n# The study's own settings (trial 0): {first}.\n"
        + yaml.safe_dump({"conditional_potential": tree}, sort_keys=False)
    )


def _distribution(tried: Range) -> BaseDistribution:
    if tried.whole:
        return IntDistribution(int(tried.low), int(tried.high), tried.log, tried.step or 1)
    return FloatDistribution(float(tried.low), float(tried.high), tried.log)


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # All digits: a potential solved for again with seven is another, by the noise of trials.
    return repr(value) if isinstance(value, float) else str(value).lower()
