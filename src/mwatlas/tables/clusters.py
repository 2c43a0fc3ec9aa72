"""Tables of open clusters and their members: Hunt & Reffert (2023, A&A 673, A114) at VizieR."""

from __future__ import annotations

from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

_NAME = Column("Name", "string", "", "meta.id;meta.main", "Name of the cluster")
_ID = Column("ID", "int32", "", "meta.id", "Number of the cluster in the catalogue", 1)
_RA = Column("RA_ICRS", "float64", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS", 0, 360)
_DEC = Column("DE_ICRS", "float64", "deg", "pos.eq.dec;meta.main", "Declination, ICRS", -90, 90)


def _float(
    name: str,
    unit: str,
    ucd: str,
    description: str,
    low: float | None = None,
    high: float | None = None,
    nullable: bool = False,
) -> Column:
    return Column(name, "float64", unit, ucd, description, low, high, nullable)


def _mean(name: str, unit: str, ucd: str, what: str, nullable: bool = False) -> list[Column]:
    """Mean of the listed stars, their standard deviation, and the error of the mean."""
    return [
        _float(name, unit, f"{ucd};stat.mean", f"Mean {what}", nullable=nullable),
        _float(
            f"s_{name}",
            unit,
            f"stat.stdev;{ucd}",
            f"Standard deviation of {name}",
            0,
            None,
            nullable,
        ),
        _float(
            f"e_{name}", unit, f"stat.error;{ucd}", f"Standard error of {name}", 0, None, nullable
        ),
    ]


def _percentiles(name: str, unit: str, ucd: str, what: str) -> list[Column]:
    """16th, 50th and 84th percentile of a posterior."""
    return [
        _float(f"{name}{percentile}", unit, ucd, f"{what}, {percentile}th percentile")
        for percentile in (16, 50, 84)
    ]


CLUSTERS = TableSchema(
    "J/A+A/673/A114/clusters",
    "Open clusters",
    (
        _NAME,
        _ID,
        Column("Type", "string", "", "meta.code.class", "Kind of object: o is an open cluster"),
        _float("CST", "", "stat.snr", "Astrometric significance of the cluster", 0),
        Column("N", "int32", "", "meta.number", "Number of listed stars", 0),
        Column("Nt", "int32", "", "meta.number", "Number of those within the tidal radius", 0),
        _RA,
        _DEC,
        _float("GLON", "deg", "pos.galactic.lon", "Galactic longitude", 0, 360),
        _float("GLAT", "deg", "pos.galactic.lat", "Galactic latitude", -90, 90),
        _float("r50", "deg", "phys.angSize", "Radius that holds half of the listed stars", 0),
        _float("rt", "deg", "phys.angSize", "Tidal radius", 0),
        _float("r50pc", "pc", "phys.size.radius", "Radius that holds half of the listed stars", 0),
        _float("rtpc", "pc", "phys.size.radius", "Tidal radius", 0),
        *_mean("pmRA", "mas/yr", "pos.pm;pos.eq.ra", "proper motion in right ascension"),
        *_mean("pmDE", "mas/yr", "pos.pm;pos.eq.dec", "proper motion in declination"),
        *_mean("Plx", "mas", "pos.parallax", "parallax, zero point not corrected"),
        *_percentiles("dist", "pc", "pos.distance", "Distance, zero point corrected"),
        _float("X", "pc", "pos.cartesian.x", "Galactocentric x, the Sun at negative x"),
        _float("Y", "pc", "pos.cartesian.y", "Galactocentric y"),
        _float("Z", "pc", "pos.cartesian.z", "Galactocentric z"),
        *_mean("RV", "km/s", "spect.dopplerVeloc", "radial velocity", nullable=True),
        Column("n_RV", "int32", "", "meta.number", "Number of listed stars with a velocity", 0),
        *_percentiles("CMDCl", "", "stat.probability", "Class of the colour-magnitude diagram"),
        *_percentiles("logAge", "dex", "time.age", "Logarithm of the age"),
        *_percentiles("AV", "mag", "phys.absorption", "Extinction in V"),
    ),
    key="ID",
)

MEMBERS = TableSchema(
    "J/A+A/673/A114/members",
    "Stars listed as members of open clusters",
    (
        _NAME,
        _ID,
        Column("GaiaDR3", "int64", "", "meta.id", "Gaia source identifier", 0),
        Column("inrt", "int8", "", "meta.code", "Whether within the tidal radius", 0, 1),
        _float("Prob", "", "stat.probability", "Probability of membership", 0, 1),
        _RA,
        _DEC,
        _float("pmRA", "mas/yr", "pos.pm;pos.eq.ra", "Proper motion in right ascension"),
        _float("e_pmRA", "mas/yr", "stat.error;pos.pm", "Standard error of pmRA", 0),
        _float("pmDE", "mas/yr", "pos.pm;pos.eq.dec", "Proper motion in declination"),
        _float("e_pmDE", "mas/yr", "stat.error;pos.pm", "Standard error of pmDE", 0),
        _float("Plx", "mas", "pos.parallax", "Parallax, zero point not corrected"),
        _float("e_Plx", "mas", "stat.error;pos.parallax", "Standard error of Plx", 0),
        _float("Gmag", "mag", "phot.mag;em.opt", "Gaia G magnitude"),
        _float("BP-RP", "mag", "phot.color", "Gaia colour", nullable=True),
        _float("RV", "km/s", "spect.dopplerVeloc", "Radial velocity", nullable=True),
        _float("e_RV", "km/s", "stat.error;spect.dopplerVeloc", "Error of RV", 0, None, True),
    ),
    key="",
)
