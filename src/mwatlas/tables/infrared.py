"""Tables of 2MASS, as the Gaia archive serves it, and of unWISE."""

from __future__ import annotations

from mwatlas.tables.column import Column, DType
from mwatlas.tables.columns import COLUMNS
from mwatlas.tables.table import TableSchema

_OID = Column(
    "clean_tmass_psc_xsc_oid",
    "int32",
    "",
    "meta.id.cross",
    "2MASS object; duplicates in the point source catalogue share one",
    0,
)

PIXEL = Column(
    "nest4096",
    "int64",
    "",
    "pos.healpix",
    "HEALPix cell of level 12, nested, ICRS; a server without source_id is asked by it",
    0,
    12 * 4**12 - 1,
)

TMASS_BEST_NEIGHBOUR = TableSchema(
    "tmass_psc_xsc_best_neighbour",
    "Best match of each Gaia source in 2MASS (Gaia DR3 documentation, chapter 20)",
    (
        COLUMNS["source_id"],
        Column(
            "original_ext_source_id",
            "string",
            "",
            "meta.id.cross",
            "2MASS designation of the best neighbour",
        ),
        Column(
            "angular_distance",
            "float32",
            "arcsec",
            "pos.angDistance",
            "Distance to the Gaia position at the epoch of 2MASS",
            0,
        ),
        Column("xm_flag", "int16", "", "meta.code", "Features of the cross-match algorithm", 0),
        _OID,
        Column(
            "number_of_neighbours", "int8", "", "meta.number", "2MASS sources that could match", 0
        ),
        Column(
            "number_of_mates",
            "int8",
            "",
            "meta.number",
            "Other Gaia sources with the same best neighbour",
            0,
        ),
    ),
)

TMASS_JOIN = TableSchema(
    "tmass_psc_xsc_join",
    "Links the identifiers of the cross-match to 2MASS designations",
    (
        Column(
            "original_psc_source_id", "string", "", "meta.id", "Point source catalogue designation"
        ),
        Column(
            "original_xsc_source_id",
            "string",
            "",
            "meta.id",
            "Extended source catalogue designation",
            nullable=True,
        ),
        _OID,
    ),
    key="",
)


def _tmass_band(name: str, band: str) -> tuple[Column, Column]:
    ucd = f"phot.mag;em.IR.{band}"
    return (
        Column(
            f"{name}_m",
            "float32",
            "mag",
            ucd,
            f"{band} magnitude; an upper limit where ph_qual is U, missing where it is X",
            -5,
            25,
            nullable=True,
        ),
        Column(
            f"{name}_msigcom",
            "float32",
            "mag",
            f"stat.error;{ucd}",
            f"Total error of {name}_m; missing where ph_qual is U or X, above 8 where it is F",
            0,
            10,
            nullable=True,
        ),
    )


TMASS_ORIGINAL_VALID = TableSchema(
    "tmass_original_valid",
    "2MASS point source catalogue (Skrutskie et al. 2006, AJ 131, 1163)",
    (
        Column(
            "ph_qual",
            "string",
            "",
            "meta.code.qual",
            "Quality of the J, H and Ks magnitudes, a letter each: X, U, F, E, A, B, C, D",
        ),
        Column("tmass_oid", "int32", "", "meta.id;meta.main", "Number added by the archive", 0),
        Column("designation", "string", "", "meta.id", "Name from the position, hhmmssss+ddmmsss"),
        Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension at j_date", 0, 360),
        Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "Declination at j_date", -90, 90),
        Column(
            "err_maj",
            "float32",
            "arcsec",
            "phys.angSize.smajAxis;pos.errorEllipse",
            "Semi-major axis of the error ellipse",
            0,
        ),
        Column(
            "err_min",
            "float32",
            "arcsec",
            "phys.angSize.sminAxis;pos.errorEllipse",
            "Semi-minor axis of the error ellipse",
            0,
        ),
        Column(
            "err_ang",
            "int16",
            "deg",
            "pos.posAng;pos.errorEllipse",
            "Position angle of the error ellipse, east of north",
            0,
            180,
        ),
        *_tmass_band("j", "J"),
        *_tmass_band("h", "H"),
        *_tmass_band("ks", "K"),
        Column(
            "ext_key",
            "int32",
            "",
            "meta.id.cross",
            "Record in the extended source catalogue",
            0,
            nullable=True,
        ),
        Column("j_date", "float64", "d", "time.epoch", "Julian date of the observation", 2.45e6),
    ),
    key="tmass_oid",
)


def _unwise_band(band: str) -> tuple[Column, ...]:
    ucd = "em.IR.3-4um" if band == "w1" else "em.IR.4-8um"

    def column(name: str, dtype: DType, code: str, text: str) -> Column:
        full = f"{name}_{band}"
        return Column(full, dtype, "", f"{code};{ucd}", f"{text}, {band.upper()}", nullable=True)

    return (
        column("flux", "float32", "phot.flux", "Flux in nanomaggies, Vega: 22.5 - 2.5 log10"),
        column("dflux", "float32", "stat.error;phot.flux", "Error of flux in nanomaggies"),
        column("fluxlbs", "float32", "phot.flux", "Flux with the local background subtracted"),
        column("dfluxlbs", "float32", "stat.error;phot.flux", "Error of fluxlbs"),
        column("fracflux", "float32", "phot.flux;arith.ratio", "Share of the light that is its"),
        column("qf", "float32", "meta.code.qual", "Share of good pixels, weighted by the PSF"),
        column("rchi2", "float32", "stat.fit.chi2", "Reduced chi-squared, weighted by the PSF"),
        column("spread_model", "float32", "src.morph", "Extent beyond the PSF (SExtractor)"),
        column("flags_unwise", "int32", "meta.code", "Bits of the coadd: spikes, ghosts, halos"),
        column("flags_info", "int32", "meta.code", "Bits for information: bright stars, nebulae"),
    )


UNWISE = TableSchema(
    "unwise_dr1_object",
    "Band-merged unWISE catalogue (Schlafly et al. 2019, ApJS 240, 30); a row lies in the "
    "HEALPix cell of its own Gaia source",
    (
        Column("unwise_objid", "string", "", "meta.id;meta.main", "Coadd and number therein"),
        Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension", 0, 360),
        Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "Declination", -90, 90),
        *_unwise_band("w1"),
        *_unwise_band("w2"),
        Column("primary", "int16", "", "meta.code", "1 where the coadd is the primary one", 0, 1),
    ),
    key="",
)
