"""Grows learners to check, and judges their predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from stacktune.data.table import Table, Task
from stacktune.families.base import Cache, Config, Job, Learner
from stacktune.testing.subject import Subject
from stacktune.testing.tables import N_ROWS, N_TRAINED, TASKS, make_table

N_UNITS, N_EPOCHS = 12, 6  # enough to tell growing from standing still, and no more, since every check pays for it
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}  # float32 arithmetic, summed in another order


def make_job(kind: str, table: Table | None = None, **changed: Any) -> Job:
    """Return a fit on a table's first rows.

    The table is the usual one or another; the fit validates on the rest of its rows.
    """
    table = table or make_table(kind)
    rows, valid = np.arange(N_TRAINED), np.arange(N_TRAINED, N_ROWS)
    return replace(Job(table, TASKS[kind], rows, valid, part="fold0", seed=7, cache=Cache()), **changed)


def draw(subject: Subject, seed: int) -> Config:
    """Return a configuration drawn from all of the space."""
    domains = subject.space.domains.items()
    return {key: domain.sample(random_state=seed + index) for index, (key, domain) in enumerate(domains)}


def few_units(subject: Subject, config: Config) -> int:
    """Return as many units as a check grows by."""
    family = subject.family
    return min(N_EPOCHS if family.unit == "epoch" else N_UNITS, family.max_units(config))


def grown(subject: Subject, job: Job, config: Config | None = None, units: int | None = None) -> Learner:
    """Return a learner that has grown.

    Its configuration is the default or another, and it has grown by a few units, or as many as are asked for.
    """
    config = config or subject.default
    learner = subject.family.start(job, config)
    learner.advance(units or few_units(subject, config))
    return learner


@cache
def usual(subject: Subject, kind: str) -> tuple[Job, Learner]:
    """Return a job and its grown default learner.

    This is for the checks that do nothing but ask them.
    """
    job = make_job(kind)
    return job, grown(subject, job)


def extremes(domain: Any) -> list[Any]:
    """Return a domain's values that lie furthest apart."""
    from stacktune.search.nas.domain import Architectures

    if isinstance(domain, Architectures):
        return [domain.sample(random_state=seed) for seed in range(3)]
    if hasattr(domain, "categories"):
        return list(domain.categories)
    upper = domain.upper - 1 if isinstance(domain.lower, int) and isinstance(domain.upper, int) else domain.upper
    return [domain.lower, upper]


def any_differs(predicted: Iterable[np.ndarray]) -> bool:
    """Return whether any prediction differs from the first.

    None is made after the first that does.
    """
    made = iter(predicted)
    first = next(made)
    return any(not np.array_equal(first, other) for other in made)


def require(holds: Any, rule: str) -> None:
    """Raise AssertionError where the rule does not hold.

    It does so also where Python leaves out `assert`, and the error holds the rule.
    """
    if not holds:
        raise AssertionError(rule)


def assert_is_prediction(predicted: np.ndarray, n_rows: int, task: Task) -> None:
    """Check a prediction's shape, type and finiteness.

    Probabilities must sum to one, too.
    """
    shape = (n_rows, task.n_outputs)
    require(predicted.shape == shape, f"predictions are of shape {shape}, but these {predicted.shape}")
    require(predicted.dtype == np.float64, f"predictions are float64, but these {predicted.dtype}")
    require(np.isfinite(predicted).all(), "predictions are finite")
    if task.is_classification:
        require((predicted >= 0).all(), "probabilities are not negative")
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6, err_msg="probabilities of a row sum to one")
