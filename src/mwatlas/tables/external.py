"""Tables of the archives that the embedded sky does not serve, in the archives' own columns.

What of their names is checked, and where, stands in config/registry.yaml.
"""

from __future__ import annotations

from dataclasses import replace

from mwatlas.tables.column import Column, DType, number
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.infrared import TMASS_BEST_NEIGHBOUR, TMASS_JOIN, TMASS_ORIGINAL_VALID
from mwatlas.tables.spectroscopy import APOGEE
from mwatlas.tables.table import TableSchema

_SOURCE_ID = COLUMNS["source_id"]
_BANDS = ("g", "bp", "rp")


def _measured(
    name: str,
    error: str,
    unit: str,
    ucd: str,
    description: str,
    *,
    dtype: DType = "float32",
) -> tuple[Column, Column]:
    """A number that may be missing, and its error."""
    return (
        number(name, unit, ucd, description, dtype=dtype),
        number(error, unit, f"stat.error;{ucd}", f"Error of {name}", 0, dtype=dtype),
    )


def _quantiles(kind: str, what: str) -> list[Column]:
    """Median, 16th and 84th percentile of a distance, pc."""
    return [
        number(f"r_{name}_{kind}", "pc", f"pos.distance{code}", f"{text} {what} distance", 0)
        for name, code, text in (
            ("med", ";stat.median", "Median of the"),
            ("lo", "", "16th percentile of the"),
            ("hi", "", "84th percentile of the"),
        )
    ]


DISTANCES = TableSchema(
    "gaiaedr3_distance",
    "Distances from parallaxes, colours and magnitudes (Bailer-Jones et al. 2021, AJ 161, 147)",
    (
        _SOURCE_ID,
        *_quantiles("geo", "geometric"),
        *_quantiles("photogeo", "photogeometric"),
        Column("flag", "string", "", "meta.code", "Five digits on magnitude, modality and prior"),
    ),
)

DISTANCE_PRIOR = TableSchema(
    "gaiaedr3_distance_prior",
    "Prior of distance in each HEALPix cell of level 5, r^beta exp(-(r/length)^alpha), of "
    "Bailer-Jones et al. (2021)",
    (
        Column("healpix", "int32", "", "pos.healpix", "Nested cell of level 5, ICRS", 0, 12287),
        Column("alpha", "float64", "", "stat.fit.param", "Exponent inside the exponential", 0),
        Column("beta", "float64", "", "stat.fit.param", "Exponent of the distance"),
        Column("length", "float64", "pc", "pos.distance;stat.fit.param", "Length scale", 0),
    ),
    key="healpix",
)

_QUALITY = Column(
    "quality_flags",
    "int16",
    "",
    "meta.code.qual",
    "Bits on confidence, chi-squared, prior and parallax; below 8 is the basic reliability cut",
    0,
    255,
)

EXTINCTION = TableSchema(
    "xpparams2.main",
    "Extinction and the shape of its curve towards stars with Gaia XP spectra (Zhang & Green 2024)",
    (
        _SOURCE_ID,
        *_measured("ext", "err_ext", "", "phys.absorption", "Extinction E of the model"),
        *_measured("xi", "err_xi", "", "phys.absorption;stat.fit.param", "Shape of the curve"),
        *_measured("r55", "err_r55", "", "phys.absorption;arith.ratio", "R(55) of the curve"),
        *_measured(
            "mod_parallax", "err_mod_parallax", "mas", "pos.parallax", "Parallax of the model"
        ),
        _QUALITY,
    ),
)

ZGR23 = TableSchema(
    "zgr23_stellar_params_catalog",
    "Stellar parameters from Gaia XP spectra (Zhang, Green & Rix 2023, MNRAS 524, 1855); the five "
    "are temperature in 1000 K, [Fe/H], surface gravity, extinction E, and parallax in mas",
    (
        replace(_SOURCE_ID, name="gdr3_source_id"),
        number("stellar_params_est", "", "phys;stat.fit.param", "The five parameters", length=5),
        _QUALITY,
    ),
    key="gdr3_source_id",
)

