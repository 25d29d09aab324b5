"""`stacktune distil` makes a leader one small model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from stacktune.errors import ConfigError, DataError
from stacktune.places import check_place
from stacktune.storage.folders import n_bytes_of
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader, model_hint
from stacktune.text import as_typed, number, size

if TYPE_CHECKING:
    import pandas as pd

    from stacktune.data.dataset import Dataset
    from stacktune.data.table import Table
    from stacktune.ensemble.leader import Leader
    from stacktune.ensemble.out_of_fold import Judged as JudgedRows
    from stacktune.metrics import Metric
    from stacktune.report.results import Results
    from stacktune.runs.state import RunState
    from stacktune.settings.groups import Settings
    from stacktune.trials.climb import Problem

N_TIMED_ROWS = 10_000


@dataclass(frozen=True)
class Judged:
    """Scores on rows that no model had seen.

    They are as people read them. what: the rows. single: of the best single trial; None where its models are gone.
    """

    what: str
    leader: float
    single: float | None
    pupil: float

    def kept(self, greater_is_better: bool) -> float | None:
        """Return the share of the lead that is kept.

        It is the leader's over the best single trial; None where there is none.
        """
        if self.single is None:
            return None
        sign = 1 if greater_is_better else -1
        lead = sign * (self.leader - self.single)
        return sign * (self.pupil - self.single) / lead if lead > 0 else None


@dataclass(frozen=True)
class Distilled:
    """One small model beside the leader that taught it.

    single: the best single trial. per_s: rows a second of leader and pupil. n_bytes: theirs.
    """

    folder: Path
    pupil: str
    single: str
    metric: Metric
    judged: tuple[Judged, ...]
    per_s: tuple[float, float]
    n_bytes: tuple[int, int]


def distil(model: str, data: str, output: Path, family: str, test: str | None, say: Callable[[str], None]) -> Distilled:
    """Teach one model what a run's leader says.

    model: the folder of a finished run. data: the table that it learnt from. output: a new folder, for the model. test:
    a labelled table that no model has seen, to judge both on.

    Raises:
        ConfigError: the run, its predictions or the family are not there, or the folder is taken. DataError: DATA is
        not the run's table. SearchError: the family cannot learn it.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.families.registry import get_family
    from stacktune.report.results import read_results
    from stacktune.runs.posed import holding
    from stacktune.runs.resume import saved_config
    from stacktune.runs.state import read_state

    if output.exists():
        raise ConfigError(f"{str(output)!r} is there already: name a new folder with --output.")
    check_place(output, "the folder for the model")
    folder = Path(model)
    if not folder.is_dir() or not RunFolder(folder).state.is_file():
        raise ConfigError(
            f"{model!r} is no folder of a run. A leader teaches by what it said of rows that it had not learnt from, "
            f"which lies there, and not with a model.{model_hint(folder)}"
        )
    results, family = read_results(folder), get_family(family).name
    found = find_leader(folder)
    if found is None:
        raise ConfigError(f"the leader of {str(folder)!r} is gone: stacktune run --resume makes it anew.")
    from stacktune.ensemble.leader import Leader

    leader = Leader.load(found)
    dataset, held_out, problem = _posed(saved_config(folder), read_state(folder), data)
    holding([family], problem.task)  # or it is refused
    tables = _test_rows(leader, folder, held_out, test)
    lesson = Lesson(folder, results, leader, dataset, problem, family, _config(folder, results, family))
    with TemporaryDirectory(prefix="stacktune-distil-") as aside:
        pupil = _taught(lesson, Path(aside), output)
        judged = [_on_table(lesson, pupil, name, table) for name, table in tables.items()]
        if not judged:
            judged = _on_a_fold(lesson, Path(aside) / "without")
    distilled = Distilled(
        folder=output,
        pupil=f"distilled-{family}",
        single=str(lesson.single["name"]),
        metric=problem.metric,
        judged=tuple(judged),
        per_s=_rows_per_s(leader, pupil, data),
        n_bytes=(n_bytes_of(leader.folder), n_bytes_of(output)),
    )
    for line in lines_of(distilled):
        say(line)
    if leader.interval is not None:
        say("it gives no lower and upper ends: those are of the leader's own errors")
    return distilled


