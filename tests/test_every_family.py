"""What a family is, one clause a test, over every family that the registry finds and every task that it claims."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from family_cases import (
    CLOSE,
    MANY,
    N_ROWS,
    TASKS,
    any_differs,
    assert_is_prediction,
    default_of,
    domains_of,
    draw,
    every_case,
    every_family,
    extremes,
    few,
    grown,
    make_job,
    space_of,
    unlabelled,
    usual,
)
from thread_use import TASK_FOLDER

from stacktune.data.table import REGRESSION
from stacktune.families.base import Cache
from stacktune.families.registry import all_families, get_family


@every_family
def test_it_tells_how_long_to_grow(name: str) -> None:
    family = get_family(name)
    assert 0 < family.first_rung <= 1
    assert 0 < family.patience <= 1
    assert family.chunk >= 1
    assert family.scheduler in ("asha", "pbt")
    assert family.searcher in ("bayesian", "controller")
    assert (family.n_multiplications is None) == (family.searcher == "bayesian")
    assert family.tasks <= set(TASKS)
    for config in space_of(name).PORTFOLIO:
        assert family.max_units(config) >= 1


@every_case
@pytest.mark.parametrize("seed", range(3))
def test_every_configuration_predicts(name: str, kind: str, seed: int) -> None:
    job, config = make_job(kind), draw(name, seed)
    learner = grown(name, job, config)
    assert learner.n_units == few(get_family(name), config)
    assert_is_prediction(learner.predict(job.table), N_ROWS, job.task)


@every_case
def test_every_portfolio_entry_predicts(name: str, kind: str) -> None:
    job = make_job(kind)
    for config in space_of(name).PORTFOLIO:
        assert_is_prediction(grown(name, job, config, units=1).watch(), len(job.watched), job.task)


@every_case
def test_it_watches_what_it_would_predict(name: str, kind: str) -> None:
    job = make_job(kind)
    learner = grown(name, job, units=1)
    for _ in range(2):
        np.testing.assert_allclose(learner.watch(), learner.predict(job.table.take(job.watched)), **CLOSE)
        learner.advance(1)


@every_case
def test_it_beats_the_constant_predictor(name: str, kind: str) -> None:
    job, family = make_job(kind), get_family(name)
    learner = grown(name, job, units=min(60, family.max_units(default_of(name))))
    seen, true = job.table.target[job.rows], job.table.target[job.watched]
    if kind == REGRESSION:
        error, constant = np.mean((learner.watch()[:, 0] - true) ** 2), np.mean((seen.mean() - true) ** 2)
    else:
        shares = np.bincount(seen) / len(seen)
        error = -np.log(learner.watch()[np.arange(len(true)), true] + 1e-9).mean()
        constant = -np.log(shares[true]).mean()
    assert error < 0.85 * constant


@every_case
def test_the_same_seed_predicts_the_same(name: str, kind: str) -> None:
    np.testing.assert_array_equal(grown(name, make_job(kind)).watch(), usual(name, kind)[1].watch())


def watch_cases(cases: list[tuple[str, str]]) -> dict[tuple[str, str], np.ndarray]:
    return {(name, kind): grown(name, make_job(kind)).watch() for name, kind in cases}


@pytest.fixture(scope="module")
def watched_elsewhere(request: pytest.FixtureRequest) -> dict[tuple[str, str], np.ndarray]:
    """Watch, in a process that has imported nothing but this module, the cases that are asked for."""
    items = [item for item in request.session.items if request.fixturename in item.fixturenames]
    cases = [(item.callspec.params["name"], item.callspec.params["kind"]) for item in items]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(watch_cases, cases).result()


@every_case
def test_the_same_seed_predicts_the_same_in_a_fresh_process(watched_elsewhere: Any, name: str, kind: str) -> None:
    np.testing.assert_array_equal(watched_elsewhere[name, kind], usual(name, kind)[1].watch())


@every_case
def test_a_shared_cache_changes_nothing(name: str, kind: str) -> None:
    cache = Cache()
    grown(name, make_job(kind, cache=cache, seed=1), draw(name, 1))
    expected = usual(name, kind)[1].watch()
    np.testing.assert_array_equal(grown(name, make_job(kind, cache=cache)).watch(), expected)


@every_case
def test_growing_in_two_steps_is_growing_in_one(name: str, kind: str) -> None:
    units = few(get_family(name), default_of(name))
    if units == 1:
        pytest.skip("one unit cannot be parted")
    parted = grown(name, make_job(kind), units=units // 3)
    parted.watch()
    parted.advance(units - units // 3)
    np.testing.assert_allclose(parted.watch(), usual(name, kind)[1].watch(), rtol=1e-6, atol=1e-7)


@every_case
def test_rewinding_returns_to_the_mark(name: str, kind: str, tmp_path: Path) -> None:
    job = make_job(kind)
    learner = grown(name, job)
    marked = learner.predict(job.table)
    learner.mark()
    learner.advance(3)
    learner.rewind()
    np.testing.assert_allclose(learner.predict(job.table), marked, **CLOSE)
    learner.save(tmp_path)
    np.testing.assert_allclose(get_family(name).load(tmp_path).predict(job.table), marked, **CLOSE)


@every_case
def test_a_saved_learner_predicts_as_before(name: str, kind: str, tmp_path: Path, monkeypatch: Any) -> None:
    job, learner = usual(name, kind)
    learner.save(tmp_path)
    for opener in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, opener, _refuse)
    loaded = get_family(name).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(unlabelled(job.table)), learner.predict(job.table), rtol=1e-6, atol=1e-7)


def _refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("a model folder must be read without unpickling")


@every_case
def test_a_loaded_model_can_be_saved_again(name: str, kind: str, tmp_path: Path) -> None:
    (job, learner), folders = usual(name, kind), (tmp_path / "first", tmp_path / "second")
    for folder in folders:
        folder.mkdir()
    learner.save(folders[0])
    first = get_family(name).load(folders[0])
    first.save(folders[1])
    second = get_family(name).load(folders[1])
    np.testing.assert_array_equal(second.predict(job.table), first.predict(job.table))


@every_case
def test_a_row_alone_is_predicted_as_in_company(name: str, kind: str) -> None:
    job, learner = usual(name, kind)
    together = learner.predict(job.table)
    alone = [learner.predict(unlabelled(job.table, np.array([row]))) for row in range(5)]
    np.testing.assert_allclose(np.vstack(alone), together[:5], **CLOSE)


@every_case
def test_the_table_is_left_untouched(name: str, kind: str) -> None:
    job = make_job(kind)
    features, target = job.table.features.copy(), job.table.target.copy()
    grown(name, job).predict(job.table)
    np.testing.assert_array_equal(job.table.features, features)
    np.testing.assert_array_equal(job.table.target, target)


def parameters_of(name: str) -> list[tuple[str, str, str]]:
    kinds = sorted(get_family(name).tasks)
    return [(name, kind, parameter) for kind in kinds for parameter in domains_of(name)]


@pytest.mark.parametrize(
    ("name", "kind", "parameter"), [case for name in all_families() for case in parameters_of(name)]
)
def test_every_parameter_matters(name: str, kind: str, parameter: str) -> None:
    """Boosters ignore misspelt parameters in silence; one that changes no prediction anywhere is one of those."""
    (job, learner), values = usual(name, kind), extremes(domains_of(name)[parameter])
    changed = (grown(name, job, {**default_of(name), parameter: value}).watch() for value in values)
    if any_differs(chain([learner.watch()], changed)):
        return
    for base in (draw(name, seed) for seed in range(20)):
        drawn = [{**base, parameter: value} for value in values]
        units = min(MANY, *(get_family(name).max_units(config) for config in drawn))
        if any_differs(grown(name, job, config, units).watch() for config in drawn):
            return
    pytest.fail(f"{parameter!r} changes no prediction of {name!r} on a {kind} task between {values}")


@every_family
def test_importing_it_does_not_import_its_library(name: str) -> None:
    code = (
        f"import sys, stacktune.families.{name}\n"
        "heavy = {'lightgbm', 'xgboost', 'catboost', 'sklearn', 'scipy', 'torch', 'ray', 'mlflow', 'pyarrow'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@every_family
def test_a_learner_that_is_given_up_leaves_no_thread(name: str) -> None:
    kind = min(get_family(name).tasks)
    grown(name, make_job(kind)).watch()
    before = set(threading.enumerate())
    first, second = (grown(name, make_job(kind), units=1) for _ in range(2))
    first.watch()
    del first
    assert second.watch().shape[1] == TASKS[kind].n_outputs
    del second
    assert set(threading.enumerate()) <= before


# A process of its own, which tells of its threads and ends while a learner stands half grown.
ALONE = """
from thread_use import TASK_FOLDER, busy_s_of_helpers, grown, make_job
print(*busy_s_of_helpers({name!r}, {kind!r}, {config!r}) if TASK_FOLDER.exists() else ())
learner = grown({name!r}, make_job({kind!r}), {config!r}, units=1)
"""


@cache
def alone(name: str) -> subprocess.CompletedProcess:
    kind, folder = min(get_family(name).tasks), Path(__file__).parent
    words = [sys.executable, "-c", ALONE.format(name=name, kind=kind, config=default_of(name))]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(not TASK_FOLDER.exists(), reason="counts threads' time as Linux tells it")
@every_family
def test_it_uses_no_more_threads_than_given(name: str) -> None:
    busiest, others = map(float, alone(name).stdout.split())
    assert others < 0.1 * busiest + 0.02


@every_family
def test_a_process_ends_while_a_learner_stands_half_grown(name: str) -> None:
    assert (alone(name).returncode, alone(name).stderr) == (0, "")


PBT = sorted(name for name, family in all_families().items() if family.scheduler == "pbt")


@pytest.mark.parametrize("name", PBT)
def test_a_state_taken_up_grows_on_as_the_original(name: str, tmp_path: Path) -> None:
    kind = min(get_family(name).tasks)
    job = make_job(kind)
    original = grown(name, job, units=2)
    original.save_state(tmp_path)
    taken_up = get_family(name).start(job, default_of(name))
    taken_up.load_state(tmp_path)
    np.testing.assert_allclose(taken_up.watch(), original.watch(), **CLOSE)
    for learner in (original, taken_up):
        learner.advance(2)
    assert taken_up.n_units == original.n_units == 4
    np.testing.assert_allclose(taken_up.watch(), original.watch(), **CLOSE)


@pytest.mark.parametrize(("name", "parameter"), [(name, key) for name in PBT for key in sorted(space_of(name).MUTABLE)])
def test_a_mutable_parameter_can_change_while_it_grows(name: str, parameter: str) -> None:
    kind = min(get_family(name).tasks)
    watched = []
    for value in extremes(space_of(name).SPACE[parameter]):
        learner = grown(name, make_job(kind), units=2)
        learner.adjust({**default_of(name), parameter: value})
        learner.advance(2)
        watched.append(learner.watch())
    assert not np.array_equal(watched[0], watched[-1])
