"""Settings of the first look at real stars: the conditional method near the Sun.

Kalda & Green (2026) have no real stars; everything here is ours but where a source is given.
"""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mwatlas.config.fields import CHOSEN, DEVICE, Strict, setting
from mwatlas.config.flows import Distillation, Flow, Training
from mwatlas.config.line_of_sight import Frames, SolarFrame
from mwatlas.config.solvers import FieldNetwork, LeastSquaresSettings, Solver, with_extra

PULLS_PC = (100, 200)
"""Heights in pc at which the pull towards the plane is a number."""


class NearbySample(Strict):
    """Which stars near the Sun teach the velocities."""

    radius_kpc: float = setting(0.3, "radius of the sphere around the Sun", source=CHOSEN, gt=0)
    parallax_over_error: float = setting(20.0, "least parallax over its error", source=CHOSEN, ge=0)
    magnitude_limit: float = setting(
        10.2,
        "G to which the release has every star. Only stars that would be brighter at the edge of "
        "the sphere are taken: else the faint, older and faster ones would be missing far out",
        source=CHOSEN,
    )
    speed_limit_kms: float = setting(
        200.0,
        "largest speed relative to the median of the stars, so that few fast ones do not set the "
        "scale of the velocities",
        source=CHOSEN,
        gt=0,
    )
    fewest_stars: int = setting(
        5000, "with fewer stars there is nothing to learn from", source=CHOSEN, ge=1000
    )


class NearbyAverages(Strict):
    """Where the potential is read off."""

    column_radius_kpc: float = setting(
        0.1, "radius of the vertical column of profiles", source=CHOSEN, gt=0
    )
    height_kpc: float = setting(
        0.25, "profiles go so far above and below the plane", source=CHOSEN, gt=0
    )
    steps: int = setting(21, "heights of a profile; an odd number", source=CHOSEN, ge=5)
    midplane_kpc: float = setting(
        0.05, "half the thickness of the slab that counts as the plane", source=CHOSEN, gt=0
    )
    spheres_kpc: tuple[float, ...] = setting(
        (0.15, 0.25), "radii of spheres whose mean density is measured", source=CHOSEN, min_length=1
    )
    points: int = setting(4096, "places of an average", source=CHOSEN, ge=100)

    @field_validator("steps")
    @classmethod
    def _one_step_is_at_the_plane(cls, steps: int) -> int:
        if steps % 2 == 0:
            raise ValueError(f"steps must be odd, found {steps}")
        return steps

    @field_validator("spheres_kpc")
    @classmethod
    def _spheres_grow(cls, radii: tuple[float, ...]) -> tuple[float, ...]:
        if radii[0] <= 0 or any(b <= a for a, b in itertools.pairwise(radii)):
            raise ValueError(f"spheres_kpc must be positive and ascending, found {radii}")
        return radii

    @model_validator(mode="after")
    def _profiles_reach_what_is_read_off(self) -> NearbyAverages:
        highest = max(PULLS_PC) / 1000
        if self.height_kpc < max(highest, self.midplane_kpc):
            raise ValueError(
                f"height_kpc must be at least midplane_kpc and {highest:g}, where the pull towards "
                f"the plane is read off; found {self.height_kpc:g}"
            )
        return self


class PublishedValue(Strict):
    """A value that others found."""

    value: float
    error: float = Field(ge=0)
    source: str = Field(description="who, and where")


class PublishedDensities(Strict):
    """Densities of all matter in the plane near the Sun, Msun/pc^3."""

    creze1998: PublishedValue = setting(
        PublishedValue(value=0.076, error=0.015, source="Creze et al. (1998), A&A 329, 920"),
        "from Hipparcos' A and F stars",
    )
    holmberg2000: PublishedValue = setting(
        PublishedValue(value=0.102, error=0.010, source="Holmberg & Flynn (2000), MNRAS 313, 209"),
        "from Hipparcos' A and F stars",
    )
    mckee2015: PublishedValue = setting(
        PublishedValue(value=0.097, error=0.013, source="McKee et al. (2015), ApJ 814, 13"),
        "from a census of stars and gas, and dark matter",
    )
    kalda2025: PublishedValue = setting(
        PublishedValue(
            value=0.086, error=0.010, source="Kalda & Green (2025), arXiv:2507.03742, abstract"
        ),
        "from 5.6 million stars of Gaia DR3, by a method that needs the selection function",
    )


