"""The XGBoost family, which grows one live booster.

The booster grows round by round, on binned data that trials share.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table
from stacktune.families._boosting import FIRST_RUNG, PATIENCE, histogram_bytes, max_trees, usual_trees
from stacktune.families._cross import CrossedMeans, knows_unseen_beyond, load_crossed, tables_of
from stacktune.families._output import Output, level_parameter, objective_of, output_of, weight_of
from stacktune.families.base import Config, Family, FitSize, Job
from stacktune.families.constraints import INTERACTIONS, MONOTONE, interactions_of, monotone_of
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.suitability import Turn
from stacktune.objectives import ABSOLUTE, HUBER, POISSON, QUANTILE, TWEEDIE, kind_of
from stacktune.seeds import derive_seed

OBJECTIVES = {
    BINARY: "binary:logistic",
    MULTICLASS: "multi:softprob",
    REGRESSION: "reg:squarederror",
    ABSOLUTE: "reg:absoluteerror",
    QUANTILE: "reg:quantileerror",
    HUBER: "reg:pseudohubererror",
    POISSON: "count:poisson",
    TWEEDIE: "reg:tweedie",
}
LEVELS = {QUANTILE: "quantile_alpha", HUBER: "huber_slope", TWEEDIE: "tweedie_variance_power"}
MAX_BIN = 256
# Depth and penalties keep trees from growing more leaves on few rows: about 50 on 800, by measurement.
ROWS_A_LEAF = 16
MODEL_FILE = "model.ubj"


class XGBoostPredictor:
    """A finished booster."""

    def __init__(self, booster: Any, output: Output, crossed: CrossedMeans | None):
        """Wrap an `xgboost.Booster`."""
        self._crossed = crossed
        self._booster = booster
        self._output = output
        self._n_best: int | None = None

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        features = (self._crossed.apply(table) if self._crossed else table).features
        rounds = (0, self._n_best or 0)
        raw = self._booster.inplace_predict(features, iteration_range=rounds, validate_features=False)
        return self._output.prediction(raw)

    def contributions(self, table: Table) -> np.ndarray:
        """Return contributions, as `Attributing` says."""
        import xgboost

        given = self._crossed.apply(table) if self._crossed else table
        rows = xgboost.DMatrix(given.features, feature_types=_types(given), enable_categorical=True)
        asked = {"pred_contribs": True, "iteration_range": (0, self._n_best or 0), "strict_shape": True}
        margins = self._booster.predict(rows, validate_features=False, **asked).transpose(0, 2, 1)
        found = self._output.raw_contributions(margins)
        return self._crossed.shared_out(found, table) if self._crossed else found

    def save(self, folder: Path) -> None:
        """Write XGBoost's UBJSON model and the output.

        The model has the best rounds only.
        """
        self._booster[: self._n_best].save_model(folder / MODEL_FILE)
        self._output.save(folder)
        if self._crossed:
            self._crossed.save(folder)


class XGBoostLearner(XGBoostPredictor):
    """A growing booster."""

    def __init__(self, job: Job, config: Config):
        import xgboost

        tables = tables_of(job, config["cross_levels"])
        key = (job.part, job.compute, tables.crossed is not None)
        self._train = job.cache.get(("xgboost", *key), lambda: _bin_rows(job, tables.rows))
        self._valid = job.cache.get(("xgboost valid", *key), lambda: _unbinned(job, tables.valid))
        booster = xgboost.Booster(_parameters(job, config, tables.rows.names), [self._train, self._valid])
        super().__init__(booster, output_of(job), tables.crossed)
        self.n_units = 0
        self._n_marked = 0

    def advance(self, units: int) -> None:
        """Grow by `units` rounds.

        A multiclass round is one tree a class.
        """
        for index in range(self.n_units, self.n_units + units):
            self._booster.update(self._train, index)
        self.n_units += units

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows, as (n_valid, n_outputs) float64.

        The booster's cache adds only the rounds since the last look.
        """
        return self._output.prediction(self._booster.predict(self._valid))

    def keep_best(self) -> None:
        """Remember the number of rounds."""
        self._n_marked = self.n_units

    def restore_best(self) -> None:
        """Keep the rounds up to the best state."""
        self._n_best = self._n_marked


