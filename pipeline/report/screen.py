"""Shows a search while it runs.

A terminal has a live view of 80 columns, and plain lines go anywhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stacktune.observers import Observer, Snapshot
from stacktune.storage.uris import masked
from stacktune.streams import visible
from stacktune.text import clock, count, number

WIDTH = 80
LABEL_WIDTH = 12  # "registering", the longest phase, and a column to spare
REFRESH_HZ = 2  # one drawing takes about 4 ms, in the process that also runs Ray's event loop
BEST_EVERY_S = 5.0
NEWS_EVERY_S = 60.0


class Screen(Observer):
    """Shows snapshots.

    It is a context manager, so that the terminal is left as it was found.
    """

    def __init__(
        self,
        console: Console,
        live: bool,
        started_at: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ):
        self._console = console
        self._now = now
        self._started_at = now() if started_at is None else started_at
        self._snapshot = Snapshot(elapsed_s=now() - self._started_at, phase="starting")
        self._live = (
            Live(console=console, refresh_per_second=REFRESH_HZ, get_renderable=self._view, vertical_overflow="crop")
            if live
            else None
        )
        self._lines = PlainLines()

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def snapshot(self, snapshot: Snapshot) -> None:
        """Show the newest state; cheap enough for every event."""
        self._snapshot = snapshot
        if not self._live:
            for line in self._lines.news(snapshot):
                self.write(line)

    def note(self, text: str) -> None:
        """Write one line above the live view."""
        self.write(text)

    def write(self, text: str) -> None:
        """Write one line above the view, or logged."""
        self._console.print(Text(visible(masked(text))), soft_wrap=not self._console.is_terminal)

    def _view(self) -> RenderableType:
        # The clock goes on by itself, also while the driver stacks and has no news.
        return view(replace(self._snapshot, elapsed_s=self._now() - self._started_at))


class PlainLines:
    """Writes what is new in a snapshot.

    That is a phase, a better score (every 5 s at most), or a sign of life each minute.
    """

    def __init__(self) -> None:
        self._phase: str | None = None
        self._best: float | None = None
        self._spoke_at_s = 0.0

    def news(self, snapshot: Snapshot) -> list[str]:
        """Return the lines to write for `snapshot`."""
        silent_s = snapshot.elapsed_s - self._spoke_at_s
        new_phase = snapshot.phase != self._phase
        new_best = snapshot.best != self._best and snapshot.best is not None and silent_s >= BEST_EVERY_S
        if not (new_phase or new_best or silent_s >= NEWS_EVERY_S):
            return []
        self._phase, self._best, self._spoke_at_s = snapshot.phase, snapshot.best, snapshot.elapsed_s
        return [plain_line(snapshot)]


def plain_line(snapshot: Snapshot) -> str:
    """Return the state in one line."""
    line = f"{clock(snapshot.elapsed_s):>7}  {snapshot.phase}"
    if snapshot.n_ended or snapshot.n_running:
        line += f": {_counts(snapshot)}"
    if snapshot.best is not None:
        line += f", best {snapshot.metric_name} {number(snapshot.best)} by {snapshot.best_name}"
    return line


def _counts(snapshot: Snapshot) -> str:
    parts = [(snapshot.n_completed, "done"), (snapshot.n_running, "running"), (snapshot.n_stopped, "stopped")]
    if snapshot.n_failed:
        parts.append((snapshot.n_failed, "failed"))
    return ", ".join(f"{n:,} {word}" for n, word in parts)


def view(snapshot: Snapshot) -> RenderableType:
    """Return the live view, at most 80 columns wide."""
    parts: list[RenderableType] = [_budget_row(snapshot)]
    if snapshot.n_ended or snapshot.n_running:
        parts.append(_facts(snapshot))
    if snapshot.families:
        parts += [Text(), _family_table(snapshot)]
    return Padding(Group(*parts), (1, 2, 1, 2), expand=False)


def _budget_row(snapshot: Snapshot) -> Table:
    """Return the phase, the budget's bar and the clock.

    The bar is of the trials where there is no time budget.
    """
    if snapshot.budget_s is not None:
        done, limit = snapshot.elapsed_s / snapshot.budget_s, f" of {clock(snapshot.budget_s)}"
    elif snapshot.max_trials is not None:
        done, limit = snapshot.n_ended / snapshot.max_trials, ""
    else:
        done, limit = 0.0, ""
    bar = ProgressBar(total=1.0, completed=min(done, 1.0), style="bright_black", complete_style="cyan")
    row = Table.grid(padding=(0, 2))
    row.add_column(width=LABEL_WIDTH, no_wrap=True)
    row.add_column(width=WIDTH - LABEL_WIDTH - 28)
    row.add_column(justify="right", width=20, no_wrap=True)
    row.add_row(Text(snapshot.phase, style="bold"), bar, f"{clock(snapshot.elapsed_s)}{limit}")
    return row


def _facts(snapshot: Snapshot) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(width=LABEL_WIDTH, style="bright_black")
    rows.add_column(overflow="ellipsis", no_wrap=True, max_width=WIDTH - LABEL_WIDTH - 6)
    limit = f" of {count(snapshot.max_trials, 'trial')}" if snapshot.max_trials is not None else ""
    rows.add_row("trials", f"{_counts(snapshot)}{limit}")
    if snapshot.best is not None:
        best = Text.assemble((number(snapshot.best), "bold green"), f" {snapshot.metric_name}  {snapshot.best_name}")
        rows.add_row("best", best)
    return rows


def _family_table(snapshot: Snapshot) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black", pad_edge=False)
    table.add_column("family", width=20, no_wrap=True)
    for name in ("running", "done", "stopped", "failed"):
        table.add_column(name, justify="right", width=7)
    table.add_column("best", justify="right", width=12, no_wrap=True)
    for family in snapshot.families:
        counts = (family.n_running, family.n_completed, family.n_stopped, family.n_failed)
        cells = [Text(f"{n:,}") if n else Text("·", style="bright_black") for n in counts]
        leads = family.best is not None and family.best == snapshot.best
        table.add_row(family.name, *cells, Text(number(family.best), style="green" if leads else ""))
    return table
