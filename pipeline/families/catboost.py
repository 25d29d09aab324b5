"""The CatBoost family, which grows one stepped fit.

The fit stands still between two calls of `advance`, on pools that trials share.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table, Task
from stacktune.families._boosting import FIRST_RUNG, PATIENCE, histogram_bytes, usual_trees
from stacktune.families._encode import LEVELS_ENOUGH
from stacktune.families._output import Output, level_parameter, objective_of, output_of, weight_of
from stacktune.families._stepped import SteppedFit
from stacktune.families.base import Config, Family, FitSize, Job
from stacktune.families.constraints import MONOTONE, monotone_of
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.suitability import Turn
from stacktune.host import n_cores
from stacktune.objectives import ABSOLUTE, HUBER, LOG_LINK, POISSON, QUANTILE, TWEEDIE, kind_of
from stacktune.seeds import derive_seed

OBJECTIVES = {
    BINARY: "Logloss",
    MULTICLASS: "MultiClass",
    REGRESSION: "RMSE",
    ABSOLUTE: "MAE",
    QUANTILE: "Quantile",
    HUBER: "Huber",
    POISSON: "Poisson",
    TWEEDIE: "Tweedie",
}
LEVELS = {QUANTILE: "alpha", HUBER: "delta", TWEEDIE: "variance_power"}
# Losses that begin at zero, as CatBoost lets them nowhere else: it is the logarithm of the mean of their labels.
FROM_ZERO = LOG_LINK | {HUBER}
MODEL_FILE = "model.cbm"
# How many of its trees a model predicts with, in its own metadata: CatBoost cuts trees off symmetric ones only.
N_TREES = "stacktune_n_trees"
# Symmetric trees say less each, so more of them are grown than by the other boosted families.
LEARNING_RATE_TIMES_TREES = 100
# More trees than are ever asked for: the fit ends when it is told to.
NEVER_REACHED = 100_000
# CatBoost refuses a sample that happens to be empty.
MIN_SAMPLED_ROWS = 50


class CatBoostPredictor:
    """A finished model."""

    def __init__(self, model: Any, output: Output, n_threads: int | None = None):
        """Wrap a `catboost.CatBoost`; `n_threads` of None is every core."""
        self._model = model
        self._output = output
        self._n_threads = n_threads

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        if table.n_rows == 0:
            return np.empty((0, self._output.n_outputs))
        raw = self._model.predict(
            _pool(table),
            prediction_type="RawFormulaVal",
            ntree_end=int(self._model.get_metadata()[N_TREES]),
            thread_count=self._n_threads or n_cores(),
        )
        return _prediction(raw, self._model.classes_, self._output)

    def contributions(self, table: Table) -> np.ndarray | None:
        """Return contributions, as `Attributing` says.

        There are none where trees are to be left off that are not symmetric: CatBoost cannot.
        """
        import catboost

        model, n_trees = self._model, int(self._model.get_metadata()[N_TREES])
        if n_trees < model.tree_count_:
            model = model.copy()
            try:
                model.shrink(n_trees)
            except catboost.CatBoostError:
                return None
        found = model.get_feature_importance(
            _pool(table), type="ShapValues", thread_count=self._n_threads or n_cores()
        ).reshape(table.n_rows, -1, table.n_features + 1)
        margins = found.transpose(0, 2, 1)
        if self._output.kind == MULTICLASS:
            margins = _of_all_classes(margins, model.classes_, self._output.n_outputs)
        return self._output.raw_contributions(margins)

    def save(self, folder: Path) -> None:
        """Write CatBoost's own binary model and the output."""
        self._model.save_model(str(folder / MODEL_FILE))
        self._output.save(folder)


