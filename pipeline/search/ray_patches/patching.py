"""Patches private names of Ray for a while.

A name that another Ray does not have is left alone, and noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

# What was to be changed and was not there. A test holds it empty for the Ray that is installed.
missing: set[str] = set()


@contextmanager
def patched(owner: Any, changes: Mapping[str, Any]) -> Iterator[None]:
    """Replace attributes of a class or module meanwhile."""
    with ExitStack() as stack:
        for name, value in changes.items():
            if not hasattr(owner, name):
                missing.add(f"{owner.__name__}.{name}")
                continue
            if name in vars(owner):
                stack.callback(setattr, owner, name, vars(owner)[name])
            else:  # inherited
                stack.callback(delattr, owner, name)
            setattr(owner, name, value)
        yield
