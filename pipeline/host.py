"""Counts usable cores, and keeps libraries to them.

This process may use fewer than the machine has. A model that is served needs this too, so it imports nothing that would
have to be installed beside it.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from stacktune.cgroups import cpu_quota

# Read by libraries when they are loaded: OpenMP's number is that of every thread that begins later, which no call of
# threadpoolctl's reaches; Arrow goes by it too. Loky's is also joblib's and scikit-learn's.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
SHARED_MEMORY = Path("/dev/shm")
_kept_to: int | None = None


@dataclass(frozen=True)
class Cores:
    """The whole cores that this process may use.

    limited_by: why these are fewer than the machine's, or only partly.
    """

    n: int
    n_of_machine: int
    limited_by: str = ""

    @property
    def note(self) -> str:
        """Return what limits the number, in words.

        It stands behind the number, as in " (of 64: a quota of 0.5 cores)", and is empty where nothing does.
        """
        return f" (of {self.n_of_machine}: {self.limited_by})" if self.limited_by else ""

    def at_most(self, n_wanted: int | None) -> Cores:
        """Return the cores, at most `n_wanted`.

        None asks for all.
        """
        return self if n_wanted is None or n_wanted >= self.n else Cores(n_wanted, self.n_of_machine, "--cpus")


def cores_here() -> Cores:
    """Return the cores by affinity and quota.

    A quota is rounded down, but for less than one core: what is left over is the driver's and Ray's, whose processes no
    slot counts. A group that has used its quota up stands still as a whole, the process that watches the time too.
    """
    n_of_machine = os.cpu_count() or 1
    n_bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else n_of_machine
    quota = cpu_quota()
    if quota is not None and quota < n_bound:
        unit = "core" if quota == 1 else "cores"
        return Cores(max(1, math.floor(quota)), n_of_machine, f"a quota of {quota:.3g} {unit}")
    limited_by = "those that this process is bound to" if n_bound < n_of_machine else ""
    return Cores(n_bound, n_of_machine, limited_by)


def shared_memory_free() -> int | None:
    """Return the free bytes of shared memory.

    They are those of its file system, 64 MB by docker's default. It is None without one.
    """
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def n_cores() -> int:
    """Return how many threads this process may use.

    It should have at most so many at work.
    """
    n = cores_here().n
    return n if _kept_to is None else min(n, _kept_to)


def use_cores(n_wanted: int | None = None) -> int:
    """Limit this process's cores; return the limit.

    The process, and the libraries that it loads, use so many at most.

    n_wanted: None for all that are allowed. What a user has set lower in the environment stays.
    """
    from threadpoolctl import threadpool_limits

    global _kept_to
    n = cores_here().n
    _kept_to = n = n if n_wanted is None else min(n, n_wanted)
    for name in THREAD_VARIABLES:
        text = os.environ.get(name, "").partition(",")[0].strip()
        os.environ[name] = str(min(n, int(text)) if text.isdigit() and int(text) else n)
    threadpool_limits(min(n, int(os.environ["OMP_NUM_THREADS"])))
    return n
