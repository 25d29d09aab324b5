"""Logs a run to MLflow, on a thread.

Every method returns at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stacktune.ensemble.rows import Leaderboard
from stacktune.errors import ConfigError
from stacktune.metrics import Metric, metrics_for
from stacktune.observers import Observer
from stacktune.search.events import Drawing, Event
from stacktune.storage.run_folder import CONFIG
from stacktune.storage.uris import masked, masked_uri
from stacktune.tracking.notes import trial_note
from stacktune.tracking.row_updates import row_updates, view_of
from stacktune.tracking.spool import Spool
from stacktune.tracking.updates import NAME_TAG, NOTE_TAG, Input, Update, now_ms
from stacktune.tracking.values import changes, costs, points, texts
from stacktune.tracking.worker import Worker
from stacktune.tracking.writer import RUNNING, Writer
from stacktune.trials.result import COMPLETED, FAILED, STOPPED, TrialResult
from stacktune.trials.trial import Trial

# A store that has not answered by then will not.
MAX_OPENING_S = 60.0
_ENDS = {COMPLETED: "FINISHED", STOPPED: "FINISHED", FAILED: "FAILED"}


class Tracker(Observer):
    """One parent run and its nested runs.

    Call `start`, then `ids` before the search: it raises what is wrong.

    uri: a store's absolute address, as `store_for` gives it. artifact_location: where a new experiment keeps files.
    on_notice: hears, from another thread, that the store is away or back; each once.
    spool: the file that keeps what is not written yet. Where it is that of an earlier session, its runs go on under
        their ids, and what that session could not write is written first.
    is_optional: whether a store that cannot be used from the start is waited for, instead of refused by `ids`.
    Whatever is logged has the credentials of URIs replaced by stars.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifact_location: str | None = None,
        run_name: str | None = None,
        on_notice: Callable[[str], None] = lambda text: None,
        spool: Path | None = None,
        is_optional: bool = False,
    ):
        self.uri = uri
        self._on_notice = on_notice
        self._spool = Spool(spool, on_notice)
        writer = Writer(uri, experiment, artifact_location, run_name, self._spool)
        self._worker = Worker(writer, uri, on_notice, self._spool, is_optional)
        self._lock = threading.Lock()
        self._put = {run: set(points) for run, points in self._spool.past.points.items()}
        self._open: set[str] = set()  # trials
        self._series: set[str] = set()  # names of events
        self._task_kind = ""
        self._metric: Metric | None = None
        self._data: Input | None = None

    @property
    def n_waiting(self) -> int:
        """Return how many runs' news the store lacks."""
        return self._worker.n_waiting

    @property
    def goes_on(self) -> bool:
        """Return whether an earlier session began the run."""
        return bool(self._spool.past.runs)

    @property
    def is_open(self) -> bool:
        """Return whether the store has the run.

        It is known once opening it was tried.
        """
        self._worker.ready.wait(MAX_OPENING_S)
        return self._worker.ids is not None

    @property
    def has_tried(self) -> bool:
        """Return whether opening the run was tried.

        It may have failed.
        """
        return self._worker.ready.is_set()

    def start(self) -> None:
        """Open the run on the thread.

        That imports MLflow, and creates the tables of a new store, the experiment and the parent run.
        """
        self._worker.start()

    def run_again(self) -> None:
        """Mark the parent run of an earlier session running."""
        self._worker.put(Update(status=RUNNING))

    def ids(self, timeout_s: float = MAX_OPENING_S) -> tuple[str, str]:
        """Return (experiment id, parent run id) once known.

        Raises ConfigError if the store refuses or is mute.
        """
        known = self._worker.ready.wait(timeout_s)
        if self._worker.failure:
            raise self._worker.failure
        if not known:
            raise ConfigError(
                f"MLflow at {masked_uri(self.uri)} opened no run within {timeout_s:.0f} s. "
                "See whether it is overloaded or locked, or give another --tracking-uri."
            )
        if self._worker.ids is None:
            raise RuntimeError("the tracking thread ended before it opened a run; its traceback is above")
        return self._worker.ids

    def log_task(self, kind: str, metric: Metric, positive: str | None = None) -> None:
        """Log what is predicted, and by what metric.

        This is needed before the first score, which is logged as people read it.

        positive: the positive one of two classes.
        """
        self._task_kind, self._metric = kind, metric
        tags = {"kind": "run", "task": kind, "metric": metric.name}
        tags |= {} if positive is None else {"positive": positive}
        self._worker.put(Update(tags=tags, view=view_of(metric.name, metric.greater_is_better, False, False)))

    def describe(self, note: str) -> None:
        """Set the description of the parent run.

        note: Markdown. A later one takes its place.
        """
        self._worker.put(Update(tags={NOTE_TAG: masked(note)}))

    def name(self, name: str) -> None:
        """Call the parent run otherwise than its folder."""
        self._worker.put(Update(tags={NAME_TAG: name}))

    def log_dataset(
        self,
        name: str,
        source: str,
        digest: str,
        profile: Mapping[str, int | float | str],
        context: str = "training",
    ) -> None:
        """Log a table that the run reads, once.

        profile: what its size is, e.g. {"n_rows": 569, "n_features": 30}.
        """
        self._data = Input(name, digest, masked_uri(source), profile, context)
        if not self.goes_on:
            self._worker.put(Update(inputs=(self._data,)))

    def log_config(self, text: str, params: Mapping[str, Any]) -> None:
        """Log the resolved configuration.

        It becomes the artifact `config.yaml`, and its settings become params.
        """
        self._worker.put(Update(params=texts(params)))
        self._worker.put(Update(files={CONFIG: masked(text)}))

    def log_file(self, path: Path) -> None:
        """Log a text file, as it is now.

        It is an artifact of the parent run under its own name.
        """
        self._worker.put(Update(files={path.name: masked(path.read_text(encoding="utf-8"))}))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Log any file, or a folder and its content.

        It is an artifact of the parent run under its own name, in `folder` (parts joined by "/") or at the top.

        It is read when MLflow takes it, and so is to stay where it is: only its place is kept meanwhile, relative to
        the run's folder if it lies there. Nothing in it is masked. One that is gone by then is left out and said.
        """
        name = f"{folder}/{path.name}" if folder else path.name
        self._worker.put(Update(paths={name: self._spool.placed(path)}))

    def trial_started(self, trial: Trial) -> None:
        """Open a nested run that has the trial's name."""
        name = trial.trial_id
        with self._lock:
            self._open.add(name)
        tags = {"kind": "trial", "family": trial.family, "scheduler": trial.scheduler, "status": "running"}
        status = RUNNING if name in self._spool.past.runs else None
        params = texts({"family": trial.family, "scheduler": trial.scheduler, **trial.config})
        self._worker.put(Update(name, params=params, tags=tags, status=status))

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        """Log the score at a rung, once.

        A higher score is better, and the first rung is 1. It is logged once also if the trial runs again.
        """
        values = self._not_put(trial.trial_id, [(self._judge.name, self._judge.shown(score), rung)])
        if values:
            self._worker.put(Update(trial.trial_id, points=points(values)))

    def trial_finished(self, result: TrialResult) -> None:
        """Log a trial's outcome and end its run.

        Rungs that `trial_progress` did not log are added.
        """
        with self._lock:
            self._open.discard(result.trial_id)
            known = self._put.pop(result.trial_id, set())
        tags = {"kind": "trial", "family": result.family, "scheduler": result.scheduler, "status": result.status}
        if result.rows_share < 1:
            tags["rows_share"] = f"{result.rows_share:g}"
        shared = {"family": result.family, "scheduler": result.scheduler, "n_rungs": result.n_rungs}
        tags[NOTE_TAG] = trial_note(result, self._judge)
        if result.error:
            tags["error"] = masked(result.error)[-5000:]
        self._worker.put(
            Update(
                result.trial_id,
                params=texts(shared | result.config),
                tags=tags,
                points=points([*self._scores(result, known), *costs(result), *changes(result)]),
                status=_ENDS[result.status],
                ended_ms=now_ms(),
            )
        )

    def event(self, event: Event) -> None:
        """Log an event with its name's nested run.

        It is logged once, also if it is told again.
        """
        with self._lock:
            is_new = event.name not in self._series
            self._series.add(event.name)
        values = self._not_put(event.name, [(name, value, event.step) for name, value in event.values.items()])
        status = RUNNING if is_new and event.name in self._spool.past.runs else None
        if values or is_new:
            self._worker.put(Update(event.name, tags={"kind": event.name}, points=points(values), status=status))

    def drawing(self, of: str, drawing: Drawing) -> None:
        """Keep a drawing with a nested run."""
        self._worker.put(Update(of, files={drawing.name: drawing.svg}))

    def _not_put(self, run: str, values: list[tuple[str, float, int]]) -> list[tuple[str, float, int]]:
        """Return the (name, value, step) that are new.

        They are those of `values` whose name and step were not logged with a run; they are now.
        """
        with self._lock:
            known = self._put.setdefault(run, set())
            values = [(name, value, step) for name, value, step in values if (name, step) not in known]
            known.update((name, step) for name, _, step in values)
        return values

    def log_leaderboard(self, board: Leaderboard, csv: Path) -> None:
        """Log the leaderboard and rank the best trials.

        It is an artifact; each ensemble gets a run of its own. Only the first MAX_RANKED trials are ranked in MLflow.
        """
        has_test = any(row.test for row in board.rows)
        self._worker.put(Update(view=view_of(board.metric.name, board.metric.greater_is_better, True, has_test)))
        for update in row_updates(board, self._data, self._spool.past.runs):
            self._worker.put(update)
        self.log_file(csv)

    def flush(self, timeout_s: float = 20.0, tell: Callable[[int], None] = lambda n_waiting: None) -> bool:
        """Write everything; return whether it was in time.

        tell: hears meanwhile how many runs the store lacks news of.
        """
        return self._worker.flush(timeout_s, tell)

    def finish(
        self, status: str, metrics: Mapping[str, float], tags: Mapping[str, str], timeout_s: float = 20.0
    ) -> bool:
        """End the parent run and those inside it.

        It writes all, stops, and says if it was too late.

        Trials that never finished end as killed; series of events too, unless the run has finished.
        status: "FINISHED", "FAILED" or "KILLED". metrics: as people read them. Returns whether everything is written.
        """
        with self._lock:
            open_runs, series = sorted(self._open), sorted(self._series)
            self._open, self._series = set(), set()
        if status == "FINISHED":
            for name in series:
                self._worker.put(Update(name, status=status, ended_ms=now_ms()))
        else:
            open_runs += series
        for name in open_runs:
            self._worker.put(Update(name, tags={"status": STOPPED}, status="KILLED", ended_ms=now_ms()))
        last = points((name, value, 0) for name, value in metrics.items())
        self._worker.put(Update(tags=texts(tags), points=last, status=status, ended_ms=now_ms()))
        done = self.flush(timeout_s)
        if not done and self._worker.ids:
            fate = "is kept" if self._spool.keeps else "is lost there"
            self._on_notice(f"MLflow stayed away: what {self.n_waiting} of its runs logged last {fate}.")
        self.close()
        return done

    def close(self) -> None:
        """Stop writing; the rest stays in the spool."""
        self._worker.stop()
        self._spool.close()

    @property
    def _judge(self) -> Metric:
        if self._metric is None:
            raise RuntimeError("log_task must come before the first score")
        return self._metric

    @property
    def _metrics(self) -> tuple[Metric, ...]:
        return metrics_for(self._task_kind, self._judge)

    def _scores(self, result: TrialResult, known: set[tuple[str, int]]) -> Iterable[tuple[str, float, int]]:
        shown = self._judge.shown
        first_rung = result.rungs_reached - len(result.curve) + 1
        for rung, score in enumerate(result.curve, start=first_rung):
            if (self._judge.name, rung) not in known:
                yield self._judge.name, shown(score), rung
        for fold, score in enumerate(result.fold_scores):
            yield "fold_score", shown(score), fold
        by_name = {metric.name: metric for metric in self._metrics}
        for name, score in (result.metrics or {}).items():
            yield f"cv_{name}", by_name[name].shown(score), 0