@dataclass(frozen=True)
class Lesson:
    """What a pupil is made of and measured by."""

    run: Path
    results: Results
    leader: Leader
    dataset: Dataset
    problem: Problem
    family: str
    config: Any

    @property
    def single(self) -> dict[str, Any]:
        """Return the leaderboard's best single trial."""
        board = self.results.leaderboard
        return board[board["kind"] == "trial"].iloc[0].to_dict()

    @cached_property
    def said(self) -> JudgedRows:
        """Return what the leader said out of fold."""
        from stacktune.ensemble.out_of_fold import judged_in

        return judged_in(self.run)

    @cached_property
    def teacher(self) -> np.ndarray:
        """Return (n_rows, n_outputs) predictions of the leader.

        They are NaN where it made none.
        """
        teacher = np.full((self.dataset.table.n_rows, self.problem.task.n_outputs), np.nan)
        numbers = self.dataset.row_numbers
        if numbers is None:
            raise ConfigError(f"the run in {str(self.run)!r} has not kept which rows its predictions are of.")
        order = np.argsort(numbers, kind="stable")
        places = np.searchsorted(numbers[order], self.said.row_numbers)
        teacher[order[places]] = self.said.prediction
        return teacher


def _posed(config: Settings, state: RunState, data: str) -> tuple[Dataset, Table | None, Problem]:
    """Read the run's table, and pose its problem.

    Raises DataError where it is another table.
    """
    from stacktune.data.dataset import load_dataset
    from stacktune.runs.begin import problem_of

    place, located = Path(state.place), config.validation_data
    if located is not None and "://" not in located:
        located = os.path.join(place, located)
    config = replace(config, data=data, test_data=None, validation_data=located, n_folds=state.n_folds)
    dataset, test = load_dataset(config)
    for what, before, after in (
        ("rows to learn from", f"{state.n_rows:,}", f"{dataset.table.n_rows:,}"),
        ("classes", ", ".join(state.classes), ", ".join(map(str, dataset.task.classes))),
        ("columns or values", state.digest, dataset.digest),
    ):
        if before != after:
            raise DataError(
                f"{data!r} is not the table that the run learnt from: its {what} differ ({before} then, {after} now). "
                "Give that table: what the leader said of its rows is kept by their numbers."
            )
    return dataset, test, problem_of(config, dataset, test, [Path.cwd(), place])


def _config(folder: Path, results: Results, family: str) -> Any:
    """Return the configuration of the family's best trial.

    Without one it is the first of its portfolio.
    """
    from stacktune.search.space import load_space
    from stacktune.trials.result import read_result

    board = results.leaderboard
    names = board[(board["kind"] == "trial") & (board["status"] == "completed") & (board["family"] == family)]["name"]
    for name in names:
        result = read_result(RunFolder(folder).trials / str(name))
        if result is not None:
            return result.config
    return load_space(family).portfolio[0]


def _taught(lesson: Lesson, aside: Path, output: Path) -> Leader:
    """Write the pupil into `output`.

    It decides where its teacher does.
    """
    from stacktune.distil import taught
    from stacktune.ensemble.leader import build_leader
    from stacktune.ensemble.leaderboard import build_leaderboard

    problem = lesson.problem
    result = taught(problem, lesson.teacher, lesson.family, lesson.config, aside)
    table, folds = problem.table, replace(problem.folds, refits=True)
    # What it says of these rows is not asked for: see distil.py.
    unknown = np.full((table.n_rows, problem.task.n_outputs), 1 / problem.task.n_outputs)
    judged = (table.labels, table.weight, folds, problem.task, problem.metric)
    board = build_leaderboard([result], {result.trial_id: unknown}, *judged)
    decides = {problem.metric.decides.name: lesson.leader.threshold}
    board = replace(board, rows=(replace(board.rows[0], thresholds=decides),))
    output.mkdir(parents=True)
    return build_leader(board, [result], lesson.dataset, problem.metric, output)


def _test_rows(leader: Leader, folder: Path, held_out: Table | None, test: str | None) -> dict[str, Table]:
    """Return tables that no model has seen, by name."""
    from stacktune.runs.labelled import opened

    tables = {} if held_out is None else {f"the run's {held_out.n_rows:,} test rows": held_out}
    if test is None:
        return tables
    table = opened(leader, folder, test).table
    return tables | {f"{table.n_rows:,} rows of {test}": table}


