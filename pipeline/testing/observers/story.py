"""A small example of what observers hear.

It has how a run usually goes, and what else may come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from stacktune.metrics import WORST
from stacktune.observers import FamilyCount, Snapshot
from stacktune.search import decisions
from stacktune.search.events import Drawing, Event
from stacktune.trials.result import COMPLETED, FAILED, STOPPED, TrialResult
from stacktune.trials.trial import Resume, Trial

# The name of a method, and what it is called with.
Call = tuple[str, tuple[Any, ...]]
PHASES = ("reading", "searching", "stacking", "registering", "testing", "explaining")
SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"


def trial_of(place: int, **changed: Any) -> Trial:
    """Return a trial of a family that nobody knows."""
    return Trial(f"forest-{place:04d}", "forest", {"depth": place, "rate": 0.1, "kind": "tall"}, **changed)


def result_of(place: int, status: str, score: float = 0.5, n_scored: int = 3, **changed: Any) -> TrialResult:
    """Return what became of it."""
    trial, scores = trial_of(place), (score,) * n_scored
    kept: dict[str, Any] = {"fold_scores": scores, "n_units": (9, 9, 9)} if status == COMPLETED else {}
    told = (trial.trial_id, trial.family, dict(trial.config), "asha", status, n_scored, 3, scores)
    return TrialResult(*told, **(kept | changed))


def _snapshot(phase: str, best: float | None = 0.5) -> Snapshot:
    families = (FamilyCount("forest", 1, 2, 3, 4, best), FamilyCount("meadow"))
    return Snapshot(1.0, phase, 60.0, None, families, best, None if best is None else "forest-0000", "roc_auc")


def whole_run() -> list[Call]:
    """Return what a usual run tells, in order."""
    searching: list[Call] = []
    for place, status in enumerate((COMPLETED, STOPPED, FAILED)):
        searching += [
            ("decided", (decisions.asked(trial_of(place)),)),
            ("trial_started", (trial_of(place),)),
            ("drawing", (f"forest-{place:04d}", Drawing("tree.svg", SVG))),
            ("trial_progress", (trial_of(place), 1, 0.5)),
            ("trial_finished", (result_of(place, status, n_scored=3 if status == COMPLETED else 1),)),
            ("decided", (decisions.ended(result_of(place, status)),)),
            ("event", (Event("wind", {"speed": 3.0}, place),)),
            ("snapshot", (_snapshot("searching"),)),
        ]
    told: list[Call] = []
    for phase in PHASES:
        told += [("snapshot", (_snapshot(phase),)), ("phase", (phase,))]
        told += searching if phase == "searching" else [("note", (f"{phase} went well",))]
    return [*told, ("drawing", ("wind", Drawing("wind.svg", SVG)))]


def _out_of_order() -> list[Call]:
    """Return what a resumed run tells.

    It tells of trials that began in an earlier session, and of some results twice.
    """
    told = whole_run()
    return [*reversed(told), *told, *told]


def _odd_ends() -> list[Call]:
    lineage = ((0, {"depth": 1, "rate": 0.1}), (5, {"depth": 1, "rate": 0.2}))
    ends = [
        result_of(0, COMPLETED, WORST, metrics={"roc_auc": WORST}, rows_share=0.5),
        result_of(1, COMPLETED, lineage=lineage),
        result_of(2, STOPPED, n_scored=0, error="the time was up"),
        result_of(3, STOPPED, math.nan, n_scored=2),
        result_of(4, FAILED, n_scored=0, error='Traceback:\n  File "a.py"\nValueError: [red]boom[/red] \x1b[31m\n'),
        result_of(5, FAILED, n_scored=0, error=""),
        result_of(6, FAILED, n_scored=0, error="x" * 20_000),
    ]
    return [("trial_finished", (end,)) for end in ends]


def _odd_scores() -> list[Call]:
    scores = (WORST, math.nan, -math.inf, math.inf, 0.0, -1e9)
    progress = [("trial_progress", (trial_of(0), rung, score)) for rung, score in enumerate(scores, start=1)]
    return [*progress, *(("snapshot", (_snapshot("searching", score),)) for score in scores)]


def _odd_snapshots() -> list[Call]:
    return [
        ("snapshot", (Snapshot(0.0, "starting"),)),
        ("snapshot", (Snapshot(1e7, "dreaming", 1e-9, 10**9, metric_name="joy"),)),
        ("snapshot", (_snapshot("searching", None),)),
        ("snapshot", (Snapshot(5.0, "searching", families=tuple(FamilyCount(f"f{n}") for n in range(99))),)),
        ("phase", ("dreaming",)),
    ]


def _odd_texts() -> list[Call]:
    texts = ("", "\n", "a [bold]rule[/bold] [/] [link=x", "\x1b[2J\x07", "\ud800 alone", "é" * 20_000, "%s {0} {name}")
    return [("note", (text,)) for text in texts]


def _unknown_events() -> list[Call]:
    events = (
        Event("dreams", {}, 0),
        Event("dreams", {"joy": math.nan, "fear": -math.inf}, 1),
        Event("dreams", {"joy": 1, "of what / and why?": 2.0}, 10**9),
        Event("dreams", {"joy": 1.0}, 1),
    )
    drawings = [
        ("drawing", ("dreams", Drawing("a dream.svg", SVG))),
        ("drawing", ("nobody-0001", Drawing("b.svg", ""))),
    ]
    return [*(("event", (event,)) for event in events), *drawings]


def _odd_trials() -> list[Call]:
    trials = (
        Trial("", "", {}),
        trial_of(0, scheduler="pbt", resume=Resume("/states/a", 1, ((0, {"depth": 1}),)), must_complete=True),
        trial_of(1, rows_share=0.5, is_preliminary=True),
        Trial("forest-0002", "forest", {"depth": None, "kind": ("a", "b"), "sizes": [1, 2], "is_deep": True}),
    )
    return [("trial_started", (trial,)) for trial in trials]


MAY_COME: Mapping[str, Callable[[], list[Call]]] = {
    "out_of_order": _out_of_order,
    "odd_ends": _odd_ends,
    "odd_scores": _odd_scores,
    "odd_snapshots": _odd_snapshots,
    "odd_texts": _odd_texts,
    "odd_trials": _odd_trials,
    "unknown_events": _unknown_events,
}
