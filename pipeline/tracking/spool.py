"""Spools what MLflow has not been told yet.

It is on disk until the store has it, so that it is not lost with the process.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.storage.lines import LineFile, read_lines, write_whole
from stacktune.tracking.updates import Input, Point, Update, View

# An update's run, and whether it holds files, which are written by themselves.
Key = tuple[str, bool]
PARENT = ""
# The line that says whose a spool is.
RUN = "of"


def key_of(update: Update) -> Key:
    """Return the key of updates written as one."""
    return update.run, bool(update.files or update.paths)


@dataclass
class Spooled:
    """The content of a spool.

    key: see Spool. experiment_id: "" until it is known. run_ids: MLflow's id of each run that is known to exist.
    waiting: the updates that the store may not have, by number. params: the names of each run's params that it has.
    points: the (name, step) pairs of each run's metrics that were ever put. has_view: whether a view of them was put.
    """

    key: str = ""
    experiment_id: str = ""
    run_ids: dict[str, str] = field(default_factory=dict)
    waiting: dict[int, Update] = field(default_factory=dict)
    params: dict[str, set[str]] = field(default_factory=dict)
    points: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    has_view: bool = False

    @property
    def runs(self) -> set[str]:
        """Every run that MLflow may have."""
        return set(self.run_ids) | {update.run for update in self.waiting.values()}


class Spool:
    """An append-only file of updates and their writing.

    Its methods may be called from any thread.

    path: None keeps nothing. on_notice: hears, once, that the file cannot be written.
    key: a name that no other run has, by which a parent run is found whose creation was not noted any more.

    Raises:
        ConfigError: another process has it.
    """

    def __init__(self, path: Path | None, on_notice: Callable[[str], None] = lambda text: None):
        self.keeps = path is not None
        self._folder = path.absolute().parent if path else None
        self._file = (
            LineFile(path, lambda trouble: on_notice(f"{path} cannot be written ({trouble})")) if path else None
        )
        self.past = read_spool(path) if path else Spooled()
        self._lock = threading.Lock()
        self._n_updates = max(self.past.waiting, default=0)
        self.key = self.past.key or uuid.uuid4().hex
        if not self.past.key:
            self._append({"key": self.key})

    def put(self, update: Update) -> int:
        """Keep an update; return its number.

        It is higher than those of all that wait.
        """
        with self._lock:
            self._n_updates += 1
            self._append({"number": self._n_updates, "update": asdict(update)})
            return self._n_updates

    def placed(self, path: Path) -> str:
        """Return a path as an update has it.

        Below the spool's own folder it is relative to that, which may be moved or go on elsewhere.
        """
        path = path.absolute()
        inside = self._folder is not None and path.is_relative_to(self._folder)
        return str(path.relative_to(self._folder) if inside and self._folder else path)

    def place_of(self, path: str) -> Path:
        """Return where an update's file or folder lies."""
        return Path(path) if self._folder is None else self._folder / path

    def opened(self, experiment_id: str, parent_id: str) -> None:
        """Note the experiment's and the parent run's ids."""
        self._append({"experiment": experiment_id})
        self.created(PARENT, parent_id)

    def created(self, run: str, run_id: str) -> None:
        """Note a run's id."""
        self._append({"run": run, "id": run_id})

    def written(self, key: Key, number: int) -> None:
        """Note that the store has some updates.

        They are all of this key up to `number`.
        """
        self._append({"written": key, "number": number})

    def close(self) -> None:
        """Stop keeping; let another process have the file."""
        if self._file:
            self._file.close()

    def _append(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.append(line)


def read_spool(path: Path) -> Spooled:
    """Return the content of the spool at `path`.

    It has nothing where there is no spool.
    """
    past = Spooled()
    for line in read_lines(path, is_noted):
        _take_in(past, line)
    return past


def is_noted(line: Any) -> bool:
    """Return whether a line says what a spool says."""
    try:
        _take_in(Spooled(), line)
    except (KeyError, TypeError, AttributeError, ValueError):
        return False
    return True


def _take_in(past: Spooled, line: dict[str, Any]) -> None:
    if "update" in line:
        update = past.waiting[int(line["number"])] = _update_from(line["update"])
        past.has_view = past.has_view or update.view is not None
        past.points.setdefault(update.run, set()).update((point.name, point.step) for point in update.points)
    elif "written" in line:
        _forget(past, tuple(line["written"]), int(line["number"]))
    elif "experiment" in line:
        past.experiment_id = line["experiment"]
    elif RUN in line:
        return  # see `claim_spool`
    elif "key" in line:
        past.key = line["key"]
    else:
        past.run_ids[line["run"]] = line["id"]


def claim_spool(path: Path, run: str) -> None:
    """Make the spool at `path` that of a run.

    Raises:
        ConfigError: it is another run's, for which MLflow would have what this one has to tell.
    """
    found = next((line[RUN] for line in read_lines(path, is_noted) if RUN in line), None)
    if found not in (None, run):
        raise ConfigError(
            f"{str(path)!r} holds what another run has for MLflow. Move it away to go on; what it holds is not sent."
        )
    if not path.exists():
        write_whole(path, json.dumps({RUN: run}) + "\n")


def forget_store(path: Path) -> None:
    """Queue every update in the spool at `path` again.

    It is for a store that has none of them; nothing happens without a spool.
    """
    entries = list(read_lines(path, is_noted))
    updates = [entry["update"] for entry in entries if "update" in entry]
    if updates:
        lines = [json.dumps(entry) for entry in entries if RUN in entry]
        lines += [json.dumps({"number": number, "update": update}) for number, update in enumerate(updates, start=1)]
        write_whole(path, "\n".join(lines) + "\n")


def _forget(past: Spooled, key: Key, number: int) -> None:
    for known in [one for one, update in past.waiting.items() if one <= number and key_of(update) == key]:
        past.params.setdefault(key[0], set()).update(past.waiting.pop(known).params)


def _update_from(stored: dict[str, Any]) -> Update:
    points = tuple(Point(**point) for point in stored["points"])
    inputs = tuple(Input(**one) for one in stored["inputs"])
    view = stored.get("view")
    view = View(view["order_by"], view["is_ascending"], tuple(view["columns"])) if view else None
    return Update(**{**stored, "points": points, "inputs": inputs, "view": view})
