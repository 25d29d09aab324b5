"""What a leader needs installed, read from the imports of its code: MLflow's own inference takes half a minute."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

_OWN = ("pipeline", "search_spaces")


def requirements_for(modules: Iterable[str]) -> list[str]:
    """Return "name==version" of every installed distribution that `modules` of this project import.

    The project's own modules that they import are walked too, imports inside functions included. mlflow is always in.
    """
    pinned = {_pinned(module) for module in _imported(modules) | {"mlflow"}}
    return sorted(pinned - {None})


def _imported(modules: Iterable[str]) -> set[str]:
    """Return the top-level foreign modules that are imported from `modules` on."""
    ahead, seen, foreign = list(modules), set(), set()
    while ahead:
        module = ahead.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in _imports_of(module):
            top = name.partition(".")[0]
            if top in _OWN:
                ahead.append(name)
            elif top not in sys.stdlib_module_names:
                foreign.add(top)
    return foreign


@cache
def _imports_of(module: str) -> tuple[str, ...]:
    spec = find_spec(module)
    if spec is None or not spec.origin:
        return ()
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    typing_only = {id(node) for block in ast.walk(tree) if _is_typing_block(block) for node in ast.walk(block)}
    return tuple(name for node in ast.walk(tree) if id(node) not in typing_only for name in _names(node))


def _is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        if node.module.partition(".")[0] in _OWN:
            # `from package import module` names a module; `from module import name` finds no such module.
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_package(node.module))


def _is_package(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _pinned(module: str) -> str | None:
    """Return "distribution==version" of an importable module, None if it is not installed."""
    for distribution in _distributions(module):
        # A local part such as +cpu names a build that no package index has.
        return f"{distribution}=={metadata.version(distribution).partition('+')[0]}"
    return None


def _distributions(module: str) -> list[str]:
    try:
        return [metadata.distribution(module).metadata["Name"]]
    except metadata.PackageNotFoundError:  # e.g. sklearn, whose distribution is scikit-learn
        return _by_module().get(module, [])


@cache
def _by_module() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
