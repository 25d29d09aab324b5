"""Imports one module of a user's, nothing beside.

The problem: a function of the user's lies in a module in their folder, and everything else in that folder is to stay
unread: a `random.py` there would be imported as Python's own, by us and by every library (see __main__.py).

What does not work well: to put the folder on the path, be it for the length of one import, finds such files for every
import that happens meanwhile, in any thread.

The solution: the module that was named is found in the folder, and it alone; its package's other modules are found
through the package. It is refused where its name is that of a module of Python's or of a library.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from stacktune.errors import ConfigError, nearest

# The packages or modules that were imported from a user's folder, by name.
_ours: set[str] = set()
# Functions that a program handed over itself, by MODULE:NAME.
_handed_over: dict[str, Callable[..., Any]] = {}


class UsersCode:
    """Refuses in one line what a user's code raises.

    what: the beginning of the sentence, as in "--metric mymetric:score cannot be imported".
    """

    def __init__(self, what: str):
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, ConfigError) or not isinstance(error, Exception | SystemExit):
            return
        raise ConfigError(f"{self._what}: {said_by(error)}") from None


def hand_over(function: Callable[..., Any]) -> str:
    """Keep a program's function; return its name.

    It is as typed for one of a module, MODULE:NAME, by which `handed_over` finds it.
    """
    own = getattr(function, "__name__", type(function).__name__)
    name = f"{getattr(function, '__module__', None) or 'program'}:{own.strip('<>')}"
    _handed_over[name] = function
    return name


def handed_over(name: str) -> Callable[..., Any] | None:
    """Return a program's function by its name, or None."""
    return _handed_over.get(name)


def said_by(error: BaseException) -> str:
    """Return what an error says, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text:.300}" if text else type(error).__name__


def imported(name: str, flag: str, folders: Sequence[Path]) -> ModuleType:
    """Import a module from a folder or as usual.

    flag: what it was named by, for people, as in "--metric mymetric:score". folders: the user's, the first of which
    that has it is taken.

    Raises:
        ConfigError: there is none, it raises, or it has the name of another module.
    """
    top = name.partition(".")[0]
    for own in [*_ours]:
        _forget(own)
    with UsersCode(f"{flag} cannot be imported"):
        if not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(f"{flag} must name a module and a function, as in mymodule:score.")
        _import_from(top, flag, folders)
        return import_module(name)


def is_installed(module: ModuleType) -> bool:
    """Return whether other processes can import the module.

    It is so for what lies with Python or its libraries.
    """
    file = getattr(module, "__file__", None)
    places = {sysconfig.get_path(place) for place in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is None or any(Path(file).is_relative_to(place) for place in places if place)


def _forget(top: str) -> None:
    """Forget a user's module, which may have changed."""
    if top in _ours:
        for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
            del sys.modules[name]
        _ours.discard(top)
        invalidate_caches()


def _import_from(top: str, flag: str, folders: Sequence[Path]) -> None:
    """Import a top-level module or package from the folders.

    Nothing is done where it is none of theirs, or is what anybody would import by that name.
    """
    spec = next(filter(None, (PathFinder.find_spec(top, [str(folder)]) for folder in folders)), None)
    others = sys.modules[top].__spec__ if top in sys.modules else find_spec(top)
    if spec is None:
        if others is None:
            raise ConfigError(
                f"{flag} cannot be imported: there is no module {top!r} in {str(folders[0])!r}, nor an installed one."
                f"{nearest(top, _modules_in(folders))}"
            )
        return
    if others is not None and others.origin == spec.origin:
        return
    if others is not None:
        if spec.origin is None:  # a folder that happens to have the name
            return
        raise ConfigError(
            f"{flag} cannot be imported: {spec.origin!r} has the name of a module of Python or of a library, which "
            "would be imported in its place. Rename it."
        )
    _load(top, spec)


def _load(top: str, spec: ModuleSpec) -> None:
    module = module_from_spec(spec)
    sys.modules[top] = module
    _ours.add(top)
    with ExitStack() as undo:
        undo.callback(_forget, top)
        if spec.loader is not None:
            spec.loader.exec_module(module)
        undo.pop_all()


def _modules_in(folders: Sequence[Path]) -> list[str]:
    return sorted({file.stem for folder in folders for file in folder.glob("*.py")})
