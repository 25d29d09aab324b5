"""What random forests and extra-trees share.

scikit-learn grows the trees, and compact arrays keep them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import REGRESSION, Table
from stacktune.families._checks import first_of, is_real, is_whole, is_within
from stacktune.families._cross import CrossedMeans, Tables, load_crossed, tables_of
from stacktune.families._encode import (
    LEVELS_ENOUGH,
    TargetEncoding,
    encode_target,
    read_parts,
    target_signals,
    write_parts,
)
from stacktune.families._forest_losses import ROWS_A_THREAD, WAYS, draw_leaf_rows, together_of
from stacktune.families._output import Output, output_of, weight_of
from stacktune.families.base import Config, Family, FitSize, Job
from stacktune.families.constraints import MONOTONE, directions_among
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.suitability import Turn, suits_unless_large
from stacktune.host import n_cores
from stacktune.objectives import QUANTILE, kind_of

MAX_TREES = 100
MAX_LEAVES = 8000  # twice as many nodes still count in int16
FEW_LEVELS = 4  # a column of more levels is target encoded
SMOOTH = 10.0
NODE_BYTES = 64  # scikit-learn's, beside its values
MODEL_FILE = "forest.npz"


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees, laid end to end.

    They take an eighth of the space of scikit-learn's own.

    sizes: (n_trees,) nodes of each tree; left, right: (n_nodes,) int16 children, counted within the tree, -1 at
    leaves. For the inner nodes, feature: what a node splits on; threshold: float32, rounded down, which sends float32
    features where the double would have sent them; missing_left: where NaN goes. For the leaves, values:
    (n_leaves, n_values) float32 class shares or means.
    """

    sizes: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays.

        scikit-learn's traversal follows children and features wherever they lead.
        """
        if not all(map(is_whole, (self.sizes, self.left, self.right, self.feature, self.missing_left))):
            yield "its trees are not made of whole numbers"
            return
        n_nodes, inner = len(self.left), self.left >= 0
        if len(self.sizes) == 0 or (self.sizes < 1).any() or self.sizes.sum() != n_nodes or len(self.right) != n_nodes:
            yield "its nodes do not add up to its trees"
            return
        # Children come after their parents, in the same tree: whoever goes down comes to a leaf.
        place = np.arange(n_nodes) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        size = np.repeat(self.sizes, self.sizes)
        for children in (self.left, self.right):
            if not (np.where(inner, (children > place) & (children < size), children == -1)).all():
                yield "a node has a child that is none of its tree's"
        if not len(self.feature) == len(self.threshold) == len(self.missing_left) == inner.sum():
            yield "its nodes do not split on a feature each"
        if not is_real(self.threshold, 1) or not is_real(self.values, 2) or len(self.values) != n_nodes - inner.sum():
            yield "its leaves have no values"

    @classmethod
    def of(cls, estimators: Sequence[Any]) -> Trees:
        """Return the trees of fitted scikit-learn estimators."""
        states = [estimator.tree_.__getstate__() for estimator in estimators]
        nodes = np.concatenate([state["nodes"] for state in states])
        values = np.concatenate([state["values"][:, 0, :] for state in states])
        inner = nodes["left_child"] >= 0
        threshold = nodes["threshold"][inner]
        rounded = threshold.astype(np.float32)
        return cls(
            sizes=np.array([len(state["nodes"]) for state in states]),
            left=nodes["left_child"].astype(np.int16),
            right=nodes["right_child"].astype(np.int16),
            feature=nodes["feature"][inner].astype(np.int32),
            threshold=np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded),
            missing_left=nodes["missing_go_to_left"][inner].astype(np.uint8),
            values=values[~inner].astype(np.float32),
        )

    def rebuilt(self, n_columns: int) -> list[Any]:
        """Return the trees as scikit-learn's own objects.

        Their compiled traversal is the fastest at hand.
        """
        nodes, values = self._nodes()
        ends = np.cumsum(self.sizes)
        return [
            _tree(n_columns, nodes[end - size : end], values[end - size : end])
            for size, end in zip(self.sizes, ends, strict=True)
        ]

    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.tree._tree import NODE_DTYPE

        inner = self.left >= 0
        nodes = np.zeros(len(inner), dtype=NODE_DTYPE)
        nodes["left_child"], nodes["right_child"] = self.left, self.right
        nodes["feature"][inner], nodes["threshold"][inner] = self.feature, self.threshold
        nodes["missing_go_to_left"][inner] = self.missing_left
        values = np.zeros((len(inner), 1, self.values.shape[1]))
        values[~inner, 0] = self.values
        return nodes, values


def _tree(n_columns: int, nodes: np.ndarray, values: np.ndarray) -> Any:
    from sklearn.tree._tree import Tree

    tree = Tree(n_columns, np.array([values.shape[2]], dtype=np.intp), 1)
    tree.__setstate__({"max_depth": 0, "node_count": len(nodes), "nodes": nodes, "values": values})
    return tree


def sum_of(trees: Sequence[Any], columns: np.ndarray) -> np.ndarray:
    """Sum what trees say, as (n_rows, n_values) float64.

    The trees are scikit-learn's tree objects, asked about `columns`.
    """
    total = np.zeros((len(columns), int(trees[0].n_classes[0])))
    for tree in trees:
        total += tree.predict(columns).reshape(total.shape)
    return total


def mean_of(trees: Sequence[Any], columns: np.ndarray) -> np.ndarray:
    """Average what trees say, as (n_rows, n_values) float64.

    They are asked as in `sum_of`.
    """
    return sum_of(trees, columns) / len(trees)


@dataclass(frozen=True)
class Outline:
    """What goes into a forest and comes out.

    Numbers and codes of few levels go in as they are, other codes as means of their levels.

    kept: (n_kept,) int64 columns of `Table.features` taken as they are; classes: (n_seen,) int64 codes of the classes
    in the training rows, one for each value of a leaf.
    """

    kept: np.ndarray
    classes: np.ndarray

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        if not is_whole(self.kept) or not is_whole(self.classes) or (self.kept < 0).any() or (self.classes < 0).any():
            yield "a column or a class is none"


class ForestPredictor:
    """A finished forest."""

    def __init__(
        self,
        outline: Outline,
        encoding: TargetEncoding,
        output: Output,
        trees: Trees,
        crossed: CrossedMeans | None,
        n_threads: int | None = None,
    ):
        """Hold a forest; `n_threads` of None is every core."""
        self._n_threads = n_threads or n_cores()
        self._rebuilt: list[Any] = []
        self._rebuilding = threading.Lock()
        self._crossed = crossed
        self._outline = outline
        self._encoding = encoding
        self._output = output
        self._trees = trees

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        table = self._crossed.apply(table) if self._crossed else table
        columns = _columns(table, self._outline, self._encoding.transform(table.codes))
        return _prediction(self._raw(columns), self._outline, self._output)

    def _raw(self, columns: np.ndarray) -> np.ndarray:
        """Return (n_rows, n_values) float64: what the trees say together."""
        with self._rebuilding:
            self._rebuilt = self._rebuilt or self._trees.rebuilt(columns.shape[1])
        n_parts = min(self._n_threads, 1 + len(columns) // ROWS_A_THREAD)
        together = together_of(self._output.loss) or mean_of
        if n_parts == 1:
            return together(self._rebuilt, columns)
        with ThreadPoolExecutor(n_parts) as pool:
            parts = pool.map(lambda part: together(self._rebuilt, part), np.array_split(columns, n_parts))
            return np.concatenate(list(parts))

    def save(self, folder: Path) -> None:
        """Write the arrays and the output."""
        parts = {"outline": self._outline, "encoding": self._encoding, "trees": self._trees}
        write_parts(folder / MODEL_FILE, parts)
        self._output.save(folder)
        if self._crossed:
            self._crossed.save(folder)


class ForestLearner:
    """A growing forest: a scikit-learn estimator under `warm_start`."""

    def __init__(self, job: Job, estimator: Any, cross: bool):
        """Begin with an unfitted scikit-learn forest.

        `cross` says whether to cross columns of many levels.
        """
        self._estimator = estimator.set_params(warm_start=True, n_jobs=job.compute.n_threads)
        tables = tables_of(job, cross)
        self._crossed = tables.crossed
        key = ("forest", job.part, tables.crossed is not None)
        self._outline, self._encoding, self._rows, self._valid = job.cache.get(key, lambda: _inputs(job, tables))
        directions = directions_among(job.task, tables.rows.names, self._outline.kept, self._rows.shape[1])
        estimator.set_params(monotonic_cst=directions)
        self._output = output_of(job)
        target = job.table.labels[job.rows]
        self._target = target if job.task.is_classification else self._output.label(target).astype(np.float64)
        self._weight = weight_of(job)
        self._seed = job.seed
        n_values = len(self._outline.classes) if job.task.is_classification else 1
        self._sum, self._n_summed = np.zeros((len(job.valid), n_values)), 0
        self.n_units = 0
        self._n_best = 0
        self._rewound = False

    def advance(self, units: int) -> None:
        """Grow by `units` trees."""
        first, self.n_units = self.n_units, self.n_units + units
        self._estimator.set_params(n_estimators=self.n_units).fit(self._rows, self._target, self._weight)
        if kind_of(self._output.loss) == QUANTILE:
            fresh = [member.tree_ for member in self._estimator.estimators_[first:]]
            draw_leaf_rows(fresh, self._rows, self._target, self._weight, self._seed, first)

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows, as (n_valid, n_outputs) float64.

        Where trees are averaged, only those since the last look are asked.
        """
        together = together_of(self._output.loss)
        if together:
            trees = [member.tree_ for member in self._estimator.estimators_]
            return _prediction(together(trees, self._valid), self._outline, self._output)
        fresh = [member.tree_ for member in self._estimator.estimators_[self._n_summed :]]
        if fresh and len(self._valid):
            self._sum += sum_of(fresh, self._valid)
        self._n_summed = self.n_units
        return _prediction(self._sum / self.n_units, self._outline, self._output)

    def keep_best(self) -> None:
        """Remember the number of trees."""
        self._n_best = self.n_units

    def restore_best(self) -> None:
        """Keep the trees up to the best state."""
        self._rewound = True

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        return self._finished().predict(table)

    def save(self, folder: Path) -> None:
        """Write the arrays and the output."""
        self._finished().save(folder)

    def _finished(self) -> ForestPredictor:
        trees = Trees.of(self._estimator.estimators_[: self._n_best if self._rewound else self.n_units])
        n_threads = self._estimator.n_jobs
        return ForestPredictor(self._outline, self._encoding, self._output, trees, self._crossed, n_threads)


