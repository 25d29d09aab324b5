"""Keeps what a run saw in its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stacktune.data.drift import drifted, drifts
from stacktune.data.profile import ColumnProfile, profile_of
from stacktune.data.schema import Schema
from stacktune.data.table import Table, Task
from stacktune.storage.lines import write_whole


def write_columns(path: Path, looked: Table, schema: Schema, task: Task, target: str, test: Table | None) -> None:
    """Write the profile of some training rows.

    test: rows that the leader was judged on; how far they are from those of training is written, too.
    """
    found = drifts(looked, test, schema) if test is not None else []
    facts = {
        "n_rows": looked.n_rows,
        "columns": [asdict(one) for one in profile_of(looked, schema, task, target).columns],
        "drift": [asdict(one) for one in found],
        "drifted": [one.column for one in drifted(found)],
    }
    write_whole(path, json.dumps(facts, indent=1) + "\n")


@dataclass(frozen=True)
class SeenColumns:
    """What a run saw in its columns.

    n_rows: that were looked at. columns: the target first. drift: of each column, from the rows learnt from to those
    that the leader was tested on; drifted: the columns that have.
    """

    n_rows: int
    columns: tuple[ColumnProfile, ...]
    drift: Mapping[str, float]
    drifted: tuple[str, ...]


def read_columns(path: Path) -> SeenColumns | None:
    """Return what `write_columns` wrote, or None."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        columns = tuple(ColumnProfile(**one) for one in facts["columns"])
        drift = {one["column"]: one["distance"] for one in facts["drift"]}
        return SeenColumns(facts["n_rows"], columns, drift, tuple(facts["drifted"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
