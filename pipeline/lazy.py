"""A package offers names and imports them late.

They are imported when somebody asks for one. What the package's modules import of one another then makes no circle
through it, and a command that shows its help does not pay for pandas.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    homes: the module below it that each name comes from.
    """

    def found(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    def listed() -> list[str]:
        return sorted((*homes, "__version__"))

    return found, listed
