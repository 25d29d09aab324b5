"""Declares the commands that search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from stacktune.commands.app import RUN, Verbose, command
from stacktune.completion import COMPLETERS, preset_names, run_folders
from stacktune.help import SEARCH
from stacktune.settings.groups import BY_KEY, SETTINGS
from stacktune.settings.options import InSections, takes
from stacktune.terminal import say

DEMO_SETTINGS = [
    BY_KEY["time_budget"].without_it("30s unless --max-trials"),
    *(BY_KEY[key] for key in ("max_trials", "seed", "output", "cpus")),
]


@command(
    SEARCH,
    "stacktune demo",
    "stacktune demo --max-trials 12 --seed 1",
)
@takes(DEMO_SETTINGS, COMPLETERS)
def demo(flags: Mapping[str, Any], verbose: Verbose = False) -> None:
    """Try it: a real table, half a minute."""
    from stacktune.runs.command import search_demo

    search_demo(flags, verbose)


@command(
    SEARCH,
    "stacktune run adult.parquet --target income --time-budget 10m",
    "stacktune run adult.parquet --target income --max-trials 20 --seed 1",
    f"stacktune run --resume {RUN} --time-budget 30m",
    cls=InSections,
)
@takes(SETTINGS, COMPLETERS)
def run(
    flags: Mapping[str, Any],
    config: Annotated[
        str | None, typer.Option(metavar="run.yaml", help="The same settings in a file; flags win.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URI",
            help="Go on with the run there; --time-budget and --max-trials may give it more.",
            autocompletion=run_folders,
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Find and register the best model of a table."""
    from stacktune.runs.command import search

    search(flags, config, resume, verbose)


@command(
    SEARCH,
    "stacktune presets best",
)
def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them. [default: all]", autocompletion=preset_names)
    ] = None,
) -> None:
    """Show the settings that each --preset stands for."""
    from stacktune.settings.presets import show_presets

    show_presets(name, say)
