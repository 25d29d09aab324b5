"""The origin of what a run leaves on disk.

It tells which run made what lies there, and of what, so that nothing of another run is taken for its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stacktune.storage.atomic import move_to_new
from stacktune.storage.digests import digest_of
from stacktune.storage.folders import digest_of_folder, make_anew, remove
from stacktune.trials.trial import Trial


@dataclass(frozen=True)
class Provenance:
    """The run that made something, and from what.

    run: a random id, which no other run has. digest: of the rows, target, weights, folds and settings.
    """

    run: str = ""
    digest: str = ""

    def of(self, trial: Trial) -> str:
        """Return the digest of this run's `trial`.

        It covers all that decides what comes out of the trial.
        """
        asked = [trial.trial_id, trial.family, dict(trial.config), trial.scheduler, trial.bank, trial.rows_share]
        return digest_of([self.run, self.digest, *asked])


NO_RUN = Provenance()


def is_same(said: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two configurations are the same in JSON.

    They are compared as they come out of it.
    """
    return digest_of(dict(said)) == digest_of(dict(other))


def keep_state(states: Path, trial_id: str, rung: int, save: Callable[[Path], None], made_by: Provenance) -> Path:
    """Keep a member's state; return its folder.

    The state is written by `save`, and the folder's name ends with the digest of what is in it.
    """
    name = f"{trial_id}-{rung}"
    aside = make_anew(states / f".{name}-{os.getpid()}")
    save(aside)
    kept = states / f"{name}-{_digest_of_state(aside, made_by)}"
    if not is_state(kept, made_by):
        remove(kept)
        move_to_new(aside, kept)  # unless another process of the same trial was first
    remove(aside)
    return kept


def member_of(state: str) -> str:
    """Return the trial whose state lies in a folder."""
    return Path(state).name.rsplit("-", 2)[0]


def is_state(folder: Path, made_by: Provenance) -> bool:
    """Return whether a folder holds a member's whole state.

    The state is one that `keep_state` of this run wrote.
    """
    found = _digest_of_state(folder, made_by)
    return found is not None and folder.name.endswith(f"-{found}")


def _digest_of_state(folder: Path, made_by: Provenance) -> str | None:
    return digest_of_folder(folder, f"{made_by.run}/{made_by.digest}")
