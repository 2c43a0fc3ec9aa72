"""Conditions on archive columns that every route can push down: those of a query's WHERE.

A query for a TAP server and the files of a tree then give the same rows by the same text.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mwatlas.archive.adql import Query, conditions
from mwatlas.errors import ConfigError
from mwatlas.tables.table import TableSchema

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_BOOLEANS = {"true": True, "false": False}
_BETWEEN = re.compile(r"(?P<what>.+?)\s+BETWEEN\s+(?P<low>\S+)\s+AND\s+(?P<high>\S+)", re.I | re.S)
_NOT_NULL = re.compile(r"(?P<what>\S+)\s+IS\s+NOT\s+NULL", re.I)
# Texts that Python reads otherwise than ADQL, or that would change with the signs around them.
_ODD_TEXT = re.compile(r"""'[^']*'\s*'|'[^']*["\\=<][^']*'""")
_EQUALS = re.compile(r"(?<![<>!=])=(?!=)")


@dataclass(frozen=True)
class Cut:
    """One condition, in the words of ADQL.

    Comparisons (``< <= > >= = <> !=``) of columns and numbers with ``+ - * /`` between them,
    ``x BETWEEN a AND b``, ``x IS NOT NULL``. A missing value passes no cut, as in a database. The
    words 'true' and 'false' are the Gaia archive's booleans.

    Parameters
    ----------
    text
        For instance ``parallax_error < 0.2 * (parallax + 0.1)``; a table's alias before a column
        is passed over.

    Raises
    ------
    ValueError
        If it is no such condition.
    """

    text: str

    def __post_init__(self) -> None:
        self.expression()

    def __str__(self) -> str:
        return self.text

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it needs, each once."""
        nodes = (node for tree in self._trees() for node in ast.walk(tree))
        return tuple(dict.fromkeys(name for node in nodes if (name := _column(node))))

    def expression(self) -> pc.Expression:
        """As a filter of Arrow tables and datasets."""
        if _NOT_NULL.fullmatch(self.text.strip()):
            (tree,) = self._trees()
            return pc.is_valid(self._value(tree, exact=True))
        return reduce(operator.and_, map(self._comparison, self._trees()))

    def _trees(self) -> list[ast.expr]:
        text = self.text.strip()
        if match := _NOT_NULL.fullmatch(text):
            return [self._parse(match["what"])]
        if match := _BETWEEN.fullmatch(text):
            low, high = f"{match['what']} >= {match['low']}", f"{match['what']} <= {match['high']}"
            return [self._parse(low), self._parse(high)]
        return [self._parse(_EQUALS.sub("==", text.replace("<>", "!=")))]

    def divides_whole_numbers(self, table: TableSchema) -> bool:
        """Whether a quotient is of integers only, which databases round and Arrow does not."""
        whole = {c.name for c in table.columns if c.dtype.startswith(("int", "uint"))}

        def is_whole(node: ast.AST) -> bool:
            if isinstance(node, ast.BinOp):
                return is_whole(node.left) and is_whole(node.right)
            if isinstance(node, ast.UnaryOp):
                return is_whole(node.operand)
            if isinstance(node, ast.Constant):
                return isinstance(node.value, int)
            return _column(node) in whole

        nodes = (node for tree in self._trees() for node in ast.walk(tree))
        return any(
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and is_whole(node)
            for node in nodes
        )

    def _parse(self, text: str) -> ast.expr:
        if _ODD_TEXT.search(self.text):
            raise self._refusal()
        try:
            tree = ast.parse(text.strip().replace('"', ""), mode="eval")
            return ast.Expression(_WithoutAliases().visit(tree.body)).body
        except SyntaxError:
            raise self._refusal() from None

    def _comparison(self, tree: ast.expr) -> pc.Expression:
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
            raise self._refusal()
        compare = _COMPARISONS.get(type(tree.ops[0]))
        if compare is None:
            raise self._refusal()
        sides = (tree.left, tree.comparators[0])
        # Arrow would round 1.4 to the single precision of a column; databases do not.
        inside = [node for side in sides for node in ast.walk(side)]
        exact = not any(
            isinstance(node, ast.BinOp)
            or (isinstance(node, ast.Constant) and isinstance(node.value, float))
            for node in inside
        )
        return compare(*(self._value(side, exact=exact) for side in sides))

    def _value(self, tree: ast.expr, *, exact: bool) -> Any:
        name = _column(tree)
        if name is not None:
            field = pc.field(name)
            return field if exact else field.cast(pa.float64())
        if isinstance(tree, ast.Constant):
            value = _BOOLEANS.get(str(tree.value), tree.value)
            if isinstance(value, int | float | str):
                return pc.scalar(value)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            return self._value(ast.BinOp(ast.Constant(0), ast.Sub(), tree.operand), exact=exact)
        if isinstance(tree, ast.BinOp) and type(tree.op) in _ARITHMETIC:
            left, right = (self._value(side, exact=exact) for side in (tree.left, tree.right))
            return _ARITHMETIC[type(tree.op)](left, right)
        raise self._refusal()

    def _refusal(self) -> ValueError:
        return ValueError(f"cannot apply the condition {self.text!r} to files")


def _column(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


class _WithoutAliases(ast.NodeTransformer):
    """Columns by their own names."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Name(node.attr) if isinstance(node.value, ast.Name) else node


@dataclass(frozen=True)
class Among(Cut):
    """Condition that an identifier is one of a list.

    Parameters
    ----------
    text
        What the list is, in words that change with it.
    column
        The identifier's column.
    ids
        The list.
    """

    column: str
    ids: pa.Array = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        """Any text will do."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it needs."""
        return (self.column,)

    def expression(self) -> pc.Expression:
        """As a filter of Arrow tables and datasets."""
        return pc.field(self.column).isin(self.ids)


def cuts_of(query: Query, table: TableSchema) -> tuple[Cut, ...]:
    """Conditions of a query on one table, without that of the chunk.

    Parameters
    ----------
    query
        The query.
    table
        Contract of the columns, whose types tell what a quotient means.

    Raises
    ------
    ConfigError
        If the query joins tables, or a condition cannot be applied to files.
    """
    try:
        cuts = tuple(Cut(text) for text in conditions(query))
        rounded = [cut.text for cut in cuts if cut.divides_whole_numbers(table)]
        if rounded:
            raise ValueError(f"the condition {rounded[0]!r} divides whole numbers")
    except ValueError as error:
        raise ConfigError(
            "a query cannot be used to select rows of files",
            file=query.path,
            found=str(error),
            expected="one table, and comparisons of its columns joined by AND",
            remedy="fetch this table by its tap route (fetch.routes of the release adapter), or "
            "write a divisor as 2.0",
        ) from error
    return cuts


def cut_columns(cuts: Iterable[Cut]) -> list[str]:
    """Columns that cuts need, each once."""
    return list(dict.fromkeys(name for cut in cuts for name in cut.columns))


def expression(cuts: Sequence[Cut]) -> pc.Expression | None:
    """All cuts together as a filter; ``None`` without any."""
    return reduce(operator.and_, (cut.expression() for cut in cuts)) if cuts else None
