"""Clauses about resumed searches.

A search that was cut off goes on as it would have gone, in another process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable

from stacktune.search.events import Event
from stacktune.testing.clause import Case, Clause, each, once
from stacktune.testing.learners import require
from stacktune.testing.sources.answers import require_same
from stacktune.testing.sources.play import Play, n_of, usual
from stacktune.testing.sources.subject import NO_OPTIONS, SourceSubject
from stacktune.testing.subject import Subject

# A process that hangs is ended; one that does not takes seconds, and on a busy machine a minute.
MAX_PROCESS_S = 300
PROGRAM = "from stacktune.testing.sources.replays import main; main()"


def a_search_that_was_cut_off_goes_on_as_it_would_have(subject: SourceSubject, lag: int, cut: int) -> None:
    """Require that a resumed search asks the same.

    It is told anew what was asked, then what came of it.
    """
    whole = usual(subject, lag).asked
    again = Play(subject).take_over(whole[:cut]).go_on(lag=lag).asked
    require_same(again, whole, f"cut off after {cut} trials, it goes on with what it would have asked")


def what_it_told_is_told_again(subject: SourceSubject, cut: int) -> None:
    """Require the same events at the same steps.

    Events are known by their steps.
    """
    again = Play(subject).take_over(usual(subject).asked[:cut])
    again.go_on()
    again.tell_all()
    told, expected = by_step(again.events), by_step(usual(subject).events)
    require(told == expected, f"cut off after {cut} trials, it tells the same events, but {_differing(told, expected)}")


def by_step(events: Iterable[Event]) -> dict[tuple[str, int, frozenset[str]], str]:
    """Return the values of events by step.

    They are text, since NaN is not itself. A series knows them by the keys.
    """
    return {(event.name, event.step, frozenset(event.values)): repr(sorted(event.values.items())) for event in events}


def _differing(told: dict, expected: dict) -> str:
    places = [key for key in {**expected, **told} if told.get(key) != expected.get(key)]
    return f"not {places[0][0]!r} of step {places[0][1]}" if places else ""


def whether_it_is_spent_follows_from_what_was_asked(subject: SourceSubject) -> None:
    """Require that asked trials alone make it spent.

    A search that goes on asks whether it is before it tells results.
    """
    whole = usual(subject)
    for n, was_spent in enumerate(whole.were_spent):
        is_spent = Play(subject).take_over(whole.asked[:n]).source.is_spent
        rule = f"after {n} trials `is_spent` is {was_spent}"
        require(is_spent == was_spent, f"{rule}, but {is_spent} where their results were not told")


def a_fresh_process_asks_the_same(subject: SourceSubject) -> None:
    """Require that a fresh process asks the same.

    Neither the order of sets nor what was imported changes an answer.
    """
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        input=json.dumps([subject.kind, subject.family.family_module, subject.family.space_module]).encode(),
        capture_output=True,
        check=False,
        timeout=MAX_PROCESS_S,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "1"},
    )
    require(done.returncode == 0, f"it is asked in a fresh process, but: {done.stderr.decode(errors='replace')}")
    asked = json.loads(done.stdout.splitlines()[-1])
    require_same(asked, usual(subject).asked, "a fresh process asks for the same")


def main() -> None:
    """Play with the source that stdin names.

    What was asked is written to stdout.
    """
    kind, *modules = json.load(sys.stdin)
    subject = SourceSubject(kind, Subject(*modules))
    sys.stdout.write("\n" + json.dumps(Play(subject).go_on().asked) + "\n")


def _each_lag_and_cut(subject: SourceSubject) -> Iterable[Case]:
    n = n_of(subject)
    return ((lag, cut) for lag in (1, 4) for cut in (1, len(subject.space.portfolio) + 1, n - 3))


def _once_if_unlimited(subject: SourceSubject) -> Iterable[Case]:
    """Yield a case for a source without options.

    It is only one, since a process takes seconds.
    """
    return once(subject) if subject.options == NO_OPTIONS else ()


CLAUSES = (
    Clause(whether_it_is_spent_follows_from_what_was_asked, once),
    Clause(a_search_that_was_cut_off_goes_on_as_it_would_have, _each_lag_and_cut),
    Clause(what_it_told_is_told_again, each(5)),
    Clause(a_fresh_process_asks_the_same, _once_if_unlimited),
)
