"""The leaderboard compares fairly, places everything, and keeps to its time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from closed_form import closed, predictions
from sklearn.metrics import accuracy_score, f1_score

from stacktune.ensemble.candidates import Costs, nested_candidates
from stacktune.ensemble.leader import _shown_metrics
from stacktune.ensemble.leaderboard import build_leaderboard, nested_best_trial_scores, stacking_s
from stacktune.ensemble.nested import gather, greedy, stacked
from stacktune.errors import SearchError
from stacktune.metrics import WORST, choose_threshold, metrics_for
from stacktune.trials.result import TrialResult
from stacktune.trials.scoring import fold_scores

ENSEMBLES = {"greedy_all", "stack_all", "greedy_best_of_family", "stack_best_of_family"}


def _board(world, **options):
    table = world.table
    return build_leaderboard(
        world.results, world.oof, table.target, table.weight, world.folds, world.task, world.metric, **options
    )


def _world(kind="binary", metric=None, n=600, n_models=6, **options):
    world = closed(kind, metric, n, **options)
    for position, prediction in enumerate(predictions(world, n_models)):
        world.add(f"{('lightgbm', 'linear', 'mlp')[position % 3]}-{position:04d}", prediction)
    return world


def _ended(trial_id, status, **changes):
    blank = TrialResult(trial_id, trial_id.split("-")[0], {}, "asha", status, 1, 3)
    return replace(blank, **changes)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("binary", "roc_auc"),
        ("binary", "f1"),
        ("multiclass", "log_loss"),
        ("multiclass", "accuracy"),
        ("regression", "mae"),
    ],
)
def test_ensembles_of_independent_models_lead(kind, metric, weighted):
    world = _world(kind, metric, weighted=weighted)
    board = _board(world)
    assert {row.name for row in board.rows if row.kind == "ensemble"} == ENSEMBLES
    assert board.leader.kind == "ensemble"
    assert set(board.leader.metrics) == {m.name for m in metrics_for(kind)}
    assert board.leader.metrics[metric] == board.leader.score
    internal = [row.score if world.metric.greater_is_better else -row.score for row in board.rows]
    ranked = [
        score - board.selection_penalty * (row.kind == "trial") for score, row in zip(internal, board.rows, strict=True)
    ]
    assert ranked == sorted(ranked, reverse=True)


def test_a_row_shows_scores_as_people_read_them_with_their_standard_error():
    world = _world("regression", "rmse")
    rows = {row.name: row for row in _board(world).rows}
    result = world.results[0]
    row = rows[result.trial_id]
    assert row.score == pytest.approx(-np.mean(result.fold_scores))
    assert row.score_se == pytest.approx(np.std(result.fold_scores, ddof=1) / np.sqrt(5))
    assert row.members == (result.trial_id,)


def test_the_best_of_many_pays_for_having_been_picked():
    """Of models that all know the same, the one that scores best by chance led before ensembles of them."""
    random = np.random.default_rng(0)
    scores = 0.5 + 0.1 * random.standard_normal((200, 20, 5))
    best = scores.mean(axis=2).max(axis=1)
    honest = [nested_best_trial_scores(trials).mean() for trials in scores]
    assert best.mean() > 0.56
    assert np.mean(honest) == pytest.approx(0.5, abs=0.02)


def test_a_trial_that_is_best_everywhere_pays_nothing():
    assert nested_best_trial_scores([(0.9, 0.8, 0.7), (0.8, 0.7, 0.6)]).tolist() == [0.9, 0.8, 0.7]


def test_of_equals_the_ensemble_leads_and_a_clearly_better_trial_does():
    """On 800 rows the luckiest of 131 trials led, by less than the folds differ, and was worse on the test rows."""
    equals = _world("binary", "roc_auc", n=300, n_models=6)
    assert _board(equals).leader.kind == "ensemble"
    one_knows = closed("binary", "roc_auc", n=600)
    random = np.random.default_rng(0)
    for position in range(8):
        signal = one_knows.table.target if position == 0 else 0.0
        chance = np.clip(0.2 * random.standard_normal(600) + 0.3 + 0.4 * signal, 0, 1)
        one_knows.add(f"mlp-{position:04d}", np.column_stack((1 - chance, chance)))
    assert "mlp-0000" in _board(one_knows).leader.members


def test_a_stack_that_wants_no_member_is_no_ensemble():
    """250 classes of random rows: a stack of biases alone ended the run with an IndexError."""
    world = closed("multiclass", "log_loss", 300)
    rng = np.random.default_rng(0)
    for position in range(3):
        wrong = np.eye(3)[(world.table.target + rng.integers(1, 3, 300)) % 3]
        world.add(f"linear-{position:04d}", 0.999 * wrong + 0.001 / 3)
    board = _board(world)
    assert {row.name for row in board.rows if row.kind == "ensemble"} == {"greedy_all"}


def test_noise_gains_nothing_by_being_mixed():
    """Models that know nothing: weights fitted on the rows they are scored on would seem to know something."""
    world = closed("binary", "roc_auc", n=300)
    random = np.random.default_rng(0)
    for position in range(15):
        chance = random.random(300)
        world.add(f"mlp-{position:04d}", np.column_stack((1 - chance, chance)))
    rows = {row.name: row for row in _board(world).rows}
    for name in ("greedy_all", "stack_all"):
        assert abs(rows[name].score - 0.5) < 3 * rows[name].score_se
        target, in_sample = world.table.target, rows[name].blend
        mixed = in_sample.combine([world.oof[member] for member in rows[name].members])
        assert np.mean(fold_scores(world.metric, world.task, world.table, world.folds, mixed)) > rows[name].score + 0.03
        assert len(target) == len(mixed)


def test_a_fold_sees_nothing_of_its_own_targets():
    """With a fold's labels turned round, a model that knew only them would look perfect if they leaked."""
    world = _world(n=500)
    before = {row.name: row for row in _board(world).rows}
    rows = world.folds.valid_rows(0)
    turned = world.table.target.copy()
    turned[rows] = 1 - turned[rows]
    world.table = replace(world.table, target=turned)
    after = {row.name: row for row in _board(world).rows}
    for name in ("greedy_all", "stack_all"):
        assert after[name].fold_scores[0] == pytest.approx(1 - before[name].fold_scores[0], abs=1e-9)


