"""Every number the study reports, with its error."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mwatlas.config.conditional_mock import Mock
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.errors import InputError
from mwatlas.ledger import Measurement
from mwatlas.studies.conditional_potential.density_numbers import (
    calibration_measurements,
    density_measurements,
)
from mwatlas.studies.conditional_potential.evaluated import Evaluated
from mwatlas.studies.conditional_potential.field_numbers import field_measurements
from mwatlas.studies.conditional_potential.moment_numbers import moment_measurements
from mwatlas.studies.conditional_potential.phase_numbers import phase_measurements
from mwatlas.tables.table import Columns

ANGLES_AT_KPC = (1.0, 8.0)
"""Distances at which the paper gives the angle of the dust's smallest structure."""


def measure(
    evaluated: Evaluated, counts: Mapping[str, int], study: ConditionalPotential
) -> list[Measurement]:
    """All numbers of a run.

    Parameters
    ----------
    evaluated
        Its evaluated tables.
    counts
        Stars of its mock that were ``drawn`` and ``observed``, of all partitions.
    study
        Settings of the run.

    Raises
    ------
    InputError
        If the counts cannot be those of a mock.
    """
    drawn, observed = counts["drawn"], counts["observed"]
    if not 0 < observed <= drawn:
        raise InputError(
            "the numbers of stars of the mock are impossible",
            item="observed, drawn",
            found=f"{observed} observed of {drawn} drawn",
            expected="at least one observed, and no more than were drawn",
            remedy="delete the mock and run again",
        )
    points, comparison = evaluated.points, study.comparison
    radius = study.mock.tracer.radius_kpc
    return [
        *_mock(drawn, observed, study.mock),
        *density_measurements(
            points, evaluated.profile, evaluated.methods, observed, radius, comparison
        ),
        *field_measurements(points, observed, radius, comparison),
        *phase_measurements(evaluated.phase, comparison),
        *moment_measurements(evaluated.profile, radius, comparison.shells),
        *calibration_measurements(points, evaluated.methods, observed, comparison),
        *_networks(evaluated.networks),
    ]


def _mock(drawn: int, observed: int, mock: Mock) -> list[Measurement]:
    share = observed / drawn
    structure = 4 * mock.tracer.radius_kpc / mock.dust.modes
    return [
        Measurement(
            "sec3.1", "count_observed", "observed stars", "stars", float(observed), None, observed
        ),
        Measurement(
            "sec3.1",
            "share_observed",
            "share of the stars in the volume that is observed",
            "",
            share,
            math.sqrt(share * (1 - share) / drawn),
            drawn,
        ),
        Measurement(
            "sec4",
            "dust_structure",
            "shortest wavelength of the dust's density",
            "kpc",
            structure,
            None,
            0,
        ),
        *(
            Measurement(
                "sec4",
                f"dust_angle_{distance:g}kpc",
                f"its angle at {distance:g} kpc",
                "deg",
                math.degrees(structure / distance),
                None,
                0,
            )
            for distance in ANGLES_AT_KPC
        ),
    ]


def _networks(networks: Columns) -> list[Measurement]:
    """Numbers of parameters of S and n, which the paper compares."""
    counts = {
        field: int(networks["parameters"][networks["field"] == field][0])
        for field in ("selection", "tracers")
        if np.any(networks["field"] == field)
    }
    out = [
        Measurement(
            "tab02",
            f"parameters_{field}",
            f"parameters of one network for {'S' if field == 'selection' else 'n'}",
            "",
            float(number),
            None,
            0,
        )
        for field, number in counts.items()
    ]
    if len(counts) == 2:
        out.append(
            Measurement(
                "tab02",
                "parameters_ratio",
                "parameters of the network for S over those of the one for n",
                "",
                counts["selection"] / counts["tracers"],
                None,
                0,
            )
        )
    return out
