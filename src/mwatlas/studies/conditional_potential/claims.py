"""The study's rows of the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mwatlas.config.conditional_mock import Mock
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.fields import changed_settings
from mwatlas.config.published import Published, PublishedClaim
from mwatlas.ledger import Measurement, Row, Truth, beside, judge, read_measurements
from mwatlas.studies.conditional_potential.density_numbers import (
    SPREADS,
    calibrated_share,
    radius_suffixes,
    selection_suffixes,
)
from mwatlas.studies.conditional_potential.names import METHODS

STUDY = "conditional_potential"
DUST_FREE = "dust_free"
"""The variant of Appendix D, whose numbers belong to Figure 6."""

HEADLINES = (
    "count_observed",
    *(
        f"{quantity}_{method}"
        for method in METHODS
        for quantity in (
            "density_error",
            "density_share",
            "density_radius",
            "density_selection",
            "acceleration_error",
        )
    ),
    "selection_error",
    "tracers_error",
    "derived_error",
    "velocity_density_error",
    "phase_density_error",
    "phase_density_trend",
    "spread_coverage_1_conditional",
    "spread_coverage_2_conditional",
)
"""Numbers that are set side by side for the variants, where a run has them."""


def truths(
    measurements: Sequence[Measurement], study: ConditionalPotential, dusty: bool = True
) -> list[Truth]:
    """What the measured numbers should be: the mock is an analytic sphere.

    Parameters
    ----------
    measurements
        Of a run.
    study
        Its settings.
    dusty
        Whether it has dust; without, S and n are held to the paper's "few per cent" of Appendix D.
    """
    measured = {m.quantity: m for m in measurements}
    wanted = [*_errors(study, dusty), *_shells(study), *_coverages(study)]
    out = []
    for truth in wanted:
        ours = measured.get(truth.quantity)
        if ours is None or not math.isfinite(ours.value):
            continue
        # The errors are those of sampling the volume.
        error = 2 * (ours.error or 0.0)
        out.append(
            replace(
                truth,
                tolerance=truth.tolerance + error,
                enough=ours.rows >= study.comparison.fewest_stars,
            )
        )
    return out


def _errors(study: ConditionalPotential, dusty: bool) -> Iterator[Truth]:
    """Errors of fields, which should vanish."""
    limits = study.comparison
    few = "'a few per cent' of Appendix D"
    allowed = {
        **{f"density_error_{m}": (limits.density, _density_reason(m)) for m in METHODS},
        **{f"acceleration_error_{m}": (limits.acceleration, "chosen") for m in METHODS},
        "selection_error": (limits.selection, "chosen"),
        "tracers_error": (limits.tracers, "chosen") if dusty else (limits.few, few),
        "derived_error": (limits.selection, "chosen") if dusty else (limits.few, few),
        "velocity_density_error": (limits.velocity, "the paper's"),
        "velocity_density_bias": (limits.velocity, "the paper's"),
    }
    for quantity, (limit, reason) in allowed.items():
        yield _vanishing(quantity, limit, reason)


def _vanishing(quantity: str, limit: float, reason: str) -> Truth:
    text = f"{limit:.0%} and twice the sampling error are allowed: {reason}"
    return Truth(quantity, 0.0, None, limit, text)


def _density_reason(method: str) -> str:
    also = "; the paper, too, finds that this method fails first" if method == "vanilla" else ""
    return f"the paper's standard{also}"


def _shells(study: ConditionalPotential) -> Iterator[Truth]:
    limits = study.comparison
    for method in METHODS:
        for suffix in (
            *radius_suffixes(study.mock.tracer.radius_kpc, limits),
            *selection_suffixes(limits),
        ):
            quantity = f"density_error_{method}_{suffix}"
            yield _vanishing(quantity, limits.density, _density_reason(method))


def _coverages(study: ConditionalPotential) -> Iterator[Truth]:
    limit, members = study.comparison.coverage, study.flows.members
    # The scatter of one member is no number.
    if members < 2:
        return
    shared = (
        "Members draw their stars anew, so the spread has the noise of the sample"
        if study.flows.bootstrap
        else "Members share their stars, whose noise the spread does not have"
    )
    for method in METHODS:
        for spreads in SPREADS:
            yield Truth(
                f"spread_coverage_{spreads}_{method}",
                calibrated_share(spreads, members),
                None,
                limit,
                f"normal errors of the ensemble's spread, as {members} members tell it; {limit:g} "
                f"and twice the sampling error are allowed. {shared}",
            )


def ledger_rows(
    study: ConditionalPotential, published: Published, numbers: Mapping[str, Path]
) -> list[Row]:
    """Every claim of the study, and the headline numbers of its variants.

    Parameters
    ----------
    study
        Settings of the run.
    published
        The paper's numbers; :func:`left_out` tells those that the run has no measurement of.
    numbers
        Files of measurements by variant; the study itself has an empty name.
    """
    measured = {name: read_measurements(path) for name, path in numbers.items()}
    own = measured.pop("")
    base = {m.quantity: m.value for m in own}
    known = truths(own, study)
    if DUST_FREE in measured:
        free = measured.pop(DUST_FREE)
        own += [_of_dust_free(m) for m in _headlines_without_dust(free, study)]
        own.append(_star_ratio(base, free))
        known += [
            replace(truth, quantity=f"{truth.quantity}_{DUST_FREE}")
            for truth in truths(
                _headlines_without_dust(free, study), study.variant(DUST_FREE), dusty=False
            )
        ]
    changed = _changed(study, published)
    claims = [c for c in published.claims if c.quantity in {m.quantity for m in own}]
    rows = judge(STUDY, own, claims, known, None, changed)
    for name, found in measured.items():
        headline = [
            replace(m, item=f"variants.{name}", meaning=f"{m.meaning}, with {name}")
            for m in found
            if m.quantity in HEADLINES
        ]
        judged = judge(STUDY, headline, [], truths(headline, study.variant(name)), None)
        rows += [beside(row, base.get(row.quantity, math.nan)) for row in judged]
    return rows


def _changed(study: ConditionalPotential, published: Published) -> list[str]:
    """Settings of the mock with which it is not the paper's, as sentences."""
    (paper,) = (c for c in published.claims if c.quantity == "count_observed")
    stars = study.mock.observed_stars
    same_size = Mock(observed_stars=stars)
    changed = [
        f"{key} is {ours}, the study's {theirs}"
        for key, ours, theirs in changed_settings(study.mock, "mock.", same_size)
    ]
    if paper.value is not None and abs(stars - paper.value) > (paper.tolerance or 0):
        changed.append(f"the mock has {stars:,} observed stars, the paper's {paper.value:,.0f}")
    return changed


