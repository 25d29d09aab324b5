"""The story of a run on one page.

A table comes in, a search, an ensemble, and a registered leader follow.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from stacktune.data.in_memory import NO_TABLES, Tables
from stacktune.logs import RunLog
from stacktune.observers import Observer, Observers
from stacktune.report.outputs import RunSummary
from stacktune.runs.begin import RunData, Scope, Start, begin, beginning_notes, first_model, read, scope_of
from stacktune.runs.claim import claim_folder
from stacktune.runs.copy_place import Place, claim_place
from stacktune.runs.deadline import search_ends_at
from stacktune.runs.finish import conclude
from stacktune.runs.first import FirstModel
from stacktune.runs.isolation import isolated, only_run
from stacktune.runs.log_ends import log_beginning, log_ending
from stacktune.runs.mirror import mirror_run
from stacktune.runs.ray_session import RayStart, ray_session
from stacktune.runs.record import recorded
from stacktune.runs.resume import Past, write_config
from stacktune.runs.searching import SearchInputs, search, source_options
from stacktune.runs.session import Session
from stacktune.runs.state import begin_state, write_state
from stacktune.runs.tracked import open_tracker
from stacktune.search.journal import Journal, read_journal
from stacktune.search.plan.plan import ClusterSize
from stacktune.search.replay import replay
from stacktune.search.tune.engine import prepare, share
from stacktune.settings.groups import Settings
from stacktune.stop import Stopped, StopRequest, StopSignal
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.client import load_mlflow
from stacktune.tracking.spool import claim_spool

# Usual seconds that Ray still takes once the table is read.
USUAL_RAY_S = 2.5


def run(
    config: Settings,
    observers: Iterable[Observer] = (),
    started_at: float | None = None,
    past: Past | None = None,
    tables: Tables = NO_TABLES,
    stop: StopSignal | None = None,
) -> RunSummary:
    """Run a search from table to registered leader.

    Returns what `run.json` says.

    Any thread of a program may call it, one at a time. It hears no signals, and what it sets for libraries is set back.
    A Ray that the process has already is used and left running; only one that was begun here is ended.

    observers: hear what happens, beside MLflow.
    started_at: of the command alone, whose process ends with the run: when it began, on `time.monotonic()`'s scale; of
        a run that goes on, as much earlier as it had taken by then. Such a process waits for nothing beyond its budget.
    past: what an earlier session of the run left. tables: those that a program hands over.
    stop: once it is set, the run ends as at a first Ctrl-C.

    Raises:
        ConfigError, DataError, SearchError: the user's mistakes; nothing is left behind then, and nothing lost.
        Stopped: it was asked to end before there was anything to make a leader of.
    """
    is_command = started_at is not None
    with only_run(), nullcontext() if is_command else isolated():
        start = begin(config, Observers(observers), started_at, past, tables)
        note = start.observers.note
        place_of_copy = claim_place(config.storage, start.name, start.folder, start.run, note)
        with RunLog(note) as log, place_of_copy as place:
            log_beginning(start.config, start.run, start.folder, past.notes if past else None)
            start = start.after_waiting(place)
            with ray_session(config, start.clock, is_command) as ray:
                return _run(start, ray, place, log, StopRequest(note, stop))


def _run(start: Start, ray: RayStart, place: Place | None, log: RunLog, stop: StopRequest) -> RunSummary:
    """Read the table, search, and conclude.

    place: where a copy of the folder is kept, if anywhere. log: is written as soon as there is a folder.
    """
    data, note = read(start, ray.known_size()), start.observers.note
    stop.check()
    start = start.in_folder()
    ray.table_is_read()
    with claim_folder(start, ray) as journal, ExitStack() as stack:
        places = RunFolder(start.folder)
        log.open(places.log, places.older_log)
        earlier = replay(read_journal(places.journal), places.trials, data.made_by) if start.past else []
        stack.enter_context(recorded(start, data, earlier))
        first = first_model(start, data, earlier)
        if first:
            stack.enter_context(first)
        cluster = _ray_up(start, data, ray, first, stop)
        scope = scope_of(start, data, cluster or ray.known_size())
        for one in beginning_notes(data, scope, cluster):
            note(one)
        shared = share(data.problem) if cluster else None
        inputs = SearchInputs(shared, cluster, scope, source_options(scope.config, data), ray, stop, earlier, first)
        data = data.without_features()  # of which nothing else may hold the others: Ray has them
        with stop, mirror_run(start.folder, place, note):
            _write_beginning(start, data, scope, journal)
            with _session(start, data, scope, journal) as session:
                summary = conclude(session, search(session, inputs))
                log_ending(summary)
                return summary


def _ray_up(
    start: Start, data: RunData, ray: RayStart, first: FirstModel | None, stop: StopRequest
) -> ClusterSize | None:
    """Return what Ray offers.

    It is None where Ray is not up in time, or a run with its first model was asked to end.

    Where Ray is slow, MLflow is loaded meanwhile, which the end of the run then need not wait for.
    """
    until = search_ends_at(start.clock, start.pace, data.problem, data.test, is_open=True)
    try:
        prepare()
        cluster = _size_by(ray, min(until, time.monotonic() + USUAL_RAY_S * start.pace.usual_s), stop)
        if cluster is None:
            load_mlflow()
            cluster = _size_by(ray, until, stop)
        return cluster
    except Stopped as stopped:
        if first is None or not first.wait(0.0):
            raise
        if stopped.number is not None:
            stop.make(stopped.number)
        return None


def _size_by(ray: RayStart, until: float, stop: StopRequest) -> ClusterSize | None:
    """Wait until then for what Ray offers.

    Raises Stopped where a program asks meanwhile.
    """
    while (cluster := ray.size(min(until, stop.next_look()))) is None and time.monotonic() < until:
        stop.check()
    return cluster


def _write_beginning(start: Start, data: RunData, scope: Scope, journal: Journal) -> None:
    """Write what a resumed run begins with."""
    write_config(start.folder, scope.config)
    if not start.past:
        state = begin_state(
            data.made_by,
            start.name,
            scope.config,
            data.dataset,
            data.test,
            scope.families,
            scope.size,
            data.problem.metric.version,
        )
        write_state(start.folder, state)
    journal.began(data.made_by.run)
    claim_spool(RunFolder(start.folder).spool, data.made_by.run)


@contextmanager
def _session(start: Start, data: RunData, scope: Scope, journal: Journal) -> Iterator[Session]:
    """Open the run in MLflow."""
    dataset, problem = data.dataset, data.problem
    with open_tracker(scope.config, start.store, dataset, problem.metric, start.folder, start.observers) as tracker:
        yield Session(
            scope.config,
            start.clock,
            start.pace,
            dataset,
            data.test,
            problem,
            data.made_by,
            start.folder,
            journal,
            tracker,
            start.observers,
            data.looked,
        )
