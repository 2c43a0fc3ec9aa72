"""Which code a script depends on, as a hash: the reason a job is run again.

Starting from a script, every definition of the package that its code names is followed,
through imports, to the definitions those name. The hash covers their syntax trees without
docstrings, so an edit to a function reruns what uses it, and a comment reruns nothing. It is
static: names built at run time are not seen, and a class counts as a whole, but for the
settings, whose values reach a job as parameters.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from mwatlas.figures.entry import entry_point

PACKAGE = "mwatlas"
# How a job reports is no part of what it computes.
_NEUTRAL = ("mwatlas.errors", "mwatlas.job", "mwatlas.progress", "mwatlas.run_code")
# Fields of the settings are left out: their values reach a job as parameters. Methods count.
_SETTINGS = "mwatlas.config"
_WHOLE = "*"


@dataclass
class _Module:
    """Top level of one source file."""

    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)


class CodeBase:
    """Definitions of a package and what they depend on.

    Parameters
    ----------
    source
        Folder that holds the package.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._modules: dict[str, _Module | None] = {}
        self._resolved: dict[tuple[str, str], tuple[str, list[tuple[str, str]]]] = {}

    def hash_script(self, script: Path, also: Iterable[tuple[str, str]] = ()) -> str:
        """Hash of a script and of every definition of the package it depends on.

        Parameters
        ----------
        script
            The script.
        also
            Further (module, name) pairs it reaches in ways that cannot be seen.
        """
        module = _parse(script.stem, script)
        dumps = [ast.dump(node) for nodes in module.definitions.values() for node in nodes]
        dumps += [ast.dump(node) for node in module.effects]
        todo = sorted({*module.imports.values(), *also})
        seen: dict[tuple[str, str], str] = {}
        while todo:
            target = todo.pop()
            if target in seen:
                continue
            text, needs = self._definition(target)
            seen[target] = text
            todo.extend(needs)
        parts = [*dumps, *(f"{m}:{n}={text}" for (m, n), text in sorted(seen.items()))]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()

    def definitions(self, script: Path) -> set[tuple[str, str]]:
        """Return the (module, name) pairs a script depends on; for tests and curiosity."""
        found: set[tuple[str, str]] = set()
        todo = list(_parse(script.stem, script).imports.values())
        while todo:
            target = todo.pop()
            if target not in found:
                found.add(target)
                todo.extend(self._definition(target)[1])
        return found

    def _definition(self, target: tuple[str, str]) -> tuple[str, list[tuple[str, str]]]:
        """Resolve a definition once; scripts share most of what they use."""
        if target not in self._resolved:
            self._resolved[target] = self._resolve(*target)
        return self._resolved[target]

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            base = self._source.joinpath(*name.split("."))
            candidates = [base.with_suffix(".py"), base / "__init__.py"]
            path = next((p for p in candidates if p.exists()), None)
            self._modules[name] = _parse(name, path) if path else None
        return self._modules[name]

    def _resolve(self, module_name: str, name: str) -> tuple[str, list[tuple[str, str]]]:
        """Syntax of one definition, and what it needs in turn."""
        module = self._module(module_name)
        if module is None or module_name.startswith(_NEUTRAL):
            return "", []
        if name == _WHOLE:
            return "", [(module_name, n) for n in module.definitions]
        if self._module(f"{module_name}.{name}") is not None:
            return "", [(f"{module_name}.{name}", _WHOLE)]
        if name in module.imports:
            return "", [module.imports[name]]
        nodes = module.definitions.get(name, [])
        if module_name.startswith(_SETTINGS):
            nodes = [_without_fields(node) for node in nodes]
        # What a module does on import (settings of libraries, say) concerns all it defines.
        relevant = [*nodes, *module.effects]
        used, needs = _named(relevant)
        used.discard(name)
        needs += [module.imports[n] for n in used if n in module.imports]
        needs += [(module_name, n) for n in used if n in module.definitions]
        return "\n".join(ast.dump(node) for node in relevant), needs


def _parse(name: str, path: Path) -> _Module:
    module = _Module(name)
    tree = _without_docstrings(ast.parse(path.read_text(encoding="utf-8")))
    for node in tree.body:
        _add(module, node)
    return module


def _add(module: _Module, node: ast.stmt) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        module.definitions.setdefault(node.name, []).append(node)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        for target in names:
            module.definitions.setdefault(target, []).append(node)
        if not names:
            module.effects.append(node)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        module.imports.update(_imported(node))
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        module.effects.append(node)


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, tuple[str, str]]:
    """Local name: (module, name) of what an import of this package brings."""
    if isinstance(node, ast.ImportFrom):
        if (node.module or "").split(".")[0] != PACKAGE:
            return {}
        return {a.asname or a.name: (str(node.module), a.name) for a in node.names}
    return {
        a.asname or a.name.split(".")[0]: (a.name, _WHOLE)
        for a in node.names
        if a.name.split(".")[0] == PACKAGE
    }


def _without_fields(node: ast.stmt) -> ast.stmt:
    """A class without what its fields say, but for their types; other statements as they are."""
    if not isinstance(node, ast.ClassDef):
        return node
    body = [
        ast.Expr(inner.annotation) if isinstance(inner, ast.AnnAssign) else inner
        for inner in node.body
    ]
    return ast.ClassDef(**{**vars(node), "body": body})


def _named(nodes: list[ast.stmt]) -> tuple[set[str], list[tuple[str, str]]]:
    """Names that statements use, and what they import themselves."""
    names: set[str] = set()
    imports: list[tuple[str, str]] = []
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                names.add(inner.id)
            elif isinstance(inner, ast.Constant):
                names.update(_quoted_names(inner.value))
            elif isinstance(inner, ast.Import | ast.ImportFrom):
                imports.extend(_imported(inner).values())
    return names, imports


def _quoted_names(value: object) -> list[str]:
    """Names in an annotation that is written as a string."""
    return [value] if isinstance(value, str) and value.isidentifier() else []


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The same tree, changed in place."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:]
    return tree


@lru_cache(maxsize=1)
def _code_base(source: Path) -> CodeBase:
    return CodeBase(source)


def code_version(rule: str, root: Path, figures: Iterable[tuple[str, str]] = ()) -> str:
    """Hash of the code behind a rule, whose script has the rule's name.

    Parameters
    ----------
    rule
        Name of the rule.
    root
        Root of the repository.
    figures
        Study and figure of those the rule draws.
    """
    also = [entry_point(*figure) for figure in figures]
    return _code_base(root / "src").hash_script(root / "scripts" / f"{rule}.py", also)
