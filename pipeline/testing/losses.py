"""The contract's clauses on losses of values.

Each is put to every loss that the family says it fits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stacktune.data.table import REGRESSION, Table
from stacktune.families.base import Job
from stacktune.metrics import get_metric
from stacktune.objectives import LOG_LINK, NAMES, QUANTILE, TWEEDIE, kind_of, metric_of
from stacktune.testing.clause import Case, Clause
from stacktune.testing.learners import CLOSE, assert_is_prediction, few_units, grown, make_job, require
from stacktune.testing.subject import Subject
from stacktune.testing.tables import TASKS, target_of

LEVELS = {QUANTILE: ":0.8", TWEEDIE: ":1.5"}
LOSSES = tuple(kind + LEVELS.get(kind, "") for kind in sorted(NAMES.values()))
N_ROWS, N_TRAINED = 600, 400
# Of the error of the best constant, by the loss's own metric.
MAX_ERROR_OF_CONSTANT = 0.9
# Boosting by usual rates has come far enough after so many trees to be judged.
N_JUDGED_TREES, N_JUDGED_EPOCHS = 60, 8


def skewed_table(n_rows: int = N_ROWS, seed: int = 0) -> Table:
    """Return a table whose mean and median lie apart.

    It has 4 columns, one of categories, and values above zero with lognormal noise.
    """
    rng = np.random.default_rng(seed)
    numeric, codes = rng.normal(size=(n_rows, 3)), rng.integers(6, size=n_rows)
    signal = numeric[:, 0] + np.abs(numeric[:, 1]) + 0.3 * codes
    target = np.exp(1 + 0.5 * signal + 0.5 * rng.normal(size=n_rows))
    return Table(np.column_stack([numeric, codes]).astype(np.float32), tuple("abcd"), (6,), target).sealed()


def loss_job(loss: str, table: Table | None = None) -> Job:
    """Return a fit under a loss."""
    job = make_job(REGRESSION, table or skewed_table())
    n_trained = N_TRAINED * job.table.n_rows // N_ROWS
    rows = np.arange(job.table.n_rows)
    return replace(job, task=replace(TASKS[REGRESSION], loss=loss), rows=rows[:n_trained], valid=rows[n_trained:])


def best_constant(target: np.ndarray, loss: str) -> np.ndarray:
    """Return the best constant of many, (n, 1)."""
    metric = get_metric(metric_of(loss), REGRESSION)
    tried = [*np.quantile(target, np.linspace(0.02, 0.98, 97)), target.mean()]
    scores = [metric.score(target, np.full((len(target), 1), value)) for value in tried]
    return np.full((len(target), 1), tried[int(np.argmax(scores))])


def a_loss_is_fitted(subject: Subject, loss: str) -> None:
    """Require less error than a constant's, by its metric."""
    job, metric = loss_job(loss), get_metric(metric_of(loss), REGRESSION)
    n_judged = N_JUDGED_EPOCHS if subject.family.unit == "epoch" else N_JUDGED_TREES
    learner = grown(subject, job, units=min(n_judged, subject.family.max_units(subject.default)))
    true = target_of(job.table)[job.valid]
    error, constant = (-metric.score(true, said) for said in (learner.predict_valid(), best_constant(true, loss)))
    rule = f"under {loss} it errs less than {MAX_ERROR_OF_CONSTANT} of a constant"
    require(error < MAX_ERROR_OF_CONSTANT * constant, f"{rule}, but by {error:.4g} where that errs by {constant:.4g}")


def a_loss_is_kept_when_saved(subject: Subject, loss: str) -> None:
    """Require the usual of a learner under any loss.

    It predicts what it validates, the same again, in parts, alone, and when it is loaded.
    """
    job, units = loss_job(loss), few_units(subject, subject.default)
    learner = grown(subject, job)
    expected = learner.predict_valid()
    parted = grown(subject, loss_job(loss), units=max(1, units // 3))
    parted.predict_valid()
    parted.advance(units - parted.n_units)
    np.testing.assert_allclose(parted.predict_valid(), expected, rtol=1e-6, atol=1e-7)
    predicted = learner.predict(job.table)
    assert_is_prediction(predicted, job.table.n_rows, job.task)
    np.testing.assert_allclose(expected, predicted[job.valid], **CLOSE)
    with TemporaryDirectory() as folder:
        learner.save(Path(folder))
        loaded = subject.family.load(Path(folder))
    np.testing.assert_allclose(loaded.predict(job.table.take(np.array([3]))), predicted[3:4], **CLOSE)
    np.testing.assert_allclose(loaded.predict(job.table), predicted, rtol=1e-6, atol=1e-7)


HARD_TARGETS = {
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.exponential(size=n)),
    "all zero": lambda rng, n: np.zeros(n),
    "huge": lambda rng, n: np.exp(rng.normal(0, 8, size=n)),
    "tiny": lambda rng, n: 1e-12 * rng.exponential(size=n),
}


def hard_targets_are_predicted(subject: Subject, loss: str) -> None:
    """Require finite predictions whatever the targets.

    They are above zero where their logarithms are added up. Rows have weights.
    """
    for name, draw in HARD_TARGETS.items():
        rng = np.random.default_rng(1)
        table = skewed_table(360)
        weight = rng.integers(1, 5, 360).astype(np.float32)
        job = loss_job(loss, replace(table, target=draw(rng, 360), weight=weight).sealed())
        units = min(2, subject.family.max_units(subject.default))
        predicted = grown(subject, job, units=units).predict(job.table)
        require(np.isfinite(predicted).all(), f"predictions of {name} targets are finite under {loss}")
        if kind_of(loss) in LOG_LINK:
            require((predicted > 0).all(), f"predictions of {name} targets are above zero under {loss}")


def _each_loss(subject: Subject) -> Iterable[Case]:
    fitted = subject.family.losses if REGRESSION in subject.kinds else ()
    return ((loss,) for loss in LOSSES if kind_of(loss) in fitted)


CLAUSES = (
    Clause(a_loss_is_fitted, _each_loss),
    Clause(a_loss_is_kept_when_saved, _each_loss),
    Clause(hard_targets_are_predicted, _each_loss),
)
