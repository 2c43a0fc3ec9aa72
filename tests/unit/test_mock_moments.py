"""Moments of learned velocities beside the true ones."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from torch import from_numpy

from mwatlas.potential.plummer import Plummer as PlummerSystem
from mwatlas.random import draw_directions
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.evaluate import Evaluation, MockTruth, Models
from mwatlas.studies.conditional_potential.moment_numbers import moment_measurements
from mwatlas.studies.conditional_potential.plummer import Plummer

from . import mock_runs

RADIUS = mock_runs.RADIUS


@dataclass(frozen=True)
class Learned(Models):
    """Models that have learned the velocities of a system."""

    system: PlummerSystem

    def log_velocity_density(self, v: np.ndarray, x: np.ndarray) -> np.ndarray:
        return self.system.log_velocity_density(from_numpy(x), from_numpy(v)).numpy()


@pytest.mark.parametrize("mass", [0.98, 1.02])
@pytest.mark.parametrize("anisotropy_radius_kpc", [None, 5.0])
def test_moments_of_a_sphere_of_another_mass(
    anisotropy_radius_kpc: float | None, mass: float
) -> None:
    tracer = mock_runs.STUDY.mock.tracer.model_copy(
        update={"anisotropy_radius_kpc": anisotropy_radius_kpc}
    )
    sphere = Plummer.of(tracer)
    dust = DustField.draw(mock_runs.STUDY.mock.dust, RADIUS, 1)
    truth = MockTruth(sphere, mock_runs.selection(dusty=False), dust)
    other = replace(truth, sphere=replace(sphere, gm=mass * sphere.gm)).system
    evaluation = Evaluation(Learned({}, [], {}, other), truth, mock_runs.STUDY, 0)
    radius = RADIUS * (np.arange(4096) + 0.5) / 4096
    x = radius[:, None] * draw_directions(4096, np.random.default_rng(1))
    profile = {"radius_kpc": radius, **evaluation.moments(x)}
    found = {m.quantity: m for m in moment_measurements(profile, RADIUS, 4)}
    assert len(found) == 8
    for power, name in ((2, "second"), (4, "fourth")):
        for low in (0, 2, 4, 6):
            m = found[f"velocity_{name}_moment_bias_{low}_{low + 2}kpc"]
            # Squares of velocities go with the mass, and whole distributions with them.
            assert m.value == pytest.approx(mass ** (power / 2) - 1, abs=4 * m.error)
            # Densities to a few per cent need moments to a tenth of one.
            assert m.error < 0.001
