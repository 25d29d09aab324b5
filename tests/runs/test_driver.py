from __future__ import annotations

import signal
from types import SimpleNamespace

from stacktune.runs import driver
from stacktune.stop import Stopped, StopRequest


class StoppedRay:
    """A Ray for which a signal is heard while it comes up."""

    def size(self, until: float) -> None:
        raise Stopped(signal.SIGTERM)


class DoneFirst:
    """A first model that is there already."""

    def wait(self, timeout_s: float) -> bool:
        return True


def test_a_run_that_is_stopped_while_ray_comes_up_ends_with_its_first_model(monkeypatch):
    monkeypatch.setattr(driver, "search_ends_at", lambda *_args, **_named: 0.0)
    monkeypatch.setattr(driver, "prepare", lambda: None)
    said: list[str] = []
    stop = StopRequest(said.append)
    start = SimpleNamespace(clock=None, pace=SimpleNamespace(usual_s=1.0))
    data = SimpleNamespace(problem=None, test=None)

    assert driver._ray_up(start, data, StoppedRay(), DoneFirst(), stop) is None

    assert stop.number == signal.SIGTERM
    assert said == ["SIGTERM: the run ends with what it has; once more ends it at once"]