def _headlines_without_dust(
    measurements: Sequence[Measurement], study: ConditionalPotential
) -> list[Measurement]:
    """Numbers of the run without dust that Figure 6 is about."""
    shells = radius_suffixes(study.mock.tracer.radius_kpc, study.comparison)
    wanted = {
        *HEADLINES,
        "derived_error_edge",
        "derived_error_inside",
        "error_ratio_edge_derived",
        *(f"density_error_conditional_{suffix}" for suffix in shells),
    }
    return [m for m in measurements if m.quantity in wanted]


def _of_dust_free(m: Measurement) -> Measurement:
    return replace(
        m,
        item="fig06",
        quantity=f"{m.quantity}_{DUST_FREE}",
        meaning=f"{m.meaning}, without dust",
    )


def _star_ratio(base: Mapping[str, float], free: Sequence[Measurement]) -> Measurement:
    (count,) = (m for m in free if m.quantity == "count_observed")
    ratio = count.value / base["count_observed"]
    # Of a given number of observed stars with dust, that without is a Poisson variable.
    error = ratio / math.sqrt(base["count_observed"])
    meaning = "observed stars without dust over those with, at the same density at the observer"
    return Measurement("fig06", f"star_ratio_{DUST_FREE}", meaning, "", ratio, error, count.rows)


def left_out(published: Published, rows: Sequence[Row]) -> dict[str, str]:
    """Numbers of the paper that a run has no measurement of, and why.

    Parameters
    ----------
    published
        The paper's numbers.
    rows
        Of :func:`ledger_rows`.
    """
    measured = {row.quantity for row in rows}

    def reason(claim: PublishedClaim) -> str:
        if claim.quantity.endswith(DUST_FREE):
            return f"{claim.quantity}: the run leaves out the variant {DUST_FREE}, or shells differ"
        return f"{claim.quantity}: the run leaves out its method, or shells differ"

    return {c.quantity: reason(c) for c in published.claims if c.quantity not in measured}
