"""The study beside its variants: errors against the number of stars, the dust and the orbits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.fields import changed_settings
from mwatlas.ledger import Measurement, read_measurements
from mwatlas.studies.conditional_potential.density_numbers import relative_error
from mwatlas.studies.conditional_potential.evaluated import read_evaluated
from mwatlas.studies.conditional_potential.evaluated_tables import PROFILE
from mwatlas.studies.conditional_potential.figure_data import binned
from mwatlas.studies.conditional_potential.figure_tables import FIGURE
from mwatlas.studies.conditional_potential.methods_tables import shown, write_cells
from mwatlas.studies.conditional_potential.profiles import (
    masks,
    median_and_error,
    shells_of_radius,
)
from mwatlas.tables.parquet import write_table
from mwatlas.tables.stack import stack_rows
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

METHOD = "conditional"
"""The method that all cases have, and that is compared."""
STUDY_ITSELF = "study"
"""Name of the study among its variants."""
REGIONS = ("held", "all", "inner", "middle", "outer")
"""Radii at which errors are given: where the study's own error is small, or all if it is nowhere,
and thirds of the radius."""

_RADII, _THIRDS = 16, 3
# Settings of the mock in which the cases of a panel differ.
_STARS = {"mock.observed_stars", "mock.observed_share"}
_DUST = {"mock.dust.strength", "mock.keep_density"}
_ORBITS = {"mock.tracer.anisotropy_radius_kpc"}
# Numbers of stars that differ by less count as equal.
_SAME_STARS = 0.01

_NUMBERS = {
    "median error of density": f"density_error_{METHOD}",
    "of acceleration": f"acceleration_error_{METHOD}",
    "of n(x)": "tracers_error",
    "of p(v|x)": "velocity_density_error",
    "share of volume with density within 10%": f"density_share_{METHOD}",
    "within 10% out to [kpc]": f"density_radius_{METHOD}",
}


@dataclass(frozen=True)
class Case:
    """The study, or one of its variants.

    Parameters
    ----------
    name
        Of the variant; :data:`STUDY_ITSELF` for the study.
    study
        Its settings.
    profile
        Its table ``conditional_potential_profile``.
    numbers
        Its measurements by name.
    """

    name: str
    study: ConditionalPotential
    profile: Columns
    numbers: Mapping[str, Measurement]

    @classmethod
    def read(cls, name: str, study: ConditionalPotential, profile: Path, numbers: Path) -> Case:
        """A case from its files; an empty name is the study.

        Raises
        ------
        InputError
            If the table is absent, breaks its contract, is empty or has gaps.
        """
        measured = {m.quantity: m for m in read_measurements(numbers)}
        return cls(name or STUDY_ITSELF, study, read_evaluated(profile, PROFILE), measured)

    @property
    def observed(self) -> float:
        """Observed stars."""
        return self.numbers["count_observed"].value

    @property
    def has_method(self) -> bool:
        """Whether the method that is compared was run."""
        return bool(np.isfinite(self.profile[f"density_{METHOD}"]).all())

    @cached_property
    def residual(self) -> Floats:
        """Recovered over true density of mass, less 1, at its places; shape (N,)."""
        return relative_error(self.profile, METHOD)

    def differs_in(self, other: Case, keys: set[str]) -> bool:
        """Whether its mock has other settings than another's, and none but these."""
        changed = {k for k, _, _ in changed_settings(self.study.mock, "mock.", other.study.mock)}
        return bool(changed) and changed <= keys


def write_figure_cases(cases: Sequence[Case], path: Path) -> None:
    """Write the data of Figure 8.

    Parameters
    ----------
    cases
        The study first, then its variants.
    path
        Parquet file to write: table ``conditional_potential_figure``.
    """
    parts = [{"sample": "", **part} for part in _parts(cases[0], cases[1:])]
    write_table(path, FIGURE, stack_rows(parts, FIGURE.names) if parts else FIGURE.empty())


def _parts(study: Case, variants: Sequence[Case]) -> Iterator[dict[str, Any]]:
    if not study.has_method:
        return
    others = [case for case in variants if case.has_method]
    regions = _regions(study)
    for panel, keys in (("stars", _STARS), ("dust", _DUST)):
        for case in [study, *(c for c in others if c.differs_in(study, keys))]:
            x = case.observed if panel == "stars" else case.study.mock.dust.strength
            same = abs(case.observed / study.observed - 1) < _SAME_STARS
            kind = "error" if panel == "stars" or same else "error_other_stars"
            yield from _errors(case, regions, panel=panel, kind=kind, x=x)
    for case in [study, *(c for c in others if c.differs_in(study, _ORBITS))]:
        radius = case.profile["radius_kpc"]
        bins = masks(radius, np.linspace(0, case.study.mock.tracer.radius_kpc, _RADII + 1))
        yield from binned(
            radius, bins, case.residual, panel="radius", kind="residual", sample=case.name
        )


def _regions(study: Case) -> dict[str, tuple[float, float]]:
    """Lower and upper radius of :data:`REGIONS` in kpc."""
    whole = study.study.mock.tracer.radius_kpc
    edges = shells_of_radius(whole, _THIRDS).tolist()
    reach = study.numbers[f"density_radius_{METHOD}"].value
    first = {"held": (0.0, reach)} if reach > 0 else {"all": (0.0, whole)}
    return first | dict(zip(REGIONS[-_THIRDS:], pairwise(edges), strict=True))


def _errors(
    case: Case, regions: Mapping[str, tuple[float, float]], **names: Any
) -> Iterator[dict[str, Any]]:
    radius = case.profile["radius_kpc"]
    for region, (low, high) in regions.items():
        inside = (radius >= low) & (radius <= high)
        value, error = median_and_error(np.abs(case.residual[inside]))
        if np.isfinite(value):
            yield {
                **names,
                "sample": region,
                "y_low": np.array([low]),
                "y_high": np.array([high]),
                "value": np.array([value]),
                "error": np.array([np.nan if error is None else error]),
            }


def write_table_cases(cases: Sequence[Case], table: Path, tex: Path) -> None:
    """Write Table 4: what each case is, and how well the conditional method did.

    Parameters
    ----------
    cases
        The study first, then its variants.
    table, tex
        CSV and LaTeX file to write.
    """
    head = ["case", "observed stars", "strength of dust", "r_a [kpc]", *_NUMBERS]
    body = []
    for case in cases:
        radius = case.study.mock.tracer.anisotropy_radius_kpc
        body.append(
            [
                case.name,
                f"{case.observed:,.0f}",
                f"{case.study.mock.dust.strength:g}",
                "" if radius is None else f"{radius:g}",
                *(shown(case.numbers.get(name)) for name in _NUMBERS.values()),
            ]
        )
    write_cells(head, body, table, tex)
