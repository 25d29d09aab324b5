"""The command line.

What is slow to import is imported inside the command that needs it, so that help is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from stacktune import __version__
from stacktune.completion import COMPLETERS, MARK, Shell, models, preset_names, run_folders, script_for
from stacktune.help import KEEP, LOOK, SEARCH, USE, WithExamples
from stacktune.job import leave_status
from stacktune.places import lend_home
from stacktune.process import become, begin, end
from stacktune.settings.groups import BY_KEY, SETTINGS
from stacktune.settings.options import Command, InSections, takes
from stacktune.stop import Stopped
from stacktune.storage.run_folder import DEFAULT_PARENT
from stacktune.terminal import Commands, remark, say, say_address, show_traceback

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
    USE,
    f"stacktune predict {RUN} new_rows.parquet",
    "stacktune predict models:/adult@leader new_rows.csv --output predictions.csv",
)
def predict(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table in any format that `run` reads.")],
    output: Annotated[
        str, typer.Option(metavar="FILE", help="A file that ends in .parquet or .csv.")
    ] = "predictions.parquet",
) -> None:
    """Write a prediction for each row of a table."""
    from stacktune.runs.predict import predict as write_predictions

    write_predictions(model, data, output)


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
    USE,
    f"stacktune export {RUN} --format onnx --output model.onnx",
    f"stacktune export {RUN} --format container --output scoring",
)
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, a model folder or models:/NAME@leader.")],
    form: Annotated[
        str, typer.Option("--format", metavar="onnx|container", help="One graph, or a folder for docker build.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file or folder. [default: model.onnx or scoring/]")
    ] = None,
    check: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Hold the graph to the model's predictions of it, too.")
    ] = None,
) -> None:
    """Take the leader elsewhere: ONNX, or a container."""
    from stacktune.runs.export import export as write_elsewhere

    write_elsewhere(model, form, output, check, say)


@command(
    USE,
    f"stacktune distil {RUN} adult.parquet --output small",
)
def distil(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a finished run.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="The table that it learnt from.")],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the model.")] = Path("distilled"),
    family: Annotated[str, typer.Option(metavar="NAME", help="The family to teach.")] = "lightgbm",
    test: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Judge both on this labelled table, which neither has seen.")
    ] = None,
) -> None:
    """Teach one small model what the leader says."""
    from stacktune.runs.distil import distil as teach

    teach(model, data, output, family, test, say)


@command(
    LOOK,
    f"stacktune leaderboard {RUN} --sort log_loss --top 5",
    f"stacktune leaderboard {RUN} --on labelled_rows.parquet",
)
def leaderboard(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.", autocompletion=run_folders)],
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help="Sort by it, best first. [default: rank]")] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Rows to show.")] = 20,
    on: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Score models on this labelled table, the best there first."),
    ] = None,
) -> None:
    """Show the leaderboard of a finished run."""
    from rich.console import Console

    from stacktune.report.summary import leaderboard_table, read_results, sorted_by

    results = read_results(folder)
    if on is not None:
        from stacktune.runs.on_table import scored_on

        results, notes = scored_on(results, on)
        for note in notes:
            remark(f"Note: {note}")
    rows = results.leaderboard if sort is None else sorted_by(results, sort)
    Console().print(leaderboard_table(results, rows.head(top), sort))


@command(
    LOOK,
    f"stacktune report {RUN}",
)
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a finished run.")],
) -> None:
    """Write a run's report: one page."""
    from stacktune.report.page.page import write_report
    from stacktune.report.summary import in_a_shell

    say(in_a_shell(str(write_report(folder))))
    say("next: open it in a browser; it needs no network")


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
    KEEP,
    "stacktune doctor",
    "stacktune doctor --address auto --storage s3://bucket/runs",
    "stacktune doctor --tracking-uri http://mlflow.example.org:5000",
)
def doctor(
    address: Annotated[
        str | None, typer.Option(metavar="auto|HOST:PORT", help="A running Ray cluster. [default: a small own one]")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow store. [default: that of a run here]")
    ] = None,
    storage: Annotated[str | None, typer.Option(metavar="URI", help="Where copies of runs are to be kept.")] = None,
) -> None:
    """Say what a run would lack here."""
    from stacktune.doctor.doctor import doctor as look_at
    from stacktune.terminal import width_of

    if not look_at(address, tracking_uri, storage, say, width_of(sys.stdout)):
        raise typer.Exit(1)


@command(
    KEEP,
    'eval "$(stacktune completion bash)"  # in ~/.bashrc',
    'eval "$(stacktune completion zsh)"  # in ~/.zshrc, after compinit',
    "stacktune completion fish > ~/.config/fish/completions/stacktune.fish",
)
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell that is to complete.")],
) -> None:
    """Print what lets a shell complete commands."""
    typer.echo(script_for(shell))


@command(
    KEEP,
    "stacktune convert adult.csv adult.parquet",
    "stacktune convert flights/ flights.parquet --overwrite",
)
def convert(
    data: Annotated[str, typer.Argument(metavar="CSV", help="A CSV file, a folder of them or a URI; also .csv.gz.")],
    output: Annotated[str, typer.Argument(metavar="FILE", help="A file that ends in .parquet.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file, if it is there.")] = False,
    keep: Annotated[str, typer.Option(metavar="COLUMN,…", help="Keep these even if they only number the rows.")] = "",
) -> None:
    """Write CSV as Parquet, typed as in runs."""
    from stacktune.runs.convert import convert as write_parquet

    write_parquet(data, output, overwrite, [name for name in keep.split(",") if name], say)


@command(
    KEEP,
    f"stacktune sync {RUN}",
)
def sync(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.", autocompletion=run_folders)],
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="The run's store, where its password was not kept.")
    ] = None,
) -> None:
    """Send MLflow what it missed of a run."""
    from stacktune.runs.sync import sync as send

    send(folder, tracking_uri, say)


@command(
    USE,
    f"stacktune register {RUN} lightgbm-0007 --name churn",
)
def register(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.")],
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial of its leaderboard, or its leader.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the registered model. [default: the run's]")
    ] = None,
    register_always: Annotated[
        bool, typer.Option("--register-always", help="Let it lead, also where nothing shows that it is no worse.")
    ] = False,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="The run's store, where its password was not kept.")
    ] = None,
) -> None:
    """Register a trial's model as a new version."""
    from stacktune.runs.register import register as register_trial

    register_trial(folder, trial, name, register_always, tracking_uri, say)


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
    """Open the MLflow UI on a run's trials."""
    from stacktune.tracking.ui import ui_page

    page = ui_page(store)
    say(
        "MLflow is at this address in some seconds; Ctrl-C ends it:" if page.is_served else "MLflow is at this address:"
    )
    say_address(page.url)
    become(page.command)


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
