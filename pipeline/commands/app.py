"""The command line, less its commands.

What is slow to import is imported inside the command that needs it, so that help is instant.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stacktune import __version__
from stacktune.completion import models, run_folders
from stacktune.help import WithExamples
from stacktune.settings.options import Command
from stacktune.terminal import Commands

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\n".join(
        (
            "stacktune demo",
            "stacktune describe adult.parquet --target income",
            "stacktune run adult.parquet --target income --time-budget 10m",
            "stacktune COMMAND --help",
        )
    ),
)
RUN = "stacktune-runs/adult"
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A run folder, a model folder or models:/NAME@leader.", autocompletion=models),
]
Finished = Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.", autocompletion=run_folders)]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show what goes into run.log, too.")]


def command(group: str, *examples: str, cls: type[WithExamples] = WithExamples) -> Callable[[Command], Command]:
    """Declare a command, its group and examples."""
    return app.command(cls=cls, rich_help_panel=group, epilog="\n".join(examples))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"stacktune {__version__}")
        raise typer.Exit


@app.callback()
def stacktune(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Find a table's best model within a time budget.

    The model is registered.
    """
