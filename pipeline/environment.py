"""Environment variables, all set before a run has threads.

The problem: C code reads variables whenever it likes (`getenv`: Arrow, OpenMP, the C library itself), without Python's
lock. glibc moves its list of them when a name is added, and frees the old one: the process dies of a segmentation
fault if another thread is reading there. A run starts Ray on a thread while the main one reads the table, and both Ray
and we set variables; of some thousand runs one died so.

What would not help: a lock, which C code does not ask for; or making room in the list beforehand, as glibc makes it as
long as it must be each time.

So threads replace variables and take them away, which moves nothing, but add none. Whatever a run's threads are known
to set, libraries' own included, has a value before the first of them begins. What cannot be known so early, e.g. what a
plugin of the user's sets, is theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# What libraries set when they are imported or begin, each to what it means when it is not set.
SET_BY_LIBRARIES = {
    "KMP_INIT_AT_FORK": "FALSE",  # scikit-learn, to this
    "PYTHONBREAKPOINT": "",  # Ray
}


def set_defaults(values: Mapping[str, str]) -> None:
    """Set those variables that are not set yet."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables meanwhile, and unset those that are None."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
