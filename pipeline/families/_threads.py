"""Limits on the threads of libraries with pools.

A library that has a pool of its own uses exactly as many threads as given.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any


def limited(n_threads: int | None, library: str) -> AbstractContextManager[Any]:
    """Return a context in which library pools use `n_threads`.

    The pools are those of BLAS and OpenMP; None leaves them alone. `library` is the module whose pools are meant. They
    are looked for once a library, as looking takes milliseconds and only finds what is loaded.
    """
    return nullcontext() if n_threads is None else _pools(library).limit(limits=n_threads)


@cache
def _pools(library: str) -> Any:
    from threadpoolctl import ThreadpoolController

    importlib.import_module(library)
    return ThreadpoolController()
