"""Search of hyper-parameters by optuna's tree-structured Parzen estimator (Akiba et al. 2019).

Each trial has a random stream of its own, and the journal holds finished trials only. So a search
that was killed goes on to the same trials as one that was not.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mwatlas.errors import TrainingError
from mwatlas.progress import Progress
from mwatlas.random import block_generator

log = logging.getLogger("mwatlas")

Values = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a trial gave.

    Parameters
    ----------
    value
        What is to be the largest or the smallest.
    notes
        Anything else worth a column of the table, the same names for every trial.
    """

    value: float
    notes: Mapping[str, Any] = field(default_factory=dict)


def search(
    evaluate: Callable[[Values], Outcome],
    distributions: Mapping[str, BaseDistribution],
    first: Values,
    *,
    maximise: bool,
    trials: int,
    seed: int,
    purpose: str,
    journal: Path,
    fingerprint: str,
    progress: Progress,
) -> list[FrozenTrial]:
    """Try hyper-parameters.

    Parameters
    ----------
    evaluate
        What a trial does with its values. A TrainingError, or a value that is not finite, makes
        it a failed trial.
    distributions
        What is tried, by name.
    first
        Values of the first trial.
    maximise
        Whether the largest value is the best, or the smallest.
    trials
        How many in all, with those in the journal.
    seed, purpose
        Seed of the run, and what the random numbers are for.
    journal
        File of finished trials; it is continued, also by a later search for more trials.
    fingerprint
        Anything that decides the outcome. A journal of another one is made anew.
    progress
        Where to report trials.

    Returns
    -------
    list of FrozenTrial
        In order; failed ones have the reason under ``failure`` of their ``user_attrs``.

    Raises
    ------
    TrainingError
        If every trial failed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = StudyDirection.MAXIMIZE if maximise else StudyDirection.MINIMIZE
    kept = _kept(journal, fingerprint, direction)
    # Sampled in memory: what a killed trial leaves behind would change the trials after it.
    study = optuna.create_study(direction=direction)
    study.add_trials(kept.get_trials()[:trials])
    with progress.task("trials", trials, "trials") as advance:
        done = len(study.trials)
        if done:
            advance(done, "resumed")
        for number in range(done, trials):
            own = int(block_generator(seed, purpose, number).integers(2**32))
            study.sampler = TPESampler(seed=own)
            if number == 0:
                study.enqueue_trial(first)
            trial = study.ask(dict(distributions))
            failure, outcome = "", Outcome(math.nan)
            try:
                outcome = evaluate(trial.params)
            except TrainingError as error:
                failure = str(error)
            else:
                if not math.isfinite(outcome.value):
                    failure = f"a value of {outcome.value}"
            for name, value in outcome.notes.items():
                trial.set_user_attr(name, value)
            if failure:
                trial.set_user_attr("failure", failure)
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, outcome.value)
            kept.add_trial(study.trials[number])
            result = failure.splitlines()[0] if failure else f"{outcome.value:.5f}"
            log.info("trial %d: %s, %s", number, _told(trial.params), result)
            advance(1, result)
    found: list[FrozenTrial] = study.trials
    if not finished(found):
        raise TrainingError(
            "every trial of a search failed",
            item=purpose,
            found=f"{len(found)} trials; the last: {found[-1].user_attrs['failure']}",
            expected="at least one that trains",
            remedy="lower learning rates in the ranges searched, and look at what is learned from",
        )
    return found


def finished(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that did not fail."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def _kept(journal: Path, fingerprint: str, direction: StudyDirection) -> optuna.Study:
    """The study of a journal, empty if there is none that belongs to the fingerprint."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    if journal.exists():
        try:
            return optuna.load_study(study_name=fingerprint, storage=_storage(journal))
        except KeyError:
            log.info("%s belongs to other settings, code or data; starting afresh", journal)
        except Exception as error:  # whatever a broken file makes optuna raise
            log.info("%s cannot be read (%s); starting afresh", journal, error)
        journal.unlink()
    return optuna.create_study(
        study_name=fingerprint, storage=_storage(journal), direction=direction
    )


def _storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))


def _told(values: Values) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in values.items())
