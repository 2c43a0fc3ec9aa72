"""Places and velocities at which the Boltzmann equation must hold, with the scores there.

Kalda & Green (2026), section II: the vanilla and the selection-function method average over the
density they learned. In the conditional method only the velocities must follow p(v|x), so places
are also taken where hardly a star is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_potential import Sampling
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.studies.conditional_potential.distilling import mixed_places, sample_within

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearnedDensity:
    """One member's flow, and the network that gives its scores."""

    flow: MatchingFlow
    quick: DistilledDensity

    @classmethod
    def load(cls, flow: Path, quick: Path, device: str) -> LearnedDensity:
        """Read both; an :class:`~mwatlas.errors.InputError` says if one cannot be."""
        return cls(MatchingFlow.load(flow, device), DistilledDensity.load(quick, device))


def phase_samples(
    velocities: LearnedDensity,
    positions: LearnedDensity | None,
    observed_kpc: Floats | None,
    settings: Sampling,
    radius_kpc: float,
    rng: np.random.Generator,
) -> PhaseSamples:
    """Draw samples and take the scores of ln f, ln f observed, or ln p(v|x).

    Parameters
    ----------
    velocities
        p(v|x).
    positions
        n(x) of the weighted or of the observed stars; None for the conditional method.
    observed_kpc
        Places of observed stars, shape (N, 3), of which the conditional method takes some; the
        others need none.
    settings
        How many, and from where.
    radius_kpc
        Radius of the volume.
    rng
        Source of randomness.

    Returns
    -------
    PhaseSamples
        In kpc and 100 km/s.
    """
    number = settings.number
    if positions is None:
        assert observed_kpc is not None
        x = mixed_places(observed_kpc, number, settings.uniform_share, radius_kpc, rng)
    else:
        x = sample_within(positions.flow, number, radius_kpc, rng)
    v = velocities.flow.sample(number, rng, x)
    by_velocity, by_position = velocities.quick.score(v, x)
    assert by_position is not None
    if positions is not None:
        by_position = by_position + positions.quick.score(x)[0]
    return PhaseSamples(x, v, by_position, by_velocity)
