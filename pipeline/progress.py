"""Shows how far long work is.

It is one live line on stderr, and only where that is a terminal: nothing is written to a pipe or a file. Import it
inside functions, as rich takes a while.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from stacktune.streams import drawing, visible
from stacktune.text import amount, clock, size

Advance = Callable[[float], None]
BYTES = "bytes"
_REFRESH_HZ = 4
_BAR_WIDTH = 16


@contextmanager
def progress(
    what: str, total: float | None = None, unit: str = "rows", console: Console | None = None
) -> Iterator[Advance]:
    """Show a line while the block works.

    It goes when that is done. Yields a function that is told how many more units are done, on any thread.

    what: is done, as in "predicting". total: how many units there are, None where nobody knows. unit: what they are,
    or BYTES. console: stderr unless another is given.
    """
    console = console or Console(file=drawing(sys.stderr))
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda done: None
        return
    columns: list[ProgressColumn] = [SpinnerColumn("line"), TextColumn("{task.description}", markup=False)]
    columns += [BarColumn(_BAR_WIDTH), TextColumn("{task.percentage:>3.0f}%")] if total else []
    with Progress(*columns, _Facts(unit), console=console, transient=True, refresh_per_second=_REFRESH_HZ) as shown:
        task = shown.add_task(visible(what), total=total)
        yield lambda done: shown.advance(task, done)


@contextmanager
def steps(what: str, console: Console | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """Show a line for work of several steps.

    It goes when that is done. Yields a function that is told what is done now, how much of it, and of how much.

    what: is done until it is told. console: stderr unless another is given.
    """
    console = console or Console(file=drawing(sys.stderr))
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda what, n_done, n_in_all: None
        return
    columns: list[ProgressColumn] = [SpinnerColumn("line"), TextColumn("{task.description}", markup=False)]
    columns += [BarColumn(_BAR_WIDTH), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True, refresh_per_second=_REFRESH_HZ) as shown:
        task = shown.add_task(visible(what), total=None)

        def tell(what: str, n_done: int, n_in_all: int) -> None:
            shown.update(task, description=visible(what), completed=n_done, total=n_in_all)

        yield tell


class _Facts(ProgressColumn):
    """A progress line's figures."""

    max_refresh = 0.5

    def __init__(self, unit: str):
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(facts(task.completed, task.total, task.elapsed or 0.0, self._unit), "bright_black", no_wrap=True)


def facts(done: float, total: float | None, elapsed_s: float, unit: str) -> str:
    """Return a progress line's figures.

    They are how much is done, how fast, and what time is left.

    The rate is that of all the time until now, which is steadier than that of the last seconds.
    """
    if not done or elapsed_s <= 0:
        return clock(elapsed_s)
    rate = done / elapsed_s
    said = f"{_amount(done, unit)}, {_amount(rate, unit)}/s"
    return said + (f", {clock((total - done) / rate)} left" if total else f", {clock(elapsed_s)}")


def _amount(n: float, unit: str) -> str:
    return size(n) if unit == BYTES else amount(n, unit)
