"""Shows a run to somebody who fits an estimator.

In a notebook it is a display that is drawn anew, in a terminal the command's own screen, and a fitted estimator's HTML
has the outcome. Nothing is shown to a program that did not ask.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console

from stacktune.errors import ConfigError
from stacktune.observers import Observer, Snapshot
from stacktune.report.outputs import RunSummary
from stacktune.report.results import read_board
from stacktune.report.screen import Screen, plain_line
from stacktune.storage.run_folder import RunFolder
from stacktune.storage.uris import masked
from stacktune.text import number

# To draw a display anew is a message to the browser.
DRAWN_EVERY_S = 0.5
N_ROWS_SHOWN, N_NOTES_SHOWN = 10, 30
_STYLE = "font-family:monospace;font-size:12px;line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere"


@contextmanager
def watching(verbose: bool | None) -> Iterator[list[Observer]]:
    """Yield the observers that show a run.

    verbose: None shows it in a notebook only.
    """
    if _is_notebook() and verbose is not False:
        display = NotebookDisplay()
        try:
            yield [display]
        finally:
            display.close()
    elif verbose:
        with Screen(Console(), sys.stdout.isatty()) as screen:
            yield [screen]
    else:
        yield []


class NotebookDisplay(Observer):
    """Shows a run's state in a notebook's cell."""

    def __init__(self) -> None:
        from IPython.display import display

        self._notes: list[str] = []
        self._line, self._drawn_at = "starting", time.monotonic()
        self._handle = display(self, display_id=True)

    def snapshot(self, snapshot: Snapshot) -> None:
        self._line = plain_line(snapshot).strip()
        self._draw()

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._draw()

    def close(self) -> None:
        """Draw the last state."""
        self._draw(at_once=True)

    def _repr_html_(self) -> str:
        rows = [*self._notes[-N_NOTES_SHOWN:], self._line]
        lines = "".join(f"<div>{escape(masked(text))}</div>" for text in rows[:-1])
        return f'<div style="{_STYLE}">{lines}<div><b>{escape(masked(rows[-1]))}</b></div></div>'

    def __repr__(self) -> str:
        return masked(self._line)

    def _draw(self, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self._drawn_at > DRAWN_EVERY_S:
            self._drawn_at = time.monotonic()
            self._handle.update(self)


def html_of(facts: RunSummary, threshold: float) -> str:
    """Return a run's outcome and its best rows."""
    rule = f", decides at {threshold:.3g}" if facts.threshold is not None else ""
    verdict = (
        f"{facts.leader} leads with {facts.metric} {number(facts.cv_score)} on held-out rows{rule}; "
        f"{facts.n_completed:,} trials completed, {facts.n_stopped:,} stopped, {facts.n_failed:,} failed "
        f"in {facts.wall_s:.0f} s. Folder: {facts.folder}"
    )
    return f'<div style="{_STYLE}">{escape(masked(verdict))}</div>{_rows_of(Path(facts.folder))}'


def _rows_of(folder: Path) -> str:
    try:
        board = read_board(RunFolder(folder))
    except ConfigError:  # the run's folder is gone; the model is not
        return ""
    shown = board.loc[:, ["name", "family", "status", "score", "score_se", "fit_s", "predict_us"]].head(N_ROWS_SHOWN)
    return shown.to_html(index=False, float_format=_four_digits, border=0)


def _four_digits(value: float) -> str:
    return f"{value:.4g}"


def _is_notebook() -> bool:
    """Return whether a notebook's kernel runs this."""
    shell: Any = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return kernel is not None and hasattr(kernel, "kernel")