ASTRONN = TableSchema(
    "apogee_astronn_dr17",
    "Labels, distances and orbits of APOGEE DR17 from networks (Leung & Bovy 2019), rows as those "
    "of allStar",
    (
        Column("APOGEE_ID", "string", "", "meta.id;meta.main", "2M and the 2MASS designation"),
        replace(_SOURCE_ID, low=None, nullable=True, description="Gaia EDR3 source identifier"),
        number("ra", "deg", "pos.eq.ra;meta.main", "Right ascension", 0, 360, dtype="float64"),
        number("dec", "deg", "pos.eq.dec;meta.main", "Declination", -90, 90, dtype="float64"),
        *_measured("TEFF", "TEFF_ERR", "K", "phys.temperature.effective", "Temperature"),
        *_measured("LOGG", "LOGG_ERR", "dex", "phys.gravity", "Surface gravity"),
        *_measured("FE_H", "FE_H_ERR", "dex", "phys.abund.Fe", "[Fe/H]"),
        *_measured("MG_H", "MG_H_ERR", "dex", "phys.abund", "[Mg/H]"),
        *_measured("dist", "dist_error", "pc", "pos.distance", "Distance of the network"),
        *_measured(
            "weighted_dist",
            "weighted_dist_error",
            "pc",
            "pos.distance",
            "Distance of the network and of the parallax together",
        ),
        *_measured("jr", "jr_err", "kpc km/s", "phys.angMomentum", "Radial action"),
        *_measured("Lz", "Lz_err", "kpc km/s", "phys.angMomentum", "Angular momentum"),
        *_measured("jz", "jz_err", "kpc km/s", "phys.angMomentum", "Vertical action"),
        *_measured("e", "e_err", "", "src.orbital.eccentricity", "Eccentricity"),
        *_measured("rperi", "rperi_err", "kpc", "pos.distance;pos.galactocentric", "Pericentre"),
        *_measured("rap", "rap_err", "kpc", "pos.distance;pos.galactocentric", "Apocentre"),
    ),
    key="",
)

APOGEE_DR16 = TableSchema(
    "apogee_dr16_allstar",
    "APOGEE DR16 allStar (Ahumada et al. 2020, ApJS 249, 3), whose Gaia identifiers are of DR2",
    (
        *(column for column in APOGEE.columns if not column.name.startswith("GAIAEDR3_")),
        Column("GAIA_SOURCE_ID", "int64", "", "meta.id.cross", "Gaia DR2 source; 0 without"),
    ),
    key="",
)


def _of(table: TableSchema, names: str) -> list[Column]:
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in names.split()]


TMASS_MATCH = TableSchema(
    "tmass_match",
    "Best match of each Gaia source in 2MASS with its photometry: the three tables of the archive "
    "joined; where the point source catalogue lists an object twice, a row each",
    (
        *_of(
            TMASS_BEST_NEIGHBOUR,
            "source_id original_ext_source_id angular_distance xm_flag clean_tmass_psc_xsc_oid "
            "number_of_neighbours number_of_mates",
        ),
        *_of(TMASS_JOIN, "original_psc_source_id"),
        *_of(
            TMASS_ORIGINAL_VALID,
            "designation ph_qual j_m j_msigcom h_m h_msigcom ks_m ks_msigcom ext_key j_date",
        ),
    ),
    key="",
)


def _allwise_band(band: str, wave: str) -> list[Column]:
    ucd = f"phot.mag;em.IR.{wave}"
    name = f"{band}mpro"
    return [
        number(name, "mag", ucd, f"Magnitude in {band.upper()}, Vega", -5, 25),
        number(f"{name}_error", "mag", f"stat.error;{ucd}", f"Error of {name}", 0),
    ]


ALLWISE_MATCH = TableSchema(
    "allwise_match",
    "Best match of each Gaia source in AllWISE with its photometry; used where unWISE is not to be "
    "had",
    (
        *_of(TMASS_BEST_NEIGHBOUR, "source_id angular_distance"),
        Column("allwise_oid", "int64", "", "meta.id.cross", "Number added by the archive", 0),
        *_of(TMASS_BEST_NEIGHBOUR, "number_of_neighbours number_of_mates"),
        Column("designation", "string", "", "meta.id", "Name from the position"),
        *_allwise_band("w1", "3-4um"),
        *_allwise_band("w2", "4-8um"),
        Column("cc_flags", "string", "", "meta.code.qual", "Contamination, a letter for each band"),
        Column("ph_qual", "string", "", "meta.code.qual", "Quality, a letter for each band"),
    ),
)

XP_SOURCES = TableSchema(
    "xp_sources",
    "Sources with a continuous XP spectrum, and the fluxes its coefficients are divided by",
    (
        _SOURCE_ID,
        *(
            COLUMNS[f"phot_{name}"]
            for name in ("g_mean_flux", "g_mean_flux_error", *(f"{b}_mean_mag" for b in _BANDS))
        ),
    ),
)

EXTERNAL: dict[str, TableSchema] = {
    table.name: table
    for table in (
        TMASS_MATCH,
        ALLWISE_MATCH,
        DISTANCES,
        DISTANCE_PRIOR,
        EXTINCTION,
        ZGR23,
        ASTRONN,
        APOGEE_DR16,
        XP_SOURCES,
    )
}
"""The tables, by name."""
