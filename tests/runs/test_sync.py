"""What is sent late is told of while it is sent."""

from __future__ import annotations

from stacktune.runs.sync import _fewer


def test_sync_tells_how_many_runs_are_sent():
    told: list[float] = []
    tell = _fewer(5, told.append)
    for n_waiting in (5, 3, 4, 0):
        tell(n_waiting)
    assert (told, sum(told)) == ([0, 2, 0, 3], 5)
