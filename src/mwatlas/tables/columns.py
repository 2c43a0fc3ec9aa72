"""The column registry: one entry per column, from which everything else derives.

Type checks, units, UCDs, range checks, Parquet metadata and the data dictionary all read
this module. Archive columns keep the archive's names, types and units (Gaia DR3
documentation, chapter 20); UCDs follow UCD1+ (IVOA 1.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DType = Literal["int8", "int16", "int64", "float32", "float64", "bool", "string"]


@dataclass(frozen=True)
class Column:
    """Meaning of one column.

    Parameters
    ----------
    name, dtype
        Name in the table and storage type.
    unit
        Astropy unit string; empty for a pure number.
    ucd
        UCD1+ semantic tag.
    description
        One sentence for a reader who does not know the project.
    low, high
        Allowed closed range of finite values; ``None`` leaves a side open.
    nullable
        Whether a value may be missing.
    length
        Number of values in a row: 1 for a plain column, 0 where the table decides.
    """

    name: str
    dtype: DType
    unit: str
    ucd: str
    description: str
    low: float | None = None
    high: float | None = None
    nullable: bool = False
    length: int = 1


_COLUMNS = [
    # Gaia source table
    Column(
        "source_id",
        "int64",
        "",
        "meta.id;meta.main",
        "Gaia source identifier, unique within a data release; its upper bits are the "
        "nested HEALPix index of level 12",
        low=0,
    ),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS", 0, 360),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "Declination, ICRS", -90, 90),
    Column("l", "float64", "deg", "pos.galactic.lon", "Galactic longitude", 0, 360),
    Column("b", "float64", "deg", "pos.galactic.lat", "Galactic latitude", -90, 90),
    Column("ecl_lat", "float64", "deg", "pos.ecliptic.lat", "Ecliptic latitude", -90, 90),
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
    Column(
        "parallax_error",
        "float32",
        "mas",
        "stat.error;pos.parallax.trig",
        "Standard error of parallax",
        0,
        100,
        nullable=True,
    ),
    Column(
        "pmra",
        "float64",
        "mas/yr",
        "pos.pm;pos.eq.ra",
        "Proper motion in right ascension times cos(dec)",
        -2e4,
        2e4,
        nullable=True,
    ),
    Column(
        "pmra_error",
        "float32",
        "mas/yr",
        "stat.error;pos.pm;pos.eq.ra",
        "Standard error of pmra",
        0,
        100,
        nullable=True,
    ),
    Column(
        "pmdec",
        "float64",
        "mas/yr",
        "pos.pm;pos.eq.dec",
        "Proper motion in declination",
        -2e4,
        2e4,
        nullable=True,
    ),
    Column(
        "pmdec_error",
        "float32",
        "mas/yr",
        "stat.error;pos.pm;pos.eq.dec",
        "Standard error of pmdec",
        0,
        100,
        nullable=True,
    ),
    Column(
        "astrometric_params_solved",
        "int16",
        "",
        "meta.code",
        "Which astrometric parameters were solved: 3, 31 (five-parameter) or 95 (six)",
        3,
        95,
    ),
    Column(
        "nu_eff_used_in_astrometry",
        "float32",
        "um-1",
        "em.wavenumber",
        "Effective wavenumber used in the astrometric solution (five-parameter sources)",
        0,
        5,
        nullable=True,
    ),
    Column(
        "pseudocolour",
        "float32",
        "um-1",
        "em.wavenumber",
        "Astrometrically estimated effective wavenumber (six-parameter sources)",
        -10,
        20,
        nullable=True,
    ),
    Column(
        "ruwe",
        "float32",
        "",
        "stat.error",
        "Renormalised unit weight error of the astrometric solution",
        0,
        nullable=True,
    ),
    Column(
        "phot_g_mean_mag",
        "float32",
        "mag",
        "phot.mag;em.opt",
        "Mean magnitude in Gaia's G band",
        -5,
        25,
        nullable=True,
    ),
    Column(
        "bp_rp",
        "float32",
        "mag",
        "phot.color;em.opt.B;em.opt.R",
        "Colour BP - RP",
        -5,
        15,
        nullable=True,
    ),
    Column(
        "radial_velocity",
        "float32",
        "km/s",
        "spect.dopplerVeloc.opt",
        "Spectroscopic radial velocity in the solar barycentric frame",
        -2000,
        2000,
        nullable=True,
    ),
    Column(
        "radial_velocity_error",
        "float32",
        "km/s",
        "stat.error;spect.dopplerVeloc.opt",
        "Standard error of radial_velocity",
        0,
        100,
        nullable=True,
    ),
    Column(
        "dr2_radial_velocity",
        "float32",
        "km/s",
        "spect.dopplerVeloc.opt",
        "Radial velocity carried over from Gaia DR2 into EDR3",
        -2000,
        2000,
        nullable=True,
    ),
    Column(
        "dr2_radial_velocity_error",
        "float32",
        "km/s",
        "stat.error;spect.dopplerVeloc.opt",
        "Standard error of dr2_radial_velocity",
        0,
        100,
        nullable=True,
    ),
    # Clean catalogue
    Column(
        "parallax_zero_point",
        "float32",
        "mas",
        "pos.parallax.trig;arith.diff",
        "Zero point of Lindegren et al. (2021); subtracted to give parallax_corr",
        -1,
        1,
        nullable=True,
    ),
    Column(
        "parallax_corr",
        "float64",
        "mas",
        "pos.parallax.trig",
        "Parallax with the zero point removed where the release allows it",
        -1000,
        1000,
        nullable=True,
    ),
    # Line-of-sight study
    Column(
        "fold",
        "int8",
        "",
        "meta.number",
        "Cross-validation subset of a star with a radial velocity; -1 without one",
        -1,
        99,
    ),
    Column(
        "vlos_pred",
        "float32",
        "km/s",
        "spect.dopplerVeloc.opt;meta.modelled",
        "Line-of-sight velocity predicted from sky position, parallax and proper motions",
        -2000,
        2000,
    ),
    Column(
        "sigma_los",
        "float32",
        "km/s",
        "stat.error;spect.dopplerVeloc.opt;meta.modelled",
        "Predicted standard deviation of the line-of-sight velocity about vlos_pred",
        0,
        2000,
    ),
    Column(
        "vlos_network_spread",
        "float32",
        "km/s",
        "stat.stdev;spect.dopplerVeloc.opt;meta.modelled",
        "Standard deviation of vlos_pred among the networks of the cross-validation rounds",
        0,
        2000,
    ),
    Column(
        "eccentricity_true",
        "float32",
        "",
        "src.orbital.eccentricity",
        "Orbital eccentricity with the measured radial velocity",
        0,
        1,
        nullable=True,
    ),
    Column(
        "eccentricity_pred",
        "float32",
        "",
        "src.orbital.eccentricity;meta.modelled",
        "Orbital eccentricity with vlos_pred",
        0,
        1,
    ),
    Column(
        "p_high_eccentricity",
        "float32",
        "",
        "stat.probability",
        "Share of the error draws whose eccentricity exceeds the study's limit",
        0,
        1,
    ),
    Column(
        "orbit_flag",
        "int8",
        "",
        "meta.code",
        "The worst of the star's orbits: 0 resolved; 1 the apocentre lies beyond the integration, "
        "so the eccentricity is a lower limit; 2 unbound, eccentricity set to 1",
        0,
        2,
    ),
    Column(
        "eccentricity_draws",
        "float32",
        "",
        "src.orbital.eccentricity;meta.modelled",
        "Orbital eccentricity of each error draw",
        0,
        1,
        length=0,
    ),
    Column("draw", "int8", "", "meta.number", "Number of the error draw, from 0", 0, 99),
    Column(
        "vlos_draw",
        "float32",
        "km/s",
        "spect.dopplerVeloc.opt;meta.modelled",
        "Line-of-sight velocity drawn from the predicted distribution",
        -5000,
        5000,
    ),
    Column(
        "eccentricity",
        "float32",
        "",
        "src.orbital.eccentricity",
        "Orbital eccentricity, (r_apo - r_peri) / (r_apo + r_peri)",
        0,
        1,
    ),
    Column(
        "v_r",
        "float32",
        "km/s",
        "phys.veloc;pos.galactocentric",
        "Galactocentric spherical velocity, outward",
        -5000,
        5000,
    ),
    Column(
        "v_theta",
        "float32",
        "km/s",
        "phys.veloc;pos.galactocentric",
        "Galactocentric spherical velocity in polar angle, positive southward",
        -5000,
        5000,
    ),
    Column(
        "v_phi",
        "float32",
        "km/s",
        "phys.veloc;pos.galactocentric",
        "Galactocentric spherical velocity in azimuth; about -220 km/s for disc stars",
        -5000,
        5000,
    ),
    # Truth of the embedded sky
    Column(
        "component",
        "int8",
        "",
        "meta.code.class",
        "Component the star was drawn from: 0 thin disc, 1 thick disc, 2 halo, 3 GSE",
        0,
        3,
    ),
    Column("distance_kpc_true", "float64", "kpc", "pos.distance", "True heliocentric distance", 0),
    Column("pmra_true", "float64", "mas/yr", "pos.pm;pos.eq.ra", "True pmra"),
    Column("pmdec_true", "float64", "mas/yr", "pos.pm;pos.eq.dec", "True pmdec"),
    Column(
        "radial_velocity_true",
        "float64",
        "km/s",
        "spect.dopplerVeloc",
        "True radial velocity",
    ),
    Column("phot_g_mean_mag_true", "float64", "mag", "phot.mag;em.opt", "True magnitude in G"),
    # Data behind figures and tables
    Column("panel", "string", "", "meta.id", "Panel of the figure"),
    Column("kind", "string", "", "meta.id", "What the row describes: a bin, a box, a fit"),
    Column(
        "x_low",
        "float64",
        "",
        "stat.value;stat.min",
        "Lower edge on the horizontal axis",
        nullable=True,
    ),
    Column(
        "x_high",
        "float64",
        "",
        "stat.value;stat.max",
        "Upper edge on the horizontal axis",
        nullable=True,
    ),
    Column(
        "y_low",
        "float64",
        "",
        "stat.value;stat.min",
        "Lower edge on the vertical axis",
        nullable=True,
    ),
    Column(
        "y_high",
        "float64",
        "",
        "stat.value;stat.max",
        "Upper edge on the vertical axis",
        nullable=True,
    ),
    Column("count", "float64", "", "meta.number", "Entries in the bin", 0, nullable=True),
    Column("p05", "float64", "", "stat.value", "5th percentile", nullable=True),
    Column("p25", "float64", "", "stat.value", "25th percentile", nullable=True),
    Column("p50", "float64", "", "stat.value;stat.median", "Median", nullable=True),
    Column("p75", "float64", "", "stat.value", "75th percentile", nullable=True),
    Column("p95", "float64", "", "stat.value", "95th percentile", nullable=True),
    Column(
        "mean",
        "float64",
        "",
        "stat.value;stat.mean",
        "Mean of the fitted normal curve",
        nullable=True,
    ),
    Column("sigma", "float64", "", "stat.stdev", "Width of the fitted normal curve", nullable=True),
    Column("share", "float64", "", "stat.value", "Share of the entries, or a limit", nullable=True),
    Column("sample", "string", "", "meta.id", "Catalogue: rv, test_set or ml_rv"),
    Column("row", "string", "", "meta.id", "Row of the table"),
    Column("number", "float64", "", "meta.number", "Number of stars, averaged over draws", 0),
    Column("scatter", "float64", "", "stat.stdev", "Its standard deviation among draws", 0),
    # Ledger
    Column("study", "string", "", "meta.id", "Study"),
    Column("item", "string", "", "meta.id", "Figure, table or section"),
    Column("quantity", "string", "", "meta.id;meta.main", "What the number is"),
    Column("meaning", "string", "", "meta.note", "The same as a sentence"),
    Column("unit", "string", "", "meta.unit", "Its unit"),
    Column("value", "float64", "", "stat.value", "Our value", nullable=True),
    Column("error", "float64", "", "stat.error", "Its error", nullable=True),
    Column("published", "float64", "", "stat.value", "Published value", nullable=True),
    Column("published_error", "float64", "", "stat.error", "Its error", nullable=True),
    Column("published_where", "string", "", "meta.bib", "Where the paper says so"),
    Column("truth", "float64", "", "stat.value", "Truth on the embedded sky", nullable=True),
    Column("truth_error", "float64", "", "stat.error", "Error of that truth", nullable=True),
    Column(
        "tolerance",
        "float64",
        "",
        "stat.value;stat.max",
        "Largest difference allowed",
        nullable=True,
    ),
    Column("verdict", "string", "", "meta.code", "agrees, differs, not recovered, not comparable"),
    Column("reason", "string", "", "meta.note", "Why"),
    Column("rows", "int64", "", "meta.number", "Number of stars behind the value", 0),
    # Training history
    Column("stage", "string", "", "meta.id", "Training stage: mean, sigma or both"),
    Column("epoch", "int64", "", "meta.number", "Epoch within the stage, from 0", 0),
    Column("training_loss", "float64", "", "stat.likelihood", "Mean loss over the training subset"),
    Column(
        "validation_loss", "float64", "", "stat.likelihood", "Mean loss over the validation subset"
    ),
    Column("learning_rate", "float64", "", "meta.number", "Learning rate of the epoch", 0),
]

COLUMNS: dict[str, Column] = {column.name: column for column in _COLUMNS}
