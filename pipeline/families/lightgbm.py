"""The LightGBM family, which grows one live booster.

The booster grows tree by tree, on binned data that trials share.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table, Task
from stacktune.families._boosting import FIRST_RUNG, PATIENCE, histogram_bytes, max_trees, usual_trees
from stacktune.families._cross import CrossedMeans, Tables, knows_unseen_beyond, load_crossed, tables_of
from stacktune.families._output import Output, level_parameter, objective_of, output_of, weight_of
from stacktune.families._threads import limited
from stacktune.families.base import Compute, Config, Family, FitSize, Job
from stacktune.families.constraints import INTERACTIONS, MONOTONE, interactions_of, monotone_of
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.suitability import Turn
from stacktune.objectives import ABSOLUTE, HUBER, POISSON, QUANTILE, TWEEDIE
from stacktune.seeds import derive_seed

OBJECTIVES = {
    BINARY: "binary",
    MULTICLASS: "multiclass",
    REGRESSION: "regression",
    ABSOLUTE: "regression_l1",
    QUANTILE: "quantile",
    HUBER: "huber",
    POISSON: "poisson",
    TWEEDIE: "tweedie",
}
LEVELS = {QUANTILE: "alpha", HUBER: "alpha", TWEEDIE: "tweedie_variance_power"}
MODEL_FILE = "model.txt"
# LightGBM asks all trees of one row before the next row. Trees of so many leaves stay in a core's cache while all rows
# pass: a row of covertype (264 iterations of 7 trees) took 41 us instead of 99, one of california_housing 18, not 57.
LEAVES_AT_ONCE = 900
FEW_ROWS = 64  # do not make up for a call for each part of the trees


class LightGBMPredictor:
    """A finished booster."""

    def __init__(self, booster: Any, output: Output, crossed: CrossedMeans | None, n_threads: int | None = None):
        """Wrap a `lightgbm.Booster`; `n_threads` of None is every core."""
        self._crossed = crossed
        self._booster = booster
        self._output = output
        self._n_threads = n_threads
        self._n_best: int | None = None
        # The booster itself remembers which of its trees are asked, so two threads would ask each other's.
        self._alone = threading.Lock()

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        if table.n_rows == 0:
            return np.empty((0, self._output.n_outputs))
        features = (self._crossed.apply(table) if self._crossed else table).features
        with limited(self._n_threads, "lightgbm"), self._alone:
            margins = self._margins(features)
        return self._output.prediction(_responses(margins, self._output))

    def _margins(self, features: np.ndarray) -> np.ndarray:
        """Return (n_rows,) or (n_rows, n_classes) float64 sums of leaves."""
        n_iterations = self._n_best or self._booster.current_iteration()
        n_leaves = int(self._booster.params.get("num_leaves", 31)) * self._booster.num_model_per_iteration()
        n_at_once = max(1, LEAVES_AT_ONCE // n_leaves if len(features) > FEW_ROWS else n_iterations)
        margins = self._raw(features, 0, min(n_at_once, n_iterations))
        for start in range(n_at_once, n_iterations, n_at_once):
            margins += self._raw(features, start, min(n_at_once, n_iterations - start))
        return margins

    def _raw(self, features: np.ndarray, start: int, n_iterations: int) -> np.ndarray:
        asked = {"start_iteration": start, "num_iteration": n_iterations, "num_threads": self._n_threads or 0}
        return self._booster.predict(features, raw_score=True, **asked)

    def contributions(self, table: Table) -> np.ndarray:
        """Return contributions, as `Attributing` says."""
        given = self._crossed.apply(table) if self._crossed else table
        asked = {"num_iteration": self._n_best or -1, "num_threads": self._n_threads or 0}
        with limited(self._n_threads, "lightgbm"), self._alone:
            flat = self._booster.predict(given.features, pred_contrib=True, **asked)
        margins = np.asarray(flat).reshape(table.n_rows, -1, given.n_features + 1).transpose(0, 2, 1)
        found = self._output.raw_contributions(margins)
        return self._crossed.shared_out(found, table) if self._crossed else found

    def save(self, folder: Path) -> None:
        """Write LightGBM's text model and the output.

        The model has the best trees only.
        """
        self._booster.save_model(folder / MODEL_FILE, num_iteration=self._n_best)
        self._output.save(folder)
        if self._crossed:
            self._crossed.save(folder)


class LightGBMLearner(LightGBMPredictor):
    """A growing booster."""

    def __init__(self, job: Job, config: Config):
        tables = tables_of(job, config["cross_levels"])
        output = output_of(job)
        with limited(job.compute.n_threads, "lightgbm"):
            super().__init__(_open_booster(job, config, tables), output, tables.crossed, job.compute.n_threads)
        self.n_units = 0
        self._n_marked = 0

    def advance(self, units: int) -> None:
        """Grow by `units` trees.

        A multiclass unit is one tree a class.
        """
        # Some of LightGBM's loops overlook its own num_threads, and idle helpers that spin slow the whole machine.
        with limited(self._n_threads, "lightgbm"):
            for _ in range(units):
                self._booster.update()
        self.n_units += units

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows, as (n_valid, n_outputs) float64.

        The scores are those that the booster keeps up to date tree by tree.
        """
        kept: list[np.ndarray] = []

        def capture(margins: np.ndarray, _: Any) -> tuple[str, float, bool]:
            kept.append(margins.copy())
            return "captured", 0.0, True

        with limited(self._n_threads, "lightgbm"):
            self._booster.eval_valid(feval=capture)
        return self._output.prediction(kept[0]) if kept else np.empty((0, self._output.n_outputs))

    def keep_best(self) -> None:
        """Remember the number of trees.

        Where LightGBM found no split it has fewer than were asked for.
        """
        self._n_marked = self._booster.current_iteration()

    def restore_best(self) -> None:
        """Keep the trees up to the best state."""
        self._n_best = self._n_marked