def _inputs(job: Job, tables: Tables) -> tuple[Outline, TargetEncoding, np.ndarray, np.ndarray]:
    """Fit the columns on the job's rows.

    Return what is fitted, and those rows and the validation ones as columns.
    """
    rows, valid = tables.rows, tables.valid
    encoded = np.flatnonzero(np.array(rows.cardinalities, dtype=np.int64) > FEW_LEVELS)
    encoding, means = encode_target(rows, encoded, target_signals(rows, job.task), SMOOTH)
    kept = np.setdiff1d(np.arange(rows.n_features), rows.n_numeric + encoded)
    classes = np.unique(rows.labels) if job.task.is_classification else np.zeros(0)
    outline = Outline(kept, classes.astype(np.int64))
    fitted = _columns(rows, outline, means)
    return outline, encoding, fitted, _columns(valid, outline, encoding.transform(valid.codes))


def _columns(table: Table, outline: Outline, means: np.ndarray) -> np.ndarray:
    """Return the trees' columns, (n_rows, n_columns) float32.

    They are NaN where a kept value is missing.
    """
    return np.ascontiguousarray(np.hstack([table.features[:, outline.kept], means]), dtype=np.float32)


def _prediction(mean: np.ndarray, outline: Outline, output: Output) -> np.ndarray:
    """Turn the trees' `mean` into (n_rows, n_outputs) float64.

    The mean is (n_rows, n_values). Classes never seen get zero.
    """
    if output.kind == REGRESSION:
        return output.prediction(mean)
    probabilities = np.zeros((len(mean), output.n_outputs))
    probabilities[:, outline.classes] = mean / mean.sum(axis=1, keepdims=True)
    return probabilities


