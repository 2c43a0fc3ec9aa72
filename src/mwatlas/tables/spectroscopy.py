"""Tables of the spectroscopic surveys APOGEE, LAMOST and GALAH."""

from __future__ import annotations

from mwatlas.tables.column import Column, DType
from mwatlas.tables.table import TableSchema

_TEFF, _LOGG = "phys.temperature.effective", "phys.gravity"
_VELOCITY, _ABUNDANCE = "spect.dopplerVeloc", "phys.abund"


def _measured(
    name: str, error: str, unit: str, ucd: str, text: str, types: tuple[DType, DType]
) -> tuple[Column, Column]:
    """A label that may be missing, and its error."""
    return (
        Column(name, types[0], unit, ucd, text, nullable=True),
        Column(
            error, types[1], unit, f"stat.error;{ucd}", f"Error of {name}", low=0, nullable=True
        ),
    )


def _apogee(name: str, unit: str, ucd: str, text: str) -> tuple[Column, Column]:
    return _measured(name, f"{name}_ERR", unit, ucd, text, ("float32", "float32"))


APOGEE = TableSchema(
    "apogee_dr17_allstar",
    "APOGEE DR17 allStar (Abdurro'uf et al. 2022, ApJS 259, 35); a star may have two rows",
    (
        Column("APOGEE_ID", "string", "", "meta.id;meta.main", "2M and the 2MASS designation"),
        Column("RA", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension of 2MASS", 0, 360),
        Column("DEC", "float64", "deg", "pos.eq.dec;meta.main", "Declination of 2MASS", -90, 90),
        *_apogee("J", "mag", "phot.mag;em.IR.J", "2MASS J"),
        *_apogee("H", "mag", "phot.mag;em.IR.H", "2MASS H"),
        *_apogee("K", "mag", "phot.mag;em.IR.K", "2MASS Ks"),
        Column("SFD_EBV", "float32", "mag", "phot.color.excess", "Reddening of the dust map", 0),
        Column("SNR", "float32", "", "stat.snr", "Signal-to-noise ratio per pixel", 0),
        Column("STARFLAG", "int64", "", "meta.code.qual", "Bits of APOGEE_STARFLAG", 0),
        Column(
            "VHELIO_AVG",
            "float32",
            "km/s",
            _VELOCITY,
            "Mean radial velocity in the solar system barycentre's frame",
        ),
        Column("VERR", "float32", "km/s", f"stat.error;{_VELOCITY}", "Error of VHELIO_AVG", 0),
        Column("GAIAEDR3_SOURCE_ID", "int64", "", "meta.id.cross", "Gaia source; 0 without", 0),
        *(
            Column(
                f"GAIAEDR3_PHOT_{band}_MEAN_MAG",
                "float32",
                "mag",
                f"phot.mag;em.opt.{code}",
                f"Gaia {band}",
                nullable=True,
            )
            for band, code in (("G", "V"), ("BP", "B"), ("RP", "R"))
        ),
        *_measured(
            "GAIAEDR3_PARALLAX",
            "GAIAEDR3_PARALLAX_ERROR",
            "mas",
            "pos.parallax.trig",
            "Gaia parallax, zero point not corrected",
            ("float32", "float32"),
        ),
        Column("ASPCAPFLAG", "int64", "", "meta.code.qual", "Bits of APOGEE_ASPCAPFLAG", 0),
        Column("EXTRATARG", "int32", "", "meta.code", "Bits of APOGEE_EXTRATARG", 0),
        *_apogee("TEFF", "K", _TEFF, "Effective temperature"),
        *_apogee("LOGG", "dex", _LOGG, "Surface gravity"),
        *_apogee("M_H", "dex", f"{_ABUNDANCE}.Z", "[M/H]"),
        *_apogee("ALPHA_M", "dex", _ABUNDANCE, "[alpha/M]"),
        *_apogee("FE_H", "dex", f"{_ABUNDANCE}.Fe", "[Fe/H]"),
        *_apogee("MG_FE", "dex", _ABUNDANCE, "[Mg/Fe]"),
    ),
    key="",
)


def _lamost(name: str, unit: str, ucd: str, text: str) -> tuple[Column, Column]:
    return _measured(name, f"{name}_err", unit, ucd, text, ("float32", "float32"))


LAMOST = TableSchema(
    "lamost_dr6_stellar",
    "LAMOST DR6 parameters of A, F, G and K stars, a row per visit (dr6.lamost.org)",
    (
        Column("obsid", "int32", "", "meta.id;meta.main", "Spectrum", 0),
        Column("designation", "string", "", "meta.id", "Name from the input position"),
        Column("obsdate", "string", "", "time.epoch", "Date of the observation"),
        Column("mjd", "int32", "d", "time.epoch", "Modified Julian date", 0),
        Column("spid", "int16", "", "meta.id;instr", "Spectrograph", 1, 16),
        Column("fiberid", "int16", "", "meta.id;instr", "Fibre", 1, 250),
        *(
            Column(f"snr{band}", "float32", "", "stat.snr", f"Signal-to-noise ratio in {band}", 0)
            for band in "ugriz"
        ),
        Column("class", "string", "", "src.class", "Class of the spectrum"),
        Column("subclass", "string", "", "src.spType", "Spectral type"),
        Column("z", "float32", "", "src.redshift", "Redshift"),
        Column("z_err", "float32", "", "stat.error;src.redshift", "Error of z", 0),
        Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "Input right ascension", 0, 360),
        Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "Input declination", -90, 90),
        *_lamost("teff", "K", _TEFF, "Effective temperature"),
        *_lamost("logg", "dex", _LOGG, "Surface gravity"),
        *_lamost("feh", "dex", f"{_ABUNDANCE}.Fe", "[Fe/H]"),
        *_lamost("rv", "km/s", _VELOCITY, "Heliocentric radial velocity"),
    ),
    key="obsid",
)