def test_the_threshold_of_a_fold_comes_from_the_other_folds():
    world = _world(metric="f1", n_models=2)
    shifted = world.oof["lightgbm-0000"].copy()
    rows = world.folds.valid_rows(0)
    shifted[rows, 1] *= 0.01
    shifted[rows, 0] = 1 - shifted[rows, 1]
    world.results.clear()
    world.add("lightgbm-0000", shifted)
    row = _board(world).leader
    assert row.fold_scores[0] == 0
    assert min(row.fold_scores[1:]) > 0.5
    assert set(row.thresholds) == {"f1", "accuracy", "balanced_accuracy", "mcc"}


def test_equal_scores_are_led_by_the_fewest_members():
    world = closed("binary", "roc_auc")
    perfect = np.column_stack((1 - world.table.target, world.table.target)).astype(float)
    world.add("linear-0000", perfect)
    world.add("mlp-0000", 0.9 * perfect + 0.05)
    board = _board(world)
    assert board.leader.members == ("linear-0000",)
    assert {row.score for row in board.rows} == {1.0}


def test_completed_then_stopped_then_failed():
    world = _world(n_models=3)
    world.results += [
        _ended("xgboost-0001", "failed", error="Traceback\nValueError: no"),
        _ended("xgboost-0002", "stopped", curve=(0.99,), rungs_reached=1),
        _ended("xgboost-0003", "stopped", curve=(0.7, 0.8), rungs_reached=2),
    ]
    frame = _board(world).to_frame()
    assert frame["status"].tolist() == ["completed"] * 7 + ["stopped", "stopped", "failed"]
    assert frame["name"].tolist()[-3:] == ["xgboost-0002", "xgboost-0003", "xgboost-0001"]
    assert frame["rank"].tolist() == list(range(1, 11))
    assert frame["rungs"].tolist()[-2:] == ["2/3", "1/3"]
    assert np.isnan(frame["score"].iloc[-1])
    assert np.isnan(frame["score_se"].iloc[-2])
    assert frame["predict_us"].isna().tolist() == [False] * 7 + [True] * 3, "they were the cheapest, at nought"
    assert frame["error"].iloc[-1].endswith("ValueError: no")


