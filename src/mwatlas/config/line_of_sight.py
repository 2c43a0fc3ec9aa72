"""Settings of the line-of-sight study: Dropulic, Liu, Ostdiek & Lisanti (2022).

arXiv:2205.12278, MNRAS 521, 1633. "D21" is Dropulic et al. (2021), whose network it uses.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mwatlas.config.debris import Binning, Debris
from mwatlas.config.fields import CHOSEN, Strict, merged, setting
from mwatlas.config.predictor import Calibration, CrossValidation, Network, Training
from mwatlas.config.variants import check_variants
from mwatlas.tables.schemas import STARS

# Columns that a cut may name beside those of the clean catalogue.
DERIVED_COLUMNS = ("fractional_parallax_error",)


class Cut(Strict):
    """Limits on one column; ``above`` and ``below`` are open, ``min`` and ``max`` closed."""

    column: str = Field(description="column of the clean catalogue, or a derived one")
    above: float | None = None
    below: float | None = None
    min: float | None = None
    max: float | None = None

    @field_validator("column")
    @classmethod
    def _column_exists(cls, column: str) -> str:
        known = [*STARS.names, *DERIVED_COLUMNS]
        if column not in known:
            near = get_close_matches(column, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; columns are {', '.join(known)}"
            raise ValueError(f"no column {column!r}{hint}")
        return column

    @model_validator(mode="after")
    def _limits_leave_something(self) -> Cut:
        lows = [x for x in (self.above, self.min) if x is not None]
        highs = [x for x in (self.below, self.max) if x is not None]
        if not lows and not highs:
            raise ValueError("a cut needs at least one of above, below, min, max")
        if lows and highs and max(lows) >= min(highs):
            raise ValueError(
                f"the lower limit ({max(lows)}) must be below the upper limit ({min(highs)})"
            )
        return self


class BaseCut(Strict):
    """Row [0] of Table 1."""

    parallax: Cut = setting(
        Cut(column="parallax_corr", above=0), "positive parallax", source="section 2, Table 1"
    )
    parallax_error: Cut = setting(
        Cut(column="fractional_parallax_error", below=0.2),
        "parallax_error / parallax_corr",
        source="section 2, Table 1",
    )
    magnitude: Cut = setting(
        Cut(column="phot_g_mean_mag", min=6, max=17), "range in G", source="section 2, Table 1"
    )
    ruwe: Cut = setting(
        Cut(column="ruwe", below=2), "quality of the astrometric fit", source="section 2, Table 1"
    )


class Cuts(Strict):
    """Selection of the catalogues."""

    base: BaseCut = BaseCut()
    radial_velocity: Cut = setting(
        Cut(column="radial_velocity", min=-550, max=550),
        "stars with a velocity must lie in this range, km/s",
        source="section 2, Table 1",
    )
    complete: Cut = setting(
        Cut(column="phot_g_mean_mag", min=12, max=17),
        "range in G called spatially complete; row [1]",
        source="section 2, footnote 2",
    )
    high_eccentricity: float = setting(
        0.8, "lower limit of the GSE selection; row [2]", source="section 2.2", gt=0, lt=1
    )
    moderate_eccentricity: float = setting(
        0.7, "limit of the second contamination number", source="section 2.2", gt=0, lt=1
    )


class ErrorSampling(Strict):
    """Draws of the predicted velocity."""

    draws: int = setting(5, "draws per star", source="section 2.1", ge=1, le=100)


class SolarFrame(Strict):
    """Position and velocity of the Sun in right-handed Galactocentric axes."""

    galcen_distance_kpc: float = setting(8.122, "distance to the Galactic centre", gt=0)
    z_sun_pc: float = setting(20.8, "height above the plane")
    v_sun_kms: tuple[float, float, float] = setting((12.9, 245.6, 7.78), "velocity")


class Frames(Strict):
    """Solar frames; which one the paper used on real data is not said."""

    astropy_v4: SolarFrame = setting(
        SolarFrame(), "parameter set v4.0 of astropy (Gravity Collaboration 2018 and others)"
    )
    dropulic2021: SolarFrame = setting(
        SolarFrame(galcen_distance_kpc=8.0, z_sun_pc=15.0, v_sun_kms=(11.1, 239.08, 7.25)),
        "constants of the Galaxia mock in the code of D21",
    )
    gravity2022: SolarFrame = setting(
        SolarFrame(galcen_distance_kpc=8.277, z_sun_pc=20.8, v_sun_kms=(9.3, 251.5, 8.59)),
        "distance of the Gravity Collaboration (2022, A&A 657, L12), motion from it and the proper "
        "motion of Sgr A* (Reid & Brunthaler 2020), height of Bennett & Bovy (2019)",
    )


class Orbits(Strict):
    """Integration in MWPotential2014 (Bovy 2015)."""

    duration_gyr: float = setting(2.0, "integration time", source=CHOSEN, gt=0)
    step_myr: float = setting(10.0, "longest step", source=CHOSEN, gt=0)
    shortest_step_myr: float = setting(
        0.003, "shortest step; orbits that need a shorter one are flagged", source=CHOSEN, gt=0
    )
    step_fraction: float = setting(
        0.9,
        "step in units of the shortest time scale of an orbit; errors go as its fourth power",
        source=CHOSEN,
        gt=0,
        le=1.2,
    )


class Closure(Strict):
    """Comparison with the truth of the embedded sky."""

    optimum_sources: int = setting(
        16000,
        "size of the part of the sky in which the best possible prediction of stars with a "
        "velocity is computed, in sources; about a quarter have one",
        source=CHOSEN,
        ge=400,
    )
    errors: float = setting(
        2.0,
        "errors by which a number may miss its truth beside what is allowed below",
        source=CHOSEN,
        gt=0,
    )
    pull_mean: float = setting(0.02, "allowed mean of the pull", source=CHOSEN, gt=0)
    pull_width: float = setting(
        0.1, "allowed error of its width, for training is not perfect", source=CHOSEN, gt=0
    )
    coverage: float = setting(0.02, "allowed error of a coverage", source=CHOSEN, gt=0)
    sigma_ratio: float = setting(
        0.1, "allowed difference of sigma_los from the optimal one, as a share", source=CHOSEN, gt=0
    )
    measured_count: float = setting(
        0.05,
        "allowed error of counts of high eccentricity with measured velocities, as a share",
        source=CHOSEN,
        gt=0,
    )
    predicted_count: float = setting(0.2, "the same with drawn velocities", source=CHOSEN, gt=0)
    dispersion: float = setting(
        0.05, "allowed error of velocity dispersions, as a share", source=CHOSEN, gt=0
    )
    range_end: float = setting(
        0.05, "allowed error of an end of a range, as a share of its width", source=CHOSEN, gt=0
    )
    fewest_stars: int = setting(
        25, "counts below this are not compared with the truth", source=CHOSEN, ge=1
    )
    most_noise: float = setting(
        3.0,
        "a number is not compared if twice its error is more than this many times what is allowed",
        source=CHOSEN,
        gt=0,
    )
    tilt_deg: float = setting(10.0, "allowed error of a tilt", source=CHOSEN, gt=0)
    abundance: float = setting(
        0.05, "allowed error of abundances (dex) and axis ratios", source=CHOSEN, gt=0
    )
    share: float = setting(
        0.2, "allowed error of the share of high-alpha stars, relative to it", source=CHOSEN, gt=0
    )
    least_gain: float = setting(
        0.8,
        "share of the optimum's gain over a constant that a network must reach",
        source=CHOSEN,
        gt=0,
        lt=1,
    )
    largest_miss: float = setting(
        0.4,
        "share of the scatter of the optimal means by which it may miss them",
        source=CHOSEN,
        gt=0,
        lt=1,
    )


TRAINING = ("network", "training", "cross_validation", "calibration")
"""Sections that decide a network, which holds its calibration, and so its predictions."""


class LineOfSight(Strict):
    """Everything the study can be told."""

    cuts: Cuts = Cuts()
    network: Network = Network()
    training: Training = Training()
    cross_validation: CrossValidation = CrossValidation()
    calibration: Calibration = Calibration()
    error_sampling: ErrorSampling = ErrorSampling()
    frame: Literal["astropy_v4", "dropulic2021", "gravity2022"] = setting(
        "astropy_v4", "which of the frames below to use", source=CHOSEN
    )
    frames: Frames = Frames()
    orbits: Orbits = Orbits()
    binning: Binning = Binning()
    debris: Debris = Debris()
    closure: Closure = Closure()
    variants: dict[str, dict[str, Any]] = setting(
        {
            "mixture": {
                "network": {
                    "kind": "mixture",
                    "inputs": "physical",
                    "hidden_layers": 4,
                    "units": 64,
                    "activation": "silu",
                    "components": 10,
                    "members": 2,
                },
                "cross_validation": {"training_subsets": "all"},
                "training": {
                    "batch_size": 1024,
                    "learning_rate": 3e-3,
                    "max_epochs": 20,
                    "plateau_patience": 2,
                    "plateau_factor": 0.3,
                    "stop_patience": 5,
                },
            },
            "log2d": {"training": {"sample_weights": "log2d"}},
            "conformal": {"calibration": {"method": "conformal"}},
            "isotonic": {"calibration": {"method": "isotonic"}},
            "dropulic2021": {"frame": "dropulic2021"},
            "gravity2022": {"frame": "gravity2022"},
        },
        "the same study with some settings changed, by name; results in variants/<name>",
    )
    compare: list[str] = setting(
        ["mixture", "log2d", "dropulic2021", "gravity2022"],
        "variants that a run makes and sets beside the study in ledger and report",
    )

    @model_validator(mode="after")
    def _variants_are_valid(self) -> LineOfSight:
        check_variants(self, "variants", "compare", "cuts", "closure")
        for name in self.variants:
            split = self.variant(name).cross_validation
            for key in ("folds", "split_seed"):
                if getattr(split, key) != getattr(self.cross_validation, key):
                    raise ValueError(f"variant {name!r} cannot change cross_validation.{key}")
        return self

    def variant(self, name: str) -> LineOfSight:
        """Settings of a variant; an empty name is the study itself."""
        base = {**self.model_dump(mode="json"), "variants": {}, "compare": []}
        return type(self).model_validate(merged(base, self.variants[name] if name else {}))

    def predictor(self, name: str) -> str:
        """Variant whose networks serve this one: the study, if both are trained the same way."""
        ours, theirs = (self.variant(v).model_dump(include=set(TRAINING)) for v in (name, ""))
        return "" if ours == theirs else name

    @property
    def solar_frame(self) -> SolarFrame:
        """The frame in use."""
        return getattr(self.frames, self.frame)
