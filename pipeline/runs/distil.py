"""`stacktune distil` makes one small model of a run's leader."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from stacktune.errors import ConfigError, DataError
from stacktune.report.text import as_typed, number
from stacktune.storage.folders import n_bytes_of
from stacktune.storage.run_folder import RunFolder, find_leader

if TYPE_CHECKING:
    import pandas as pd

    from stacktune.data.dataset import Dataset
    from stacktune.data.table import Table
    from stacktune.ensemble.leader import Leader
    from stacktune.ensemble.rows import Leaderboard
    from stacktune.metrics import Metric
    from stacktune.report.summary import Results
    from stacktune.runs.state import RunState
    from stacktune.settings.groups import Settings
    from stacktune.trials.climb import Problem

N_TIMED_ROWS = 10_000


@dataclass(frozen=True)
class Distilled:
    """One small model beside the leader that taught it.

    cv: cross-validated scores of the leader, the best single trial and the pupil; test: those of leader and pupil by
    the name of the test rows. Scores are as people read them. per_s: rows a second of leader and pupil. n_bytes: theirs.
    """

    folder: Path
    pupil: str
    single: str
    metric: Metric
    cv: tuple[float, float, float]
    cv_se: float
    test: dict[str, tuple[float, float]]
    per_s: tuple[float, float]
    n_bytes: tuple[int, int]

    @property
    def kept(self) -> float | None:
        """Return the share of the leader's lead over the best single trial."""
        leader, single, pupil = self.cv
        sign = 1 if self.metric.greater_is_better else -1
        lead = sign * (leader - single)
        return sign * (pupil - single) / lead if lead > 0 else None


def distil(model: str, data: str, output: Path, family: str, test: str | None, say: Callable[[str], None]) -> Distilled:
    """Teach one model of a family what a run's leader says.

    model: the folder of a finished run. data: the table that it learnt from. output: a new folder, for the model. test:
    a labelled table that no model has seen, to judge both on.

    Raises:
        ConfigError: the run, its predictions or the family are not there, or the folder is taken. DataError: DATA is
        not the run's table. SearchError: the family cannot learn it.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.families.registry import get_family
    from stacktune.report.summary import read_results
    from stacktune.runs.resume import saved_config
    from stacktune.runs.state import read_state

    if output.exists():
        raise ConfigError(f"{str(output)!r} is there already: name a new folder with --output.")
    folder = Path(model)
    if not folder.is_dir() or not RunFolder(folder).state.is_file():
        raise ConfigError(
            f"{model!r} is no folder of a run. A leader teaches by what it said of rows that it had not learnt from, "
            "which lies there, and not with a model."
        )
    results, family = read_results(folder), get_family(family).name
    found = find_leader(folder)
    if found is None:
        raise ConfigError(f"the leader of {str(folder)!r} is gone: stacktune run --resume makes it anew.")
    state = read_state(folder)
    dataset, held_out, problem = _posed(saved_config(folder), state, data)
    teacher = _teacher(folder, dataset, problem)
    from stacktune.ensemble.leader import Leader

    told = _test_rows(Leader.load(found), folder, held_out, test)
    with TemporaryDirectory(prefix="stacktune-distil-") as aside:
        board, pupil = _taught(Path(aside), problem, teacher, dataset, family, _config(folder, results, family), output)
    distilled = _measured(results, Leader.load(found), pupil, board, told, data)
    for line in lines_of(distilled):
        say(line)
    return distilled


def _posed(config: Settings, state: RunState, data: str) -> tuple[Dataset, Table | None, Problem]:
    """Read DATA as the run read its table, and pose the run's problem.

    Raises DataError where it is another table.
    """
    from stacktune.data.dataset import load_dataset
    from stacktune.runs.begin import problem_of

    place = Path(state.place)
    located = None if config.validation_data is None else os.path.join(place, config.validation_data)
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


def _teacher(folder: Path, dataset: Dataset, problem: Problem) -> np.ndarray:
    """Return (n_rows, n_outputs) predictions of the leader, NaN where it made none."""
    from stacktune.ensemble.out_of_fold import read_out_of_fold

    numbers, said = read_out_of_fold(folder)
    teacher = np.full((dataset.table.n_rows, problem.task.n_outputs), np.nan)
    if dataset.row_numbers is None:
        raise ConfigError(f"the run in {str(folder)!r} has not kept which rows its predictions are of.")
    order = np.argsort(dataset.row_numbers, kind="stable")
    places = np.searchsorted(dataset.row_numbers[order], numbers)
    teacher[order[places]] = said
    return teacher


def _config(folder: Path, results: Results, family: str) -> Any:
    """Return the configuration of the family's best trial, or its first."""
    from stacktune.search.space import load_space
    from stacktune.trials.result import read_result

    board = results.leaderboard
    names = board[(board["kind"] == "trial") & (board["status"] == "completed") & (board["family"] == family)]["name"]
    for name in names:
        result = read_result(RunFolder(folder).trials / str(name))
        if result is not None:
            return result.config
    return load_space(family).portfolio[0]


