"""Logistic and ridge regression on encoded columns.

The columns are filled, scaled and one-hot encoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import REGRESSION, Table
from stacktune.families._checks import is_real, is_whole
from stacktune.families._cross import Crossing
from stacktune.families._encode import (
    OneHot,
    TargetEncoding,
    encode_target,
    read_parts,
    target_signals,
    write_parts,
)
from stacktune.families._output import Output, output_of, weight_of
from stacktune.families._scale import MAX_PIECES, N_KNOTS, Scaling
from stacktune.families._threads import limited
from stacktune.families.base import Config, Family, FitSize, Job
from stacktune.families.constraints import INTERACTIONS
from stacktune.families.losses import ALL_LOSSES, REWEIGHTED, nearness
from stacktune.families.suitability import Turn
from stacktune.objectives import ABSOLUTE, HUBER, LOG_LINK, QUANTILE, SQUARED, kind_of, power_of
from stacktune.seeds import derive_seed

FEW_LEVELS = 16  # columns with more levels may be target encoded instead of one-hot
SMOOTH = 10.0
MAX_DENSE_COLUMNS = 600  # wider designs stay sparse
MAX_NEWTON_COLUMNS = 300  # a Newton step costs n_rows * columns^2; beyond this L-BFGS is quicker
N_ITERATIONS = 150
# Absolute errors and their like are fitted by ridge regression this many times over, each with other weights of rows;
# gaps below this share of the spread weigh alike. A quantile at the edge begins further off than the median.
N_REWEIGHTINGS, MIN_GAP = {ABSOLUTE: 8, QUANTILE: 20, HUBER: 8}, 0.02
# Rows times columns that are solved for: 400 weights are known well from 50,000 rows, and a million would take 4.7 GB.
MAX_CELLS = 20_000_000
MODEL_FILE = "linear.npz"


@dataclass(frozen=True)
class Design:
    """A table as the columns that linear models weigh.

    These are scaled numbers, levels' means, then indicators of levels.
    """

    crossing: Crossing
    scaling: Scaling
    encoding: TargetEncoding
    encoding_scaling: Scaling
    one_hot: OneHot

    def transform(self, table: Table) -> Any:
        """Return (n_rows, n_columns) float32, dense or `scipy.sparse.csr_array`."""
        crossed = self.crossing.apply(table)
        return self.assemble(crossed, self.encoding.transform(crossed.codes))

    def assemble(self, table: Table, means: np.ndarray) -> Any:
        """Return the columns of `table`, with its means given.

        The means, (n_rows, n_encoded_columns), are its target encoding.
        """
        from scipy.sparse import csr_array, hstack

        dense = np.hstack([self.scaling.transform(table.numeric), self.encoding_scaling.transform(means)])
        indicators = self.one_hot.transform(table.codes)
        if dense.shape[1] + indicators.shape[1] <= MAX_DENSE_COLUMNS:
            return np.hstack([dense, indicators.toarray()])
        return hstack([csr_array(dense), indicators], format="csr")


@dataclass(frozen=True)
class Weights:
    """What a linear model has learnt.

    coefficients: (n_columns, n_seen); intercepts: (n_seen,); seen: (n_seen,) the classes in the training rows.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    seen: np.ndarray

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        n_seen = len(self.seen) if is_whole(self.seen) else -1
        if not is_real(self.coefficients, 2) or self.coefficients.shape[1] != n_seen or len(self.intercepts) != n_seen:
            yield "its weights are not those of its classes"
        elif (self.seen < 0).any():
            yield "a class is none"


class LinearPredictor:
    """A fitted linear model."""

    def __init__(self, design: Design, weights: Weights, output: Output, n_threads: int | None = None):
        """Hold a model; `n_threads` of None is every core."""
        self._design = design
        self._weights = weights
        self._output = output
        self._n_threads = n_threads

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        with limited(self._n_threads, "sklearn.linear_model"):
            return self._raw(self._design.transform(table))

    def _raw(self, columns: Any) -> np.ndarray:
        from scipy.special import softmax

        weights = self._weights
        margins = np.asarray(columns @ weights.coefficients, dtype=np.float64) + weights.intercepts
        if self._output.kind == REGRESSION:
            return self._output.prediction(self._output.response(margins))
        probabilities = np.zeros((len(margins), self._output.n_outputs))
        probabilities[:, weights.seen] = softmax(margins, axis=1)
        return probabilities

    def save(self, folder: Path) -> None:
        """Write the arrays and the output."""
        parts = {name: getattr(self._design, name) for name in DESIGN_PARTS}
        write_parts(folder / MODEL_FILE, {**parts, "weights": self._weights})
        self._output.save(folder)