def _on_table(lesson: Lesson, pupil: Leader, what: str, table: Table) -> Judged:
    from stacktune.ensemble.member import load_member, predict_members

    def shown(predicted: np.ndarray, threshold: float | None = None) -> float:
        return _shown(lesson, table, predicted, threshold)

    name, family = str(lesson.single["name"]), str(lesson.single["family"])
    place, single = RunFolder(lesson.run).trials / name, None
    if TrialFolder(place).models():
        said = predict_members([load_member(place, name, family)], table)[0]
        single = shown(said, lesson.single.get("threshold"))
    return Judged(what, shown(lesson.leader.predict_table(table)), single, shown(pupil.predict_table(table)))


def _shown(lesson: Lesson, table: Table, predicted: np.ndarray, threshold: float | None = None) -> float:
    metric = lesson.problem.metric
    decided_at = lesson.leader.threshold if threshold is None or threshold != threshold else threshold
    return metric.shown(metric.score(table.labels, predicted, table.weight, decided_at))


def _on_a_fold(lesson: Lesson, aside: Path) -> list[Judged]:
    """Judge on the first fold.

    For that all is fitted anew without it.
    """
    from stacktune.distil import can_judge_on_a_fold, judged_on_a_fold
    from stacktune.trials.result import read_result

    problem, trials = lesson.problem, RunFolder(lesson.run).trials
    if not can_judge_on_a_fold(problem.folds):
        return []
    names, blend = lesson.said.without(0)
    members = [result for name in names if (result := read_result(trials / name)) is not None]
    if len(members) < len(names):
        return []
    asked = [(member.family, member.config) for member in members]
    found = judged_on_a_fold(problem, asked, blend, lesson.family, lesson.config, aside)
    table, said = problem.table.take(found.rows), lesson.teacher[found.rows]
    single = np.load(TrialFolder(trials / str(lesson.single["name"])).out_of_fold, allow_pickle=False)[found.rows]
    of_single = _shown(lesson, table, single, lesson.single.get("threshold"))
    of_leader, of_pupil = (_shown(lesson, table, each) for each in (said, found.prediction))
    return [Judged(f"the {len(found.rows):,} rows of one fold", of_leader, of_single, of_pupil)]


def _rows_per_s(leader: Leader, pupil: Leader, data: str) -> tuple[float, float]:
    from stacktune.data.read import read_for

    frame = read_for(leader.schema, data).head(N_TIMED_ROWS)
    return _per_s(leader, frame), _per_s(pupil, frame)


def _per_s(model: Leader, frame: pd.DataFrame) -> float:
    model.predict(frame.head(100))
    began_at = time.monotonic()
    model.predict(frame)
    return len(frame) / max(time.monotonic() - began_at, 1e-9)


def lines_of(found: Distilled) -> list[str]:
    """Return lines of at most 80 columns."""
    lines = [
        f"{found.folder}: one model of {size(found.n_bytes[1])}, the leader has {size(found.n_bytes[0])}",
        f"  {found.per_s[1]:,.0f} rows/s, the leader {found.per_s[0]:,.0f}",
    ]
    for judged in found.judged:
        lines.append(f"  {found.metric.name} on {judged.what}, which no model had seen:")
        named = ((judged.leader, "the leader"), (judged.single, f"{found.single}, the best single trial"))
        for score, name in (*named, (judged.pupil, found.pupil)):
            if score is not None:
                lines.append(f"    {number(score, like=judged.leader):>10}  {name}")
        lines.append(f"    {_kept_line(judged.kept(found.metric.greater_is_better))}")
    if not found.judged:
        lines.append("  not judged: no fold can be set aside here; --test TABLE judges it")
    at = as_typed(found.folder)
    return [*lines, f"predict  stacktune predict {at} TABLE.parquet", f"export   stacktune export {at} --format onnx"]


def _kept_line(kept: float | None) -> str:
    if kept is None:
        return "the leader has no lead over that trial there, which could be kept"
    if kept >= 1:
        return "it is no worse than the leader there"
    return f"{kept:.0%} of the leader's lead is kept" if kept > 0 else "nothing of the leader's lead is kept"
