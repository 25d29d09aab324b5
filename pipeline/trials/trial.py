"""Requests for trials, and the progress that they report.

Both go through JSON, to Ray's processes and to the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resume:
    """Where a PBT trial takes up growing.

    It takes up another member's state, and the configurations that this one grew under.
    """

    folder: str
    rung: int
    lineage: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True)
class Trial:
    """One configuration of one family.

    scheduler: "asha" or "pbt"; it decides at which rungs the trial is compared.
    must_complete: finish all folds even if time allows each only a little, because nothing else is sure to.
    bank: ids of completed trials whose weights it begins with where it can, best first.
    rows_share: of the training rows, as many as there is memory for.
    is_preliminary: cut short on purpose, so that it says nothing of what its configuration would come to.
    """

    trial_id: str
    family: str
    config: Mapping[str, Any]
    scheduler: str = "asha"
    must_complete: bool = False
    resume: Resume | None = None
    bank: tuple[str, ...] = ()
    rows_share: float = 1.0
    is_preliminary: bool = False


@dataclass(frozen=True)
class Progress:
    """One rung reached.

    `score` is higher-is-better, on the first fold until the last rung.
    """

    rung: int
    n_rungs: int
    score: float
    n_units: int
    fit_s: float
    cpu_s: float = 0.0
    state: str | None = None
    lineage: tuple[tuple[int, dict[str, Any]], ...] = ()


def trial_from(stored: Mapping[str, Any]) -> Trial:
    """Return a trial after its way through JSON.

    `stored` is what `dataclasses.asdict` made of it before.
    """
    resume = stored["resume"]
    if resume is not None:
        resume = Resume(resume["folder"], resume["rung"], lineage_from(resume["lineage"]))
    return Trial(**{**stored, "resume": resume, "bank": tuple(stored["bank"])})


def progress_from(stored: Mapping[str, Any]) -> Progress:
    """Return progress after its way through JSON.

    `stored` is what `dataclasses.asdict` made of it before.
    """
    return Progress(**{**stored, "lineage": lineage_from(stored["lineage"])})


def lineage_from(stored: Any) -> tuple[tuple[int, dict[str, Any]], ...]:
    """Return (unit, configuration) pairs after a way through JSON."""
    return tuple((unit, config) for unit, config in stored)