def _galah(
    name: str, unit: str, ucd: str, text: str, value: DType = "float64"
) -> tuple[Column, Column]:
    return _measured(name, f"e_{name}", unit, ucd, text, (value, "float64"))


def _galah_flag(name: str, text: str) -> Column:
    return Column(name, "int64", "", "meta.code.qual", text, 0)


def _galah_tmass(name: str, band: str) -> tuple[Column, Column]:
    ucd = f"phot.mag;em.IR.{band}"
    return _measured(
        f"{name}_m", f"{name}_msigcom", "mag", ucd, f"2MASS {band}", ("float32", "float32")
    )


GALAH = TableSchema(
    "galah_dr3_main_allstar_v2",
    "GALAH DR3 main catalogue, a row per star (Buder et al. 2021, MNRAS 506, 150)",
    (
        Column("star_id", "string", "", "meta.id", "2MASS designation"),
        Column("sobject_id", "int64", "", "meta.id;meta.main", "Observation", 0),
        Column("dr2_source_id", "int64", "", "meta.id.cross", "Gaia DR2 source", 0),
        Column("dr3_source_id", "int64", "", "meta.id.cross", "Gaia EDR3 source", 0),
        Column("survey_name", "string", "", "meta.id", "Programme"),
        _galah_flag("flag_repeat", "Whether another row is of the same star"),
        _galah_flag("flag_sp", "Bits of the quality of the stellar parameters"),
        *_galah("teff", "K", _TEFF, "Effective temperature", "float32"),
        *_galah("logg", "dex", _LOGG, "Surface gravity", "float32"),
        *_galah("fe_h", "dex", f"{_ABUNDANCE}.Fe", "[Fe/H]", "float32"),
        _galah_flag("flag_fe_h", "Bits of the quality of fe_h"),
        *_galah("alpha_fe", "dex", _ABUNDANCE, "[alpha/Fe]"),
        _galah_flag("flag_alpha_fe", "Bits of the quality of alpha_fe"),
        *_galah("Mg_fe", "dex", _ABUNDANCE, "[Mg/Fe]"),
        _galah_flag("flag_Mg_fe", "Bits of the quality of Mg_fe"),
        Column("ra_dr2", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension", 0, 360),
        Column("dec_dr2", "float64", "deg", "pos.eq.dec;meta.main", "Declination", -90, 90),
        *_galah("rv_galah", "km/s", _VELOCITY, "Barycentric radial velocity"),
        _galah_flag("red_flag", "Bits of the reduction"),
        Column("ebv", "float64", "mag", "phot.color.excess", "Reddening of the dust map", 0),
        *(
            Column(f"snr_c{arm}_iraf", "float64", "", "stat.snr", f"Ratio per pixel, arm {arm}", 0)
            for arm in (1, 2, 3, 4)
        ),
        Column("v_jk", "float32", "mag", "phot.mag;em.opt.V", "V from J and Ks"),
        *_galah_tmass("j", "J"),
        *_galah_tmass("h", "H"),
        *_galah_tmass("ks", "K"),
        Column("ph_qual_tmass", "string", "", "meta.code.qual", "2MASS ph_qual"),
    ),
    key="sobject_id",
)