class Nearby(Strict):
    """The conditional method on real stars near the Sun."""

    run: bool = setting(
        False, "whether to do it; only for releases of real stars that have radial velocities"
    )
    sample: NearbySample = NearbySample()
    frame: SolarFrame = setting(
        Frames().gravity2022, "position and velocity of the Sun", source="Kalda & Green (2025)"
    )
    pattern_speed: float = setting(
        28.2,
        "km/s/kpc at which the frame turns in which the stars are taken to be steady; close to "
        "that of circular orbits, so that only peculiar velocities carry the noise of slopes",
        source="Kalda & Green (2025), abstract",
    )
    velocities: Flow = Field(
        default=Flow(training=Training(epochs=30, batch_size=256)),
        description="flow of velocities p(v|x); with fewer steps it blurs how they change with "
        "height, and the pull towards the plane comes out too weak",
    )
    members: int = setting(
        6,
        "flows and potentials, each of stars drawn anew (bootstrap); their scatter is the error",
        source=CHOSEN,
        ge=2,
    )
    choice_error: float = setting(
        0.35,
        "by how much, as a share, densities and pulls towards the plane hang on how the velocities "
        "are learned, beside the scatter of members; other ways that hold on a mock were tried "
        "(docs)",
        source=CHOSEN,
        ge=0,
    )
    distillation: Distillation = Field(
        # Learned from so few stars themselves to the end, scores have their noise, and the density
        # of a mock comes out 1.8 times too large (benchmarks/nearby.py).
        default=Distillation(points=2**14, from_stars=None),
        description="network that stands in for the flow",
    )
    samples: int = setting(
        2**16, "points in phase space at which the equation must hold", source=CHOSEN, ge=1000
    )
    uniform_share: float = setting(
        0.5,
        "share of their places drawn uniformly in distance, the others are those of stars",
        source=CHOSEN,
        ge=0,
        le=1,
    )
    # Few hundred parsec are no range of distances to compress; slopes of few stars have outliers.
    solver: Solver = Field(
        default=Solver(
            potential=FieldNetwork(width=8, radial=False),
            extra=FieldNetwork(width=8, radial=False),
            optimiser=LeastSquaresSettings(last_batch_size=16384, robust=True),
        ),
        description="potential and n",
    )
    device: str = setting(
        "cpu", "where networks train: cpu, or cuda on a machine that has it", pattern=DEVICE
    )
    averages: NearbyAverages = NearbyAverages()
    densities: PublishedDensities = PublishedDensities()
    reference: Literal["creze1998", "holmberg2000", "mckee2015", "kalda2025"] = setting(
        "mckee2015", "the density that the ledger compares with", source=CHOSEN
    )
    circular_speed: PublishedValue = setting(
        PublishedValue(
            value=229.0, error=7.0, source="Eilers et al. (2019), ApJ 871, 120; error: 3 per cent"
        ),
        "published circular speed at the Sun, km/s; they give 2 to 5 per cent of systematic error",
    )

    @field_validator("solver")
    @classmethod
    def _n_is_solved_for(cls, solver: Solver) -> Solver:
        return with_extra(solver)

    @model_validator(mode="after")
    def _fits(self) -> Nearby:
        highest = max(self.averages.spheres_kpc)
        corner = self.averages.height_kpc + abs(self.frame.z_sun_pc) / 1000
        reach = max(highest, (corner**2 + self.averages.column_radius_kpc**2) ** 0.5)
        if reach > self.sample.radius_kpc:
            raise ValueError(
                f"averages reach {reach:.3g} kpc from the Sun, the stars {self.sample.radius_kpc:g}"
            )
        return self
