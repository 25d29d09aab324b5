"""Keeps a run's decisions, a line each.

The problem: a run that is killed at any moment, and goes on any number of times, is to leave one story: no line twice,
and none missing. The journal notes what was asked and what came of it, but not why, nor what was made of it.

The solution: each decision is one line that is handed to the system at once. A session that goes on knows the lines
that are there and writes none of them again; what a session before it noted in the journal, and was killed before it
could tell, is told then. Of ensembles and leaders, which each session makes anew, a line is left out only where no
trial came since it was written.

What is guaranteed: what the journal has is told once. What is not: that a decision of which the journal knows nothing
was told, where the process was killed in between; it is made again then, and told.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from stacktune.metrics import Metric, is_defined
from stacktune.observers import Observer
from stacktune.search.decisions import (
    BROKE_OFF,
    ENSEMBLE_BUILT,
    INTERRUPTED,
    LEADER_CHOSEN,
    REGISTERED,
    WENT_ON,
    DecisionRecord,
    journaled,
    plain,
)
from stacktune.search.events import Event
from stacktune.storage.lines import LineFile, read_lines
from stacktune.storage.uris import masked

NOTE = "note"
# What a source of suggestions tells of itself, point by point.
LEARNED = "learned"
# Each of them is news whenever it comes.
_NEWS = (WENT_ON, BROKE_OFF, INTERRUPTED)
# They are news where a trial came since.
_CONCLUSIONS = (ENSEMBLE_BUILT, LEADER_CHOSEN, REGISTERED)
# The same decision takes another time when it is made again, and the journal does not know why one was made.
_CHANGING = ("elapsed_s", "fit_s", "predict_us", "why")


class EventFile(Observer):
    """An observer that writes `events.jsonl`.

    elapsed_s: the run's seconds. metric: turns scores to the side that people read.
    on_trouble: hears, once, why a line could not be written.

    Raises:
        ConfigError: another process writes the file.
    """

    def __init__(self, path: Path, elapsed_s: Callable[[], float], metric: Metric, on_trouble: Callable[[str], None]):
        self._elapsed_s, self._metric = elapsed_s, metric
        # Whoever is told that a line cannot be written may have this write that, too.
        self._lock = threading.RLock()
        self._last_of = ""
        self._told: set[str] = set()
        self._concluded: set[str] = set()
        self._file = LineFile(path, lambda trouble: on_trouble(f"{path} cannot be written: {trouble}"))
        for line in read_lines(path, is_event_line):
            self._is_news(line)

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.decided(DecisionRecord(BROKE_OFF, "", None, {"why": str(error) or kind.__name__}))
        self._file.close()

    def catch_up(self, journal: Path) -> None:
        """Tell what only the journal has."""
        for elapsed_s, decision in journaled(journal):
            self._write(elapsed_s, decision)

    def decided(self, decision: DecisionRecord) -> None:
        self._last_of = decision.of or self._last_of
        self._write(self._elapsed_s(), decision)

    def note(self, text: str) -> None:
        # A trial that begins again and a family that is set aside are noted as well as decided.
        if self._last_of and text.startswith(f"{self._last_of} "):
            return
        self.decided(DecisionRecord(NOTE, "", None, {"text": text}))

    def event(self, event: Event) -> None:
        what = {"step": event.step, "values": dict(event.values)}
        self._write(self._elapsed_s(), DecisionRecord(LEARNED, event.name, None, what))

    def _write(self, elapsed_s: float, decision: DecisionRecord) -> None:
        line: dict[str, Any] = {"event": decision.event, "elapsed_s": round(elapsed_s, 3)}
        if decision.of:
            line["of"] = decision.of
        if decision.score is not None:
            line["score"] = plain(self._metric.shown(decision.score)) if is_defined(decision.score) else None
        line |= {name: _masked(plain(value)) for name, value in decision.what.items()}
        with self._lock:
            if self._is_news(line):
                self._file.append(line)

    def _is_news(self, line: Mapping[str, Any]) -> bool:
        """Return whether a line is new; remember it."""
        event = line["event"]
        if event in _NEWS:
            return True
        key = json.dumps({name: value for name, value in line.items() if name not in _CHANGING}, sort_keys=True)
        seen = self._concluded if event in _CONCLUSIONS else self._told
        if key in seen:
            return False
        seen.add(key)
        if event not in (*_CONCLUSIONS, NOTE):
            self._concluded.clear()
        return True


def is_event_line(line: Any) -> bool:
    """Return whether a value is an event's line."""
    return (
        isinstance(line, dict)
        and isinstance(line.get("event"), str)
        and isinstance(line.get("elapsed_s"), int | float)
        and isinstance(line.get("of", ""), str)
    )


def _masked(value: Any) -> Any:
    return masked(value) if isinstance(value, str) else value
