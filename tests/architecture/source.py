"""The package as its source files show it: modules, their imports, their functions."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "python" / "sidkit"

#: Third-party packages that come with an extra; NumPy is the only dependency of the bare package.
BARE = {"numpy"}


@dataclass
class Module:
    """One source file.

    Attributes:
        name: its dotted name; that of the package for an `__init__.py`.
        path: the file.
        tree: its syntax tree.
        imports: internal modules that it imports at module level, `if TYPE_CHECKING` included.
        local_imports: internal modules imported inside functions, with their lines.
        third_party: other packages that it imports at module level, at run time.
    """

    name: str
    path: Path
    tree: ast.Module
    imports: set[str] = field(default_factory=set)
    local_imports: list[tuple[str, int]] = field(default_factory=list)
    third_party: set[str] = field(default_factory=set)


@cache
def modules() -> dict[str, Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("sidkit", *path.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    for module in found.values():
        _read_imports(module, found)
    return found


def _read_imports(module: Module, known: dict[str, Module]) -> None:
    for node, local, typing in _imports(module.tree, local=False, typing=False):
        for name in _targets(node, known):
            if name.partition(".")[0] == "sidkit":
                if local:
                    module.local_imports.append((name, node.lineno))
                else:
                    module.imports.add(name)
            elif not local and not typing and name.partition(".")[0] not in sys.stdlib_module_names:
                module.third_party.add(name.partition(".")[0])
        if not local and isinstance(node, ast.Expr):
            module.third_party |= _required(node)


def _required(node: ast.Expr) -> set[str]:
    """The package that a statement `require("package", extra=...)` asks for."""
    call = node.value
    named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require"
    return {str(call.args[0].value)} if named else set()  # type: ignore[attr-defined]


def _imports(
    node: ast.AST, *, local: bool, typing: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom | ast.Expr, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom | ast.Expr):
            yield child, local, typing
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, local=True, typing=typing)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from _imports(child, local=local, typing=True)
        else:
            yield from _imports(child, local=local, typing=typing)


def _targets(node: ast.Import | ast.ImportFrom | ast.Expr, known: dict[str, Module]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in known else node.module


def reachable(start: str) -> set[str]:
    """Every internal module that `start` imports at module level, directly or not, itself included."""
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in modules():
            seen.add(name)
            waiting += modules()[name].imports
    return seen


def needs(name: str) -> set[str]:
    """Third-party packages without which a module cannot be imported, NumPy left out."""
    return set().union(*(modules()[each].third_party for each in reachable(name))) - BARE
