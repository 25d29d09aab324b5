"""What the contract over all families is checked on: a small mixed table for each task, and a learner grown on it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table, Task
from stacktune.families.base import Cache, Config, Family, Job, Learner
from stacktune.families.registry import all_families, get_family

N_ROWS, N_TRAINED = 360, 280
N_GAPPED = 1000
MANY = 12
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32 arithmetic, summed in another order
TASKS = {
    BINARY: Task(BINARY, ("no", "yes")),
    MULTICLASS: Task(MULTICLASS, ("ash", "beech", "oak")),
    REGRESSION: Task(REGRESSION),
}
CASES = [(name, kind) for name, family in all_families().items() for kind in sorted(family.tasks)]
every_case = pytest.mark.parametrize(("name", "kind"), CASES)
every_family = pytest.mark.parametrize("name", sorted(all_families()))


def make_table(kind: str, seed: int = 0) -> Table:
    """Return 4 numeric columns, one with gaps, and 3 categorical ones of 2, 6 and 40 levels, all of which tell."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(N_ROWS, 4))
    cardinalities = (2, 6, 40)
    codes = np.column_stack([rng.integers(count, size=N_ROWS) for count in cardinalities])
    signal = 1.5 * numeric[:, 0] - np.abs(numeric[:, 1]) + codes[:, 0] + np.sin(codes[:, 1]) + (codes[:, 2] % 5) / 2
    target = _target(kind, signal + 0.3 * rng.normal(size=N_ROWS))
    numeric[rng.random(N_ROWS) < 0.1, 2] = np.nan
    features = np.hstack([numeric, codes]).astype(np.float32)
    features[rng.random(N_ROWS) < 0.05, 6] = np.nan
    return Table(features, tuple("abcdefg"), cardinalities, target).sealed()


def make_telling_gaps(kind: str, seed: int = 0) -> Table:
    """Return 2 numeric columns and 4 categorical ones of 2, 6, 40 and 120 levels, where a missing value says it all.

    The target of such a row is the last class, or a high value. The last of the 6 and of the 40 levels is in no row.
    """
    rng = np.random.default_rng(seed)
    cardinalities = (2, 6, 40, 120)
    numeric = rng.normal(size=(N_GAPPED, 2))
    codes = np.column_stack([rng.integers(count, size=N_GAPPED) for count in cardinalities]).astype(np.float32)
    codes[:, 1:3] %= [5, 39]
    gaps = rng.random((N_GAPPED, len(cardinalities))) < [0.06, 0.06, 0.08, 0.14]
    signal = numeric[:, 0] + 0.5 * codes[:, 0] + 0.5 * np.sin(codes[:, 1]) + (codes[:, 2] % 3 + codes[:, 3] % 3) / 4
    signal[gaps.any(axis=1)] = np.quantile(signal, 0.98)
    codes[gaps] = np.nan
    features = np.hstack([numeric, codes]).astype(np.float32)
    return Table(features, tuple("abcdef"), cardinalities, _target(kind, signal)).sealed()


def _target(kind: str, signal: np.ndarray) -> np.ndarray:
    if kind == REGRESSION:
        return 100.0 + 20.0 * signal
    n_classes = len(TASKS[kind].classes)
    edges = np.quantile(signal, np.linspace(0, 1, n_classes + 1)[1:-1])
    return np.searchsorted(edges, signal).astype(np.int32)


def make_job(kind: str, table: Table | None = None, **changed: Any) -> Job:
    table = table or make_table(kind)
    rows, watched = np.arange(N_TRAINED), np.arange(N_TRAINED, N_ROWS)
    return replace(Job(table, TASKS[kind], rows, watched, part="fold0", seed=7, cache=Cache()), **changed)


def space_of(name: str) -> Any:
    return importlib.import_module(f"stacktune.search_spaces.{name}")


def domains_of(name: str) -> dict[str, Any]:
    from stacktune.search.space import load_space  # Ray's, which takes longer to import than all that is here

    return load_space(name).domains


def default_of(name: str) -> Config:
    return space_of(name).PORTFOLIO[0]


def draw(name: str, seed: int) -> Config:
    domains = domains_of(name).items()
    return {key: domain.sample(random_state=seed + index) for index, (key, domain) in enumerate(domains)}


def few(family: Family, config: Config) -> int:
    return min(6 if family.unit == "epoch" else MANY, family.max_units(config))


def grown(name: str, job: Job, config: Config | None = None, units: int | None = None) -> Learner:
    family, config = get_family(name), config or default_of(name)
    learner = family.start(job, config)
    learner.advance(units or few(family, config))
    return learner


@cache
def usual(name: str, kind: str) -> tuple[Job, Learner]:
    """Return a job and the default learner grown on it, for the clauses that do nothing but ask them."""
    job = make_job(kind)
    return job, grown(name, job)


def any_differs(predicted: Iterable[np.ndarray]) -> bool:
    """Return whether any prediction differs from the first; none is made after that."""
    made = iter(predicted)
    first = next(made)
    return any(not np.array_equal(first, other) for other in made)


def unlabelled(table: Table, rows: np.ndarray | slice = slice(None)) -> Table:
    return Table(table.features[rows].copy(), table.names, table.cardinalities)


def assert_is_prediction(predicted: np.ndarray, n_rows: int, task: Task) -> None:
    assert predicted.shape == (n_rows, task.n_outputs)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    if task.is_classification:
        assert (predicted >= 0).all()
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)


def extremes(domain: Any) -> list[Any]:
    from stacktune.search.nas.domain import Architectures

    if isinstance(domain, Architectures):
        return [domain.sample(random_state=seed) for seed in range(3)]
    if hasattr(domain, "categories"):
        return list(domain.categories)
    upper = domain.upper - 1 if isinstance(domain.lower, int) and isinstance(domain.upper, int) else domain.upper
    return [domain.lower, upper]