DESIGN_PARTS = {
    "crossing": Crossing,
    "scaling": Scaling,
    "encoding": TargetEncoding,
    "encoding_scaling": Scaling,
    "one_hot": OneHot,
}


class LinearLearner(LinearPredictor):
    """A linear model that its first unit fits.

    The first unit solves the problem, and further ones have nothing to add.
    """

    def __init__(self, job: Job, config: Config):
        job = _thinned(job, config["scaling"])
        keys = ("scaling", "min_frequency", "high_cardinality")
        choices = tuple(config[key] for key in keys)
        design, self._columns = job.cache.get(("linear", job.part, *choices), lambda: _design(job, *choices))
        super().__init__(design, _no_weights(), output_of(job), job.compute.n_threads)
        self._job = job
        self._strength = float(config["C"])
        self._valid = np.empty((0, job.task.n_outputs))
        self.n_units = 0

    def advance(self, units: int) -> None:
        """Fit, the first time."""
        if self.n_units == 0:
            with limited(self._n_threads, "sklearn.linear_model"):
                self._weights = _solve(self._job, self._columns, self._output, self._strength)
            self._valid = self.predict(self._job.table.take(self._job.valid))
        self.n_units += units

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows, as (n_valid, n_outputs) float64."""
        return self._valid

    def keep_best(self) -> None:
        """Do nothing, as there is only one state."""

    def restore_best(self) -> None:
        """Do nothing, as there is only one state."""


def _thinned(job: Job, scaling: str) -> Job:
    """Return the job on as many rows as fit.

    They are as many as keep the columns that numeric ones become within MAX_CELLS.
    """
    n_numeric = max(1, job.table.n_numeric)
    n_columns = min(MAX_PIECES, (N_KNOTS - 1) * n_numeric) if scaling == "piecewise" else n_numeric
    n_most = MAX_CELLS // n_columns
    if len(job.rows) <= n_most:
        return job
    order = np.random.default_rng(derive_seed(job.seed, "linear rows")).permutation(len(job.rows))
    return replace(job, rows=np.sort(job.rows[order[:n_most]]))


def _no_weights() -> Weights:
    return Weights(np.zeros((0, 0)), np.zeros(0), np.zeros(0, dtype=np.int64))


def _design(job: Job, scaling: str, min_frequency: int, high_cardinality: str) -> tuple[Design, Any]:
    """Fit the design on the job's rows.

    It is returned with those rows under it.
    """
    rows = job.table.take(job.rows)
    is_crossed = high_cardinality == "crossed" and not job.task.interactions
    crossing = Crossing.fit(rows) if is_crossed else Crossing.none()
    rows = crossing.apply(rows)
    encoded = (np.array(rows.cardinalities) > FEW_LEVELS) & (high_cardinality != "onehot")
    encoding, means = encode_target(rows, np.flatnonzero(encoded), target_signals(rows, job.task), SMOOTH)
    one_hot = OneHot.fit(rows, np.flatnonzero(~encoded), min_frequency)
    design = Design(crossing, Scaling.fit(rows.numeric, scaling), encoding, Scaling.fit(means, "squash"), one_hot)
    return design, design.assemble(rows, means)


def _solve(job: Job, columns: Any, output: Output, strength: float) -> Weights:
    target, weight = job.table.labels[job.rows], weight_of(job)
    if output.kind == REGRESSION and columns.shape[1] == 0:
        return Weights(np.zeros((0, 1)), np.zeros(1), np.zeros(1, dtype=np.int64))
    if output.kind == REGRESSION and kind_of(output.loss) in LOG_LINK:
        return _solve_means(columns, output.label(target), weight, strength, output.loss)
    if output.kind == REGRESSION:
        return _solve_values(columns, output.label(target), weight, strength, output.loss)
    seen = np.unique(target)
    if len(seen) == 1 or columns.shape[1] == 0:
        shares = np.bincount(np.searchsorted(seen, target), weight) / len(target)
        return Weights(np.zeros((columns.shape[1], len(seen))), np.log(shares), seen)
    return _solve_logistic(columns, target, weight, strength, seen)


def _solve_values(columns: Any, label: np.ndarray, weight: np.ndarray | None, strength: float, loss: str) -> Weights:
    if loss != SQUARED and isinstance(columns, np.ndarray):
        columns = columns.astype(np.float64)  # weights a hundredfold of others make nearly collinear columns singular
    found = _solve_ridge(columns, label, weight, strength)
    for _ in range(N_REWEIGHTINGS.get(kind_of(loss), 0)):
        fitted = columns @ found.coefficients[:, 0] + found.intercepts[0]
        near = nearness(label - fitted, loss, MIN_GAP).astype(np.float32)
        found = _solve_ridge(columns, label, near if weight is None else near * weight, strength)
    return found


def _solve_means(columns: Any, label: np.ndarray, weight: np.ndarray | None, strength: float, loss: str) -> Weights:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import TweedieRegressor

    newton = isinstance(columns, np.ndarray) and columns.shape[1] <= MAX_NEWTON_COLUMNS
    model = TweedieRegressor(
        power=power_of(loss),
        alpha=1 / (strength * len(label)),  # of the mean over rows, where ridge regression has their sum
        link="log",
        solver="newton-cholesky" if newton else "lbfgs",
        max_iter=N_ITERATIONS,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(columns.astype(np.float64), label.astype(np.float64), weight)
    return Weights(model.coef_.reshape(-1, 1), np.reshape(model.intercept_, 1), np.zeros(1, dtype=np.int64))


def _solve_ridge(columns: Any, label: np.ndarray, weight: np.ndarray | None, strength: float) -> Weights:
    from sklearn.linear_model import Ridge

    solver = "cholesky" if isinstance(columns, np.ndarray) else "sparse_cg"
    model = Ridge(alpha=1 / strength, solver=solver, tol=1e-3, max_iter=N_ITERATIONS).fit(columns, label, weight)
    return Weights(model.coef_.reshape(-1, 1), np.reshape(model.intercept_, 1), np.zeros(1, dtype=np.int64))


def _solve_logistic(
    columns: Any, target: np.ndarray, weight: np.ndarray | None, strength: float, seen: np.ndarray
) -> Weights:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    n_solved = columns.shape[1] * (1 if len(seen) == 2 else len(seen))
    newton = isinstance(columns, np.ndarray) and n_solved <= MAX_NEWTON_COLUMNS
    if newton:
        columns = columns.astype(np.float64)  # a Hessian of nearly collinear indicators is singular in float32
    model = LogisticRegression(C=strength, solver="newton-cholesky" if newton else "lbfgs", max_iter=N_ITERATIONS)
    with warnings.catch_warnings():
        # Where the optimum is far off, a bounded number of steps is a regulariser too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(columns, target, weight)
    if len(seen) > 2:
        return Weights(model.coef_.T, model.intercept_, seen)
    # Two classes share one margin; as a softmax the first class's is zero.
    coefficients = np.hstack([np.zeros_like(model.coef_.T), model.coef_.T])
    return Weights(coefficients, np.concatenate([[0.0], model.intercept_]), seen)


def _n_bytes(config: Config, fit_size: FitSize) -> float:
    """Estimate the bytes of a fit.

    They are those of the columns solved for, in single and double precision, and margins with their derivatives.
    """
    n_columns = fit_size.n_columns
    if config["scaling"] == "piecewise":
        n_columns = max(n_columns, min(MAX_PIECES, (N_KNOTS - 1) * n_columns))
    n_cells = min(MAX_CELLS, fit_size.n_rows * n_columns)
    return 20 * fit_size.n_cells + 20 * n_cells + 40 * fit_size.n_rows * fit_size.n_outputs


def load(folder: Path) -> LinearPredictor:
    """Read what `save` wrote."""
    parts = read_parts(folder / MODEL_FILE, {**DESIGN_PARTS, "weights": Weights})
    weights = parts.pop("weights")
    return LinearPredictor(Design(**parts), weights, Output.load(folder))


FAMILY = Family(
    name="linear",
    unit="fit",
    max_units=lambda config: 1,
    start=LinearLearner,
    load=load,
    losses=ALL_LOSSES,
    holds=frozenset({INTERACTIONS}),
    ways=dict.fromkeys(REWEIGHTED, "squares under other weights of rows, again and again"),
    n_bytes=_n_bytes,
    patience=1.0,
    chunk=1,
    turn=Turn(usual=20, many_classes=10, first_model=10),
    preloads=("sklearn.linear_model", "scipy.sparse"),
)