def _parameters(job: Job, config: Config, names: Sequence[str]) -> dict[str, Any]:
    fixed = {
        "objective": objective_of(job.task, OBJECTIVES),
        **level_parameter(job.task, LEVELS),
        "tree_method": "hist",
        "max_bin": MAX_BIN,
        "device": job.compute.device,
        "nthread": job.compute.n_threads,
        "seed": derive_seed(job.seed, "xgboost"),
        "verbosity": 0,
    }
    if job.task.kind == MULTICLASS:
        fixed["num_class"] = job.task.n_outputs
    if (monotone := monotone_of(job.task, names)) is not None:
        fixed["monotone_constraints"] = tuple(monotone)
    if (interactions := interactions_of(job.task, names)) is not None:
        fixed["interaction_constraints"] = json.dumps(interactions)
    own = {name: value for name, value in config.items() if name != "cross_levels"}
    return {**own, **fixed}


def _types(table: Table) -> list[str]:
    return ["q"] * table.n_numeric + ["c"] * len(table.cardinalities)


def _bin_rows(job: Job, rows: Table) -> Any:
    import xgboost

    return xgboost.QuantileDMatrix(
        rows.features,
        output_of(job).label(rows.labels),
        weight=weight_of(job),
        feature_types=_types(rows),
        enable_categorical=True,
        max_bin=MAX_BIN,
        nthread=job.compute.n_threads,
    )


def _unbinned(job: Job, rows: Table) -> Any:
    """Return the validation rows unbinned.

    With the bins of others, a level that those lack passes for another.
    """
    import xgboost

    # Only quantiles look for labels here, and only for how many columns they have.
    label = np.zeros((rows.n_rows, 1), np.float32) if kind_of(job.task.loss) == QUANTILE else None
    return xgboost.DMatrix(
        rows.features, label, feature_types=_types(rows), enable_categorical=True, nthread=job.compute.n_threads
    )


def _n_bytes(config: Config, fit_size: FitSize) -> float:
    """Estimate the bytes of a fit.

    They are those of rows before and after they are binned, histograms, margins with their derivatives, and trees.
    """
    n_leaves = min(_most_leaves(config), fit_size.n_rows / ROWS_A_LEAF)
    trees = 150 * usual_trees(max_trees(config), fit_size) * n_leaves
    margins = 40 * fit_size.n_rows * fit_size.n_models
    return 12 * fit_size.n_cells + histogram_bytes(2 * n_leaves, fit_size) + margins + trees


def _most_leaves(config: Config) -> int:
    """Return a tree's most leaves, which either parameter bounds."""
    return min(2 ** config["max_depth"], config["max_leaves"])


def load(folder: Path) -> XGBoostPredictor:
    """Read what `save` wrote."""
    import xgboost

    return XGBoostPredictor(xgboost.Booster(model_file=folder / MODEL_FILE), Output.load(folder), load_crossed(folder))


FAMILY = Family(
    name="xgboost",
    unit="tree",
    max_units=max_trees,
    start=XGBoostLearner,
    load=load,
    knows_unseen_beyond=knows_unseen_beyond,
    losses=ALL_LOSSES,
    loosened_by=frozenset({ABSOLUTE, QUANTILE}),
    holds=frozenset({MONOTONE, INTERACTIONS}),
    n_bytes=_n_bytes,
    first_rung=FIRST_RUNG,
    patience=PATIENCE,
    chunk=10,
    uses_gpu=True,
    turn=Turn(usual=40, many_classes=60, first_model=30),
)
