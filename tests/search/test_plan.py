"""How a run's cores and seconds are dealt out."""

from dataclasses import replace

import numpy as np
import pytest

from stacktune.data.table import Table, Task
from stacktune.families.registry import all_families, in_order
from stacktune.search.nas.settings import ControllerTopology, topology_of
from stacktune.search.plan.plan import (
    ClusterSize,
    left_out_notes,
    make_plan,
    plan_for_size,
)

BINARY = Task("binary", ("a", "b"))
FORESTS, NETS = {"extra_trees", "random_forest"}, {"mlp"}


def labelled(n_rows, n_features=1, n_rare=None):
    target = np.zeros(n_rows, dtype=np.int32)
    target[: n_rows // 2 if n_rare is None else n_rare] = 1
    # No memory is taken for features that nobody reads.
    features = np.broadcast_to(np.float32(0), (n_rows, n_features))
    return Table(features, tuple(f"x{index}" for index in range(n_features)), target=target)


@pytest.mark.parametrize(
    ("table", "budget_s", "n_folds", "reason"),
    [
        (labelled(1000), 60, 8, "rows are few"),
        (labelled(20_000, 10), 60, 5, ""),
        (labelled(20_000, 10), None, 5, ""),
        (labelled(330_000, 16), 120, 1, "the table is large for this budget"),
        (labelled(330_000, 16), 3600, 5, ""),
        (labelled(2_000_000), None, 1, "rows are very many"),
        (labelled(300, 5000), 10, 3, "the table is large for this budget"),
        (labelled(1000, n_rare=4), 60, 4, "a class has no more rows"),
        (labelled(330_000, 16, n_rare=400), 120, 1, "the table is large for this budget"),
        (labelled(330_000, 16, 20), 120, 3, "the table is large for this budget and class b has 20 rows only"),
        (labelled(2_000_000, n_rare=800), None, 3, "rows are very many and class b has 800 rows only"),
        (labelled(330_000, 16, 2), 120, 2, "a class has no more rows"),
    ],
)
def test_folds_are_chosen_by_size(table, budget_s, n_folds, reason):
    plan = plan_for_size(table, BINARY, ClusterSize(2, 0), budget_s)
    assert (plan.n_folds, plan.reason) == (n_folds, reason)
    assert set(plan.left_out) - NETS == (FORESTS if plan.is_large and budget_s else set())


def test_nets_are_left_out_where_they_could_not_see_the_rows_a_few_times():
    """An epoch on a million rows of 50 columns took 95 s of a core: a whole run of 60 s went into it."""
    table, cpus, gpu = labelled(1_000_000, 50), ClusterSize(2, 0), ClusterSize(2, 1)
    assert set(plan_for_size(table, BINARY, cpus, 60).left_out) == FORESTS | NETS
    assert set(plan_for_size(table, BINARY, gpu, 60).left_out) == FORESTS
    assert set(plan_for_size(labelled(330_000, 16), BINARY, cpus, 120).left_out) == FORESTS


def test_of_many_classes_families_that_fit_all_at_once_come_first():
    classes = Task("multiclass", tuple(map(str, range(40))))
    table = replace(labelled(4000), target=np.arange(4000, dtype=np.int32) % 40)
    size = plan_for_size(table, classes, ClusterSize(2, 0), 600)
    plan = make_plan(["lightgbm", "linear", "mlp", "unheard_of"], ClusterSize(2, 0), 0, None, 60.0, 0.0, size)
    assert plan.families == ("linear", "mlp", "lightgbm", "unheard_of")


@pytest.mark.parametrize(
    ("table", "cluster", "budget_s", "is_on"),
    [
        (labelled(20_000, 10), ClusterSize(2, 0), 1800, True),
        (labelled(20_000, 10), ClusterSize(2, 0), 1700, False),
        (labelled(20_000, 10), ClusterSize(2, 1), 450, True),
        (labelled(1_000, 10), ClusterSize(2, 0), 1800, False),
        (labelled(200_000, 10), ClusterSize(2, 0), 1800, False),
        (labelled(20_000, 10), ClusterSize(2, 0), None, False),
    ],
)
def test_architectures_are_searched_where_rows_and_seconds_are_enough(table, cluster, budget_s, is_on):
    plan = plan_for_size(table, BINARY, cluster, budget_s)
    assert set(plan.silently_left_out) == (set() if is_on else {"nas"})
    assert "nas" not in plan.left_out


def test_every_family_that_a_controller_searches_is_left_out_of_reproducible_runs():
    searched = {name for name, family in all_families().items() if family.searcher == "controller"}
    assert set(plan_for_size(labelled(20_000, 10), BINARY, ClusterSize(2, 0), None).silently_left_out) == set(searched)


def test_families_are_first_tried_in_the_order_that_their_records_give():
    usual = ("lightgbm", "linear", "catboost", "xgboost", "extra_trees", "mlp", "random_forest", "nas")
    many = ("linear", "extra_trees", "mlp", "random_forest", "lightgbm", "xgboost", "catboost", "nas")
    assert (in_order(), in_order(has_many_classes=True)) == (usual, many)


def test_a_family_is_left_out_for_a_reason_of_its_own_whatever_the_folds_are_chosen_for():
    plan = plan_for_size(labelled(330_000, 16, 2), BINARY, ClusterSize(2, 0), 120)
    assert plan.reason == "a class has no more rows"
    assert set(plan.left_out.values()) == {"the table is large for this budget"}


def test_families_are_left_out_with_a_sentence_for_each_reason():
    reason = "naive Bayes learns nothing more from so many rows"
    assert left_out_notes({"xgboost": "it rains", "naive_bayes": reason, "catboost": "it rains"}) == [
        "without catboost and xgboost, as it rains; --families overrides this",
        f"without naive_bayes, as {reason}; --families overrides this",
    ]


@pytest.mark.parametrize(
    ("n_cpus", "topology"),
    [(2, ControllerTopology(1, 1, 4)), (16, ControllerTopology(1, 1, 4)), (200, ControllerTopology(1, 6, 4))],
)
def test_a_controller_is_parted_by_how_many_trials_run_at_once(n_cpus, topology):
    assert topology_of(make_plan(["nas"], ClusterSize(n_cpus, 0), 0, None, 60.0, 0.0)) == topology
    assert topology_of(make_plan(["nas"], ClusterSize(n_cpus, 0), 0, 9, None, 0.0)) == ControllerTopology(1, 1, 4)