class CatBoostLearner(CatBoostPredictor):
    """A growing model.

    Predicting ends its growth; if it is to grow on, it is grown anew.
    """

    def __init__(self, job: Job, config: Config):
        super().__init__(None, output_of(job), job.compute.n_threads)
        self.n_units = 0
        self._job = job
        self._parameters = _parameters(job, config)
        self._fit: SteppedFit | None = None
        self._raw = np.empty((0, 0))
        self._n_marked = 0

    def advance(self, units: int) -> None:
        """Grow by `units` trees."""
        if self._fit is None:
            self._fit = _open_fit(self._job, self._parameters)
            weakref.finalize(self, self._fit.give_up)
        self.n_units += units
        self._raw = self._fit.grow_to(self.n_units)

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows, as (n_valid, n_outputs) float64.

        The sums are those that CatBoost keeps up to date tree by tree.
        """
        return _prediction(self._raw[: len(self._job.valid)], _classes(self._job), self._output)

    def keep_best(self) -> None:
        """Remember the number of trees."""
        self._n_marked = self.n_units

    def restore_best(self) -> None:
        """Keep the trees up to the best state."""
        self._settle(self._n_marked)

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        if self._fit:
            self._settle(self.n_units)
        return super().predict(table)

    def save(self, folder: Path) -> None:
        """Write CatBoost's own binary model and the output."""
        if self._fit:
            self._settle(self.n_units)
        super().save(folder)

    def _settle(self, n_trees: int) -> None:
        if self._fit:
            self._model = self._fit.end()
            self._fit = None
        self._model.get_metadata()[N_TREES] = str(n_trees)


def _open_fit(job: Job, parameters: dict[str, Any]) -> SteppedFit:
    import catboost

    train = job.cache.get(("catboost", job.part), lambda: _training_pool(job))
    valid = job.cache.get(("catboost valid", job.part), lambda: _valid_pool(job))
    return SteppedFit(catboost.CatBoost(parameters), train, valid)


def _parameters(job: Job, config: Config) -> dict[str, Any]:
    fixed = {
        "loss_function": _loss_function(job.task),
        "iterations": NEVER_REACHED,
        "boosting_type": "Plain",
        "bootstrap_type": "Bernoulli",
        "score_function": "L2",
        "permutation_count": 1,
        "random_seed": derive_seed(job.seed, "catboost"),
        "thread_count": job.compute.n_threads,
        "use_best_model": False,
        "allow_const_label": True,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }
    if job.task.kind != MULTICLASS and kind_of(job.task.loss) not in FROM_ZERO:
        # Multiclass fits cannot; for binary ones it is not the default.
        fixed["boost_from_average"] = True
    if kind_of(job.task.loss) == HUBER:
        # Otherwise it takes back every step that it takes within a leaf.
        fixed["leaf_estimation_backtracking"] = "No"
    if len(job.rows) < MIN_SAMPLED_ROWS:
        fixed["bootstrap_type"] = "No"
        config = {name: value for name, value in config.items() if name != "subsample"}
    if (monotone := monotone_of(job.task, job.table.names)) is not None:
        # CatBoost keeps to it in symmetric trees only, and not where it combines levels with splits of numbers
        # (catboost#2272).
        fixed |= {"monotone_constraints": monotone, "grow_policy": "SymmetricTree", "max_ctr_complexity": 1}
    return {**config, **fixed, **_named_classes(job)}


def _loss_function(task: Task) -> str:
    parameters = ";".join(f"{name}={level:.12g}" for name, level in level_parameter(task, LEVELS).items())
    name = objective_of(task, OBJECTIVES)
    return f"{name}:{parameters}" if parameters else name


def _classes(job: Job) -> np.ndarray:
    """Return the classes that the model knows, ascending.

    They are those of the training rows, or all where these have one.
    """
    if job.task.kind == REGRESSION:
        return np.empty(0, dtype=np.int64)
    seen = np.unique(job.table.labels[job.rows])
    return seen if len(seen) > 1 else np.arange(job.task.n_outputs)


def _named_classes(job: Job) -> dict[str, Any]:
    # Otherwise CatBoost finds them itself; told of more than there are, it warns on stderr.
    if job.task.kind == REGRESSION or len(np.unique(job.table.labels[job.rows])) > 1:
        return {}
    return {"class_names": _classes(job).tolist()}


def _prediction(raw: np.ndarray, classes: Any, output: Output) -> np.ndarray:
    """Turn raw sums into (n_rows, n_outputs) float64 predictions.

    The sums are (n_rows,) or (n_rows, 1), or (n_rows, n_classes) in the order of `classes`.
    """
    from scipy.special import expit, softmax

    if output.kind == REGRESSION:
        return output.prediction(output.response(raw))
    if output.kind == BINARY:
        return output.prediction(expit(raw.ravel()))
    probabilities = np.zeros((len(raw), output.n_outputs))
    probabilities[:, np.asarray(classes, dtype=np.int64)] = softmax(raw, axis=1)
    return output.prediction(probabilities)


