"""A program runs a search on a thread beside its Ray."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray
from mlflow.tracking import MlflowClient
from ray._private import worker
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.tune.experiment import Trial as TuneTrial
from whole_runs import programs_ray

from stacktune.errors import ConfigError, DataError, SearchError
from stacktune.logs import put_back
from stacktune.observers import Observer, Observers
from stacktune.report.outputs import RunSummary
from stacktune.runs.begin import begin
from stacktune.runs.program import run
from stacktune.runs.resume import resume_config
from stacktune.search.cluster.start import set_variables, start_ray, stop_ray
from stacktune.settings.groups import Settings
from stacktune.settings.problem import IN_MEMORY

N_TRIALS, N_CPUS = 5, 1
# Which libraries set for themselves when they are first imported, and what means the same as nothing.
OF_LIBRARIES = {"KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK", "PYTHONBREAKPOINT", "TORCHINDUCTOR_CACHE_DIR"}


@ray.remote(num_cpus=0)
class Counter:
    """The program's own."""

    def __init__(self) -> None:
        self._n = 0

    def count(self) -> int:
        self._n += 1
        return self._n


@dataclass
class Everything(Observer):
    """Remembers what it hears, and tries to begin another run meanwhile."""

    config: Settings
    heard: list[tuple[str, Any]] = field(default_factory=list)
    refused: str = ""

    def of(self, kind: str) -> list[Any]:
        return [what for name, what in self.heard if name == kind]

    def phase(self, name: str) -> None:
        self.heard.append(("phase", name))
        if name == "searching":
            try:
                run(self.config)
            except ConfigError as error:
                self.refused = str(error)

    def note(self, text: str) -> None:
        self.heard.append(("note", text))

    def snapshot(self, snapshot) -> None:
        self.heard.append(("snapshot", snapshot))

    def trial_started(self, trial) -> None:
        self.heard.append(("started", trial.trial_id))

    def trial_progress(self, trial, rung, score) -> None:
        self.heard.append(("progress", (trial.trial_id, rung, score)))

    def trial_finished(self, result) -> None:
        self.heard.append(("finished", result))

    def event(self, event) -> None:
        self.heard.append(("event", event))

    def drawing(self, of, drawing) -> None:
        self.heard.append(("drawing", (of, drawing)))


def state_of_process() -> dict[str, Any]:
    """Return what libraries and programs share in a process."""
    loggers = ("ray", "ray.tune", "mlflow", "alembic", "optuna", "")
    return {
        "variables": {name: value for name, value in os.environ.items() if name not in OF_LIBRARIES},
        "levels": [logging.getLogger(name).level for name in loggers],
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "hooks": list(worker._post_init_hooks),
        "patched": [dict(vars(RayActorManager)), dict(vars(TuneTrial))],
    }


@dataclass(frozen=True)
class Program:
    """What there was before and after the run."""

    observer: Everything
    summary: RunSummary
    before: dict[str, Any]
    after: dict[str, Any]
    counts: list[int]
    threads: set[str]
    frame: pd.DataFrame


@pytest.fixture(scope="module")
def rays_own() -> Iterator[None]:
    """The program's Ray."""
    with programs_ray(N_CPUS):
        yield


@pytest.fixture(scope="module")
def program(rays_own, tmp_path_factory) -> Program:
    """One run of an architecture search, which tells most, on a thread, of a table in memory."""
    desk, random = tmp_path_factory.mktemp("desk"), np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(160, 3)), columns=["a", "b", "c"])
    frame["y"] = np.where(frame["a"] + frame["b"] > 0, "yes", "no")
    config = Settings(
        IN_MEMORY,
        "y",
        families=("nas",),
        max_trials=N_TRIALS,
        n_folds=2,
        output=str(desk / "runs" / "one"),
    )
    observer, counter, ended = Everything(config), Counter.remote(), []
    counts = [ray.get(counter.count.remote())]
    put_back()  # what other tests of this process let be heard
    before, threads = state_of_process(), {thread.name for thread in threading.enumerate()}
    thread = threading.Thread(target=lambda: ended.append(run(config, frame, [observer])))
    thread.start()
    thread.join()
    assert ended, observer.of("note")
    counts.append(ray.get(counter.count.remote()))
    left = {thread.name for thread in threading.enumerate() if not thread.daemon} - threads
    return Program(observer, ended[0], before, state_of_process(), counts, left, frame)


def test_a_programs_ray_goes_on_and_nothing_of_the_run_is_left_in_it(program):
    assert program.counts == [1, 2]
    patience_ends = time.monotonic() + 60
    while (free := ray.available_resources().get("CPU")) != N_CPUS and time.monotonic() < patience_ends:
        time.sleep(0.1)
    assert free == N_CPUS
    alive = [one for one in ray._private.state.actors().values() if one["State"] == "ALIVE"]
    assert [one["ActorClassName"] for one in alive] in ([], ["Counter"])


