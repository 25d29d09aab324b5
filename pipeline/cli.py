"""The command line. What is slow to import is imported inside the command that needs it, so that help is instant."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from stacktune import __version__
from stacktune.errors import ConfigError
from stacktune.garbage import imports
from stacktune.job import leave_status
from stacktune.places import check_working_folder, lend_home
from stacktune.process import STARTED_AT, begin, end
from stacktune.stop import Stopped, interruptible, unlisten
from stacktune.storage.run_folder import DEFAULT_PARENT, find_leader
from stacktune.storage.uris import masked_uri
from stacktune.terminal import Commands, data_warnings_as_notes, say, show_traceback

DEMO_BUDGET = "30s"


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TimeBudget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Wall clock of the whole run: 90, 90s, 10m, 2h. [default: 10m unless --max-trials]"
    ),
]
MaxTrials = Annotated[
    int | None,
    typer.Option(metavar="N", help="Trials at most. Without --time-budget the run is reproducible: a seed, a result."),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Root of every random choice. [default: 0]")]
Output = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Where results go. [default: stacktune-runs/<time>-<data name>]"),
]
Cpus = Annotated[int | None, typer.Option(metavar="N", help="CPU cores to use. [default: all]")]


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
    """Find the best model for a table within a time budget, and register it."""


@app.command()
def demo(
    context: typer.Context,
    time_budget: TimeBudget = None,
    max_trials: MaxTrials = None,
    seed: Seed = None,
    output: Output = None,
    cpus: Cpus = None,
) -> None:
    """Try it: a real table, half a minute."""
    from stacktune.config import DEMO

    budget = time_budget or (None if max_trials else DEMO_BUDGET)
    _search({**context.params, "time_budget": budget, "data": DEMO}, config_file=None)


@app.command()
def run(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="A Parquet file, a folder of them, or a URI (s3://, gs://, file://). CSV is read too, but slower.",
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict.")] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="auto, binary, multiclass or regression. [default: auto]"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What is optimised. [default: roc_auc, log_loss or rmse, by the task]"),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Of two classes, the one that f1 is about. [default: True, yes, the larger or the rarer]",
        ),
    ] = None,
    time_budget: TimeBudget = None,
    max_trials: MaxTrials = None,
    max_failures: Annotated[
        int | None,
        typer.Option(metavar="N", help="How often a trial may lose its process before it has failed. [default: 3]"),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Model families to try, e.g. lightgbm,xgboost. [default: all]"),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="N", help="Folds; 1 holds rows out once. [default: by size]")
    ] = None,
    predict_budget: Annotated[
        float | None,
        typer.Option(metavar="US", help="Microseconds of one core that the leader may take for a row. [default: any]"),
    ] = None,
    controller: Annotated[
        str | None,
        typer.Option(
            metavar="S,K,M",
            help="Shards, replicas and children a batch of an architecture search. [default: by cores]",
        ),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Labelled rows on which the finished models are judged, once."),
    ] = None,
    test_size: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Split this share of the rows off first and judge on it, e.g. 0.2."),
    ] = None,
    sample_rows: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Read a sample of so many rows, with the share that each class has. [default: all]"
        ),
    ] = None,
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of sample weights.")] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,…", help="Learn from these even if they look like row numbers or identifiers."),
    ] = None,
    seed: Seed = None,
    output: Output = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Keep a copy of the folder below it (s3://, gs://, a shared disk)."),
    ] = None,
    cpus: Cpus = None,
    gpus: Annotated[int | None, typer.Option(metavar="N", help="GPUs to use. [default: all]")] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|local|HOST:PORT", help="A running Ray cluster. [default: RAY_ADDRESS, or this machine alone]"
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help="MLflow store. [default: sqlite:///…/mlflow.db beside the output]"),
    ] = None,
    tracking_optional: Annotated[
        bool | None,
        typer.Option("--tracking-optional", help="Go on where the store cannot be used, and keep what it misses."),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="MLflow experiment. [default: the data's name]")
    ] = None,
    register: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the registered model. [default: the data's name]")
    ] = None,
    no_code: Annotated[
        bool | None,
        typer.Option("--no-code", help="Leave our code out of the model: only for servers with stacktune installed."),
    ] = None,
    input_example: Annotated[
        str | None,
        typer.Option(metavar="made-up|real", help="Rows that travel with the model. [default: made-up]"),
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="run.yaml", help="The same settings in a file; flags win.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URI",
            help="Go on with the run there; --time-budget and --max-trials may give it more.",
        ),
    ] = None,
) -> None:
    """Find and register the best model of a table."""
    if config is not None and resume is not None:
        raise ConfigError(f"--config {config!r} and --resume {resume!r} exclude each other: a run keeps its settings.")
    _search({name: value for name, value in context.params.items() if name not in ("config", "resume")}, config, resume)


def _search(flags: Mapping[str, Any], config_file: str | None, resume: str | None = None) -> None:
    """Run one search on the screen, or go on with one, and close with its results."""
    check_working_folder()
    from rich.console import Console

    from stacktune.config import load_config
    from stacktune.host import use_cores
    from stacktune.report.screen import Screen
    from stacktune.search.cluster.address import VARIABLE, find_address

    past, started_at = None, STARTED_AT
    if resume is None:
        config = load_config(flags, config_file)
    else:
        from stacktune.run.mirror import brought_here
        from stacktune.run.resume import resume_config

        folder, waited_s = brought_here(resume, flags.get("output"), say)
        config, past = resume_config(folder, flags)
        started_at += waited_s - past.elapsed_s
    use_cores(None if find_address(config.address, os.environ.get(VARIABLE)) else config.n_cpus)
    console = Console()
    is_live = console.is_terminal and not console.is_dumb_terminal
    with interruptible(), Screen(console, is_live, started_at) as screen:
        for note in past.notes if past else ():
            screen.note(note)
        with imports():  # of all libraries: seconds, in which the clock is already to be seen
            from stacktune.run import driver

        summary = driver.run(config, [screen], started_at, past)
    from stacktune.report.summary import read_results, show_results
    from stacktune.report.text import as_typed

    results = read_results(as_typed(summary.folder))
    show_results(console, results, data=masked_uri(config.data), wall_s=time.monotonic() - started_at)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, a model folder or models:/NAME@leader.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table in any format that `run` reads.")],
    output: Annotated[
        str, typer.Option(metavar="FILE", help="A file that ends in .parquet or .csv.")
    ] = "predictions.parquet",
) -> None:
    """Write a prediction for each row of a table."""
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.data.read import read_for
    from stacktune.data.write import check_writable, write_frame
    from stacktune.ensemble.leader import Leader

    check_writable(output)
    leader = Leader.load(_leader_folder(model))
    with data_warnings_as_notes():
        predictions = leader.predict(read_for(leader.schema, data))
    write_frame(predictions, output)
    positive = leader.task.positive
    decided = "" if positive is None else f"; {positive} from a probability of {leader.threshold:.3g} on"
    say(f"{len(predictions):,} predictions in {output}{decided}")


def _leader_folder(model: str) -> Path:
    """Return the folder that holds the leader of MODEL: a run folder, a model folder or a registry URI."""
    if model.startswith("models:"):
        from stacktune.tracking.registry import resolve_model

        root = resolve_model(model)
    else:
        root = Path(model)
    found = find_leader(root)
    if found is None:
        raise ConfigError(
            f"there is no model in {model!r}: name a run folder, its leader folder, or models:/NAME@leader."
        )
    return found


@app.command()
def leaderboard(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.")],
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help="Sort by it, best first. [default: rank]")] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Rows to show.")] = 20,
) -> None:
    """Show the leaderboard of a finished run."""
    from rich.console import Console

    from stacktune.report.summary import leaderboard_table, read_results, sorted_by

    results = read_results(folder)
    rows = results.leaderboard if sort is None else sorted_by(results, sort)
    Console().print(leaderboard_table(results, rows.head(top), sort))


@app.command()
def sync(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.")],
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="The run's store, where its password was not kept.")
    ] = None,
) -> None:
    """Send MLflow what it missed of a run while it was away."""
    from stacktune.run.sync import sync as send

    send(folder, tracking_uri, say)


@app.command()
def ui(
    store: Annotated[
        str, typer.Argument(metavar="FOLDER|URI", help="A run folder, a folder of runs, or an MLflow store.")
    ] = DEFAULT_PARENT,
) -> None:
    """Open the MLflow UI on a run's trials."""
    from stacktune.tracking.ui import ui_command

    command = ui_command(store)
    say(" ".join(command))
    sys.stdout.flush()
    unlisten()
    os.execvp(command[0], command)


def main() -> None:
    """Run the command that the arguments name, and end the process at once."""
    begin()
    lend_home()
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
