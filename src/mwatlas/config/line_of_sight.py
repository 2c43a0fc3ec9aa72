"""Settings of the line-of-sight study: Dropulic, Liu, Ostdiek & Lisanti (2022).

arXiv:2205.12278, MNRAS 521, 1633. "D21" is Dropulic et al. (2021), whose network it uses.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from mwatlas.config.fields import CHOSEN, Strict, setting
from mwatlas.tables.schemas import STARS

# Columns that a cut may name beside those of the clean catalogue.
DERIVED_COLUMNS = ("fractional_parallax_error",)

_D21 = "D21, kept in section 2.1"


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


class Network(Strict):
    """What predicts the velocity: the paper's twins, or a mixture density."""

    kind: Literal["twin", "mixture"] = setting(
        "twin",
        "twin: two perceptrons, one for the velocity and one for its uncertainty; mixture: one "
        "perceptron for a mixture of normal distributions",
        source=_D21,
    )
    inputs: Literal["paper", "physical"] = setting(
        "paper",
        "paper: cos l, sin l, b, proper motions, parallax; physical: unit vector to the star, "
        "logarithm of the distance, transverse velocity and proper motion as vectors",
        source="section 2.1",
    )
    hidden_layers: int = setting(4, "hidden layers of each perceptron", source=_D21, ge=1)
    units: int = setting(30, "units of each hidden layer", source=_D21, ge=1)
    activation: Literal["tanh", "silu", "gelu"] = setting(
        "tanh", "activation of the hidden layers", source=_D21
    )
    sigma_activation: Literal["relu", "softplus"] = setting(
        "relu",
        "twin: output of the uncertainty; relu units can die, softplus cannot",
        source=_D21,
    )
    sigma_initial: float | None = setting(
        1.0,
        "twin: uncertainty of every star before training, in standardised units; null starts "
        "from random weights as D21's code does, where relu leaves many stars at sigma = 0",
        source=CHOSEN,
        gt=0,
    )
    sigma_floor_quantile: float = setting(
        0.0,
        "twin: no exported prediction is more certain than this quantile of the validation stars",
        source=CHOSEN,
        ge=0,
        lt=1,
    )
    components: int = setting(
        5, "mixture: normal distributions of each member", source=CHOSEN, ge=1
    )
    members: int = setting(1, "mixture: networks whose densities are averaged", source=CHOSEN, ge=1)
    smallest_sigma: float = setting(
        0.01,
        "mixture: no component is narrower, in standardised units",
        source=CHOSEN,
        gt=0,
    )
    seed: int = setting(1, "seed of the initial weights", source="code of D21", ge=0)


class Training(Strict):
    """How each network is trained."""

    stages: list[Literal["mean", "sigma", "both"]] = setting(
        ["mean", "sigma", "both"],
        "twin: which learns in each stage; D21's script runs mean, sigma, mean, sigma, both",
        source=_D21,
        min_length=1,
    )
    sample_weights: Literal["unit", "log2d"] = setting(
        "unit",
        "unit: every star counts the same; log2d: rare (l, v_los) count more, as in D21's script",
        source=CHOSEN,
    )
    redraw_radial_velocity: bool = setting(
        True,
        "draw the velocity anew from its measurement error in each epoch",
        source="section 2.1",
    )
    batch_size: int = setting(10_000, "stars per step", source="code of D21", ge=1)
    max_epochs: int = setting(1000, "limit for each stage", source="code of D21", ge=1)
    learning_rate: float = setting(1e-3, "initial rate of Adam", source="code of D21", gt=0)
    plateau_patience: int = setting(
        10, "epochs without improvement before the rate falls", source="code of D21", ge=1
    )
    plateau_factor: float = setting(
        0.1, "factor by which it falls", source="code of D21", gt=0, lt=1
    )
    plateau_min_delta: float = setting(
        1e-4, "smaller improvements do not count for the rate (Keras default)", source=CHOSEN, ge=0
    )
    min_learning_rate: float = setting(1e-5, "lowest rate", source="code of D21", gt=0)
    stop_patience: int = setting(
        40, "epochs without improvement before a stage ends", source="code of D21", ge=1
    )
    max_dead_fraction: float = setting(
        1e-4,
        "twin: training stops with an explanation if more stars than this have sigma = 0",
        source=CHOSEN,
        ge=0,
        le=1,
    )
    checkpoint_seconds: float = setting(
        10, "least time between checkpoints; 0 writes one after each epoch", ge=0
    )


