"""Sends MLflow what it missed of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.progress import BYTES, Advance, progress
from stacktune.report.results import read_members
from stacktune.runs.mlflow_notes import describe_run
from stacktune.runs.resume import damage_notes, saved_config
from stacktune.runs.state import RunState, read_state
from stacktune.settings.groups import BY_KEY
from stacktune.settings.read import load_settings
from stacktune.settings.resuming import check_whole
from stacktune.storage.run_folder import STATE, RunFolder, model_hint
from stacktune.text import as_typed, count
from stacktune.tracking.promotion import evidence_from, say_alias, settle_alias
from stacktune.tracking.registry import LeaderRecord, publish_trial
from stacktune.tracking.spool import claim_spool
from stacktune.tracking.store import check_store, store_for
from stacktune.tracking.tracker import Tracker

PATIENCE_S = 600.0


def sync(folder: Path, tracking_uri: str | None, say: Callable[[str], None]) -> None:
    """Send MLflow what it missed of a run.

    Its leader is registered if that failed.

    tracking_uri: the run's store, where its password was not kept. say: hears what was done.

    Raises:
        ConfigError: there is no run, the store cannot be reached, or does not take it all in ten minutes.
    """
    if not RunFolder(folder).state.is_file():
        raise ConfigError(
            f"{str(folder)!r} is not the folder of a run (it holds no {STATE}): name a run's --output."
            f"{model_hint(folder)}"
        )
    folder = folder.absolute()
    with reached(folder, tracking_uri, say) as (tracker, state):
        n_waiting = tracker.n_waiting
        tracker.start()
        tracker.ids()
        what = f"sending what {count(n_waiting, 'run')} had to MLflow" if n_waiting else "asking MLflow"
        with progress(what, n_waiting or None, "runs") as done:
            is_sent = tracker.flush(PATIENCE_S, _fewer(n_waiting, done))
        if not is_sent:
            raise ConfigError(
                f"MLflow did not take what {tracker.n_waiting} runs have for it; it is kept, so try again later."
            )
        sent = f"sent what {count(n_waiting, 'run')} had for MLflow"
        say(sent if n_waiting else "MLflow had everything of the trials")
        _register(tracker, folder, state.model_name, say)


def _fewer(n_waiting: int, done: Advance) -> Callable[[int], None]:
    """Return what hears how many wait, and tells progress."""
    fewest = n_waiting

    def tell(n_now: int) -> None:
        nonlocal fewest
        done(fewest - min(fewest, n_now))
        fewest = min(fewest, n_now)

    return tell


def sent(tracker: Tracker, model: Path, name: str, trial_id: str | None = None) -> LeaderRecord:
    """Register a saved model; show how far it is."""
    n_bytes = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    with progress("sending the model to MLflow", n_bytes, BYTES) as done:
        return publish_trial(tracker, model, name, trial_id, done)


@contextmanager
def reached(folder: Path, tracking_uri: str | None, say: Callable[[str], None]) -> Iterator[tuple[Tracker, RunState]]:
    """Yield a run's tracker, unstarted, and its state.

    tracking_uri: the run's store, where its password was not kept. Raises ConfigError where it cannot be reached.
    """
    state = read_state(folder)
    saved_config(folder)  # broken settings are named as such
    for note in damage_notes(folder):
        say(note)
    places = RunFolder(folder)
    config = load_settings({"tracking_uri": tracking_uri}, str(places.config))
    check_whole(BY_KEY["tracking_uri"], config.tracking_uri, folder)
    store = store_for(config.tracking_uri, folder)
    check_store(store.uri)
    claim_spool(places.spool, state.run)
    tracker = Tracker(store.uri, state.experiment, store.artifacts, folder.name, say, places.spool)
    try:
        yield tracker, state
    finally:
        tracker.close()


def _register(tracker: Tracker, folder: Path, model_name: str, say: Callable[[str], None]) -> None:
    places = RunFolder(folder)
    if not places.summary.exists():
        say(f"the run has no leader yet: stacktune run --resume {as_typed(folder)} goes on with it")
        return
    facts = places.read_summary()
    if facts.get("registered_version") is None:
        read_members(places.leader)
        record = sent(tracker, places.leader, model_name)
    elif "alias" in facts and facts["alias"] is None:
        record = LeaderRecord(places.leader, facts["registered_name"], facts["registered_version"])
    else:
        return
    always = (places.read_config() or {}).get("register_always") is True
    record = settle_alias(tracker.uri, record, evidence_from(facts.get("evidence")), always)
    if record.version is not None:
        places.write_summary(facts | _registered(record))
        describe_run(tracker, folder, record)
        tracker.flush()
    if record.problem:
        raise ConfigError(f"the leader could not be registered: {record.problem}.")
    say(f"registered the leader as {record.model_uri}, version {record.version}")
    say_alias(record, say)
    if record.promote:
        say(f"to promote it: {record.promote}")


def _registered(record: LeaderRecord) -> dict[str, Any]:
    alias = {"alias": record.alias, "alias_reason": record.alias_reason, "promote": record.promote}
    return alias | {
        "model_uri": record.model_uri,
        "registered_name": record.name,
        "registered_version": record.version,
    }
