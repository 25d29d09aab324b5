"""The closing page fits into 80 columns and says what was reached, of what, and what to type next."""

from __future__ import annotations

import io
import json
import re

import pytest
from finished_run import N_COMPLETED, NAMES, TRIALS, leaderboard, write_run
from rich.console import Console

from stacktune.errors import ConfigError
from stacktune.report.results import read_results
from stacktune.report.summary import budget_line, leaderboard_table, show_results, sorted_by
from stacktune.text import number

COPIED = ("predict", "results", "MLflow", "…")  # lines with paths that must stay whole


def closing_of(folder) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show_results(console, read_results(folder), wall_s=118.4)
    return console.file.getvalue().splitlines()


def table_of(results, rows, extra=None) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(leaderboard_table(results, rows, extra))
    return console.file.getvalue().splitlines()


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run")


def test_the_page_shows_the_top_ten_and_says_how_to_see_the_rest(folder):
    lines = closing_of(folder)
    ranks = [line.split()[0] for line in lines if line.strip()[:2].strip().isdigit()]
    assert ranks[:10] == [str(rank) for rank in range(1, 11)]
    assert f"  … and 4 more: stacktune leaderboard {folder}" in lines
    assert not any(TRIALS[-1] in line for line in lines)


def test_a_row_says_score_error_test_and_cost(folder):
    (row,) = [line for line in closing_of(folder) if line.strip().startswith("3 ")]
    assert row.split() == ["3", TRIALS[0], "0.9300", "±", "0.0012", "0.9200", "98", "3.0", "3/3"]


def test_the_page_names_the_leader_its_members_and_the_commands(folder):
    text = "\n".join(closing_of(folder))
    assert f"{NAMES[0]}  0.9500 cross-validated, 0.9400 on the test rows" in text
    first, second = (text.index(part) for part in (f"0.800  {TRIALS[0]}", f"0.200  {TRIALS[2]}"))
    assert first < second, "the heaviest member comes first"
    assert "trials: 9 completed, 2 stopped, 1 failed; took 1:58 of 2:00 (1.6 s under)" in text
    assert f"stacktune predict {folder} TABLE.parquet --output predictions.parquet" in text
    assert "models:/adult@leader (version 3)" in text
    assert f"stacktune ui {folder}" in text


@pytest.mark.parametrize("scale", [1.0, 1e-7, 400.0, 54321.0])
@pytest.mark.parametrize("width", [40, 50, 60, 80])
def test_a_narrow_terminal_cuts_no_number(tmp_path, scale, width):
    results = read_results(write_run(tmp_path / "run", leaderboard(scale)))
    shown = Console(file=io.StringIO(), width=width, color_system=None)
    shown.print(leaderboard_table(results, results.leaderboard, None))
    lines = shown.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    scores = [number(score) for score in results.leaderboard["score"] if score == score]
    assert all(any(score in line.split() for line in lines) for score in scores)
    assert not [line for line in lines if re.search(r"(\d|±|\.) ?…", line)]


@pytest.mark.parametrize("scale", [1.0, 1e-7, 400.0, 54321.0])
def test_the_page_keeps_to_80_columns(tmp_path, scale):
    folder = write_run(tmp_path / "run", leaderboard(scale), metric="balanced_accuracy")
    lines = [line for line in closing_of(folder) if not line.strip().startswith(COPIED)]
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines), "a figure is cut"


def test_a_single_model_and_a_run_without_test_rows_have_less_to_say(tmp_path):
    frame = leaderboard().drop(columns="test_score").iloc[2:4]
    folder = write_run(tmp_path / "run", frame, leader=TRIALS[0], test_score=None, budget_s=None, registered_name=None)
    (folder / "leader" / "data" / "leader" / "leader.json").unlink()
    text = "\n".join(closing_of(folder))
    assert "test" not in text.replace(str(tmp_path), "")
    assert "models:/" not in text
    assert "took 1:58\n" in text


@pytest.mark.parametrize(
    ("takes_us", "line", "size"),
    [
        (36.2, "predicts a row in 36 of 40 µs; 7 dearer rank below", "takes 3.6 of 4 MB on the disk; 7 larger rank"),
        (
            *(90.0, "no model predicts a row in 40 µs: the cheapest leads, which takes 90 µs"),
            "no model takes 4 MB or less: the smallest leads, which takes 9.0 MB",
        ),
    ],
)
def test_a_budget_for_predictions_and_one_for_size_are_told_in_a_line_each(tmp_path, takes_us, line, size):
    folder = write_run(tmp_path / "run", predict_us=takes_us, predict_budget_us=40.0, n_too_dear=7)
    assert f"  {line}" in closing_of(folder)
    sized = write_run(tmp_path / "sized", model_mb=takes_us / 10, max_model_mb=4.0, n_too_large=7)
    assert size in "\n".join(closing_of(sized))
    assert "µs;" not in "\n".join(closing_of(write_run(tmp_path / "unlimited", predict_budget_us=None)))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"metric": "f1"}, "predicts >50K from 0.312 on, chosen for f1"),
        ({"decided_by": "cost"}, "predicts >50K from 0.312 on, chosen for cost"),
        ({"metric": "house.f2", "decided_by": "house.f2"}, "predicts >50K from 0.312 on, chosen for house.f2"),
        ({"threshold": 0.5}, "predicts >50K from 0.5 on; roc_auc chooses no threshold"),
        (
            {"metric": "average_precision", "threshold": 0.5, "positive": "a class of so many letters"},
            "predicts a class of so m… from 0.5 on; average_precision chooses no threshold",
        ),
    ],
)
def test_the_page_says_which_class_is_positive_and_from_where_on(tmp_path, changed, line):
    """A threshold was chosen for f1, and only leader.json knew it."""
    lines = closing_of(write_run(tmp_path / "run", **changed))
    assert f"  {line}" in lines
    assert len(line) + 2 <= 80