def leaf_bound(job: Job, config: Config) -> int | None:
    """Return the most leaves of a tree, or None.

    It is None where `min_samples_leaf` keeps them below the bound anyway: scikit-learn grows best-first under one,
    which takes longer.
    """
    return MAX_LEAVES if len(job.rows) // config["min_samples_leaf"] > MAX_LEAVES else None


def n_bytes(config: Config, fit_size: FitSize) -> float:
    """Estimate the bytes of a fit.

    They are those of the rows as columns, the sums of predictions, and scikit-learn's nodes with a copy of them.
    """
    n_leaves = min(MAX_LEAVES, fit_size.n_rows / config["min_samples_leaf"])
    nodes = MAX_TREES * 2 * n_leaves * (2 * NODE_BYTES + 22 * fit_size.n_outputs)
    return 10 * fit_size.n_cells + 24 * fit_size.n_rows * fit_size.n_outputs + nodes


def load(folder: Path) -> ForestPredictor:
    """Read what `save` wrote."""
    kinds = {"outline": Outline, "encoding": TargetEncoding, "trees": Trees}
    parts, output = read_parts(folder / MODEL_FILE, kinds), Output.load(folder)
    first_of(folder / MODEL_FILE, _faults(parts["outline"], parts["encoding"], parts["trees"], output))
    return ForestPredictor(**parts, output=output, crossed=load_crossed(folder))


def _faults(outline: Outline, encoding: TargetEncoding, trees: Trees, output: Output) -> Iterator[str]:
    n_columns = len(outline.kept) + encoding.n_features
    if not is_within(trees.feature, 0, n_columns):
        yield f"a node splits on a column that is none of its {n_columns}"
    n_values = 1 if output.kind == REGRESSION else len(outline.classes)
    if trees.values.shape[1] != n_values:
        yield f"its leaves have {trees.values.shape[1]} values instead of {n_values}"
    if output.kind != REGRESSION and not is_within(outline.classes, 0, output.n_outputs):
        yield f"a class is none of its {output.n_outputs}"


def forest_family(name: str, start: Callable[[Job, Config], ForestLearner], turn: Turn) -> Family:
    """Return the record of a family of forests.

    Such families differ only in how their trees are drawn.
    """
    return Family(
        name=name,
        unit="tree",
        max_units=lambda config: MAX_TREES,
        start=start,
        load=load,
        knows_unseen_beyond=lambda config: LEVELS_ENOUGH,
        losses=ALL_LOSSES,
        holds=frozenset({MONOTONE}),
        ways=WAYS,
        loosened_by=frozenset({QUANTILE}),
        n_bytes=n_bytes,
        first_rung=0.2,
        patience=0.3,
        chunk=10,
        suits=suits_unless_large,
        turn=turn,
    )
