"""Writes the search's journal, one line an event.

A search that was cut off goes on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stacktune.storage.lines import LineFile, read_lines
from stacktune.trials.result import COMPLETED, TrialResult, result_from
from stacktune.trials.trial import Progress, Trial, progress_from, trial_from

BEGAN, ASKED, PROGRESSED, TOOK_UP, ENDED, ALIVE = "began", "asked", "progressed", "took_up", "ended", "alive"
# A run that is cut off has lost at most so much of what it knew of its time.
BEAT_S = 2.0


class Journal:
    """A file of events with the run's elapsed seconds.

    on_notice: hears, once, that the file cannot be written, or that nothing keeps another run from it.

    Raises:
        ConfigError: another run is writing it.
    """

    def __init__(self, path: Path, elapsed_s: Callable[[], float], on_notice: Callable[[str], None]):
        self._file = LineFile(
            path, lambda trouble: on_notice(f"{path} cannot be written ({trouble}): to resume would begin before here.")
        )
        if not self._file.is_locked:
            on_notice(
                f"the disk of {path.parent} has no file locks, so nothing keeps a second run out of that folder: "
                "begin none there before this one has ended"
            )
        self._elapsed_s = elapsed_s
        self._noted_s = elapsed_s()
        self.n_models = 0  # trials that were completed in this session

    def began(self, run: str) -> None:
        """Note which run a session is of."""
        self._write(BEGAN, {"run": run})

    def asked(self, trial: Trial) -> None:
        """Note that a trial was asked for."""
        self._write(ASKED, asdict(trial))

    def progressed(self, trial_id: str, progress: Progress) -> None:
        """Note that a trial reached a rung."""
        self._write(PROGRESSED, {"trial_id": trial_id, **asdict(progress)})

    def took_up(self, trial: Trial) -> None:
        """Note that a trial continues from another member's state."""
        self._write(TOOK_UP, asdict(trial))

    def ended(self, result: TrialResult) -> None:
        """Note a trial's result."""
        self.n_models += result.status == COMPLETED
        self._write(ENDED, asdict(result))

    def beat(self) -> None:
        """Note the run's elapsed time if nothing happened lately."""
        if self._elapsed_s() - self._noted_s >= BEAT_S:
            self._write(ALIVE, {})

    def close(self) -> None:
        """Stop noting, and let another process continue the file."""
        self._file.close()

    def _write(self, event: str, what: dict[str, Any]) -> None:
        self._noted_s = self._elapsed_s()
        self._file.append({"event": event, "elapsed_s": round(self._noted_s, 3), "what": what})


def read_journal(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each event and its content, in order.

    Nothing comes where there is no journal.
    """
    return ((event, what) for event, what, _ in read_timed(path))


def read_timed(path: Path) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Yield each event, its content and the elapsed seconds."""
    for line in read_lines(path, is_event):
        yield line["event"], line["what"], line["elapsed_s"]


def is_event(line: Any) -> bool:
    """Return whether a line says what a journal says."""
    try:
        event, what, elapsed_s = line["event"], line["what"], line["elapsed_s"]
        if event in (ASKED, TOOK_UP):
            trial_from(what)
        elif event == PROGRESSED:
            progress_from({name: value for name, value in what.items() if name != "trial_id"})
        elif event == ENDED:
            result_from(what)
        elif event == BEGAN and not isinstance(what["run"], str):
            return False
        return isinstance(elapsed_s, int | float) and isinstance(what.get("trial_id", ""), str)
    except (KeyError, TypeError, AttributeError, ValueError):
        return False


def elapsed_in(path: Path) -> float:
    """Return the run's elapsed seconds at the last event.

    They are 0 where there is no event.
    """
    return max((line["elapsed_s"] for line in read_lines(path, is_event)), default=0.0)


def runs_in(path: Path) -> set[str]:
    """Return the ids of runs that wrote this journal.

    More than one means that files were mixed.
    """
    return {what["run"] for event, what in read_journal(path) if event == BEGAN}
