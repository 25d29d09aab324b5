"""Python's garbage collector, kept from going through what is no garbage, and from freeing what Ray would miss.

Importing Ray, MLflow and torch makes a million objects that stay. Python goes through all of them whenever their number
has grown by a quarter: 1.0 s of the 4.8 s of processor that the imports of a run take, in each of its processes.
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
    """Collect nothing meanwhile; several threads may ask for that at once."""
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
    """Collect nothing while something large is imported, and never go through it later."""
    with no_collection():
        yield
        gc.freeze()