def test_a_task_without_a_positive_class_has_no_such_line(tmp_path):
    folder = write_run(tmp_path / "run", task="multiclass", metric="log_loss", positive=None, threshold=None)
    assert "predicts" not in "\n".join(closing_of(folder))


def test_a_path_with_a_space_can_be_copied(tmp_path):
    folder = write_run(tmp_path / "my run")
    assert f"stacktune predict '{folder}' TABLE.parquet --output" in "\n".join(closing_of(folder))


@pytest.mark.parametrize(
    ("wall_s", "budget_s", "line"),
    [
        (58.04, 60.0, "took 0:58 of 1:00 (2.0 s under)"),
        (62.5, 60.0, "took 1:02 of 1:00 (2.5 s over)"),
        (75.0, None, "took 1:15"),
        (45.0, 45.0, "took 0:45 of 0:45 (0.0 s under)"),
    ],
)
def test_the_budget_is_told_honestly(wall_s, budget_s, line):
    assert budget_line(wall_s, budget_s) == line


@pytest.mark.parametrize("column", ["score", "roc_auc", "test_score"])
def test_scores_sort_best_first(folder, column):
    rows = sorted_by(read_results(folder), column)
    assert list(rows["name"])[:N_COMPLETED] == NAMES[:N_COMPLETED]


@pytest.mark.parametrize("column", ["log_loss", "fit_s", "predict_us", "rank"])
def test_losses_and_durations_sort_smallest_first_and_missing_last(folder, column):
    values = sorted_by(read_results(folder), column)[column]
    known = values.dropna()
    assert known.is_monotonic_increasing
    assert values.iloc[: len(known)].notna().all()


def test_a_score_that_is_a_loss_sorts_smallest_first(tmp_path):
    folder = write_run(tmp_path / "run", metric="rmse")
    assert sorted_by(read_results(folder), "score")["score"].dropna().is_monotonic_increasing


@pytest.mark.parametrize("is_greater", [True, False])
def test_a_metric_of_the_runs_own_is_sorted_as_it_is_meant(is_greater, tmp_path):
    """Nothing but run.json tells how a function of the user's is meant."""
    folder = write_run(tmp_path / "run", metric="house.f2", greater_is_better=is_greater, decided_by="house.f2")
    for column in ("score", "house.f2"):
        scores = sorted_by(read_results(folder), column)["score"].dropna()
        assert scores.is_monotonic_decreasing if is_greater else scores.is_monotonic_increasing


def test_an_unknown_column_is_answered_with_the_nearest(folder):
    with pytest.raises(ConfigError, match=r"no column 'logloss'. Did you mean 'log_loss'\?"):
        sorted_by(read_results(folder), "logloss")


def test_the_column_that_sorts_is_shown(folder):
    results = read_results(folder)
    lines = table_of(results, sorted_by(results, "log_loss"), "log_loss")
    assert lines[0].split()[-1] == "log_loss"
    assert lines[1].split()[-1] == "0.2000"
    assert max(map(len, lines)) <= 80


def test_a_folder_that_is_no_run_is_answered_with_the_nearest(folder):
    with pytest.raises(ConfigError, match=r"not the folder of a finished run .* Did you mean 'run'\?"):
        read_results(folder.parent / "runn")


def test_a_challenger_is_shown_by_its_version_with_the_command_that_promotes_it(tmp_path):
    """`models:/adult@leader` was shown, whoever that was."""
    promote = "python -c 'import mlflow; mlflow.MlflowClient().set_registered_model_alias(…)'"
    folder = write_run(tmp_path / "run", alias="challenger", model_uri="models:/adult/3", promote=promote)
    console = Console(width=200, record=True)
    show_results(console, read_results(folder), wall_s=100.0)
    text = console.export_text()
    assert "models:/adult/3 (challenger)" in text
    assert promote in text
    assert "@leader" not in text


@pytest.mark.parametrize(("folds", "judged"), [("1", "on held-out rows"), ("8", "cross-validated")])
def test_a_score_of_held_out_rows_is_not_called_cross_validated(folder, folds, judged):
    (folder / "config.yaml").write_text(f"folds: {folds}\n")
    assert f"0.9500 {judged}" in "\n".join(closing_of(folder))


def test_of_a_run_that_has_not_ended_it_is_said_how_it_goes_on(tmp_path):
    (tmp_path / "state.json").touch()
    with pytest.raises(ConfigError, match=f"It has not ended: stacktune run --resume {tmp_path} goes"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("mean", "error", "said"),
    [(-0.0029, 0.0072, "by -0.0029 ± 0.0072: no more than chance"), (0.0049, 0.0019, "by 0.0049 ± 0.0019: more than")],
)
def test_the_page_says_whether_the_lead_is_more_than_chance(folder, mean, error, said):
    """A leader whose score was below a trial's was shown without a word."""
    lead = {"verdict": {"lead": {"over": TRIALS[0], "mean": mean, "error": error}}}
    (folder / "report.json").write_text(json.dumps(lead))
    (line,) = [line for line in closing_of(folder) if "chance" in line]
    assert line.startswith(f"  ahead of {TRIALS[0]} {said}")
    assert len(line) <= 80
