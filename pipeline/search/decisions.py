"""What a run decides, one record a decision.

Together they retell the run: `events.jsonl` keeps them, and observers hear them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stacktune.search.journal import ASKED as NOTED_ASKED
from stacktune.search.journal import ENDED, PROGRESSED, TOOK_UP, read_timed
from stacktune.trials.provenance import member_of
from stacktune.trials.result import TrialResult, result_from
from stacktune.trials.trial import Progress, Trial, progress_from, trial_from

# Of a run and its sessions;
BEGAN, WENT_ON, BROKE_OFF = "began", "went on", "broke off"
# of its trials;
ASKED, RUNG, EXPLOITED, RETRIED, INTERRUPTED = "asked", "rung", "exploited", "retried", "interrupted"
# (or the status of a trial's result), of its families;
SET_ASIDE = "set aside"
# and of what is made of all these.
ENSEMBLE_BUILT, LEADER_CHOSEN, REGISTERED = "ensemble built", "leader chosen", "registered"


@dataclass(frozen=True)
class DecisionRecord:
    """One decision of a run.

    event: which kind of decision. of: the trial, family, ensemble or model that it is about.
    score: of that, higher is better; None where the decision rests on none. what: the rest, as JSON has it.
    """

    event: str
    of: str
    score: float | None = None
    what: Mapping[str, Any] = field(default_factory=dict)


def asked(trial: Trial) -> DecisionRecord:
    """Return that a configuration is to be tried."""
    return DecisionRecord(ASKED, trial.trial_id, None, {"config": dict(trial.config)} | _rows_share(trial.rows_share))


def rung(trial_id: str, progress: Progress) -> DecisionRecord:
    """Return that a trial was scored at a rung."""
    what = {"rung": progress.rung, "n_rungs": progress.n_rungs, "fit_s": round(progress.fit_s, 3)}
    return DecisionRecord(RUNG, trial_id, progress.score, what)


def taken_up(trial: Trial) -> DecisionRecord:
    """Return that a trial goes on as another one.

    It copies a better member of its population, or begins again after it ran out of memory.
    """
    config = {"config": dict(trial.config)}
    if trial.resume is None:
        return DecisionRecord(RETRIED, trial.trial_id, None, config | {"rows_share": trial.rows_share})
    donor = member_of(trial.resume.folder)
    return DecisionRecord(EXPLOITED, trial.trial_id, None, {"donor": donor, "rung": trial.resume.rung} | config)


def ended(result: TrialResult, why: str | None = None) -> DecisionRecord:
    """Return what became of a trial.

    why: of one that its scheduler stopped.
    """
    what: dict[str, Any] = {"rung": result.rungs_reached, "n_rungs": result.n_rungs, "fit_s": round(result.fit_s, 3)}
    reason = (result.error or "").strip() or why
    score = result.score if result.curve or result.fold_scores else None
    what |= _rows_share(result.rows_share) | ({"why": reason} if reason else {})
    return DecisionRecord(result.status, result.trial_id, score, what)


def interrupted(result: TrialResult) -> DecisionRecord:
    """Return that a trial was left where it was.

    A resumed run goes on with it.
    """
    record = ended(result)
    return DecisionRecord(INTERRUPTED, record.of, record.score, record.what)


def set_aside(family: str, reason: str) -> DecisionRecord:
    """Return that a family is asked no more."""
    return DecisionRecord(SET_ASIDE, family, None, {"why": reason})


def journaled(path: Path) -> Iterator[tuple[float, DecisionRecord]]:
    """Yield the decisions that a journal tells of.

    Each is beside the run's elapsed seconds.
    """
    for event, what, elapsed_s in read_timed(path):
        if event == NOTED_ASKED:
            yield elapsed_s, asked(trial_from(what))
        elif event == PROGRESSED:
            told = {name: value for name, value in what.items() if name != "trial_id"}
            yield elapsed_s, rung(what["trial_id"], progress_from(told))
        elif event == TOOK_UP:
            yield elapsed_s, taken_up(trial_from(what))
        elif event == ENDED:
            yield elapsed_s, ended(result_from(what))


def plain(value: Any) -> Any:
    """Return a value as strict JSON has it.

    JSON has no infinity and nothing that is not a number: they are None. Numpy's scalars are Python's.
    """
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def _rows_share(share: float) -> dict[str, float]:
    return {"rows_share": share} if share < 1 else {}
