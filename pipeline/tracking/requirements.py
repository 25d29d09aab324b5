"""Finds what a leader needs installed.

It is read from the imports of its code: MLflow's own inference takes half a minute.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType

from stacktune.storage.run_folder import LEADER_MANIFEST

_OWN = "stacktune"
# Told here, as to look a name up among all that is installed takes half a second.
_NAMED_OTHERWISE = {"sklearn": "scikit-learn", "yaml": "PyYAML"}
# Imported by type checkers alone.
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t].*\n|\n)+", re.MULTILINE)


def requirements_for(modules: Iterable[str], also: Collection[str] = ("mlflow",)) -> list[str]:
    """Return the distributions that `modules` import.

    They are "name==version" of each that is installed; the modules are of this project.

    The project's own modules that they import are walked too, imports inside functions included. also: foreign modules
    that are in whoever imports them.
    """
    pinned = {_pinned(module) for module in _imported(modules) | set(also)}
    return sorted(requirement for requirement in pinned if requirement is not None)


def family_modules(leader_folder: Path) -> list[str]:
    """Return the modules of a leader's families.

    Only their libraries are needed to predict.
    """
    members = json.loads((leader_folder / LEADER_MANIFEST).read_text())["members"]
    return sorted({f"stacktune.families.{member['family']}" for member in members})


def _imported(modules: Iterable[str]) -> set[str]:
    """Return the foreign modules imported from `modules` on."""
    ahead, seen, foreign = list(modules), set(), set()
    while ahead:
        module = ahead.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in _imports_of(module):
            top = name.partition(".")[0]
            if top == _OWN:
                ahead.append(name)
            elif top not in sys.stdlib_module_names:
                foreign.add(top)
    return foreign


@cache
def _imports_of(module: str) -> tuple[str, ...]:
    """Return what a module imports.

    It has, too, the names that the module imports from our packages, which may be modules.

    Its compiled code is walked, not its syntax tree: this runs beside other threads, and Python before 3.11.8 fails
    where two of them parse (SystemError: AST constructor recursion depth mismatch, CPython issue 106905).
    """
    spec = find_spec(module)
    if spec is None or not spec.origin:
        return ()
    source = _FOR_TYPES.sub("", Path(spec.origin).read_text(encoding="utf-8"))
    return tuple(_names(compile(source, spec.origin, "exec")))


def _names(code: CodeType) -> Iterator[str]:
    for kind, what in ModuleFinder().scan_opcodes(code):
        if kind == "absolute_import":
            names, module = what
            yield module
            if module.partition(".")[0] == _OWN and _is_package(module):
                # `from package import module` names a module; `from module import name` finds no such module.
                yield from (f"{module}.{name}" for name in names or ())
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _is_package(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


@cache  # a megabyte of metadata is parsed: 0.2 s
def _pinned(module: str) -> str | None:
    """Return "distribution==version" of an importable module.

    It is None if it is not installed.
    """
    for distribution in _distributions(module):
        # A local part such as +cpu names a build that no package index has.
        return f"{distribution}=={metadata.version(distribution).partition('+')[0]}"
    return None


def _distributions(module: str) -> list[str]:
    try:
        return [metadata.distribution(_NAMED_OTHERWISE.get(module, module)).metadata["Name"]]
    except metadata.PackageNotFoundError:
        return _by_module().get(module, [])


@cache  # of all that is installed: 0.6 s
def _by_module() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
