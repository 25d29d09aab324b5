"""`stacktune predict` writes a leader's predictions of a table."""

from __future__ import annotations

from pathlib import Path

from stacktune.errors import ConfigError
from stacktune.stop import interruptible
from stacktune.storage.run_folder import find_leader
from stacktune.terminal import data_warnings_as_notes, say
from stacktune.text import in_a_shell


def predict(model: str, data: str, output: str) -> None:
    """Write a prediction for each row of a table.

    It says from which probability on rows are of the positive class.

    model: a run folder, a model folder or a URI of MLflow's registry. output: a file that ends in .parquet or .csv.

    Raises:
        ConfigError: there is no model, or no such file can be written. DataError: the table is not the model's.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.data.read import read_for
    from stacktune.data.write import check_writable, write_frame
    from stacktune.ensemble.leader import Leader
    from stacktune.progress import progress

    refuse_own_table(data, output)
    check_writable(output)
    leader = Leader.load(leader_folder(model))
    with interruptible(), data_warnings_as_notes():
        with progress("reading the table"):
            frame = read_for(leader.schema, data)
        with progress("predicting", len(frame)) as done:
            predictions = leader.predict(frame, done)
        with progress("writing predictions"):
            write_frame(predictions, output)
    positive = leader.task.positive
    decided = "" if positive is None else f"; {positive} from a probability of {leader.threshold:.3g} on"
    say(f"{len(predictions):,} predictions in {output}{decided}")
    say(f"next: stacktune explain {in_a_shell(model)} LABELLED.parquet  (which columns does it predict by?)")


def refuse_own_table(data: str, output: str) -> None:
    """Refuse to write over the table."""
    table, place = Path(data).absolute(), Path(output).absolute()
    if table.exists() and (place.resolve() == table.resolve() or place.resolve().is_relative_to(table.resolve())):
        raise ConfigError(f"--output {output!r} is the table itself, or lies in it: name another file.")


def leader_folder(model: str) -> Path:
    """Return the folder that holds the leader."""
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