class CrossValidation(Strict):
    """Every star is predicted by a network that did not see it."""

    folds: int = setting(5, "random subsets", source="section 2.1", ge=3)
    split_seed: int = setting(0, "seed of the split", source=CHOSEN, ge=0)
    training_subsets: Annotated[int, Field(ge=1)] | Literal["all"] = setting(
        1, "subsets that train in each round; all: those that are left", source="section 2.1"
    )
    validation_offset: int = setting(
        2,
        "round k tests subset k, validates on k + this, and trains on the others from k+1",
        source=CHOSEN,
        ge=2,
    )
    round_without_velocity: int = setting(
        0,
        "whose network predicts stars without a velocity; no network has seen them",
        source=CHOSEN,
        ge=0,
    )
    min_stars: int = setting(
        100, "a run stops if a subset has fewer stars to train on", source=CHOSEN, ge=2
    )

    @model_validator(mode="after")
    def _subsets_differ(self) -> CrossValidation:
        if self.validation_offset >= self.folds:
            raise ValueError(
                f"validation_offset ({self.validation_offset}) must be below folds ({self.folds})"
            )
        if self.training_subsets != "all" and self.training_subsets > self.folds - 2:
            raise ValueError(
                f"training_subsets ({self.training_subsets}) must leave one subset to validate and "
                f"one to test: at most {self.folds - 2} of {self.folds} folds"
            )
        if self.round_without_velocity >= self.folds:
            raise ValueError(
                f"round_without_velocity ({self.round_without_velocity}) must be below folds "
                f"({self.folds})"
            )
        return self


