"""Finds what is checked by its name.

So another process can import it too.
"""

from __future__ import annotations

import importlib
from typing import Any

from stacktune.errors import ConfigError


def named(name: str) -> Any:
    """Return what "module:NAME" names."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError(f'what is checked is named as "module:NAME", but not by {name!r}')
    found = importlib.import_module(module)
    if not hasattr(found, attribute):
        raise ConfigError(f"the module {module} defines no {attribute}; pipeline/README.md says what is to be written")
    return getattr(found, attribute)
