"""Columns of gaia_source in Gaia EDR3 and DR3, and of its truth on the embedded sky.

Names, types and units are the archive's (Gaia DR3 documentation, chapter 20); a test holds
them to rows of the archive.
"""

from __future__ import annotations

from mwatlas.tables.column import Column, DType, number
from mwatlas.tables.table import TableSchema

_LABELS = {
    "ra": ("right ascension times cos(dec)", "mas", "pos.eq.ra"),
    "dec": ("declination", "mas", "pos.eq.dec"),
    "parallax": ("parallax", "mas", "pos.parallax.trig"),
    "pmra": ("pmra", "mas/yr", "pos.pm;pos.eq.ra"),
    "pmdec": ("pmdec", "mas/yr", "pos.pm;pos.eq.dec"),
}
_BANDS = {"g": ("G", "em.opt"), "bp": ("BP", "em.opt.B"), "rp": ("RP", "em.opt.R")}
_NUMBER = "meta.number"
_FLAG = "meta.code"


def _error(name: str) -> Column:
    label, unit, ucd = _LABELS[name]
    return Column(
        f"{name}_error",
        "float32",
        unit,
        f"stat.error;{ucd}",
        f"Standard error of {label}",
        0,
        100,
        nullable=name not in ("ra", "dec"),
    )


def _correlation(first: str, second: str) -> Column:
    return Column(
        f"{first}_{second}_corr",
        "float32",
        "",
        "stat.correlation",
        f"Correlation coefficient of {first} and {second}",
        -1,
        1,
        nullable=(first, second) != ("ra", "dec"),
    )


def _proper_motion(name: str, description: str, ucd: str) -> Column:
    unit = "mas/yr"
    return Column(name, "float64", unit, ucd, description, -2e4, 2e4, nullable=True)


def _count(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, "int16", "", _NUMBER, description, 0, nullable=nullable)


def _flag(name: str, description: str) -> Column:
    return Column(name, "bool", "", _FLAG, description)


def _photometry(band: str) -> list[Column]:
    label, ucd = _BANDS[band]
    name, flux = f"phot_{band}", f"phot.flux;{ucd}"
    unit = "electron / s"
    kind: DType = "float64"
    return [
        _count(f"{name}_n_obs", f"Number of observations in the mean flux in {label}"),
        Column(
            f"{name}_mean_flux",
            kind,
            unit,
            flux,
            f"Mean flux in Gaia's {label} band",
            nullable=True,
        ),
        number(
            f"{name}_mean_flux_error", unit, f"stat.error;{flux}", f"Standard error of {label} flux"
        ),
        number(
            f"{name}_mean_flux_over_error",
            "",
            f"stat.snr;{flux}",
            f"{label} flux over its error",
        ),
        number(
            f"{name}_mean_mag",
            "mag",
            f"phot.mag;{ucd}",
            f"Mean magnitude in Gaia's {label} band",
            -5,
            25,
        ),
    ]


def _colour(name: str, description: str, ucd: str) -> Column:
    return number(name, "mag", f"phot.color;{ucd}", description, -5, 15)


def _velocity(prefix: str, description: str) -> list[Column]:
    name, ucd = f"{prefix}radial_velocity", "spect.dopplerVeloc.opt"
    error = f"Standard error of {name}"
    return [
        number(name, "km/s", ucd, description, -2000, 2000),
        number(f"{name}_error", "km/s", f"stat.error;{ucd}", error, 0, 100),
    ]


def _template(prefix: str) -> list[Column]:
    # The archive's unit of gravity, log(cm.s**-2), is neither a VOUnit nor one of astropy's.
    return [
        number(f"{prefix}rv_template_{name}", unit, ucd, f"{label} of the template spectrum")
        for name, unit, ucd, label in (
            ("teff", "K", "phys.temperature.effective", "Temperature"),
            ("logg", "dex", "phys.gravity", "Decimal logarithm of the surface gravity in cm/s2"),
            ("fe_h", "dex", "phys.abund.Fe", "[Fe/H]"),
        )
    ]


