"""Holds MLflow open while a run lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from stacktune.data.dataset import Dataset
from stacktune.metrics import Metric
from stacktune.observers import Observers
from stacktune.runs.state import experiment_name
from stacktune.settings.groups import Settings, TrackingSettings
from stacktune.settings.read import without_secrets_in
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.names import run_name
from stacktune.tracking.notes import begun_note
from stacktune.tracking.spool import PARENT, forget_store, read_spool
from stacktune.tracking.store import Store, knows_run, sqlite_file
from stacktune.tracking.tracker import Tracker


@contextmanager
def open_tracker(
    config: Settings, store: Store, dataset: Dataset, metric: Metric, folder: Path, observers: Observers
) -> Iterator[Tracker]:
    """Open the run in MLflow, or go on there.

    Its tracker observes the run.

    It ends as failed, or as killed by Ctrl-C, when the block raises.
    """
    tracker = _tracker(config, store, dataset, folder, observers)
    tracker.start()
    _describe(tracker, config, dataset, metric, folder)
    observers.add(tracker)
    status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if status != "FINISHED":
            tracker.finish(status, {}, {})


def _tracker(config: TrackingSettings, store: Store, dataset: Dataset, folder: Path, observers: Observers) -> Tracker:
    spool = RunFolder(folder).spool
    file = sqlite_file(store.uri)
    if config.tracking_uri is None and file is not None:
        parent = read_spool(spool).run_ids.get(PARENT)
        if parent is not None and not knows_run(file, parent):
            forget_store(spool)  # the run has come from another machine, and its store has not
    experiment = experiment_name(config, dataset)
    optional = config.tracking_optional
    return Tracker(store.uri, experiment, store.artifacts, folder.name, observers.note, spool, optional)


def _describe(tracker: Tracker, config: Settings, dataset: Dataset, metric: Metric, folder: Path) -> None:
    """Log what the run is about.

    The data and the name of one that goes on are known already.
    """
    profile = {"n_rows": dataset.table.n_rows, "n_features": len(dataset.schema.feature_names)}
    if tracker.goes_on:
        tracker.run_again()
    else:
        tracker.name(run_name(dataset, datetime.now()))
    tracker.log_dataset(dataset.name, dataset.source, dataset.digest, profile)
    tracker.log_task(dataset.task.kind, metric, dataset.task.positive)
    tracker.describe(begun_note(dataset.name, dataset.target_name, metric.name, dataset.table.n_rows))
    params = {name: value for name, value in asdict(without_secrets_in(config)).items() if value not in (None, ())}
    tracker.log_config(RunFolder(folder).config.read_text(encoding="utf-8"), params)
