"""Holds Ray for as long as a run lasts."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from stacktune.errors import SearchError
from stacktune.host import cores_here
from stacktune.runs.pace import Clock
from stacktune.search.cluster.joined_ray import may_find_token
from stacktune.search.cluster.start import give_way, is_private, set_variables, start_ray, stop_ray
from stacktune.search.plan.plan import ClusterSize
from stacktune.search.tune.engine import Search
from stacktune.settings.groups import ClusterSettings
from stacktune.tracking.client import be_quiet

# How long Ray is waited for at least at a run's end, however late it is.
MIN_PATIENCE_S = 0.5
# A program goes on after its run, and no Ray of ours is to stay in it. On a busy machine a trial's process may be at
# its imports for a minute yet, and Tune waits for it; what a library holds for ever is not waited for.
MAX_TUNE_IN_PROGRAM_S = 600.0
# A mistake that shows in the table is told sooner where no Ray has to come up first, only to be ended. Small tables are
# read by then; to read large ones takes longer than to start Ray.
HEAD_START_S = 1.0


class RayStart:
    """Ray starts while the table is read.

    A private one lets the table begin.

    is_command: whether the process ends with the run, so that Ray need not be waited for, and all children are Ray's.
    """

    def __init__(self, config: ClusterSettings, is_command: bool = True):
        self._executor = ThreadPoolExecutor(1, "ray")
        self._is_closed = False
        self._is_read = threading.Event()
        self._end: Future | None = None
        self._n_cpus, self._is_private = config.n_cpus, is_private(config.address)
        self._is_command = is_command
        # What the tracker and Ray would set on threads of their own.
        be_quiet()
        set_variables(config.address, config.n_cpus)
        self._start = self._executor.submit(self._begin, config)
        if not self._is_private and may_find_token():
            wait([self._start])

    def _begin(self, config: ClusterSettings) -> ClusterSize:
        if self._is_private:
            self._is_read.wait(HEAD_START_S)
        if self._is_closed:
            raise SearchError("the run was over before Ray began")
        return start_ray(config.address, config.n_cpus, config.n_gpus, config.max_memory_bytes)

    def table_is_read(self) -> None:
        """Begin, if nothing has begun yet."""
        self._is_read.set()

    def known_size(self) -> ClusterSize:
        """Return what is known before Ray is up.

        Of this machine it is its cores; of a cluster, which is up, it is all.
        """
        if self._is_private:
            return ClusterSize(cores_here().at_most(self._n_cpus).n, 0)
        return self._start.result()

    def size(self, until: float = math.inf) -> ClusterSize | None:
        """Wait until Ray is up; return what it offers.

        Raises SearchError where it has not what was asked for.

        until: on `time.monotonic()`'s scale; None is returned where Ray is not up by then.
        """
        try:
            return self._start.result(None if math.isinf(until) else max(0.0, until - time.monotonic()))
        except TimeoutError:
            if self._start.done():
                raise
            return None

    def give_way(self) -> None:
        """Let a late Ray start behind this process.

        There is no way back from its start.
        """
        if self._is_private and self._is_command:
            give_way()

    def leave(self, search: Search) -> None:
        """Let Tune end and let go of Ray.

        Neither is waited for.
        """
        closed = self._executor.submit(search.close, None if self._is_command else MAX_TUNE_IN_PROGRAM_S)
        self._end = self._executor.submit(lambda: stop_ray(closed.exception() is not None or closed.result()))

    def close(self, patience_s: float = math.inf) -> None:
        """Let go of Ray; wait until it is gone.

        patience_s: the longest wait; what is private then ends with this process.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._is_read.set()
        if self._end is None:
            self._end = self._executor.submit(stop_ray)
        wait([self._end], None if math.isinf(patience_s) else patience_s)
        self._executor.shutdown(wait=math.isinf(patience_s))


@contextmanager
def ray_session(config: ClusterSettings, clock: Clock, is_command: bool = True) -> Iterator[RayStart]:
    """Start or join Ray; leave it at the end.

    It starts in the background, and ends in order as far as there is time for that.

    is_command: whether the process ends with the run; a program is given Ray's end, however long that takes.
    """
    ray, patience_s = RayStart(config, is_command), math.inf
    try:
        yield ray
        if is_command:
            patience_s = max(MIN_PATIENCE_S, clock.remaining_s())
    finally:
        ray.close(patience_s)
