"""Declares the commands that make use of leaders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stacktune.commands.app import RUN, Finished, Model, command
from stacktune.help import USE
from stacktune.terminal import say


@command(
    USE,
    f"stacktune predict {RUN} new_rows.parquet",
    "stacktune predict models:/adult-income@leader new_rows.csv",
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
    USE,
    f"stacktune export {RUN} --format onnx --output model.onnx",
    f"stacktune export {RUN} --format container --output scoring",
)
def export(
    model: Model,
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
    USE,
    f"stacktune register {RUN} lightgbm-0007 --name churn",
)
def register(
    folder: Finished,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A row of its leaderboard, trial or ensemble.")],
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
