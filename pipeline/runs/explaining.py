"""A run says what its leader predicts by.

It does so in what is left of the budget. Nothing waits for it: the leader is registered and tested by then. It takes no
second that the end of the run needs, and where there is none to spare it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacktune.ensemble.leader import Leader
from stacktune.ensemble.rows import Leaderboard
from stacktune.errors import DataError
from stacktune.explain.explanation import Explanation, write
from stacktune.explain.of_run import Ended, explain_run
from stacktune.runs.pace import (
    FINISHING_S,
    MAX_EXPLAINING_S,
    REPORTING_S,
    explaining_s,
    keeping_top_trials_s,
)
from stacktune.runs.session import Session
from stacktune.storage.atomic import remove_asides
from stacktune.storage.folders import remove
from stacktune.text import as_typed, in_a_shell
from stacktune.trials.result import TrialResult

# Explaining is not begun in fewer usual seconds.
MIN_S = 0.4
# Columns that are named at once, and the largest p-value of theirs.
N_TOLD, MAX_P_VALUE = 3, 0.05


def explain_leader(
    session: Session, board: Leaderboard, results: Sequence[TrialResult], leader: Leader
) -> Explanation | None:
    """Explain the leader in the run's folder.

    Returns None where there is no time, nothing to explain it by, or no wish to.
    """
    place = session.places.explanation
    remove_asides(place)  # of a session that was cut off
    remove(place)  # and what it said of another leader
    if session.config.no_report:
        return None
    seconds = spare_s(session)
    looked, row_numbers = session.looked, session.dataset.row_numbers
    if looked is None or row_numbers is None:
        return None
    if seconds is not None and seconds < MIN_S * session.pace.usual_s:
        command = f"stacktune explain {_typed(session)} TABLE"
        session.note(f"the leader is not explained, as time was up: {command} does it, by rows it has not learnt from")
        return None
    session.begin("explaining")
    problem, trials = session.problem, {result.trial_id: result for result in results}
    ended = Ended(
        leader,
        board.leader,
        trials,
        problem.folds,
        problem.table.labels,
        row_numbers,
        looked,
        session.test,
        problem.metric,
        session.config.seed,
    )
    try:
        found = explain_run(ended, seconds)
    except DataError as error:  # a trial's folder is not as it was written
        session.note(f"the leader is not explained: {error}")
        return None
    write(found, place)
    session.note(_sentence(found))
    return found


def _typed(session: Session) -> str:
    return in_a_shell(str(as_typed(session.folder)))


def _sentence(found: Explanation) -> str:
    """Return what the leader predicts by, if known."""
    if not len(found.importance):
        return f"the leader is not explained: {found.notes[0]}"
    told = found.importance[found.importance["p_value"] < MAX_P_VALUE].head(N_TOLD)
    if told.empty:
        return "no column is sure to help the leader: see explanation/"
    return f"the leader predicts most by {', '.join(told['column'])}: see explanation/"


def spare_s(session: Session) -> float | None:
    """Return the seconds that explaining may take.

    It is None in a run without a budget.
    """
    budget_s = session.clock.budget_s
    if budget_s is None:
        return None
    ending_s = FINISHING_S + REPORTING_S + keeping_top_trials_s(budget_s)
    most_s = max(explaining_s(budget_s), min(MAX_EXPLAINING_S, 0.1 * budget_s))
    return min(session.clock.remaining_s() - ending_s * session.pace.usual_s, most_s)