class Calibration(Strict):
    """Correction of predicted uncertainties, fitted on the validation stars of each round."""

    method: Literal["none", "conformal", "isotonic"] = setting(
        "none",
        "conformal: one factor for all stars; isotonic: a rising function of the predicted "
        "uncertainty",
        source=CHOSEN,
    )
    groups: int = setting(
        20,
        "isotonic: groups of stars of similar uncertainty, each with a factor",
        source=CHOSEN,
        ge=2,
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


class Axis(Strict):
    """Equal bins between two edges."""

    low: float
    high: float
    bins: int = setting(100, "number of bins", ge=1)

    @model_validator(mode="after")
    def _edges_are_ordered(self) -> Axis:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


class Binning(Strict):
    """Histograms behind the figures."""

    velocity: Axis = setting(
        Axis(low=-500, high=500, bins=100), "Galactocentric velocities, km/s", source=CHOSEN
    )
    velocity_box: Axis = setting(
        Axis(low=-450, high=450, bins=18), "boxes in the lower row of Figure 1", source=CHOSEN
    )
    velocity_error: Axis = setting(
        Axis(low=0, high=400, bins=800), "predicted uncertainty, km/s", source=CHOSEN
    )
    pull: Axis = setting(
        Axis(low=-5, high=5, bins=100), "residual over sigma_los; also the fit range", source=CHOSEN
    )
    eccentricity: Axis = setting(
        Axis(low=0.6, high=1, bins=40), "both axes of Figure 3", source=CHOSEN
    )
    position_x: Axis = setting(
        Axis(low=-16, high=0, bins=80), "Galactocentric x of Figures 5 and 11, kpc", source=CHOSEN
    )
    position_yz: Axis = setting(
        Axis(low=-8, high=8, bins=80), "Galactocentric y and z there, kpc", source=CHOSEN
    )
    l_z: Axis = setting(
        Axis(low=-4, high=4, bins=160), "angular momentum, 1000 kpc km/s", source=CHOSEN
    )
    energy: Axis = setting(
        Axis(low=-2.4, high=0, bins=120), "specific energy, 1e5 (km/s)^2", source=CHOSEN
    )
    sqrt_j_r: Axis = setting(
        Axis(low=0, high=70, bins=140), "square root of J_r, (kpc km/s)^1/2", source=CHOSEN
    )
    fe_h: Axis = setting(Axis(low=-4, high=1, bins=50), "[Fe/H]", source="Figure 9")
    mg_fe: Axis = setting(Axis(low=-0.5, high=0.8, bins=52), "[Mg/Fe]", source=CHOSEN)
    pit: Axis = setting(
        Axis(low=0, high=1, bins=1000),
        "probability the prediction gave to velocities below the measured one",
        source=CHOSEN,
    )


class Region(Strict):
    """A box in the plane of [Mg/Fe] and [Fe/H]."""

    fe_h: tuple[float, float]
    mg_fe: tuple[float, float]


class Debris(Strict):
    """What is measured of the stars of high eccentricity."""

    within_kpc: list[float] = setting(
        [5.0, 3.5, 2.5],
        "distances from the Sun within which the covariance of positions is taken",
        source="section 4.3, Table 2",
        min_length=1,
    )
    containment: float = setting(
        0.9,
        "share of the stars between the quoted ends of a range",
        source="section 4.1",
        gt=0,
        lt=1,
    )
    accreted: Region = setting(
        Region(fe_h=(-2.5, -0.75), mg_fe=(0.1, 0.4)), "accreted stars", source="section 4.2"
    )
    high_alpha: Region = setting(
        Region(fe_h=(-0.75, 0.0), mg_fe=(0.2, 0.45)),
        "stars of the high-alpha disc (Splash); the paper says about -0.5 and 0.3",
        source=CHOSEN,
    )


class Closure(Strict):
    """Comparison with the truth of the embedded sky."""

    optimum_stars: int = setting(
        4000, "stars whose best possible prediction is computed, about", source=CHOSEN, ge=100
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
        4.0,
        "a number is not compared if twice its error is more than this many times what is allowed",
        source=CHOSEN,
        gt=0,
    )
    tilt_deg: float = setting(10.0, "allowed error of a tilt", source=CHOSEN, gt=0)
    abundance: float = setting(
        0.05, "allowed error of abundances (dex), axis ratios and shares", source=CHOSEN, gt=0
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


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Mapping ``base`` with ``changes`` in it, key by key."""
    out = dict(base)
    for key, value in changes.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            out[key] = _merged(old, value)
        else:
            out[key] = value
    return out


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
        for name, changes in self.variants.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"variant {name!r}: names are lower-case letters, digits and _")
            nested = sorted({"variants", "compare", "cuts", "closure"} & set(changes))
            if nested:
                raise ValueError(f"variant {name!r} cannot change {nested}")
            try:
                split = self.variant(name).cross_validation
            except ValidationError as error:
                # Only the loader can say where in the files the problems lie.
                raise PydanticCustomError(
                    "variant",
                    "variant '{name}' is not possible: {errors}",
                    {"name": name, "errors": error.errors()},
                ) from None
            for key in ("folds", "split_seed"):
                if getattr(split, key) != getattr(self.cross_validation, key):
                    raise ValueError(f"variant {name!r} cannot change cross_validation.{key}")
        unknown = sorted(set(self.compare) - set(self.variants))
        if unknown:
            raise ValueError(
                f"compare names {unknown}; variants are {', '.join(self.variants) or 'none'}"
            )
        if len(set(self.compare)) < len(self.compare):
            raise ValueError(f"compare names a variant twice: {', '.join(self.compare)}")
        return self

    def variant(self, name: str) -> LineOfSight:
        """Settings of a variant; an empty name is the study itself."""
        base = {**self.model_dump(mode="json"), "variants": {}, "compare": []}
        return type(self).model_validate(_merged(base, self.variants[name] if name else {}))

    def predictor(self, name: str) -> str:
        """Variant whose networks serve this one: the study, if both are trained the same way."""
        ours, theirs = (self.variant(v).model_dump(include=set(TRAINING)) for v in (name, ""))
        return "" if ours == theirs else name

    @property
    def solar_frame(self) -> SolarFrame:
        """The frame in use."""
        return getattr(self.frames, self.frame)
