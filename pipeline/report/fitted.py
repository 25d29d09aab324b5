"""Fits a table into a terminal without cutting numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table


@dataclass(frozen=True)
class Fitted:
    """A table that leaves out columns for width.

    A number is whole or not there. Texts are wrapped where nothing more may go.

    build: makes the table of some columns, by name. columns: all of them, in order. dropped: those that may go, the
    first of them first. flowing: a column that takes what room is left and wraps, if that is no less than `least`.
    """

    build: Callable[[Sequence[str]], Table]
    columns: Sequence[str]
    dropped: Sequence[str]
    flowing: str = ""
    least: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._fitting(console, options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._fitting(console, options))

    def _fitting(self, console: Console, options: ConsoleOptions) -> Table:
        left = list(self.columns)
        for name in (one for one in self.dropped if one in left):
            stiff = self.build([one for one in left if one != self.flowing])
            if _width(console, options, stiff) + self.least <= options.max_width:
                break
            left.remove(name)
        return self.build(left)


def _width(console: Console, options: ConsoleOptions, table: Table) -> int:
    return Measurement.get(console, options.update(width=10_000), table).maximum
