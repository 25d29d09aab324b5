"""A run begins: checked, read, posed as a problem."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stacktune.data.dataset import Dataset, load_dataset
from stacktune.data.folds import fold_notes
from stacktune.data.in_memory import NO_TABLES, Tables
from stacktune.data.split_folds import folds_of, settled_folds
from stacktune.data.split_notes import window_notes
from stacktune.data.table import Table
from stacktune.errors import ConfigError
from stacktune.explain.held_out import Looked
from stacktune.explain.held_out import looked_at as rows_to_look_at
from stacktune.families.choice import chosen_families
from stacktune.families.loss_choice import (
    check_loss,
    chosen_loss,
    chosen_loss_notes,
    fitting_families,
    left_out_notes_of_loss,
    with_metric_of_loss,
)
from stacktune.families.registry import get_family, loss_notes
from stacktune.metrics import check_domain
from stacktune.observers import Observers, Snapshot
from stacktune.report.outputs import make_folder, output_folder
from stacktune.runs.choices import check_choices, choice_notes, spaces_of, wanted_families
from stacktune.runs.copy_place import Place
from stacktune.runs.first import FirstModel, first_trial
from stacktune.runs.leader_options import check_leader_options
from stacktune.runs.metric import check_metric, chosen_metric, metric_notes
from stacktune.runs.pace import Clock, Pace
from stacktune.runs.posed import check_models, holding, posed_task
from stacktune.runs.resume import Past
from stacktune.runs.starting_point import with_start_found
from stacktune.runs.state import new_run, provenance_of
from stacktune.search.log import Entry
from stacktune.search.plan.plan import ClusterSize, SizePlan, left_out_notes, plan_for_size
from stacktune.settings.groups import Settings
from stacktune.settings.problem import IN_MEMORY
from stacktune.tracking.store import Store, check_model_name, check_store, store_for
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import COMPLETED


@dataclass(frozen=True)
class Start:
    """A run of which nothing is read yet.

    families: that were asked for, or all. store: where MLflow keeps it. run: its id; name: see RunState. past: what an
    earlier session left. tables: those in memory.
    """

    config: Settings
    families: list[str]
    clock: Clock
    pace: Pace
    observers: Observers
    store: Store
    run: str
    name: str
    folder: Path
    past: Past | None
    tables: Tables = NO_TABLES

    def after_waiting(self, place: Place | None) -> Start:
        """Return the start without the wait for the place."""
        waited_s = place.waited_s if place else 0.0
        return replace(self, clock=replace(self.clock, started_at=self.clock.started_at + waited_s))

    def in_folder(self) -> Start:
        """Make the folder, if taken under another name."""
        return self if self.past else replace(self, folder=make_folder(self.folder, self.config))


@dataclass(frozen=True)
class RunData:
    """The data that a run is about.

    families: that can do the task, and hold what is asked of models. size: what the table asks for, by what is known of
    the cores. notes: on what is asked of models. left_out: families that could, but cannot fit the loss. looked: rows
    by which the leader is explained, once the others have gone.
    """

    dataset: Dataset
    test: Table | None
    problem: Problem
    made_by: Provenance
    families: list[str]
    size: SizePlan
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    looked: Looked | None = None

    def without_features(self) -> RunData:
        """Return it without the largest part, which trials have.

        Some rows keep theirs, to explain the leader by.
        """
        dataset, problem = self.dataset.without_features(), self.problem
        looked = rows_to_look_at(problem.table, problem.task, problem.folds, problem.seed)
        return replace(self, dataset=dataset, problem=replace(problem, table=dataset.table), looked=looked)


@dataclass(frozen=True)
class Scope:
    """The settings and families that suit the size.

    What the user asked for stays. notes: what is to be said of the rest.
    """

    config: Settings
    families: list[str]
    size: SizePlan
    notes: list[str]


def begin(
    config: Settings,
    observers: Observers,
    started_at: float | None,
    past: Past | None,
    tables: Tables = NO_TABLES,
) -> Start:
    """Check all that needs no table; see `driver.run`.

    Raises:
        ConfigError: nothing can be kept where it is to be, or a table that was in memory is not.
    """
    check_in_memory(config, tables, past)
    check_metric(config, folders_of_user(past))
    check_models(config)
    elapsed_before_s = past.elapsed_s if past else 0.0
    clock = Clock(time.monotonic() - elapsed_before_s if started_at is None else started_at, config.time_budget_s)
    # A program's processor seconds say nothing of what this machine takes to start the command.
    pace = Pace() if started_at is None else Pace.of_start(clock.elapsed_s - elapsed_before_s, time.process_time())
    config = with_start_found(config)
    check_choices(config)
    families = chosen_families(_wanted(config, past), config.exclude)
    folder = past.folder if past else output_folder(config)
    store = store_for(config.tracking_uri, folder)
    run, name = (past.state.run, past.state.name) if past else (new_run(), folder.name)
    return Start(_checked(config, store), families, clock, pace, observers, store, run, name, folder, past, tables)


def check_in_memory(config: Settings, tables: Tables, past: Past | None) -> None:
    """Raise ConfigError where a table in memory is missing."""
    how = "table, test_table=rows" if config.test_data == IN_MEMORY else "table"
    for flag, place, rows in (
        ("DATA", config.data, tables.training),
        ("--test-data", config.test_data, tables.test),
    ):
        if place != IN_MEMORY or rows is not None:
            continue
        if past is None:
            raise ConfigError(
                f"{IN_MEMORY!r} stands for a table that a program hands over, as in stacktune.run(settings, {how}). "
                f"A file of that name is ./{IN_MEMORY}."
            )
        raise ConfigError(
            f"a program handed over the run's table, which is gone with it: hand it over again, as in "
            f"stacktune.run({{}}, {how}, resume={str(past.folder)!r}), or give a file of the same rows as {flag}."
        )


def _checked(config: Settings, store: Store) -> Settings:
    """Return the settings with the store's absolute address.

    Raises ConfigError for places where nothing can be kept.
    """
    if not config.tracking_optional:
        check_store(store.uri)
    if config.register:
        check_model_name(config.register)
    return replace(config, tracking_uri=store.uri) if config.tracking_uri else config


def _wanted(config: Settings, past: Past | None) -> Sequence[str]:
    """Return the families asked for; none for all.

    A run that goes on keeps those that it had, and may have more.
    """
    wanted = wanted_families(config)
    return tuple(dict.fromkeys((*past.state.families, *wanted))) if past else wanted


def read(start: Start, cluster: ClusterSize) -> RunData:
    """Read the table and pose the problem.

    cluster: what is known of it by now.
    """
    config, clock = start.config, start.clock
    start.observers.snapshot(Snapshot(clock.elapsed_s, "reading", clock.budget_s, config.max_trials))
    dataset, test = load_dataset(config, start.tables)
    return posed(start, dataset, test, cluster)


def posed(
    start: Start, dataset: Dataset, test: Table | None, cluster: ClusterSize, like: Table | None = None
) -> RunData:
    """Pose the problem of a table that was read.

    like: by whose size folds and families are chosen, where it is not the data set's own.
    """
    config, past = start.config, start.past
    families = _serving(start.families, dataset)
    if past:
        past.state.check(dataset, test)
    size = _size(start, dataset, cluster, like)
    folded = replace(config, n_folds=config.n_folds or size.n_folds)
    problem = problem_of(folded, dataset, test, folders_of_user(past))
    check_leader_options(config, problem.task, problem.folds)
    families, notes = holding(families, problem.task)
    able = fitting_families(families, problem.task, config.loss is not None)
    if past:
        past.state.check_metric(problem.metric)
        past.state.check_folds(dataset, problem)
    made_by = past.state.made_by if past else provenance_of(start.run, folded, dataset, problem)
    left_out = tuple(name for name in families if name not in able)
    return RunData(dataset, test, problem, made_by, able, size, tuple(notes), left_out)


def _size(start: Start, dataset: Dataset, cluster: ClusterSize, like: Table | None = None) -> SizePlan:
    if start.past:
        return start.past.state.size
    plan = plan_for_size(dataset.table if like is None else like, dataset.task, cluster, start.config.time_budget_s)
    n_folds, reason = settled_folds(
        dataset.split, dataset.table, dataset.task, start.config.n_folds, plan.n_folds, plan.reason, start.config.seed
    )
    return replace(plan, n_folds=n_folds, reason=reason)


def folders_of_user(past: Past | None) -> list[Path]:
    """Return where a function of the user's may lie.

    It is the folder that the command stands in, and the one that a run that goes on began in.
    """
    return [Path.cwd(), *([Path(past.state.place)] if past else [])]


def problem_of(config: Settings, dataset: Dataset, test: Table | None, folders: Sequence[Path] = ()) -> Problem:
    """Return what trials are to solve.

    folders: see `chosen_metric`.

    Raises:
        DataError: the metric is not defined for the rows.
    """
    config = with_metric_of_loss(config, dataset.task)
    metric = chosen_metric(config, dataset.task, dataset.table.labels, folders)
    for rows, table in (("the training rows", dataset.table), ("the test rows", test)):
        if table is not None:
            check_loss(config, table.labels, rows)
            check_domain(metric, table.labels, dataset.task.classes, rows)
    if config.n_folds is None:
        raise TypeError("the number of folds must be settled before a problem is posed")
    folds = folds_of(dataset.split, dataset.table, dataset.task, config.n_folds, config.seed)
    folds = replace(folds, refits=config.refit)
    task = replace(posed_task(config, dataset, metric), loss=chosen_loss(config, metric))
    return Problem(dataset.table, task, folds, metric, config.seed)


def _serving(families: Sequence[str], dataset: Dataset) -> list[str]:
    serving = [name for name in families if dataset.task.kind in get_family(name).tasks]
    if not serving:
        raise ConfigError(f"none of the families {', '.join(families)} can do {dataset.task.kind}.")
    return serving


def scope_of(start: Start, data: RunData, cluster: ClusterSize | None = None) -> Scope:
    """Return the settings and families for a cluster.

    The folds stay. cluster: None where what is known of it is in `size`.
    """
    size = data.size
    if cluster is not None:
        size = replace(_size(start, data.dataset, cluster), n_folds=size.n_folds)
    return fitted_to_size(start.config, data.families, size)


def fitted_to_size(config: Settings, families: Sequence[str], size: SizePlan) -> Scope:
    """Return the settings and families for a size.

    Those that were asked for stay.
    """
    families = list(families)
    notes = choice_notes(config, families)
    if not wanted_families(config):
        families = [name for name in families if name not in size.silently_left_out]
    if config.n_folds is None:
        config = replace(config, n_folds=size.n_folds)
        if size.reason:
            what = f"{size.n_folds} folds" if size.n_folds > 1 else "held-out rows instead of folds"
            notes.append(f"{what}, as {size.reason}; --folds overrides this")
    left_out = {name: reason for name, reason in size.left_out.items() if name in families}
    if left_out and not wanted_families(config) and set(left_out) != set(families):
        families = [name for name in families if name not in left_out]
        notes += left_out_notes(left_out)
    return Scope(config, families, size, notes)


def beginning_notes(data: RunData, scope: Scope, cluster: ClusterSize | None) -> list[str]:
    """Return what is to be said before the search.

    cluster: None where Ray is not up.
    """
    notes = [*problem_notes(data, scope), _compute_note(cluster, scope.families)]
    if cluster and cluster.store_note:
        notes.append(cluster.store_note)
    return notes


def problem_notes(data: RunData, scope: Scope) -> list[str]:
    """Return notes on the table and the problem."""
    dataset, problem = data.dataset, data.problem
    notes = [*dataset.notes, *data.notes, *scope.notes, *window_notes(problem.folds, dataset.split)]
    notes += fold_notes(problem.folds, problem.table, problem.task)
    notes += metric_notes(problem.metric, problem.task, problem.table.weight is not None)
    return [*notes, *loss_notes_of(scope.config, data, scope.families)]


def loss_notes_of(config: Settings, data: RunData, families: Sequence[str]) -> list[str]:
    """Return notes on the loss."""
    problem = data.problem
    notes = chosen_loss_notes(config, problem.task.loss, problem.metric, families)
    notes = notes or loss_notes(problem.metric, families, data.dataset.table.labels)
    return [*notes, *left_out_notes_of_loss(data.left_out, problem.task)]


def _compute_note(cluster: ClusterSize | None, families: Sequence[str]) -> str:
    if cluster is None:
        return "one core: Ray is not up yet"
    cores = f"{cluster.n_cpus} core{'s' if cluster.n_cpus != 1 else ''}{cluster.limits}"
    able = [name for name in families if get_family(name).uses_gpu]
    if cluster.n_gpus and able:
        return f"{cores}; {cluster.n_gpus} GPU for {', '.join(able)}"
    reason = "Ray offers none" if not cluster.n_gpus else "no chosen family uses one"
    return f"{cores}; no GPU is used: {reason}"


def first_model(start: Start, data: RunData, earlier: Sequence[Entry]) -> FirstModel | None:
    """Begin with a first model where that helps.

    It does where there is a clock to beat and no earlier session has left one.

    A run without a budget goes on until its trials are through, and they are to be the same everywhere.
    """
    config = start.config
    if config.reproducible or any(entry.result and entry.result.status == COMPLETED for entry in earlier):
        return None
    if config.max_trials is not None and len(earlier) >= config.max_trials:
        return None
    trial = first_trial(scope_of(start, data).families, data.problem, len(earlier), spaces_of(config))
    return FirstModel(trial, data.problem, start.folder, data.made_by) if trial else None
