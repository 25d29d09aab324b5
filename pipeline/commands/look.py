"""Declares the commands that look at tables and runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stacktune.commands.app import RUN, Finished, Model, command
from stacktune.completion import COMPLETERS, run_folders
from stacktune.help import LOOK
from stacktune.process import become
from stacktune.settings.groups import BY_KEY
from stacktune.settings.options import takes
from stacktune.storage.run_folder import DEFAULT_PARENT
from stacktune.terminal import remark, say, say_address, width_of

LOOKED_AT = [
    *(BY_KEY[key] for key in ("data", "target", "task", "positive", "weight", "keep", "metric", "folds")),
    *(BY_KEY[key] for key in ("group", "time", "fold_column", "time_budget", "max_trials")),
]


@command(
    LOOK,
    "stacktune describe adult.parquet",
    "stacktune describe adult.parquet --target income",
    "stacktune describe adult.parquet --target income --json > adult.json",
)
@takes(LOOKED_AT, COMPLETERS)
def describe(
    flags: Mapping[str, Any],
    rows: Annotated[int, typer.Option(metavar="N", min=1, help="Look at so many rows, a sample.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Write all of it for programs.")] = False,
) -> None:
    """Look at a table as a run would."""
    from stacktune.progress import progress

    with progress("looking at the table"):
        from stacktune.report.described import show_described
        from stacktune.runs.describe import describe as look_at

        described = look_at(flags, rows)
    show_described(described, as_json, say)


@command(
    LOOK,
    f"stacktune leaderboard {RUN} --sort log_loss --top 5",
    f"stacktune leaderboard {RUN} --on labelled_rows.parquet",
)
def leaderboard(
    folder: Finished,
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help="Sort by it, best first. [default: rank]")] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Rows to show.")] = 20,
    on: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Score models on this labelled table, the best there first."),
    ] = None,
) -> None:
    """Show the leaderboard of a finished run."""
    from rich.console import Console

    from stacktune.report.results import read_results
    from stacktune.report.summary import leaderboard_table, on_column, sorted_by
    from stacktune.text import in_a_shell

    results = read_results(folder)
    if on is not None:
        from stacktune.runs.on_table import scored_on

        results, notes = scored_on(results, on, sort)
        sort = None if sort is None else on_column(results, sort)
        for note in notes:
            remark(f"Note: {note}")
    rows = results.leaderboard if sort is None else sorted_by(results, sort)
    Console().print(leaderboard_table(results, rows.head(top), sort))
    if width_of(sys.stdout) is not None:  # what reads a pipe is to find the table alone
        say(f"next: stacktune report {in_a_shell(str(folder))}")


@command(
    LOOK,
    f"stacktune report {RUN}",
)
def report(
    folder: Finished,
) -> None:
    """Write a run's report: one page."""
    from stacktune.places import check_place
    from stacktune.report.page.page import write_report
    from stacktune.storage.run_folder import RunFolder
    from stacktune.text import in_a_shell

    if folder.is_dir():
        check_place(RunFolder(folder).report, "the report", "Copy the run to where one can write, and name the copy.")
    say(in_a_shell(str(write_report(folder))))
    say("next: open it in a browser; it needs no network")


@command(
    LOOK,
    f"stacktune explain {RUN} labelled_rows.parquet --seconds 30",
)
def explain(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A labelled table that it has not learnt from.")],
    output: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write all of it there, as Parquet.")] = None,
    seconds: Annotated[float, typer.Option(metavar="S", min=1, help="Seconds that it may take.")] = 60.0,
    rows: Annotated[list[int] | None, typer.Option(metavar="N", help="Explain this row, too; may be repeated.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Score its levels, or fifths of its numbers; may be repeated."),
    ] = None,
) -> None:
    """Say which columns the leader predicts by."""
    from stacktune.runs.explain import explain as explain_model

    explain_model(model, data, output, seconds, rows or (), say, by or ())


@command(
    LOOK,
    f"stacktune events {RUN}",
)
def events(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A run folder, also of a run at work.", autocompletion=run_folders)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Pass on the lines of events.jsonl.")] = False,
) -> None:
    """Retell a run: what was decided when, and why."""
    from stacktune.report.retell import tell

    tell(folder, as_json, say)


@command(
    LOOK,
    f"stacktune ui {RUN}",
    "stacktune ui http://mlflow.example.org:5000",
)
def ui(
    store: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|URI", help="A run folder, a folder of runs, or an MLflow store.", autocompletion=run_folders
        ),
    ] = DEFAULT_PARENT,
) -> None:
    """Serve the MLflow UI on a run's trials."""
    from stacktune.tracking.ui import ui_page

    page = ui_page(store)
    say(
        "MLflow is at this address in some seconds; Ctrl-C ends it:" if page.is_served else "MLflow is at this address:"
    )
    say_address(page.url)
    become(page.command)
