"""What a run holds while it lasts, each let go of whatever happens: Ray, the output folder, the tracker."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from stacktune.config import RunConfig, without_secrets_in
from stacktune.data.dataset import Dataset
from stacktune.data.table import Table
from stacktune.ensemble.candidates import MAX_CANDIDATES
from stacktune.ensemble.leaderboard import stacking_s
from stacktune.families.nets.architecture import from_line
from stacktune.families.registry import get_family
from stacktune.host import cores_here
from stacktune.metrics import Metric
from stacktune.report.architecture import architecture_svg
from stacktune.report.outputs import drop_folder
from stacktune.report.rewards import rewards_svg
from stacktune.report.screen import Screen
from stacktune.report.text import as_typed
from stacktune.run.pace import MIN_STACKING_S, Clock, Pace, reserved_s
from stacktune.run.resume import Past
from stacktune.search.cluster.joined_ray import may_find_token
from stacktune.search.cluster.start import give_way, is_private, set_variables, start_ray, stop_ray
from stacktune.search.journal import Journal
from stacktune.search.nas.source import ControllerUpdate, Reward
from stacktune.search.plan.plan import ClusterSize
from stacktune.search.tune.engine import Search
from stacktune.stop import last_words
from stacktune.storage.run_folder import RunFolder
from stacktune.storage.uris import masked
from stacktune.streams import visible_lines
from stacktune.tracking.client import be_quiet
from stacktune.tracking.spool import forget_store
from stacktune.tracking.store import Store, sqlite_file
from stacktune.tracking.tracker import Tracker
from stacktune.trials.climb import Problem
from stacktune.trials.result import TrialResult
from stacktune.trials.trial import Trial

# How long Ray is waited for at least at a run's end, however late it is.
MIN_PATIENCE_S = 0.5


@dataclass(frozen=True)
class Session:
    """One run, from the table read to the leader registered."""

    config: RunConfig
    clock: Clock
    pace: Pace
    dataset: Dataset
    test: Table | None
    problem: Problem
    folder: Path
    journal: Journal
    tracker: Tracker
    screen: Screen

    @property
    def places(self) -> RunFolder:
        """The files in the run's folder."""
        return RunFolder(self.folder)

    def show(self, phase: str) -> None:
        """Tell the screen what the run is at."""
        self.journal.beat()
        self.screen.begin(phase)

    def search_ends_at(self, n_trials: int) -> float:
        """Return when searching must end, by what is known of the machine now; see `search_ends_at`."""
        return search_ends_at(self.clock, self.pace, self.problem, self.test, n_trials, self.tracker.has_tried)

    def stacking_left_s(self, began_at: float) -> float:
        """Return the usual seconds left for ensembles that were begun at `began_at` (`time.monotonic()`)."""
        left_s = self.clock.left_s() - self.pace.ending_s()
        at_least_s = began_at + MIN_STACKING_S - time.monotonic()
        return max(left_s, at_least_s) / self.pace.usual_s


def search_ends_at(
    clock: Clock, pace: Pace, problem: Problem, test: Table | None, n_trials: int = 1, is_open: bool = False
) -> float:
    """Return when searching must end, on `time.monotonic()`'s scale; never without a budget.

    n_trials: that ensembles will be made of, as far as is known. is_open: whether MLflow has the run already, or is
        loaded, which takes longest.
    """
    if clock.budget_s is None:
        return math.inf
    ensembles_s = stacking_s(min(n_trials, MAX_CANDIDATES), len(problem.folds.judged_rows), problem.task.n_outputs)
    kept_s = reserved_s(pace, clock.budget_s, ensembles_s, 0 if test is None else test.n_rows, is_open)
    return clock.started_at + clock.budget_s - kept_s


