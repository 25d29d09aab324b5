"""Declares the commands that keep house."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stacktune.commands.app import RUN, Finished, command
from stacktune.completion import Shell, script_for
from stacktune.help import KEEP
from stacktune.terminal import say


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
    folder: Finished,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="The run's store, where its password was not kept.")
    ] = None,
) -> None:
    """Send MLflow what it missed of a run."""
    from stacktune.runs.sync import sync as send

    send(folder, tracking_uri, say)


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