def _open_booster(job: Job, config: Config, tables: Tables) -> Any:
    import lightgbm

    key = (job.part, tables.crossed is not None)
    train = job.cache.get(("lightgbm", *key), lambda: _bin_rows(job, tables))
    booster = lightgbm.Booster(_parameters(job, config, tables.rows.names), train)
    if len(job.valid):
        booster.add_valid(job.cache.get(("lightgbm valid", *key), lambda: _bin_valid(train, tables)), "valid")
    return booster


def _parameters(job: Job, config: Config, names: Sequence[str]) -> dict[str, Any]:
    fixed = {
        "objective": objective_of(job.task, OBJECTIVES),
        **level_parameter(job.task, LEVELS),
        "metric": "None",
        "bagging_freq": 1,
        "deterministic": True,
        "bagging_seed": derive_seed(job.seed, "bagging"),
        "feature_fraction_seed": derive_seed(job.seed, "features"),
        "extra_seed": derive_seed(job.seed, "extra"),
    }
    if job.task.kind == MULTICLASS:
        fixed["num_class"] = job.task.n_outputs
    own = {name: value for name, value in config.items() if name != "cross_levels"}
    return {**own, **_shared_parameters(job.compute), **fixed, **_constraints(job.task, names)}


def _constraints(task: Task, names: Sequence[str]) -> dict[str, Any]:
    asked = {
        "monotone_constraints": monotone_of(task, names),
        "interaction_constraints": interactions_of(task, names),
    }
    return {name: value for name, value in asked.items() if value is not None}


def _shared_parameters(compute: Compute) -> dict[str, Any]:
    """Return the parameters that binning and boosting must share.

    Otherwise LightGBM refuses to share a Dataset.
    """
    # Pre-filtering would bake one trial's min_data_in_leaf into the bins of all.
    return {"feature_pre_filter": False, "force_col_wise": True, "num_threads": compute.n_threads, "verbosity": -1}


def _bin_rows(job: Job, tables: Tables) -> Any:
    import lightgbm

    rows = tables.rows
    dataset = lightgbm.Dataset(
        rows.features,
        label=output_of(job).label(rows.labels),
        weight=weight_of(job),
        feature_name=[f"f{index}" for index in range(rows.n_features)],
        categorical_feature=rows.categorical_indices,
        params={**_shared_parameters(job.compute), **_constraints(job.task, rows.names)},
    )
    return dataset.construct()


def _bin_valid(train: Any, tables: Tables) -> Any:
    return train.create_valid(tables.valid.features, params=train.get_params()).construct()


def _responses(margins: np.ndarray, output: Output) -> np.ndarray:
    """Return what LightGBM makes of its sums.

    This is P(class 1), softmax rows, the values themselves, or their exponentials.
    """
    from scipy.special import expit, softmax

    if output.kind == REGRESSION:
        return output.response(margins)
    return expit(margins) if output.kind == BINARY else softmax(margins, axis=1)


def _n_bytes(config: Config, fit_size: FitSize) -> float:
    """Estimate the bytes of a fit.

    They are those of rows before and after they are binned, histograms, scores with their derivatives, and trees.
    """
    trees = 100 * usual_trees(max_trees(config), fit_size) * min(config["num_leaves"], fit_size.n_rows)
    scores = 40 * fit_size.n_rows * fit_size.n_models
    return 10 * fit_size.n_cells + histogram_bytes(config["num_leaves"], fit_size) + scores + trees


def load(folder: Path) -> LightGBMPredictor:
    """Read what `save` wrote."""
    import lightgbm

    return LightGBMPredictor(
        lightgbm.Booster(model_file=folder / MODEL_FILE), Output.load(folder), load_crossed(folder)
    )


FAMILY = Family(
    name="lightgbm",
    unit="tree",
    max_units=max_trees,
    start=LightGBMLearner,
    load=load,
    knows_unseen_beyond=knows_unseen_beyond,
    losses=ALL_LOSSES,
    loosened_by=frozenset({ABSOLUTE, QUANTILE}),
    holds=frozenset({MONOTONE, INTERACTIONS}),
    n_bytes=_n_bytes,
    first_rung=FIRST_RUNG,
    patience=PATIENCE,
    chunk=10,
    turn=Turn(usual=10, many_classes=50, first_model=20),
    preloads=("lightgbm",),
)
