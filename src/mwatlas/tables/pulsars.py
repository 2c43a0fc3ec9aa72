"""Tables of binary pulsars: raw timing results, and the accelerations derived from them.

Names and units of the raw table are those of the ATNF pulsar catalogue (Manchester et al. 2005,
AJ 129, 1993; psrcat); a name ending in _ERR is the standard error of the one before.
"""

from __future__ import annotations

from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

_NAME = Column("PSRJ", "string", "", "meta.id;meta.main", "Pulsar name, from its J2000 position")


def _measured(
    name: str,
    unit: str,
    ucd: str,
    description: str,
    low: float | None = None,
    high: float | None = None,
) -> list[Column]:
    """A number that may be missing, and its standard error."""
    error = f"Standard error of {name}"
    return [
        Column(name, "float64", unit, ucd, description, low, high, nullable=True),
        Column(f"{name}_ERR", "float64", unit, f"stat.error;{ucd}", error, 0, nullable=True),
    ]


PSRCAT = TableSchema(
    "psrcat",
    "Binary pulsars with a measured change of the orbital period",
    (
        _NAME,
        Column(
            "RAJ", "string", "", "pos.eq.ra;meta.main", "Right ascension, hours:minutes:seconds"
        ),
        Column(
            "DECJ", "string", "", "pos.eq.dec;meta.main", "Declination, degrees:minutes:seconds"
        ),
        Column("BINARY", "string", "", "meta.code", "Binary model of the timing solution"),
        *_measured(
            "PMRA", "mas/yr", "pos.pm;pos.eq.ra", "Proper motion in right ascension times cos(dec)"
        ),
        *_measured("PMDEC", "mas/yr", "pos.pm;pos.eq.dec", "Proper motion in declination"),
        *_measured("PX", "mas", "pos.parallax", "Parallax"),
        *_measured("A1", "s", "src.orbital;phys.size.smajAxis", "Projected semi-major axis", 0),
        *_measured("PB", "d", "time.period;src.orbital", "Orbital period", 0),
        *_measured("PBDOT", "", "src.orbital", "Rate of change of the orbital period", -1, 1),
        *_measured("ECC", "", "src.orbital.eccentricity", "Orbital eccentricity", 0, 1),
        *_measured("M2", "Msun", "phys.mass", "Mass of the companion", 0),
        *_measured("SINI", "", "src.orbital.inclination", "Sine of the orbital inclination"),
    ),
    key="",
)

PULSAR_ACCELERATIONS = TableSchema(
    "pulsar_accelerations",
    "Line-of-sight accelerations of binary pulsars relative to the Sun, as in Donlon et al. (2024)",
    (
        _NAME,
        Column("l", "float64", "deg", "pos.galactic.lon", "Galactic longitude", 0, 360),
        Column("b", "float64", "deg", "pos.galactic.lat", "Galactic latitude", -90, 90),
        Column("d", "float64", "kpc", "pos.distance", "Distance, inverse parallax", 0),
        Column("d_err", "float64", "kpc", "stat.error;pos.distance", "Standard error of d", 0),
        Column(
            "a_los",
            "float64",
            "mm s-1 yr-1",
            "phys.acceleration",
            "Acceleration away from the Sun, relative to that of the Sun",
        ),
        Column(
            "a_los_err",
            "float64",
            "mm s-1 yr-1",
            "stat.error;phys.acceleration",
            "Standard error of a_los",
            0,
        ),
    ),
    key="",
)
