"""Queries in files."""

from pathlib import Path

import pytest

from mwatlas.archive.adql import chunk_query, count_query, load_query, reads_table, same_rows
from mwatlas.errors import ConfigError

QUERY = """-- Stars with a radial velocity.
SELECT
    g.source_id,  -- from which
    g."ra",
    SQRT(POWER(g.pmra, 2) + POWER(g.pmdec, 2)) AS pm,
    t.j_m AS tmass_j
FROM gaiadr3.gaia_source AS g
JOIN (SELECT source_id, j_m FROM gaiadr1.tmass) AS t ON t.source_id = g.source_id
WHERE g.source_id BETWEEN 0 AND 34359738367 -- chunk
  AND g.phot_g_mean_mag BETWEEN 6 AND 17
  AND t.name <> 'SELECT -- it''s FROM'
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "stars.adql"
    path.write_text(text)
    return path


def test_a_query_names_its_columns_and_its_key(tmp_path: Path) -> None:
    query = load_query(_file(tmp_path, QUERY))
    assert query.columns == ("source_id", "ra", "pm", "tmass_j")
    assert query.key == "source_id"


def test_a_chunk_is_the_file_with_other_bounds(tmp_path: Path) -> None:
    query = load_query(_file(tmp_path, QUERY + ";\n"))
    kept = [line for line in QUERY.splitlines() if "Stars" not in line and "-- chunk" not in line]
    lines = chunk_query(query, 7, 9).splitlines()
    assert lines.pop(7) == "WHERE g.source_id BETWEEN 7 AND 9"
    assert lines == [line.split("  -- from")[0] for line in kept]


def test_the_count_has_the_same_selection(tmp_path: Path) -> None:
    query = load_query(_file(tmp_path, QUERY))
    count, chunk = count_query(query, 7, 9), chunk_query(query, 7, 9)
    assert count.startswith("SELECT COUNT(*) AS number_of_rows\nFROM gaiadr3.gaia_source")
    assert chunk.endswith(count[count.index("FROM") :])


def test_tables_that_a_query_reads_are_known_by_their_whole_names(tmp_path: Path) -> None:
    query = load_query(_file(tmp_path, "-- of gaia_dr3_source\n" + QUERY))
    assert reads_table(query, "gaiadr3.gaia_source")
    assert reads_table(query, "gaiadr1.TMASS")
    for other in ("gaia_dr3_source", "gaia_source", "gaiadr1.tmass_original_valid"):
        assert not reads_table(query, other), other


def test_queries_are_the_same_but_for_comments_blanks_and_bounds(tmp_path: Path) -> None:
    text = same_rows(load_query(_file(tmp_path, QUERY)))
    other = QUERY.replace("Stars", "Red stars").replace("AS pm", "  AS\n  pm").replace("3435", "1")
    assert same_rows(load_query(_file(tmp_path, other))) == text
    for old, new in (("17", "18"), ("it''s", "it''s "), ("t.j_m AS", "t.h_m AS")):
        assert same_rows(load_query(_file(tmp_path, QUERY.replace(old, new)))) != text, old


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        (" -- chunk", "", 11, "not marked once"),
        ("AND 17", "AND 17 -- chunk", 10, "not marked once"),
        ("BETWEEN 0 AND 34359738367", "> 0", 9, "no chunk condition"),
        ("SELECT\n", "SELECT TOP 10\n", 2, "breaks the count"),
        ("SELECT\n", "SELECT DISTINCT\n", 2, "breaks the count"),
        ("FROM'", "FROM' ORDER BY pm", 11, "breaks the count"),
        (" AS pm,", ",", 5, "no name of its own"),
        ('g."ra"', "g.*", 4, "no name of its own"),
        (' g."ra",', ",", 4, "no name of its own"),
        ("tmass_j", "pm", 6, "names a column twice"),
        ("    g.source_id,", "    g.random_index,", 9, "not selected"),
        ("SELECT\n", "WITH\n", 2, "does not start with SELECT"),
        ("FROM'", "FROM' AND (1=1", 11, "is not closed"),
        ("FROM'", "FROM' )", 11, "no partner"),
        ("FROM'", "FROM", 11, "no partner"),
        ("FROM gaiadr3.gaia_source AS g\nJOIN", "", 10, "no FROM"),
    ],
)
def test_a_wrong_query_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, problem: str
) -> None:
    path = _file(tmp_path, QUERY.replace(old, new, 1))
    with pytest.raises(ConfigError, match=problem) as caught:
        load_query(path)
    assert caught.value.file == f"{path}, line {line}"


def test_a_missing_query_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.adql"):
        load_query(tmp_path / "nothing.adql")