class RayStart:
    """Ray on its way up, while the table is read."""

    def __init__(self, config: RunConfig):
        self._executor = ThreadPoolExecutor(1, "ray")
        self._is_closed = False
        self._end: Future | None = None
        self._n_cpus, self._is_private = config.n_cpus, is_private(config.address)
        # What the tracker and Ray would set on threads of their own.
        be_quiet()
        set_variables(config.address, config.n_cpus)
        self._start = self._executor.submit(start_ray, config.address, config.n_cpus, config.n_gpus)
        if not self._is_private and may_find_token():
            wait([self._start])

    def known_size(self) -> ClusterSize:
        """Return what is known of the size before Ray is up: this machine's cores; of a cluster, which is, all."""
        if self._is_private:
            return ClusterSize(cores_here().at_most(self._n_cpus).n, 0)
        return self.size()

    def size(self, until: float = math.inf) -> ClusterSize | None:
        """Wait until Ray is up; SearchError when it has not what was asked for.

        until: on `time.monotonic()`'s scale; None is returned where Ray is not up by then.
        """
        try:
            return self._start.result(None if math.isinf(until) else max(0.0, until - time.monotonic()))
        except TimeoutError:
            if self._start.done():
                raise
            return None

    def give_way(self) -> None:
        """Let Ray start on, for there is no way back, but behind this process: it was too late."""
        if self._is_private:
            give_way()

    def leave(self, search: Search) -> None:
        """Let Tune end and let go of Ray, without waiting for either."""
        self._executor.submit(search.close)
        self._end = self._executor.submit(stop_ray)

    def close(self, patience_s: float = math.inf) -> None:
        """Let go of Ray, and wait until it is gone, or so long: what is private then ends with this process."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._end is None:
            self._end = self._executor.submit(stop_ray)
        wait([self._end], None if math.isinf(patience_s) else patience_s)
        self._executor.shutdown(wait=math.isinf(patience_s))


@contextmanager
def ray_session(config: RunConfig, clock: Clock) -> Iterator[RayStart]:
    """Start or join Ray in the background, and leave it at the end: in order, as far as there is time for that."""
    ray, patience_s = RayStart(config), math.inf
    try:
        yield ray
        patience_s = max(MIN_PATIENCE_S, clock.left_s())
    finally:
        ray.close(patience_s)


@contextmanager
def claimed(folder: Path, ray: RayStart, clock: Clock, past: Past | None, screen: Screen) -> Iterator[Journal]:
    """Make the output folder and open its journal.

    A run that ends without a leader leaves its folder if a model is in it, to go on from; else nothing, nor a Ray that
    writes into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(RunFolder(folder).journal, lambda: clock.elapsed_s, screen.say)
    has_ended = False

    def say_what_is_kept() -> None:
        if past or journal.n_models:
            screen.say(f"what is done is kept: stacktune run --resume {as_typed(folder)} goes on with it")

    try:
        with last_words(say_what_is_kept):
            yield journal
        has_ended = True
    finally:
        journal.close()
        if not has_ended and (past or journal.n_models):
            say_what_is_kept()
        elif not has_ended:
            ray.close()
            drop_folder(folder)


@contextmanager
def tracked(
    config: RunConfig, store: Store, dataset: Dataset, metric: Metric, folder: Path, screen: Screen
) -> Iterator[Tracker]:
    """Open the run in MLflow, or go on with it; end it as failed, or as killed by Ctrl-C, when the block raises."""
    experiment = config.experiment or dataset.name
    if config.tracking_uri is None and not sqlite_file(store.uri).exists():
        forget_store(RunFolder(folder).spool)  # the run has come from another machine, and its store has not
    tracker = Tracker(
        store.uri,
        experiment,
        store.artifacts,
        folder.name,
        screen.say,
        RunFolder(folder).spool,
        config.tracking_optional,
    )
    tracker.start()
    if tracker.goes_on:
        tracker.run_again()
    else:
        profile = {"n_rows": dataset.table.n_rows, "n_features": len(dataset.schema.feature_names)}
        tracker.log_dataset(dataset.name, dataset.source, dataset.digest, profile)
    tracker.log_task(dataset.task.kind, metric, dataset.task.positive)
    params = {name: value for name, value in asdict(without_secrets_in(config)).items() if value not in (None, ())}
    tracker.log_config(RunFolder(folder).config.read_text(encoding="utf-8"), params)
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


class TrialListener:
    """Passes the search's news on to the tracker, and to the screen what its user should know."""

    def __init__(self, tracker: Tracker, screen: Screen, folder: Path):
        self._tracker = tracker
        self._screen = screen
        self._folder = folder
        self._rewards: list[Reward] = []

    def trial_started(self, trial: Trial) -> None:
        self._tracker.trial_started(trial.trial_id, trial.family, trial.scheduler, trial.config)
        if get_family(trial.family).searcher == "controller":
            drawing = architecture_svg(from_line(trial.config["architecture"]))
            self._tracker.log_drawing(trial.trial_id, "architecture.svg", drawing)

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        self._tracker.trial_progress(trial.trial_id, rung, score)

    def trial_finished(self, result: TrialResult) -> None:
        self._tracker.trial_finished(result)

    def trial_thinned(self, trial: Trial) -> None:
        rows = f"{trial.rows_share:.3g}" if trial.rows_share < 1 else "all"
        self._screen.say(f"{trial.trial_id} ran out of memory and begins again on {rows} of its rows")

    def family_set_aside(self, family: str, reason: str) -> None:
        self._screen.say(f"{family} is set aside, as {reason}")

    def tune_broke_off(self, reason: str, told: str, *, goes_on: bool) -> None:
        account = RunFolder(self._folder).broken_off
        account.write_text(visible_lines(masked(told)), encoding="utf-8")
        what = "goes on with a new one" if goes_on else "ends"
        self._screen.say(f"Ray Tune broke off: {reason}; {as_typed(account)} has all of it, and the search {what}")

    def scratch_left(self, n_nodes: int) -> None:
        what = "a node was" if n_nodes == 1 else f"{n_nodes} nodes were"
        self._screen.say(f"{what} not cleared of what trials wrote there; a later run on it removes it")

    def child_rewarded(self, reward: Reward) -> None:
        self._rewards.append(reward)
        self._tracker.child_rewarded(reward)

    def controller_learnt(self, update: ControllerUpdate) -> None:
        self._tracker.controller_learnt(update)

    def close(self) -> None:
        """End the run of the controller, if there was one."""
        if self._rewards:
            self._tracker.controller_finished(rewards_svg(self._earned(False), self._earned(True)))

    def _earned(self, is_random: bool) -> list[tuple[int, float]]:
        return [(reward.number, reward.value) for reward in self._rewards if reward.is_random == is_random]
