"""The study's rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mwatlas.config import Settings
from mwatlas.config.fields import changed_settings
from mwatlas.config.published import Published
from mwatlas.files import read_json, write_json
from mwatlas.ledger import (
    Measurement,
    Row,
    Truth,
    beside,
    judge,
    measurement_from,
    plain_numbers,
    read_measurements,
)
from mwatlas.statistics import Statistics
from mwatlas.studies.line_of_sight.closure import (
    optimum_measurements,
    recovery_measurements,
    truths,
)
from mwatlas.studies.line_of_sight.selection import not_applied
from mwatlas.studies.line_of_sight.views import SURVEYS

STUDY = "line_of_sight"

HEADLINES = (
    "pull_width",
    "nll_mean",
    "coverage_68",
    "coverage_95",
    "velocity_correlation",
    "eccentricity_correlation",
    "contamination_high_draws",
    "count_rv_row2",
    "count_test_set_row2",
    "count_ml_rv_row2",
    "ratio_test_set_rv_row2",
    "high_completeness_test_set",
    "high_purity_test_set",
    "gse_completeness_test_set",
    "gse_purity_test_set",
    "gse_completeness_ml_rv",
    "gse_purity_ml_rv",
    *(f"dispersion_{component}_ml_rv" for component in ("v_r", "v_theta", "v_phi")),
    *(f"{name}_{end}_ml_rv" for name in ("energy", "l_z", "sqrt_j_r") for end in ("low", "high")),
    "tilt_5kpc_ml_rv",
    "axis_ratio_b_a_5kpc_ml_rv",
    "axis_ratio_c_a_5kpc_ml_rv",
    "mdf_mean_apogee_ml_rv",
    "mdf_mean_galah_ml_rv",
    "high_alpha_share_ml_rv",
)
"""Numbers that are set side by side for the variants, where a run has them."""


@dataclass(frozen=True)
class Recovered:
    """What a run on the embedded sky should give, and numbers that only truth allows."""

    measurements: list[Measurement]
    truths: list[Truth]


def recover(
    revealed: Statistics,
    comparison: Statistics,
    settings: Settings,
    variant: str,
    measurements: Sequence[Measurement],
) -> Recovered:
    """Set a run against the truth of the sky.

    Parameters
    ----------
    revealed, comparison
        Merged statistics of the truth and of the run's comparison with it.
    settings
        Configuration of the run.
    variant
        Name of the variant, empty for the study itself.
    measurements
        Of the run.
    """
    study = settings.line_of_sight.variant(variant)
    extra, best = optimum_measurements(comparison, study.closure)
    return Recovered(
        [*recovery_measurements(comparison), *extra],
        [*truths(revealed, comparison, study, measurements), *best],
    )


def write_recovered(recovered: Recovered, path: Path) -> None:
    """Write as JSON."""
    write_json(
        path,
        {
            "measurements": [plain_numbers(asdict(m)) for m in recovered.measurements],
            "truths": [plain_numbers(asdict(t)) for t in recovered.truths],
        },
    )


def read_recovered(path: Path) -> Recovered:
    """Read what :func:`write_recovered` wrote."""
    content: dict[str, Any] = read_json(path)
    return Recovered(
        [measurement_from(row) for row in content["measurements"]],
        [Truth(**row) for row in content["truths"]],
    )


def ledger_rows(
    settings: Settings,
    published: Published,
    numbers: Mapping[str, Path],
    recovered: Mapping[str, Path],
) -> list[Row]:
    """Every claim of the study, and the headline numbers of its variants.

    Parameters
    ----------
    settings
        Configuration of the run.
    published
        The paper's numbers.
    numbers
        Files of measurements by variant; the study itself has an empty name.
    recovered
        Files of what the truth says by variant; none for a release without truth.
    """
    own = read_measurements(numbers[""])
    known = read_recovered(recovered[""]) if recovered else Recovered([], [])
    own += known.measurements
    rows = judge(
        STUDY,
        own,
        published.claims,
        known.truths,
        settings.adapter,
        changed_cuts(settings),
    )
    base = {m.quantity: m.value for m in own}
    for variant in settings.line_of_sight.compare:
        measured = read_measurements(numbers[variant])
        known = read_recovered(recovered[variant]) if recovered else Recovered([], [])
        headline = [
            replace(m, item=f"variants.{variant}", meaning=f"{m.meaning}, with {variant}")
            for m in (*measured, *known.measurements)
            if m.quantity in HEADLINES
        ]
        true = [t for t in known.truths if t.quantity in {m.quantity for m in headline}]
        judged = judge(STUDY, headline, [], true, settings.adapter)
        rows += [beside(row, base[row.quantity]) for row in judged]
    return rows


def changed_cuts(settings: Settings) -> list[str]:
    """Cuts that differ from the paper's, whose numbers are those of its own.

    The spatially complete sample enters counts and distributions, which only the paper's sample
    can repeat, but not the quality of predictions: changing it spoils nothing else.
    """
    own_sample = STUDY in settings.adapter.sample_of
    return [
        f"{key} is {ours}, the paper's {theirs}"
        for key, ours, theirs in changed_settings(settings.line_of_sight.cuts, "cuts.")
        if own_sample or not key.startswith("cuts.complete")
    ]


def switched_off(settings: Settings) -> dict[str, str]:
    """What the release makes impossible, and why."""
    adapter = settings.adapter
    missing = dict.fromkeys(SURVEYS, "the release does not name it") | adapter.absent_surveys()
    return {
        **not_applied(adapter, settings.line_of_sight),
        **{
            f"survey_{name}": f"survey {name} not matched: {reason}"
            for name, reason in missing.items()
            if name not in adapter.used_surveys()
        },
    }
