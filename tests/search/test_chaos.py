"""Nodes that die under their trials, and come back: nothing is lost, and nothing comes out otherwise."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray.cluster_utils import Cluster
from test_engine import Heard, outcomes, run_search

from stacktune.data.folds import make_folds
from stacktune.search.cluster.start import start_ray, stop_ray
from stacktune.search.plan.plan import make_plan
from stacktune.search.tune.engine import Search, share
from stacktune.trials.climb import Problem
from stacktune.trials.result import FAILED, TrialResult

N_TRIALS, N_DEATHS = 8, 2
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
# Ray believes a node dead after five misses, three seconds apart; of a killed one every miss is a refused connection.
SOON_BELIEVED_DEAD = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that runs no trial, and two nodes of one core each, all on this machine."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False, "_system_config": SOON_BELIEVED_DEAD},
    )
    for number in range(2):
        add_node(cluster, number)
    yield cluster
    stop_ray()
    cluster.shutdown()


def add_node(cluster: Cluster, number: int) -> None:
    """Add one with a folder of its own for what its processes work in, as a node of another machine has.

    A new node unpacks that anew: in a folder of them all, under the processes of the others.
    """
    cluster.add_node(**NODE, runtime_env_dir_name=f"runtime_resources_{number}")


@pytest.fixture(scope="module")
def long_problem(problem) -> Problem:
    """A table so long that trials are under way whenever a node dies."""
    table = problem.table.take(np.tile(np.arange(problem.table.n_rows), 8)).sealed()
    return replace(problem, table=table, folds=make_folds(table, problem.task, 3, 0))


def disturbed(search: Search, cluster: Cluster) -> list[TrialResult]:
    """Search while nodes are killed, one after another amid trials, each replaced soon after."""
    chance, n_deaths = random.Random(0), 0
    search.start()
    while not search.wait(0.1):
        if n_deaths < N_DEATHS and len(search.log.results()) >= 2 + 3 * n_deaths:
            n_deaths += 1
            time.sleep(chance.uniform(0, 1))
            cluster.remove_node(chance.choice(cluster.list_all_nodes()[1:]), allow_graceful=False)
            time.sleep(chance.uniform(0, 1))
            add_node(cluster, 1 + n_deaths)
    results = search.results()
    search.close()
    assert n_deaths == N_DEATHS
    return results


def test_nodes_that_die_cost_no_trial_and_change_no_result(cluster, long_problem, tmp_path: Path):
    size = start_ray(cluster.address, None, None)
    plan = make_plan(["lightgbm", "xgboost", "linear"], size, 0, N_TRIALS, None, time.monotonic(), max_failures=0)
    plan = replace(plan, is_local=False)
    heard = Heard()
    results = disturbed(Search(share(long_problem), plan, tmp_path / "disturbed", heard), cluster)
    assert not [result.error for result in results if result.status == FAILED]
    undisturbed = run_search(long_problem, replace(plan, n_slots=1), tmp_path / "undisturbed")
    assert outcomes(results) == outcomes(undisturbed)
    assert sorted(heard.finished) == sorted(result.trial_id for result in results)
