"""A pupil learns what an ensemble says, from the run's own folder, and is judged on rows that nobody had seen."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, auc, fit

from stacktune.data.demo import demo_frame
from stacktune.distil import TRUTH, can_judge_on_a_fold, judged_on_a_fold, lesson_of, taught
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.out_of_fold import honest_predictions, keep_out_of_fold
from stacktune.errors import ConfigError, DataError
from stacktune.families.registry import get_family
from stacktune.report.outputs import write_leaderboard
from stacktune.runs.begin import problem_of
from stacktune.runs.distil import Judged, distil
from stacktune.runs.resume import write_config
from stacktune.runs.state import begin_state, provenance_of, write_state
from stacktune.search.plan.plan import SizePlan
from stacktune.search.space import load_space
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import load_oof

CONFIG = load_space("lightgbm").portfolio[0]


def noise(n_rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(n_rows, 5)), columns=list("abcde"))
    return frame.assign(y=random.choice(["no", "yes"], n_rows))


def teacher_of(fitted: Fitted) -> np.ndarray:
    oof = {result.trial_id: load_oof(result) for result in fitted.results}
    return honest_predictions(fitted.board.leader, oof, fitted.problem.folds)


@pytest.fixture(scope="module")
def of_noise(tmp_path_factory):
    return fit(noise(400, 0), "y", tmp_path_factory.mktemp("noise"), ("extra_trees",), n_folds=4)


def test_a_row_becomes_one_of_each_class_that_weighs_its_probability(of_noise):
    problem, teacher = of_noise.problem, teacher_of(of_noise)
    teacher[7] = np.nan
    teacher[8] = [1, 0]
    lesson = lesson_of(problem, teacher)
    rows, table = lesson.table.groups, lesson.table
    share = np.zeros(teacher.shape)
    np.add.at(share, (rows, table.labels), table.weight * problem.table.n_rows / len(rows))
    true = np.eye(2)[problem.table.labels]
    expected = (1 - TRUTH) * teacher + TRUTH * true
    expected[7] = true[7]
    np.testing.assert_allclose(share, expected, atol=1e-5)
    np.testing.assert_array_equal(table.features, problem.table.features[rows])
    np.testing.assert_array_equal(lesson.folds.assignment, problem.folds.assignment[rows])
    assert lesson.folds.fits_all_rows


def test_rows_before_all_windows_are_learnt_by_their_targets(tmp_path):
    """Of rows in the order of time the older half was never held out."""
    frame = noise(300, 2).assign(day=np.arange(300))
    fitted = fit(frame, "y", tmp_path, ("linear",), time="day", n_folds=3)
    teacher = teacher_of(fitted)
    assert np.isnan(teacher[:100]).all()
    assert not can_judge_on_a_fold(fitted.problem.folds)
    lesson = lesson_of(fitted.problem, teacher)
    old = lesson.table.groups < 100
    np.testing.assert_array_equal(lesson.table.labels[old], fitted.problem.table.labels[:100])
    assert lesson.folds.is_ordered
    result = taught(fitted.problem, teacher, "lightgbm", CONFIG, tmp_path)
    assert [path.name for path in TrialFolder(result.place).models()] == ["all_rows"]


def test_values_are_learnt_half_from_the_teacher(tmp_path):
    frame = noise(120, 1).assign(y=np.arange(120.0))
    fitted = fit(frame, "y", tmp_path, ("linear",), n_folds=2)
    teacher = teacher_of(fitted)
    lesson = lesson_of(fitted.problem, teacher)
    np.testing.assert_allclose(lesson.table.labels, (teacher[:, 0] + frame["y"]) / 2)
    medians = replace(fitted.problem, task=replace(fitted.problem.task, loss="absolute"))
    lesson = lesson_of(medians, teacher)
    np.testing.assert_allclose(lesson.table.labels, teacher[:, 0])
    assert lesson.task.loss == "squared"


def test_of_pure_noise_the_judged_fold_knows_nothing(of_noise, tmp_path):
    """Its own cross-validation says .6 to .8, as what was said of the other rows knew the row's target."""
    problem, row = of_noise.problem, of_noise.board.leader
    members = [(result.family, result.config) for result in of_noise.results]
    found = judged_on_a_fold(problem, members, row.how, "lightgbm", CONFIG, tmp_path)
    assert len(found.rows) == 100
    np.testing.assert_array_equal(problem.folds.assignment[found.rows], 0)
    assert 0.35 < auc(problem.table.labels[found.rows] == 1, found.prediction[:, 1]) < 0.65


