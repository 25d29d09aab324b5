"""Says what the run's screen does not.

These are results, notes, and mistakes, each in a line.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

import typer

from stacktune.errors import DataWarning, UserError, disk_trouble, place_trouble
from stacktune.help import InGroups
from stacktune.storage.uris import masked
from stacktune.streams import visible


class Commands(InGroups):
    """Turns users' mistakes and Ctrl-C into exit statuses.

    Each becomes a line on stderr as well. There is no other place that does so.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            remark(f"Error: {error}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stopped:
            remark(str(stopped) or "Stopped by Ctrl-C.")
            raise typer.Exit(getattr(stopped, "status", 130)) from None
        except OSError as error:
            trouble = disk_trouble(error) or place_trouble(error)
            if trouble is None:
                raise
            remark(f"Error: {trouble}")
            raise typer.Exit(2) from None


def remark(message: str) -> None:
    """Write a remark to stderr, wrapped for a terminal.

    A pipe is left the whole line, which is easier to search.
    """
    line, width = visible(masked(message)), width_of(sys.stderr)
    if width is not None:
        line = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    typer.echo(line, file=sys.stderr)


def width_of(stream: TextIO) -> int | None:
    """Return a terminal's columns, None for what is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def say(line: str) -> None:
    """Write to stdout."""
    typer.echo(visible(masked(line)), file=sys.stdout)


def say_address(url: str) -> None:
    """Write an address, which is to hold no secret.

    What looks like one stays in it.
    """
    typer.echo(visible(url), file=sys.stdout)


@contextmanager
def data_warnings_as_notes() -> Iterator[None]:
    """Show warnings of a table as notes.

    Each is a line on stderr; other warnings come as ever.
    """
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if issubclass(category, DataWarning):
                remark(f"Note: {message}")
            else:
                usual(message, category, *where)

        warnings.showwarning = show  # type: ignore[assignment]  # what follows the line goes on as it came
        warnings.simplefilter("always", DataWarning)
        yield


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show a traceback without the secrets of URIs.

    It is otherwise shown as Python does.
    """
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))
