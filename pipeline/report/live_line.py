"""Shows a line of progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def live_line() -> Iterator[Callable[[str, int, int], None]]:
    """Show on stderr what is done, of how much.

    The line is gone at the end. What is yielded takes what is done, how much of it is by now, and of how much.
    """
    if not sys.stderr.isatty():
        yield lambda what, n_done, n_in_all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %")
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predicting", total=None)

        def tell(what: str, n_done: int, n_in_all: int) -> None:
            bar.update(task, description=what, completed=n_done, total=n_in_all)

        yield tell
