"""Queries in files: each runs as it is, and marks the one condition that makes a chunk of it.

A query file is plain ADQL with comments. One line ends in ``-- chunk`` and holds a condition
``<column> BETWEEN <whole number> AND <whole number>``; the bounds in the file are those for
trying the query by hand. The workflow replaces them, and asks for ``COUNT(*)`` with the same
FROM and WHERE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mwatlas.errors import ConfigError

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      |(?P<string>'(?:[^']|'')*')
      |(?P<quoted>"(?:[^"]|"")+")
      |(?P<word>[A-Za-z_]\w*)
      |(?P<number>\d[\w.]*)
      |(?P<sign>\S)""",
    re.VERBOSE | re.DOTALL,
)
_MARK = re.compile(r"--\s*chunk\s*", re.IGNORECASE)
_CONDITION = re.compile(
    r"(?P<column>[\w.\"]+)\s+BETWEEN\s+(?P<low>\d+)\s+AND\s+(?P<high>\d+)\s*$", re.IGNORECASE
)
_ONE_TABLE = re.compile(
    r"FROM\s+[\w.\"]+(\s+AS)?(\s+(?!WHERE)\w+)?\s+WHERE\s+(?P<where>.+)", re.IGNORECASE | re.DOTALL
)
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_OPEN_BETWEEN = re.compile(r"\sBETWEEN\s+\S+$", re.IGNORECASE)
# With any of these, COUNT(*) of the same FROM and WHERE would not be the number of rows.
_REFUSED = {"DISTINCT", "TOP", "GROUP", "HAVING", "ORDER", "OFFSET", "UNION", "EXCEPT", "INTERSECT"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    depth: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.upper() == word


@dataclass(frozen=True)
class Query:
    """A query with one place for the bounds of a chunk; made by :func:`load_query`.

    Parameters
    ----------
    path
        Its file.
    text
        What the file says.
    key
        Name of the column whose range makes a chunk.
    columns
        Names of the columns of the result, in order.
    """

    path: Path
    text: str
    key: str
    columns: tuple[str, ...]
    _low: tuple[int, int]
    _high: tuple[int, int]
    _from: int

    def _between(self, first: int, last: int, start: int) -> str:
        (a, b), (c, d) = self._low, self._high
        text = f"{self.text[start:a]}{first}{self.text[b:c]}{last}{self.text[d:]}"
        bare = _TOKEN.sub(lambda token: " " if token["comment"] else token[0], text)
        return "\n".join(line.rstrip() for line in bare.splitlines() if line.strip())


def load_query(path: str | Path) -> Query:
    """Read a query file.

    Raises
    ------
    ConfigError
        Naming file and line, if the file is absent or no plain SELECT, if the chunk condition is
        not marked exactly once, or if a column of the result has no name.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(
            "a query file is missing", file=path, remedy="check the name in the release adapter"
        )
    text = path.read_text(encoding="utf-8").rstrip().removesuffix(";")
    tokens = _tokens(path, text)
    code = [token for token in tokens if token.kind != "comment"]
    if not code or not code[0].is_word("SELECT"):
        start = code[0].start if code else 0
        raise _error(path, text, start, "a query does not start with SELECT", expected="SELECT ...")
    top = [token for token in code if token.depth == 0]
    for token in top:
        if token.kind == "word" and token.text.upper() in _REFUSED:
            raise _error(
                path,
                text,
                token.start,
                "a query has a clause that breaks the count of its rows",
                found=token.text,
                expected="SELECT ... FROM ... WHERE ... without any of "
                + ", ".join(sorted(_REFUSED)),
            )
    begin = next((token.start for token in top if token.is_word("FROM")), None)
    if begin is None:
        raise _error(path, text, len(text), "a query has no FROM", expected="SELECT ... FROM ...")
    column, low, high = _chunk_condition(path, text, tokens, begin)
    key = column.split(".")[-1].strip('"')
    names = _result_columns(path, text, [t for t in code[1:] if t.start < begin])
    if key not in names:
        raise _error(
            path,
            text,
            low[0],
            "the column of the chunk condition is not selected",
            found=", ".join(names),
            expected=key,
        )
    return Query(path, text, key, names, low, high, begin)


def chunk_query(query: Query, first: int, last: int) -> str:
    """The query for rows of a closed range of its key, without comments."""
    return query._between(first, last, 0)


def count_query(query: Query, first: int, last: int) -> str:
    """The query for the number of rows that :func:`chunk_query` selects."""
    return f"SELECT COUNT(*) AS number_of_rows\n{query._between(first, last, query._from)}"


def normal_form(text: str) -> str:
    """A query or condition without comments, and with one blank between words and signs."""
    tokens = (match[0] for match in _TOKEN.finditer(text) if not match["comment"])
    return " ".join(tokens)


def same_rows(query: Query) -> str:
    """Text that changes when the table that a query gives does, and not with its comments."""
    return normal_form(query._between(0, 0, 0))


def reads_table(query: Query, table: str) -> bool:
    """Whether a query selects from a table of that name, or joins it."""
    name = rf"(?<![\w./]){re.escape(table)}(?![\w./])"
    return bool(re.search(name, query._between(0, 0, query._from), re.IGNORECASE))


def conditions(query: Query) -> list[str]:
    """Conditions of the WHERE clause of a query on one table, without that of the chunk.

    Raises
    ------
    ValueError
        If it reads several tables.
    """
    text = query._between(0, 0, query._from)
    match = _ONE_TABLE.fullmatch(text)
    if match is None:
        raise ValueError("it reads several tables")
    out: list[str] = []
    for piece in _AND.split(match["where"]):
        # BETWEEN has an AND of its own, and brackets may hold others.
        last = out[-1] if out else ""
        if last.count("(") > last.count(")") or _OPEN_BETWEEN.search(last):
            out[-1] = f"{last} AND {piece}"
        else:
            out.append(piece)
    chunk = re.compile(rf"(\w+\.)?{query.key}\s+BETWEEN\s+0\s+AND\s+0", re.IGNORECASE)
    return [condition for condition in out if not chunk.fullmatch(condition)]


def _tokens(path: Path, text: str) -> list[_Token]:
    tokens, depth = [], 0
    for match in _TOKEN.finditer(text):
        kind, part = str(match.lastgroup), match.group()
        depth -= part == ")"
        if depth < 0 or part in ("'", '"'):
            raise _error(
                path,
                text,
                match.start(),
                "a quote or bracket of a query has no partner",
                found=part,
            )
        tokens.append(_Token(kind, part, match.start(), depth))
        depth += part == "("
    if depth:
        start = [token.start for token in tokens if token.text == "("][-1]
        raise _error(path, text, start, "a bracket of a query is not closed", found="(")
    return tokens


def _chunk_condition(
    path: Path, text: str, tokens: list[_Token], begin: int
) -> tuple[str, tuple[int, int], tuple[int, int]]:
    expected = "one line that ends in: source_id BETWEEN 0 AND 34359738367 -- chunk"
    marks = [t for t in tokens if t.kind == "comment" and _MARK.fullmatch(t.text)]
    if len(marks) != 1:
        raise _error(
            path,
            text,
            marks[1].start if marks else len(text),
            "the place of the chunk condition is not marked once",
            found=f"{len(marks)} lines marked '-- chunk'",
            expected=expected,
        )
    start = text.rfind("\n", 0, marks[0].start) + 1
    condition = _CONDITION.search(text[start : marks[0].start])
    if condition is None or marks[0].start < begin:
        raise _error(
            path,
            text,
            marks[0].start,
            "the line marked '-- chunk' holds no chunk condition",
            found=text[start : marks[0].end].strip(),
            expected=expected,
        )
    low, high = (
        (start + condition.start(name), start + condition.end(name)) for name in ("low", "high")
    )
    return condition["column"], low, high


def _result_columns(path: Path, text: str, tokens: list[_Token]) -> tuple[str, ...]:
    items: list[list[_Token]] = [[]]
    ends = []
    for token in tokens:
        if token.text == "," and token.depth == 0:
            ends.append(token.start)
            items.append([])
        else:
            items[-1].append(token)
    names: list[str] = []
    for item, end in zip(items, [*ends, tokens[-1].start if tokens else 0], strict=True):
        name = item[-1] if item else None
        start = item[0].start if item else end
        dotted = len(item) % 2 == 1 and all(t.text == "." for t in item[1::2])
        named = dotted or (len(item) > 1 and item[-2].is_word("AS"))
        if name is None or name.kind not in ("word", "quoted") or not named:
            raise _error(
                path,
                text,
                start,
                "a column of a query has no name of its own",
                found=text[start : item[-1].end] if item else "nothing",
                expected="a column, or an expression AS name; * does not say what comes",
            )
        names.append(name.text.strip('"'))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        again = [item[-1].start for item in items if item[-1].text.strip('"') == twice][1]
        raise _error(path, text, again, "a query names a column twice", found=twice)
    return tuple(names)


def _error(
    path: Path,
    text: str,
    position: int,
    problem: str,
    found: str | None = None,
    expected: str | None = None,
) -> ConfigError:
    line = text.count("\n", 0, position) + 1
    return ConfigError(
        problem,
        file=f"{path}, line {line}",
        found=found,
        expected=expected,
        remedy="correct the query; it must also run as it is in the archive's web form",
    )