def _taught(
    aside: Path, problem: Problem, teacher: np.ndarray, dataset: Dataset, family: str, config: Any, output: Path
) -> tuple[Leaderboard, Leader]:
    from stacktune.distil import taught
    from stacktune.ensemble.leader import build_leader
    from stacktune.ensemble.leaderboard import build_leaderboard

    pupil = taught(problem, teacher, family, config, aside)
    table = problem.table
    board = build_leaderboard(
        [pupil.result],
        {pupil.result.trial_id: pupil.oof},
        table.labels,
        table.weight,
        replace(problem.folds, refits=True),
        problem.task,
        problem.metric,
        problem.seed,
    )
    output.mkdir(parents=True)
    return board, build_leader(board, [pupil.result], dataset, problem.metric, output)


def _test_rows(leader: Leader, folder: Path, held_out: Table | None, test: str | None) -> dict[str, Table]:
    """Return the tables that no model has seen, by what they are called."""
    from stacktune.runs.labelled import opened

    tables = {} if held_out is None else {"test rows of the run": held_out}
    return tables if test is None else tables | {test: opened(leader, folder, test).table}


def _measured(
    results: Results, leader: Leader, pupil: Leader, board: Leaderboard, tables: dict[str, Table], data: str
) -> Distilled:
    from stacktune.data.read import read_for

    trials = results.leaderboard[results.leaderboard["kind"] == "trial"]
    single, row, metric = trials.iloc[0], board.leader, board.metric
    frame = read_for(leader.schema, data).head(N_TIMED_ROWS)

    def shown(model: Leader, table: Table) -> float:
        predicted = model.predict_table(table)
        return metric.shown(metric.score(table.labels, predicted, table.weight, model.threshold))

    return Distilled(
        folder=pupil.folder,
        pupil=row.name,
        single=str(single["name"]),
        metric=metric,
        cv=(results.facts["cv_score"], float(single["score"]), row.score),
        cv_se=row.score_se,
        test={name: (shown(leader, table), shown(pupil, table)) for name, table in tables.items()},
        per_s=(_per_s(leader, frame), _per_s(pupil, frame)),
        n_bytes=(n_bytes_of(leader.folder), n_bytes_of(pupil.folder)),
    )


def _per_s(model: Leader, frame: pd.DataFrame) -> float:
    model.predict(frame.head(100))
    began_at = time.monotonic()
    model.predict(frame)
    return len(frame) / max(time.monotonic() - began_at, 1e-9)


def lines_of(found: Distilled) -> list[str]:
    """Return lines of at most 80 columns."""
    leader, single, pupil = (number(score, like=found.cv[0]) for score in found.cv)
    lines = [
        f"{found.folder}: one model, {_megabytes(found.n_bytes[1])} (the leader {_megabytes(found.n_bytes[0])})",
        f"  {found.metric.name} cross-validated   rows/s",
        f"  {leader:>12}  {found.per_s[0]:>14,.0f}   the leader",
        f"  {single:>12}  {'':>14}   {found.single}, the best single trial",
        f"  {pupil:>12}  {found.per_s[1]:>14,.0f}   {found.pupil}",
    ]
    if found.kept is None:
        lines.append("  the leader has no lead over its best single trial that could be kept")
    else:
        lines.append(
            f"  {max(0.0, found.kept):.0%} of the leader's lead is kept"
            if found.kept > 0
            else "  nothing of the leader's lead is kept: take the best single trial, or more rows"
        )
    for name, scores in found.test.items():
        of_leader, of_pupil = (number(score, like=scores[0]) for score in scores)
        lines.append(f"  on {name}: {of_pupil}, the leader {of_leader}")
    if not found.test:
        lines.append("  cross-validation flatters a pupil a little: --test TABLE judges both on new rows")
    at = as_typed(found.folder)
    return [*lines, f"predict  stacktune predict {at} TABLE.parquet", f"export   stacktune export {at} --format onnx"]


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
