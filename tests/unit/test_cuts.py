"""Conditions of a query on files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mwatlas.archive.adql import load_query
from mwatlas.archive.cuts import Cut, cut_columns, cuts_of, expression
from mwatlas.errors import ConfigError
from mwatlas.tables.column import Column
from mwatlas.tables.schemas import GAIA_SOURCE
from mwatlas.tables.table import TableSchema

QUERIES = Path(__file__).resolve().parents[2] / "workflow/queries"

STARS = pa.table(
    {
        "source_id": pa.array([2**53 + 1, 2**53 + 2, 5, 6], pa.int64()),
        "parallax": pa.array([1.0, -0.05, None, 0.3], pa.float64()),
        "parallax_error": pa.array([0.1, 0.005, 0.1, 0.08], pa.float32()),
        "phot_g_mean_mag": pa.array([6.0, 17.0, 17.5, 12.0], pa.float32()),
        "ruwe": pa.array([1.4, 1.0, 2.0, 3.0], pa.float32()),
        "has_xp": pa.array([True, False, None, True]),
        "quality": ["a", "b", "true north", None],
    }
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        # Single precision holds a little less than 0.08.
        ("g.parallax_error < 0.2 * (g.parallax + 0.1)", [0, 1, 3]),
        ("parallax / parallax_error > 3", [0, 3]),
        ("phot_g_mean_mag BETWEEN 6 AND 17", [0, 1, 3]),
        ("phot_g_mean_mag between 6.5 and 17", [1, 3]),
        ("parallax IS NOT NULL", [0, 1, 3]),
        ("has_xp = 'true'", [0, 3]),
        ("quality = 'a'", [0]),
        ("quality <> 'a'", [1, 2]),
        ("parallax > -0.1", [0, 1, 3]),
        # Single precision holds a little less than 1.4.
        ("ruwe < 1.4", [0, 1]),
        ("ruwe = 1.4", []),
        # Identifiers are not rounded.
        (f"source_id = {2**53 + 1}", [0]),
        ('g."ruwe" >= 2', [2, 3]),
    ],
)
def test_conditions_select_as_a_database_does(text: str, kept: list[int]) -> None:
    rows = STARS.append_column("row", pa.array(range(4)))
    assert rows.filter(Cut(text).expression())["row"].to_pylist() == kept


def test_columns_are_named_once_and_aliases_are_none() -> None:
    cuts = [Cut("g.a < g.b * g.a"), Cut("b BETWEEN 1 AND 2"), Cut("c IS NOT NULL")]
    assert cut_columns(cuts) == ["a", "b", "c"]
    assert expression([]) is None


@pytest.mark.parametrize(
    "text",
    [
        "a < 1 OR b > 2",
        "a LIKE 'x'",
        "1 = CONTAINS(POINT(a, b), c)",
        "__import__('os')",
        "a",
        "a <",
        # Python puts two texts together, and knows escapes.
        "s = 'it''s'",
        "s = 'a' 'b'",
        "s = 'a\\\\n'",
        "s = 'a\"b'",
        "s = 'a=b'",
        "s = 'a<>b'",
    ],
)
def test_other_conditions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot apply"):
        Cut(text)


def test_conditions_of_a_query_are_those_of_its_file() -> None:
    cuts = cuts_of(load_query(QUERIES / "gaiadr3_line_of_sight.adql"), GAIA_SOURCE)
    assert list(map(str, cuts)) == [
        "g.parallax_error < 0.2 * (g.parallax + 0.1)",
        "g.phot_g_mean_mag BETWEEN 6 AND 17",
        "g.ruwe < 2",
    ]
    assert np.array_equal(
        STARS.filter(expression(cuts))["source_id"].to_numpy(), [2**53 + 1, 2**53 + 2]
    )


def test_a_query_that_joins_tables_cannot_select_rows_of_files() -> None:
    with pytest.raises(ConfigError, match="several tables") as error:
        cuts_of(load_query(QUERIES / "esa_fidelity.adql"), GAIA_SOURCE)
    assert "esa_fidelity.adql" in str(error.value)


@pytest.mark.parametrize(
    ("condition", "refused"),
    [
        ("n / 2 = 1", True),
        ("-n / (m + 1) < 1", True),
        ("x > n / m * 2", True),
        ("n / 2.0 = 1", False),
        ("x / n < 1", False),
        ("(n + x) / 2 < 1", False),
    ],
)
def test_quotients_that_databases_round_are_refused(
    tmp_path: Path, condition: str, refused: bool
) -> None:
    kinds = {"source_id": "int64", "n": "int16", "m": "int32", "x": "float32"}
    columns = tuple(Column(name, dtype, "", "", "") for name, dtype in kinds.items())
    table = TableSchema("stars", "Stars", columns)
    path = tmp_path / "stars.adql"
    path.write_text(
        "SELECT source_id, n, m, x\nFROM a.b\n"
        f"WHERE {condition}\n  AND source_id BETWEEN 0 AND 1 -- chunk\n"
    )
    if refused:
        with pytest.raises(ConfigError, match="divides whole numbers"):
            cuts_of(load_query(path), table)
    else:
        assert len(cuts_of(load_query(path), table)) == 1