def test_a_pupil_predicts_nearly_what_its_teacher_does(tmp_path):
    frame, target = demo_frame()
    fitted = fit(frame, target, tmp_path, ("linear",), n_folds=3)
    result = taught(fitted.problem, teacher_of(fitted), "lightgbm", CONFIG, tmp_path)
    assert [path.name for path in TrialFolder(result.place).models()] == ["all_rows"]
    model = get_family("lightgbm").load(TrialFolder(result.place).models()[0])
    gap = model.predict(fitted.problem.table) - fitted.leader.predict_table(fitted.problem.table)
    assert np.abs(gap).mean() < 0.05


@pytest.mark.parametrize(("n_folds", "can"), [(2, False), (3, True)])
def test_a_fold_is_set_aside_where_two_are_left(of_noise, n_folds, can):
    assert can_judge_on_a_fold(replace(of_noise.problem.folds, n_folds=n_folds)) is can


@pytest.mark.parametrize(
    ("scores", "greater_is_better", "kept"),
    [
        ((0.9, 0.8, 0.85), True, 0.5),
        ((10.0, 12.0, 11.5), False, 0.25),
        ((0.9, 0.9, 0.9), True, None),
        ((0.9, None, 0.9), True, None),
    ],
)
def test_what_is_kept_is_a_share_of_the_lead(scores, greater_is_better, kept):
    found = Judged("rows", *scores).kept(greater_is_better)
    assert found == (None if kept is None else pytest.approx(kept))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run's folder, and its table."""
    folder = tmp_path_factory.mktemp("run")
    frame, target = demo_frame()
    table = folder / "table.parquet"
    frame.to_parquet(table)
    run = folder / "run"
    (run / "trials").mkdir(parents=True)
    fitted = fit(table, target, run / "trials", ("lightgbm", "linear"), n_folds=3)
    shutil.move(run / "trials" / "leader", run / "leader")
    config = Settings(str(table), target, n_folds=3)
    problem = problem_of(config, fitted.dataset, None)
    of_rows = (problem.folds, fitted.dataset.row_numbers, problem.table)
    keep_out_of_fold(run / "out_of_fold.npz", fitted.board, *of_rows)
    made_by = provenance_of("0" * 32, config, fitted.dataset, problem)
    size = SizePlan(3, False)
    state = begin_state(made_by, "run", config, fitted.dataset, None, ["lightgbm", "linear"], size)
    write_state(run, state)
    write_config(run, config)
    for result in fitted.results:
        result.save(result.place)
    write_leaderboard(fitted.board, run)
    row = fitted.board.leader
    (run / "run.json").write_text(
        f'{{"metric": "roc_auc", "leader": "{row.name}", "cv_score": {row.score}, "wall_s": 1}}'
    )
    return run, table


def test_the_command_makes_a_leader_and_says_what_is_kept(run_folder, tmp_path):
    run, table = run_folder
    said: list[str] = []
    found = distil(str(run), str(table), tmp_path / "small", "lightgbm", None, said.append)
    leader = Leader.load(tmp_path / "small")
    assert [member.family for member in leader.members] == ["lightgbm"]
    assert len(leader.model_folders(leader.members[0])) == 1
    frame = pd.read_parquet(table)
    assert auc(frame["diagnosis"] == "malignant", leader.predict(frame)["malignant"]) > 0.97
    assert found.judged[0].what == "the 190 rows of one fold"
    assert 0.9 < found.judged[0].pupil <= 1
    assert any("which no model had seen" in line for line in said)
    assert max(len(line) for line in said if str(tmp_path) not in line) <= 80


def test_what_it_needs_is_asked_for_before_it_learns(run_folder, tmp_path):
    run, table = run_folder
    other = tmp_path / "other.parquet"
    pd.read_parquet(table).iloc[1:].to_parquet(other)
    with pytest.raises(DataError, match=r"not the table that the run learnt from: its rows to learn from differ"):
        distil(str(run), str(other), tmp_path / "small", "lightgbm", None, print)
    pd.read_parquet(table).iloc[::-1].to_parquet(other)
    with pytest.raises(DataError, match="its columns or values differ"):
        distil(str(run), str(other), tmp_path / "small", "lightgbm", None, print)
    with pytest.raises(ConfigError, match="no folder of a run"):
        distil(str(run / "leader"), str(table), tmp_path / "small", "lightgbm", None, print)
    with pytest.raises(ConfigError, match=r"no model family 'lihtgbm'.*lightgbm"):
        distil(str(run), str(table), tmp_path / "small", "lihtgbm", None, print)
    with pytest.raises(ConfigError, match="is there already"):
        distil(str(run), str(table), tmp_path, "lightgbm", None, print)
    assert not (tmp_path / "small").exists()