def test_the_table_has_the_promised_columns():
    columns = _board(_world("regression", "mae")).to_frame().columns.tolist()
    assert columns == [
        *("rank", "name", "family", "kind", "status", "score", "score_se", "rmse", "r2", "rmsle", "mape"),
        *("fit_s", "predict_us", "scheduler", "rungs", "error"),
    ]


@pytest.mark.parametrize("metric", ["f1", "mcc", "roc_auc", "log_loss"])
def test_a_two_class_table_says_from_which_probability_on_each_row_decides(metric):
    """F1 was scored at a threshold that only leader.json knew."""
    world = _world("binary", metric)
    world.results.append(_ended("xgboost-0002", "stopped", curve=(0.99,), rungs_reached=1))
    board = _board(world)
    frame = board.to_frame()
    expected = [row.thresholds.get(metric, 0.5) for row in board.rows[:-1]]
    assert frame["threshold"].tolist()[:-1] == expected
    assert (len(set(expected)) > 1) == world.metric.needs_threshold
    assert np.isnan(frame["threshold"].iloc[-1])
    assert board.threshold(board.leader) == expected[0]


@pytest.mark.parametrize("metric", ["roc_auc", "f1"])
def test_all_scores_of_decisions_are_of_those_that_the_model_makes(metric):
    """A model that decided from .5 on had an F1 of .63 on its card, which is .48 there: the best of any threshold."""
    world = _world("binary", metric)
    board, target = _board(world), world.table.target
    row = next(row for row in board.rows if row.kind == "trial")
    expected = []
    for block in range(world.folds.n_blocks):
        rows, others = world.folds.block_rows(block), world.folds.other_block_rows(block)
        chance = world.oof[row.name][:, -1]
        decided_at = 0.5
        if metric == "f1":
            decided_at = choose_threshold(world.metric, target[others], world.oof[row.name][others])
        expected.append(accuracy_score(target[rows], chance[rows] >= decided_at))
    assert row.metrics["accuracy"] == pytest.approx(np.mean(expected))
    shown = _shown_metrics(row, board, world.table, world.oof[row.name])
    decided = world.oof[row.name][:, -1] >= board.threshold(row)
    assert shown["f1"] == pytest.approx(f1_score(target, decided))
    assert shown["accuracy"] == pytest.approx(accuracy_score(target, decided))


def test_a_row_costs_what_its_members_took_to_fit_and_its_models_take_to_predict():
    world = _world()
    for row in _board(world).rows:
        assert row.fit_s == pytest.approx(1.0 * len(row.members))
        assert row.predict_us == pytest.approx(10.0 / 5 * sum(map(len, row.folds)))
        assert len(row.folds) == len(row.members)
        assert row.kind == "ensemble" or row.folds == ((0, 1, 2, 3, 4),)


def _costly_world(costs, **options):
    world = closed("binary", "log_loss", **options)
    for position, (cost, prediction) in enumerate(zip(costs, predictions(world, len(costs)), strict=True)):
        world.add(f"{('lightgbm', 'linear', 'mlp')[position % 3]}-{position:04d}", prediction, predict_us=cost)
    return world


