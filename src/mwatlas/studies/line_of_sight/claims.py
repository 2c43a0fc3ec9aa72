"""The study's rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mwatlas.config import Settings
from mwatlas.config.fields import changed_settings
from mwatlas.config.published import Published
from mwatlas.ledger import Measurement, Row, judge
from mwatlas.statistics import merge_all
from mwatlas.studies.line_of_sight.selection import not_applied
from mwatlas.studies.line_of_sight.truth import optimum_measurements, truths

STUDY = "line_of_sight"


def ledger_rows(
    settings: Settings,
    published: Published,
    measurements: list[Measurement],
    comparisons: Sequence[Path],
) -> list[Row]:
    """Every claim of the study.

    Parameters
    ----------
    settings
        Configuration of the run.
    published
        The paper's numbers.
    measurements
        Ours.
    comparisons
        Files of the comparison with the truth; none for a release without truth.
    """
    known = []
    if comparisons:
        comparison = merge_all(comparisons)
        known = truths(comparison, measurements)
        extra, best = optimum_measurements(comparison, settings.line_of_sight.closure)
        measurements, known = [*measurements, *extra], [*known, *best]
    # The paper's counts and shares are those of its own cuts.
    changed = [
        f"{key} is {ours}, the paper's {theirs}"
        for key, ours, theirs in changed_settings(settings.line_of_sight.cuts, "cuts.")
    ]
    return judge(STUDY, measurements, published.claims, known, settings.adapter, changed)


def switched_off(settings: Settings) -> dict[str, str]:
    """What the release makes impossible, and why."""
    return not_applied(settings.adapter, settings.line_of_sight)
