"""Does what `stacktune run` asks.

It reads settings, opens the screen, searches, and shows the closing page.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from stacktune.errors import ConfigError
from stacktune.garbage import imports
from stacktune.logs import shown
from stacktune.places import check_working_folder
from stacktune.process import STARTED_AT
from stacktune.settings.problem import DEMO
from stacktune.stop import interruptible
from stacktune.terminal import say

DEMO_BUDGET = "30s"


def search_demo(flags: Mapping[str, Any], is_verbose: bool = False) -> None:
    """Search the table that comes with stacktune.

    It takes half a minute, unless the flags say how long.
    """
    budget = flags["time_budget"] or (None if flags["max_trials"] else DEMO_BUDGET)
    search({**flags, "time_budget": budget, "data": DEMO}, file=None, is_verbose=is_verbose)


def search(flags: Mapping[str, Any], file: str | None, resume: str | None = None, is_verbose: bool = False) -> None:
    """Run one search on the screen; show its results.

    It may be one that goes on.

    flags: settings by key, None where they were not typed. file: of settings. resume: the folder of a run, or its URI.
    is_verbose: whether the run's log is shown, too.

    Raises:
        ConfigError, DataError, SearchError: the user's mistakes.
    """
    if file is not None and resume is not None:
        raise ConfigError(f"--config {file!r} and --resume {resume!r} exclude each other: a run keeps its settings.")
    check_working_folder()
    from rich.console import Console

    from stacktune.host import use_cores
    from stacktune.report.screen import Screen
    from stacktune.search.cluster.address import VARIABLE, find_address
    from stacktune.settings.read import load_settings

    past, started_at = None, STARTED_AT
    if resume is None:
        settings = load_settings(flags, file)
    else:
        from stacktune.runs.mirror import downloaded
        from stacktune.runs.resume import resume_config

        folder, waited_s = downloaded(resume, flags.get("output"), say)
        settings, past = resume_config(folder, flags)
        started_at += waited_s - past.elapsed_s
    use_cores(None if find_address(settings.address, os.environ.get(VARIABLE)) else settings.n_cpus)
    console = Console()
    is_live = console.is_terminal and not console.is_dumb_terminal
    with interruptible(), Screen(console, is_live, started_at) as screen, ExitStack() as stack:
        if is_verbose:
            stack.enter_context(shown(screen.write))
        for note in past.notes if past else ():
            screen.note(note)
        with imports():  # of all libraries: seconds, in which the clock is already to be seen
            from stacktune.runs import driver

        summary = driver.run(settings, [screen], started_at, past)
    from stacktune.report.results import read_results
    from stacktune.report.summary import show_results
    from stacktune.text import as_typed

    results = read_results(as_typed(summary.folder))
    show_results(console, results, wall_s=time.monotonic() - started_at)