_FIVE = tuple(_LABELS)

_IDENTITY = [
    Column("solution_id", "int64", "", "meta.version", "Version of the solution", 0),
    Column("designation", "string", "", "meta.id", "Name of the source in this release"),
    Column(
        "source_id",
        "int64",
        "",
        "meta.id;meta.main",
        "Gaia source identifier, unique within a data release; its upper bits are the "
        "nested HEALPix index of level 12",
        low=0,
    ),
    Column("random_index", "int64", "", "meta.id", "Random number for drawing subsets", 0),
    Column("ref_epoch", "float64", "yr", "meta.ref;time.epoch", "Reference epoch", 2014, 2020),
]

_ASTROMETRY = [
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS", 0, 360),
    _error("ra"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "Declination, ICRS", -90, 90),
    _error("dec"),
    Column(
        "parallax",
        "float64",
        "mas",
        "pos.parallax.trig",
        "Parallax as published, zero point not corrected",
        -1000,
        1000,
        nullable=True,
    ),
    _error("parallax"),
    number("parallax_over_error", "", "stat.snr;pos.parallax.trig", "Parallax over its error"),
    number("pm", "mas/yr", "pos.pm", "Total proper motion", 0, 2e4),
    _proper_motion("pmra", "Proper motion in right ascension times cos(dec)", _LABELS["pmra"][2]),
    _error("pmra"),
    _proper_motion("pmdec", "Proper motion in declination", _LABELS["pmdec"][2]),
    _error("pmdec"),
    *(_correlation(a, b) for i, a in enumerate(_FIVE) for b in _FIVE[i + 1 :]),
    _count("astrometric_n_obs_al", "Number of observations along scan"),
    _count("astrometric_n_good_obs_al", "Number of them that were not strongly downweighted"),
    _count("astrometric_n_bad_obs_al", "Number of them that were"),
    number("astrometric_gof_al", "", "stat.fit.goodness", "Goodness of fit along scan"),
    number("astrometric_chi2_al", "", "stat.fit.chi2", "Chi-square of the good observations", 0),
    number(
        "astrometric_excess_noise", "mas", "stat.error", "Noise beyond that of the observations", 0
    ),
    number("astrometric_excess_noise_sig", "", "stat.value", "Significance of the excess noise", 0),
    Column(
        "astrometric_params_solved",
        "int16",
        "",
        _FLAG,
        "Which astrometric parameters were solved: 3, 31 (five-parameter) or 95 (six)",
        3,
        95,
    ),
    _flag("astrometric_primary_flag", "Whether the source took part in the primary solution"),
    number(
        "nu_eff_used_in_astrometry",
        "um-1",
        "em.wavenumber",
        "Effective wavenumber used in the astrometric solution (five-parameter sources)",
        0,
        5,
    ),
    number(
        "pseudocolour",
        "um-1",
        "em.wavenumber",
        "Astrometrically estimated effective wavenumber (six-parameter sources)",
        -10,
        20,
    ),
    number(
        "pseudocolour_error",
        "um-1",
        "stat.error;em.wavenumber",
        "Standard error of pseudocolour",
        0,
    ),
    *(_correlation(name, "pseudocolour") for name in _FIVE),
    _count("astrometric_matched_transits", "Field transits used in the astrometric solution"),
    _count("visibility_periods_used", "Groups of observations at least four days apart"),
    Column(
        "astrometric_sigma5d_max",
        "float32",
        "mas",
        "stat.error",
        "Longest axis of the scaled covariance matrix of the five parameters",
        0,
    ),
    _count("matched_transits", "Field transits matched to the source"),
    Column(
        "ipd_gof_harmonic_amplitude",
        "float32",
        "",
        "stat.fit.goodness",
        "Amplitude of the variation of the image's goodness of fit with scan direction",
        0,
    ),
    _count("ipd_frac_multi_peak", "Per cent of windows with more than one peak"),
    _count("ipd_frac_odd_win", "Per cent of transits with disturbed windows"),
    number(
        "ruwe", "", "stat.error", "Renormalised unit weight error of the astrometric solution", 0
    ),
    _flag("duplicated_source", "Whether detections of several sources were joined into one"),
]