@pytest.mark.parametrize("budget", [2.0, 5.0, 8.06])
def test_within_a_budget_the_leader_is_the_best_that_keeps_to_it(budget):
    world = _costly_world([10.0, 10.1, 10.2, 12.0, 30.0, 60.0])
    board = _board(world, predict_budget_us=budget)
    within = [row.predict_us <= budget for row in board.rows]
    assert within == sorted(within, reverse=True), "the dearer rank below"
    assert board.leader.predict_us <= budget
    assert all(row.predict_us <= budget for row in board.rows if row.kind == "ensemble")
    assert len(board.leader.members) == {2.0: 1, 5.0: 2, 8.06: 3}[budget]
    assert board.n_too_dear == len(within) - sum(within) > 0


def test_encoding_a_row_is_part_of_what_a_prediction_costs():
    """`predict_us` left out what turning a raw row into numbers takes."""
    world = _costly_world([10.0, 10.1, 10.2, 12.0, 30.0, 60.0])
    free, dear = _board(world), _board(world, encode_us=3.0)
    assert [row.predict_us for row in dear.rows] == pytest.approx([row.predict_us + 3.0 for row in free.rows])
    within = _board(world, predict_budget_us=5.0, encode_us=3.0)
    assert within.leader.predict_us <= 5.0
    assert len(within.leader.members) == 1


def test_what_is_learnt_without_a_fold_keeps_to_the_budget_too():
    world = _costly_world([10.0, 11.0, 12.0, 13.0, 14.0, 15.0])
    trials, table = world.results, world.table
    held_out = gather([world.oof[trial.trial_id] for trial in trials], table.target, None, world.folds)
    costs = Costs(np.array([trial.predict_us for trial in trials]), 30.0)
    allowed = np.ones((6, len(trials)), dtype=bool)
    with ThreadPoolExecutor(1) as pool:
        stacks = stacked(held_out, allowed, costs, pool)
    for blend in [*stacks, *greedy(held_out, world.metric, allowed, costs, lambda: True)]:
        spent = costs.each[np.array(blend.weights) > 0]
        assert spent.sum() <= 30
        assert len(spent) == 2


def test_where_nothing_keeps_to_the_budget_the_cheapest_trial_leads():
    board = _board(_costly_world([30.0, 12.0, 20.0, 40.0]), predict_budget_us=1.0)
    assert (board.leader.name, board.leader.predict_us) == ("linear-0001", pytest.approx(2.4))
    assert board.n_too_dear == 4


def test_a_trial_too_dear_as_a_whole_is_asked_for_fewer_of_its_models():
    board = _board(_costly_world([50.0]), predict_budget_us=25.0)
    assert (board.leader.folds, board.leader.predict_us) == (((0, 1),), pytest.approx(20.0))
    assert board.n_too_dear == 0


def test_without_a_budget_costs_decide_nothing():
    cheap, dear = (_board(_costly_world(costs)) for costs in ([1.0] * 4, [1e9, 1.0, 2.0, 1.0]))
    assert [(row.name, row.folds) for row in cheap.rows] == [(row.name, row.folds) for row in dear.rows]
    assert (dear.n_too_dear, dear.predict_budget_us) == (0, None)


def test_one_completed_trial_is_the_leader_and_there_are_no_ensembles():
    world = _world(n_models=1)
    board = _board(world)
    assert [row.name for row in board.rows] == ["lightgbm-0000"]
    assert board.leader.blend.kind == "single"


def test_one_family_has_no_best_of_family_ensembles():
    world = closed("regression", None)
    for position, prediction in enumerate(predictions(world, 3)):
        world.add(f"linear-{position}", prediction)
    assert {row.name for row in _board(world).rows if row.kind == "ensemble"} == {"greedy_all", "stack_all"}


def test_without_a_completed_trial_there_is_no_leader():
    world = closed("binary", None)
    world.results.append(_ended("mlp-0000", "failed", error="Traceback\nValueError: too wide"))
    with pytest.raises(SearchError, match=r"no trial was completed.*ValueError: too wide"):
        _ = _board(world).leader


