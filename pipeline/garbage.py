"""Pauses Python's garbage collector at busy moments.

These are when libraries are imported and when Ray ends. Importing Ray, MLflow and torch makes a million objects that
stay. Python goes through all of them whenever their number has grown by a quarter: 1.0 s of the 4.8 s of processor that
the imports of a run take, in each of its processes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_n_at_work = 0
_is_wanted = True


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector meanwhile.

    Several threads may do so at once; it goes on when the last has ended, if it was on before the first.
    """
    global _n_at_work, _is_wanted
    with _lock:
        if not _n_at_work:
            _is_wanted = gc.isenabled()
        _n_at_work += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _n_at_work -= 1
            if not _n_at_work and _is_wanted:
                gc.enable()


@contextmanager
def imports() -> Iterator[None]:
    """Pause the collector while something large is imported.

    What exists at the end is left out of all later collections.
    """
    with no_collection():
        yield
        gc.freeze()


@contextmanager
def thawed() -> Iterator[None]:
    """Give the collector back what `imports` froze meanwhile.

    Where something was frozen before, that is another's, and all stays frozen.
    """
    is_own = not gc.get_freeze_count()
    try:
        yield
    finally:
        if is_own:
            gc.unfreeze()