_EXCESS = number(
    "phot_bp_rp_excess_factor",
    "",
    "arith.factor;phot.flux",
    "Sum of the fluxes in BP and RP over that in G",
    0,
)

_COLOURS = [
    _colour("bp_rp", "Colour BP - RP", "em.opt.B;em.opt.R"),
    _colour("bp_g", "Colour BP - G", "em.opt.B;em.opt"),
    _colour("g_rp", "Colour G - RP", "em.opt;em.opt.R"),
]

_VELOCITIES = [
    *_velocity("", "Spectroscopic radial velocity in the solar barycentric frame"),
    Column(
        "rv_method_used",
        "int16",
        "",
        _FLAG,
        "How transits were combined: 1 their median, 2 their mean cross-correlation",
        1,
        2,
        nullable=True,
    ),
    _count("rv_nb_transits", "Transits used in radial_velocity", nullable=True),
    number("rv_expected_sig_to_noise", "", "stat.snr", "Expected signal-to-noise ratio", 0),
    *_template(""),
    number("grvs_mag", "mag", "phot.mag;em.opt.I", "Magnitude in the band of the spectrometer"),
    number(
        "grvs_mag_error", "mag", "stat.error;phot.mag;em.opt.I", "Standard error of grvs_mag", 0
    ),
]

_DR2_VELOCITIES = [
    *_velocity("dr2_", "Radial velocity carried over from Gaia DR2 into EDR3"),
    _count("dr2_rv_nb_transits", "Transits used in dr2_radial_velocity, 0 without one"),
    *_template("dr2_"),
]

_PLACES = [
    Column("l", "float64", "deg", "pos.galactic.lon", "Galactic longitude", 0, 360),
    Column("b", "float64", "deg", "pos.galactic.lat", "Galactic latitude", -90, 90),
    Column("ecl_lon", "float64", "deg", "pos.ecliptic.lon", "Ecliptic longitude", 0, 360),
    Column("ecl_lat", "float64", "deg", "pos.ecliptic.lat", "Ecliptic latitude", -90, 90),
]

_PRODUCTS = [
    _flag("has_xp_continuous", "Whether a mean BP/RP spectrum is published as coefficients"),
    _flag("has_xp_sampled", "Whether a mean BP/RP spectrum is published in samples"),
    _flag("has_rvs", "Whether a mean spectrum of the spectrometer is published"),
]

_FLUXES = [column for band in _BANDS for column in _photometry(band)]

_SHARED = [*_IDENTITY, *_ASTROMETRY, *_FLUXES, _EXCESS, *_COLOURS]

GAIA_COLUMNS = [*_SHARED, *_VELOCITIES, *_DR2_VELOCITIES, *_PLACES, *_PRODUCTS]
"""Every column of gaia_source the workflow knows, of both releases."""

_SERVED = "Rows of the Gaia source table as the embedded sky serves it"

GAIA_SOURCE_FULL = {
    "gaiadr3": TableSchema("gaia_source", _SERVED, (*_SHARED, *_VELOCITIES, *_PLACES, *_PRODUCTS)),
    "gaiaedr3": TableSchema("gaia_source", _SERVED, (*_SHARED, *_DR2_VELOCITIES, *_PLACES)),
}
"""Columns the embedded sky serves, by release, in the archive's order.

What the workflow requires of every release, also of a user's own files, is the shorter
``mwatlas.tables.schemas.GAIA_SOURCE``.
"""

GAIA_TRUTH = [
    _flag("binary_true", "Whether the star has an unresolved companion that disturbs its motion"),
    _flag("spurious_true", "Whether the astrometric solution is wrong altogether"),
    _flag("blended_true", "Whether light of neighbours was added to BP and RP"),
    _flag("rv_outlier_true", "Whether the radial velocity is another star's"),
]
"""What the embedded sky knows about the flaws of its gaia_source."""