def test_a_trial_with_a_fold_that_has_no_score_stays_out_of_ensembles():
    world = _world()
    broken = world.oof["mlp-0002"].copy()
    broken[world.folds.valid_rows(1)] = np.nan
    world.results = [result for result in world.results if result.trial_id != "mlp-0002"]
    world.add("mlp-0002", broken)
    assert min(world.results[-1].fold_scores) == WORST
    board = _board(world)
    assert all("mlp-0002" not in row.members for row in board.rows if row.kind == "ensemble")
    assert board.rows[-1].name == "mlp-0002"
    assert np.isnan(board.rows[-1].score)
    assert np.isnan(board.rows[-1].score_se)
    assert board.rows[-1].error == "roc_auc is undefined in 1 of 5 parts: 120 of 600 predictions are not finite"


def _unscored(world, trial_id, predict_us=10.0):
    world.add(trial_id, np.full((world.table.n_rows, world.task.n_outputs), np.nan), predict_us=predict_us)


def test_what_has_no_score_ranks_below_what_has_even_where_that_is_too_dear():
    """Where every score was NaN the leader was the first by name: its true AUC was .60, another's 1.00."""
    world = _world(n_models=1)
    _unscored(world, "a-0000", predict_us=1.0)
    board = _board(world, predict_budget_us=1.0)
    assert [row.name for row in board.rows] == ["lightgbm-0000", "a-0000"]
    assert board.leader.name == "lightgbm-0000"


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_without_a_defined_score_there_is_no_leader(kind):
    world = closed(kind, None)
    _unscored(world, "a-0000")
    _unscored(world, "b-0000")
    board = _board(world)
    assert not any(row.is_scored for row in board.rows)
    said = rf"no trial has a defined {board.metric.name}, so there is no leader.* 600 of 600 predictions are not finite"
    with pytest.raises(SearchError, match=said):
        _ = board.leader


@pytest.mark.parametrize("n_most", [0, 2, 6, 15])
def test_candidates_are_cut_when_time_is_short(n_most):
    world = _world("regression", n_models=18)
    seconds = stacking_s(n_most, world.table.n_rows, 1) + 1e-6 if n_most else 0.3
    board = _board(world, remaining_s=lambda: seconds)
    drawn = [len(row.members) for row in board.rows if row.kind == "ensemble"]
    assert max(drawn, default=0) == n_most


def test_a_greedy_walk_leaves_time_for_the_others():
    """A clock that runs a second each time it is looked at."""
    world = _world("binary", n_models=12)
    seconds = iter(range(12, -1000, -1))
    hurried = _board(world, remaining_s=lambda: float(next(seconds)))
    names = {row.name: row for row in hurried.rows if row.kind == "ensemble"}
    assert {"greedy_all", "stack_all"} <= names.keys()
    unhurried = next(row for row in _board(world).rows if row.name == "greedy_all")
    assert len(names["greedy_all"].members) < len(unhurried.members)


def test_candidates_are_judged_without_the_fold_that_they_are_tried_on():
    trials = [
        _ended("mlp-0", "completed", fold_scores=(9.0, 0.0, 0.0)),
        _ended("mlp-1", "completed", fold_scores=(1.0, 2.0, 1.0)),
        _ended("linear-0", "completed", fold_scores=(0.0, 0.0, 0.0)),
    ]
    assert nested_candidates(trials, 2, best_of_family=True).tolist() == [
        [False, True, True],
        [True, False, True],
        [True, False, True],
        [True, False, True],
    ]
    assert nested_candidates(trials, 3, best_of_family=False).all()


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_order_of_trials_changes_nothing(kind):
    world = _world(kind)
    forth = _board(world).to_frame()
    world.results.reverse()
    assert _board(world).to_frame().equals(forth)