def _of_all_classes(margins: np.ndarray, classes: Any, n_outputs: int) -> np.ndarray:
    """Return contributions to the logits of all classes.

    Of a class that the model does not know the base is that of no probability.
    """
    found = np.zeros((*margins.shape[:2], n_outputs))
    found[:, -1] = np.log(np.finfo(np.float64).tiny)
    found[:, :, np.asarray(classes, dtype=np.int64)] = margins
    return found


def _pool(table: Table, label: np.ndarray | None = None, weight: np.ndarray | None = None) -> Any:
    """Return a `catboost.Pool`.

    A data frame of categories is what CatBoost reads fastest: it hashes each level once.

    After a column's own levels come two more: a missing value, and one never seen.
    """
    import catboost
    import pandas as pd

    columns: dict[str, Any] = {str(index): table.features[:, index] for index in range(table.n_numeric)}
    for index, count in zip(table.categorical_indices, table.cardinalities, strict=True):
        codes = table.features[:, index]
        levels = np.where(np.isnan(codes), count, codes + (codes == count)).astype(np.int32)
        columns[str(index)] = pd.Categorical.from_codes(levels, pd.RangeIndex(count + 2))
    frame = pd.DataFrame(columns, copy=False)
    return catboost.Pool(frame, label, weight=weight, cat_features=table.categorical_indices)


def _training_pool(job: Job) -> Any:
    rows = _with_variation(job.table.take(job.rows))
    label = output_of(job).label(rows.labels) if job.task.kind == REGRESSION else rows.labels
    return _pool(rows, label, weight_of(job))


def _with_variation(rows: Table) -> Table:
    """Make sure that a column varies: CatBoost wants one.

    If none does, the first column of the returned rows tells odd rows from even ones.
    """
    if any(_varies(rows.features[:, index]) for index in range(rows.n_features)):
        return rows
    features = rows.features.copy()
    features[:, 0] = np.arange(rows.n_rows) % 2
    return Table(features, rows.names, rows.cardinalities, rows.target, rows.weight)


def _varies(column: np.ndarray) -> bool:
    first = column[0]
    return bool((~np.isnan(column) if np.isnan(first) else column != first).any())


def _valid_pool(job: Job) -> Any:
    """Return a pool of the validation rows.

    Where there are none, it has one row. Its labels are not looked at.
    """
    rows = job.table.take(job.valid if len(job.valid) else job.rows[:1])
    label = 0 if job.task.kind == REGRESSION else job.table.labels[job.rows[0]]
    return _pool(rows, np.full(rows.n_rows, label))


def max_trees(config: Config) -> int:
    """Return the most trees worth growing.

    They follow from the configuration's `learning_rate`.
    """
    return round(LEARNING_RATE_TIMES_TREES / config["learning_rate"])


def _n_bytes(config: Config, fit_size: FitSize) -> float:
    """Estimate the bytes of a fit.

    They are those of pools, histograms, approximations with their derivatives, and trees.
    """
    n_leaves = 2 ** config["depth"]
    trees = 20 * usual_trees(max_trees(config), fit_size) * n_leaves
    approximations = 60 * fit_size.n_rows * fit_size.n_outputs
    histograms = histogram_bytes(n_leaves, fit_size, config["border_count"]) * fit_size.n_outputs / 2
    return 24 * fit_size.n_cells + histograms + approximations + trees


def load(folder: Path) -> CatBoostPredictor:
    """Read what `save` wrote."""
    import catboost

    return CatBoostPredictor(catboost.CatBoost().load_model(str(folder / MODEL_FILE)), Output.load(folder))


FAMILY = Family(
    name="catboost",
    unit="tree",
    max_units=max_trees,
    start=CatBoostLearner,
    load=load,
    knows_unseen_beyond=lambda config: LEVELS_ENOUGH,
    losses=ALL_LOSSES,
    holds=frozenset({MONOTONE}),
    n_bytes=_n_bytes,
    first_rung=FIRST_RUNG,
    patience=PATIENCE,
    chunk=10,
    turn=Turn(usual=30, many_classes=70, first_model=60),
    requires="catboost",
)
