"""The command line: its commands, and its end."""

from __future__ import annotations

import os
import sys

from typer.main import get_command

from stacktune.commands import keep, look, search, use
from stacktune.commands.app import app
from stacktune.completion import MARK
from stacktune.job import leave_status
from stacktune.places import lend_home
from stacktune.process import begin, end
from stacktune.stop import Stopped
from stacktune.terminal import show_traceback

# Each declares its commands as it is imported.
DECLARED = (search, look, use, keep)


def main() -> None:
    """Run the command that the arguments name.

    The process ends at once.
    """
    begin()
    lend_home()
    if MARK in os.environ:
        from typer.completion import completion_init

        completion_init()
    sys.excepthook = show_traceback
    try:
        get_command(app)()  # typer's own call would put its hook in the place of ours
    except SystemExit as asked:
        if not isinstance(asked.code, int | None):
            raise
        end(asked.code or 0)
    except Stopped as stopped:
        sys.stderr.write(f"{stopped}\n")
        end(stopped.status)
    finally:
        leave_status(1)
