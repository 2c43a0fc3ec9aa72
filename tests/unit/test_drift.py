"""Columns an archive serves against those expected."""

import pyarrow as pa
import pytest

from mwatlas.archive.drift import Served, arrow_type_name, compare_columns, dtype_of, same_unit
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.schemas import GAIA_SOURCE

AS_SERVED = [Served(c.name, c.dtype, c.unit) for c in GAIA_SOURCE_FULL["gaiadr3"].columns]
EXPECTED = GAIA_SOURCE.without(["dr2_radial_velocity", "dr2_radial_velocity_error"]).columns


def _with(name: str, changed: Served | None) -> list[Served]:
    out = [changed if s.name == name else s for s in AS_SERVED]
    return [s for s in out if s is not None]


def test_the_archives_own_columns_agree() -> None:
    assert compare_columns(EXPECTED, AS_SERVED) == []


def test_a_missing_column_is_fatal_and_a_likely_new_name_is_given() -> None:
    changed = _with("ruwe", Served("ruwe_dr4", "float32", ""))
    (difference,) = compare_columns(EXPECTED, changed)
    assert difference.what == "missing"
    assert difference.fatal
    assert "ruwe_dr4" in str(difference)


def test_a_similar_name_of_another_unit_is_no_new_name() -> None:
    changed = _with("parallax", Served("parallaxes", "float64", "deg"))
    (difference,) = compare_columns(EXPECTED, changed)
    assert "parallaxes" not in difference.found


@pytest.mark.parametrize("unit", ["deg", "arcsec", ""])
def test_another_unit_is_fatal(unit: str) -> None:
    (difference,) = compare_columns(
        EXPECTED, _with("parallax", Served("parallax", "float64", unit))
    )
    assert (difference.what, difference.expected, difference.fatal) == ("unit", "mas", True)


@pytest.mark.parametrize(
    ("column", "dtype", "fatal"),
    [
        ("phot_g_mean_mag", "double", False),
        ("parallax", "REAL", True),
        ("source_id", "double", True),
        ("astrometric_params_solved", "INTEGER", False),
        ("astrometric_params_solved", "uint8", False),
        ("source_id", "uint64", True),
        ("parallax", "float16", True),
        ("parallax", "halffloat", True),
        ("parallax", "complex128", True),
        ("parallax", "decimal128(10, 2)", True),
        ("parallax", "timestamp[ns]", True),
        ("parallax", "blob", True),
        ("parallax", "str96", True),
    ],
)
def test_another_type_is_fatal_where_values_are_lost(column: str, dtype: str, fatal: bool) -> None:
    unit = next(s.unit for s in AS_SERVED if s.name == column)
    (difference,) = compare_columns(EXPECTED, _with(column, Served(column, dtype, unit)))
    assert (difference.what, difference.fatal) == ("dtype", fatal)


def test_archives_that_describe_no_units_or_types_are_compared_by_name() -> None:
    assert compare_columns(EXPECTED, [Served(s.name) for s in AS_SERVED]) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("mas/yr", "mas.yr**-1"), ("mas yr-1", "mas/yr"), ("1/um", "um**-1"), ("mag", "mag")],
)
def test_ways_to_write_a_unit(first: str, second: str) -> None:
    assert same_unit(first, second)
    assert not same_unit(first, "deg")


def test_types_are_known_by_the_words_of_archives() -> None:
    words = ("BIGINT", "long", "DOUBLE", "REAL", "VARCHAR(20)", "boolean", "int64", "blob", "")
    words += ("str96", "bytes80", "object")
    types = ["int64", "int64", "float64", "float32", "string", "bool", "int64", "blob", ""]
    types += ["string", "string", ""]
    assert [dtype_of(word) for word in words] == types


def test_a_dictionary_is_of_the_type_it_holds() -> None:
    assert arrow_type_name(pa.dictionary(pa.int32(), pa.string())) == "string"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("mas.yr**-1", "mas/yr", True),
        ("'electron'.s**-1", "electron / s", True),
        ("log(cm.s**-2)", "dex", True),
        ("", "", True),
        ("mas", "arcsec", False),
        ("mas", "", False),
        ("furlong", "furlong", True),
    ],
)
def test_units_are_compared_by_meaning(first: str, second: str, same: bool) -> None:
    assert same_unit(first, second) is same
