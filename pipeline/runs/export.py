"""`stacktune export` writes a leader for other places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stacktune.errors import ConfigError, nearest
from stacktune.places import check_place
from stacktune.runs.predict import leader_folder
from stacktune.streams import visible
from stacktune.terminal import data_warnings_as_notes
from stacktune.text import as_typed, size

if TYPE_CHECKING:
    from stacktune.ensemble.leader import Leader
    from stacktune.export.onnx.check import Agreement

ONNX, CONTAINER = "onnx", "container"
OUTPUTS = {ONNX: "model.onnx", CONTAINER: "scoring"}


def export(model: str, form: str, output: Path | None, check: str | None, say: Callable[[str], None]) -> None:
    """Write a leader as a graph, or a container's.

    model: a run folder, a model folder or a URI of MLflow's registry. form: "onnx" or "container". output: the file, or
    the folder. check: a table that the graph is to predict alike.

    Raises:
        ConfigError: there is no such form or model, it cannot be written so, or the place is taken. DataError: the
        table is not the model's.
    """
    from stacktune.host import use_cores

    if form not in OUTPUTS:
        raise ConfigError(f"--format is onnx or container, not {form!r}.{nearest(form, OUTPUTS)}")
    place = output or Path(OUTPUTS[form])
    _check_place(form, place, check)
    use_cores()  # before there are libraries to read it
    from stacktune.ensemble.leader import Leader

    leader = Leader.load(leader_folder(model))
    if form == ONNX:
        _export_onnx(leader, place, check, say)
    else:
        _export_container(leader, place, say)


def _check_place(form: str, place: Path, check: str | None) -> None:
    what = "the folder of the container" if form == CONTAINER else "the file of the graph"
    if form == CONTAINER:
        if check is not None:
            raise ConfigError("--check is for --format onnx: a container holds the model itself. Leave it out.")
        check_place(place, what)
        return
    if place.suffix != ".onnx" or place.is_dir():
        raise ConfigError(f"--output of --format onnx is a file that ends in .onnx, not {str(place)!r}.")
    if not place.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {str(place.parent)!r} to write {place.name} into: make it first.")
    check_place(place, what)


def _export_onnx(leader: Leader, place: Path, check: str | None, say: Callable[[str], None]) -> None:
    from stacktune.data.read import read_for
    from stacktune.export.onnx.graph import need_onnx
    from stacktune.export.onnx.write import write_onnx

    need_onnx()
    with data_warnings_as_notes():
        tables = [] if check is None else [read_for(leader.schema, check)]
        made_up, *of_tables = write_onnx(leader, place, tables)
    say(f"{place} ({size(place.stat().st_size)}): the whole of the model, raw columns in")
    say(_said(made_up, "made-up rows"))
    for found in of_tables:
        say(_said(found, f"rows of {check}"))
    for column in leader.schema.columns:
        if column.is_coded and "" in column.categories:
            name = visible(column.name)
            say(f'note: the empty text is a level of {name!r}: "" stands for it, and not for a missing value')
    say('ask it: onnxruntime.InferenceSession(PATH).run(None, {"column": array, …})')
    say("numbers are doubles, dates seconds since 1970 (UTC), the rest text, (rows, 1)")


def _said(found: Agreement, what: str) -> str:
    speed = f"{found.graph_per_s:,.0f} rows/s, the model {found.leader_per_s:,.0f}"
    share = "" if found.share is None else f" ({found.share:.1g} of how far values spread)"
    return f"  {found.n_rows:,} {what}: at most {found.difference:.2g} off{share}; {speed}"


def _export_container(leader: Leader, place: Path, say: Callable[[str], None]) -> None:
    from stacktune.export.container import PORT, write_container

    needed = write_container(leader, place)
    at = as_typed(place)
    say(f"{place}: Dockerfile, model, code, and {len(needed)} libraries to install")
    say(f"  {', '.join(requirement.partition('==')[0] for requirement in needed)}")
    say(f"build    docker build -t scoring {at}")
    say(f"run      docker run --rm -p {PORT}:{PORT} scoring")
