"""How much memory trials ask for, and how many rows they learn from where it is short."""

from dataclasses import replace

import pytest

from stacktune.families.base import FitSize
from stacktune.families.registry import all_families
from stacktune.search.plan.memory import ROWS_SHARES, MemoryRequest, Node, needed_bytes, plan_memory
from stacktune.search.plan.plan import ClusterSize, SourceOptions, make_plan
from stacktune.search.space import load_space
from stacktune.text import size

FAMILIES = tuple(all_families())
SMALL = FitSize(10_000, 20, 2)
LARGE = FitSize(2_000_000, 100, 2)
GB = 10**9


def planned(cluster: ClusterSize, fit_size: FitSize | None = SMALL, search_s: float | None = 60.0, families=FAMILIES):
    return make_plan(families, cluster, 0, 5, search_s, 0.0, options=SourceOptions(fit_size))


def cluster_of(*nodes: Node) -> ClusterSize:
    return ClusterSize(sum(node.n_cpus for node in nodes), 0, False, nodes)


def test_where_there_is_enough_each_trial_asks_for_less_than_its_share_of_a_node():
    plan = planned(cluster_of(Node(4, 32 * GB), Node(4, 16 * GB)))
    assert plan.n_slots == 8
    assert plan.memory.n_bytes == int(0.8 * 4 * GB)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_entry_of_a_portfolio_has_room_where_a_node_has(name):
    memory = plan_memory(FAMILIES, LARGE, True, [Node(16, 500 * GB)], 2)
    assert all(memory.rows_share(name, config) == 1 for config in load_space(name, True).portfolio)


def test_where_memory_is_short_fewer_trials_share_all_cores():
    nodes = (Node(8, 8 * GB), Node(8, 8 * GB))
    needed = max(needed_bytes("lightgbm", config, LARGE) for config in load_space("lightgbm").portfolio)
    assert GB < needed < 8 * GB
    plan = planned(cluster_of(*nodes), LARGE, families=["lightgbm"])
    assert plan.memory.n_bytes == int(needed)
    assert plan.n_slots == 2 * (8 * GB // int(needed))
    assert plan.n_threads == 16 // plan.n_slots


def test_a_reproducible_plan_has_a_thread_a_trial_however_short_memory_is():
    plan = planned(cluster_of(Node(8, 8 * GB)), LARGE, None, ["lightgbm"])
    assert plan.n_threads == 1
    assert plan.n_slots == 8 * GB // plan.memory.n_bytes


@pytest.mark.parametrize("gigabytes", [2, 8, 64, 500])
def test_a_reproducible_plan_learns_from_all_rows_whatever_memory_there_is(gigabytes):
    """With a number of trials and no budget, 8 GB gave an eighth of the rows and 64 GB all: another leaderboard."""
    plan = planned(cluster_of(Node(8, gigabytes * GB)), LARGE, None)
    for name in FAMILIES:
        for config in (*load_space(name).portfolio, {**load_space(name).portfolio[0], "num_leaves": 10**6}):
            assert plan.memory.rows_share(name, config) == 1
    plenty = planned(cluster_of(Node(8, 900 * GB)), LARGE, None)
    assert replace(plan, memory=None, n_slots=0) == replace(plenty, memory=None, n_slots=0)


def test_of_a_reproducible_run_fewer_trials_are_begun_at_once_where_memory_is_short():
    wanted = planned(cluster_of(Node(8, 900 * GB)), LARGE, None).memory.most_wanted
    plans = [planned(cluster_of(Node(8, n * wanted + GB)), LARGE, None) for n in (1, 3, 100)]
    assert [plan.n_slots for plan in plans] == [1, 3, 8]
    assert all(plan.memory.n_bytes >= wanted and plan.memory.shortage is None for plan in plans)


def test_a_trial_too_large_for_a_node_keeps_its_rows_in_a_reproducible_run_which_is_said():
    memory = planned(cluster_of(Node(2, 2 * GB)), LARGE, None, ["lightgbm"]).memory
    assert memory.n_bytes == 2 * GB < memory.most_wanted
    assert f"a trial of lightgbm may take {size(memory.most_wanted)} on all rows, and a node has 2 GB" in (
        memory.shortage
    )
    assert planned(cluster_of(Node(2, 2 * GB)), LARGE, 60.0, ["lightgbm"]).memory.shortage is None


def test_no_trial_asks_for_more_than_a_node_has_and_learns_from_fewer_rows_instead():
    plan = planned(cluster_of(Node(2, 2 * GB)), LARGE, families=["lightgbm"])
    assert (plan.n_slots, plan.n_threads, plan.memory.n_bytes) == (1, 2, 2 * GB)
    config = load_space("lightgbm").portfolio[0]
    share = plan.memory.rows_share("lightgbm", config)
    assert share in ROWS_SHARES[1:-1]
    fitting = needed_bytes("lightgbm", config, replace(LARGE, n_rows=round(share * LARGE.n_rows)))
    assert fitting <= 2 * GB < needed_bytes("lightgbm", config, replace(LARGE, n_rows=round(2 * share * LARGE.n_rows)))


def test_what_never_fits_is_tried_on_the_fewest_rows():
    memory = MemoryRequest(1, LARGE)
    assert memory.rows_share("lightgbm", load_space("lightgbm").portfolio[0]) == ROWS_SHARES[-1]


@pytest.mark.parametrize("cluster", [ClusterSize(4, 0), cluster_of(Node(4, 0)), cluster_of(Node(2, GB), Node(2, 0))])
def test_where_ray_counts_no_memory_none_is_asked_for(cluster):
    plan = planned(cluster)
    assert plan.memory is None
    assert plan.n_slots == 4


@pytest.mark.parametrize("name", FAMILIES)
def test_more_rows_columns_and_classes_never_take_less(name):
    for config in load_space(name).portfolio:
        least = needed_bytes(name, config, SMALL)
        for more in (replace(SMALL, n_rows=20_000), replace(SMALL, n_columns=40), replace(SMALL, n_outputs=4)):
            assert needed_bytes(name, config, more) >= least