@pytest.mark.parametrize("what", ["variables", "levels", "filters", "signals", "hooks", "patched"])
def test_what_the_process_shares_is_as_it_was(program, what):
    assert program.after[what] == program.before[what]


def test_no_thread_of_the_run_is_left(program):
    assert program.threads == set()


def test_another_run_of_the_process_is_refused_meanwhile(program):
    assert "another run is at work in this process" in program.observer.refused


def test_an_observer_hears_phases_notes_snapshots_and_trials(program):
    heard = program.observer
    assert heard.of("phase") == ["reading", "searching", "stacking", "registering", "explaining"]
    assert list(program.summary.phase_began_s) == heard.of("phase")
    assert any(note.startswith(f"{N_CPUS} core;") for note in heard.of("note"))
    assert heard.of("snapshot")[-1].n_ended == N_TRIALS
    names = {f"nas-{number:04d}" for number in range(N_TRIALS)}
    assert set(heard.of("started")) == {result.trial_id for result in heard.of("finished")} == names
    assert {(trial_id, rung) for trial_id, rung, _ in heard.of("progress")} >= {(name, 1) for name in names}


def test_an_observer_hears_what_a_source_tells_and_draws_and_mlflow_keeps_the_same(program):
    events, drawings = program.observer.of("event"), program.observer.of("drawing")
    assert {event.name for event in events} == {"controller"}
    assert {(of, drawing.name) for of, drawing in drawings} == {
        *((f"nas-{number:04d}", "architecture.svg") for number in range(N_TRIALS)),
        ("controller", "rewards.svg"),
    }
    client = MlflowClient(f"sqlite:///{program.summary.folder.parent / 'mlflow.db'}")
    (kept,) = client.search_runs([program.summary.experiment_id], "tags.kind = 'controller'")
    assert (kept.info.run_name, kept.info.status) == ("controller", "FINISHED")
    points = client.get_metric_history(kept.info.run_id, "reward")
    told = [(event.step, event.values["reward"]) for event in events if "reward" in event.values]
    assert [(point.step, point.value) for point in points] == told != []
    assert [file.path for file in client.list_artifacts(kept.info.run_id)] == ["rewards.svg"]


def test_a_run_of_a_table_in_memory_is_called_after_its_target_and_says_where_it_had_it_from(program):
    folder = program.summary.folder
    assert "data: in-memory" in (folder / "config.yaml").read_text()
    assert program.summary.registered_name == "y"
    assert program.summary.n_completed == N_TRIALS


def test_a_run_of_a_table_in_memory_does_not_go_on_without_it(program):
    config, past = resume_config(program.summary.folder, {"max_trials": N_TRIALS + 1})
    with pytest.raises(
        ConfigError, match=r"hand it over again, as in stacktune\.run\(\{\}, table, resume=.* as DATA\."
    ):
        begin(config, Observers(), None, past)
    with pytest.raises(DataError, match="--resume needs the table that the run began with"):
        run({"max_trials": N_TRIALS + 1}, program.frame.head(150), resume=program.summary.folder)


@dataclass
class Stopping(Observer):
    """Asks the run to end once the next of its trials has."""

    stop: threading.Event
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def trial_finished(self, result) -> None:
        self.stop.set()


def test_a_run_that_goes_on_ends_with_its_leader_when_a_program_asks_on_another_thread(program):
    observer, ended = Stopping(threading.Event()), []
    given, folder = {"max_trials": 10_000}, program.summary.folder
    thread = threading.Thread(
        target=lambda: ended.append(run(given, program.frame, [observer], stop=observer.stop, resume=folder))
    )
    thread.start()
    thread.join()
    (summary,) = ended
    assert summary.folder == folder
    assert N_TRIALS < summary.n_completed < 100
    assert (
        f"stopping as asked: the leader is made of the {summary.n_completed} trials completed by now" in observer.notes
    )
    assert ray.is_initialized()


def test_a_run_that_is_over_before_it_has_looked_at_ray_leaves_it_running(rays_own):
    set_variables(None, None)
    stop_ray()
    assert ray.is_initialized()


@pytest.mark.parametrize(
    ("address", "n_cpus", "said"),
    [
        ("127.0.0.1:9", None, r"this process has a Ray already, at .* Leave --address out"),
        ("local", None, "this process has a Ray already"),
        (None, 4096, "--cpus 4096 asks for more than the Ray of this process has"),
    ],
)
def test_a_ray_that_is_there_is_the_only_one_and_outlives_a_refusal(rays_own, address, n_cpus, said):
    with pytest.raises(SearchError, match=said):
        start_ray(address, n_cpus, 0)
    assert ray.is_initialized()
    assert start_ray(None, None, 0).n_cpus == N_CPUS
    stop_ray()
    assert ray.is_initialized()
