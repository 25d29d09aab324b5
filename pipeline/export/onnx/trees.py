"""Trees in a graph, whichever library grew them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stacktune.export.onnx.graph import ML, Graph

# How a node asks (TreeEnsemble of ai.onnx.ml 5): value <= split, value < split, value > split, value = split,
# value among levels.
LEQ, LT, GT, EQ, MEMBER = 0, 1, 3, 4, 6
# Trees whose leaves hold several values are asked so many at a time, as each row holds a leaf of each of them.
TREES_AT_ONCE = 100


@dataclass(frozen=True)
class Nodes:
    """The nodes of all trees, laid end to end.

    A tree's first is its root.

    sizes: (n_trees,) nodes of each tree. yes, no: (n_nodes,) where a row goes, counted within the tree, -1 at leaves.
    feature, split, mode: (n_nodes,) what inner nodes ask. missing_yes: (n_nodes,) bool, whether NaN goes to `yes`.
    values: (n_nodes, n_values) what leaves say. levels: by node, those that MEMBER nodes ask for.
    """

    sizes: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    feature: np.ndarray
    split: np.ndarray
    mode: np.ndarray
    missing_yes: np.ndarray
    values: np.ndarray
    levels: dict[int, list[float]] = field(default_factory=dict)

    @property
    def is_leaf(self) -> np.ndarray:
        return self.yes < 0

    @property
    def tree_of(self) -> np.ndarray:
        """Return the tree of each node."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def take(self, first: int, last: int) -> Nodes:
        """Return the trees from `first` to before `last`."""
        ends = np.concatenate([[0], np.cumsum(self.sizes)])
        start, end = int(ends[first]), int(ends[last])
        names = ("yes", "no", "feature", "split", "mode", "missing_yes", "values")
        levels = {node - start: each for node, each in self.levels.items() if start <= node < end}
        return Nodes(self.sizes[first:last], **{name: getattr(self, name)[start:end] for name in names}, levels=levels)


@dataclass
class Grown:
    """Nodes that are added one by one."""

    sizes: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, float, int, bool]] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    levels: dict[int, list[float]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin the next tree."""
        self.sizes.append(0)

    def leaf(self, values: list[float]) -> int:
        """Add a leaf; return its place in the tree."""
        return self._add((-1, -1, 0, 0.0, LEQ, False), values)

    def inner(self, feature: int, split: float, mode: int, missing_yes: bool) -> int:
        """Add a node; `lead` tells of its children later."""
        return self._add((0, 0, feature, split, mode, missing_yes), [])

    def member(self, feature: int, levels: list[float], missing_yes: bool) -> int:
        """Add a node that asks for levels."""
        self.levels[len(self.rows)] = levels
        return self.inner(feature, np.nan, MEMBER, missing_yes)

    def lead(self, place: int, yes: int, no: int) -> None:
        """Tell the present tree's node where rows go."""
        node = len(self.rows) - self.sizes[-1] + place
        self.rows[node] = (yes, no, *self.rows[node][2:])

    def _add(self, row: tuple[int, int, int, float, int, bool], values: list[float]) -> int:
        self.rows.append(row)
        self.values.append(values)
        self.sizes[-1] += 1
        return self.sizes[-1] - 1

    def nodes(self) -> Nodes:
        """Return all of them."""
        yes, no, feature, split, mode, missing = zip(*self.rows, strict=True)
        width = max(map(len, self.values))
        values = np.zeros((len(self.rows), width))
        for node, each in enumerate(self.values):
            values[node, : len(each)] = each
        return Nodes(
            sizes=np.array(self.sizes),
            yes=np.array(yes),
            no=np.array(no),
            feature=np.array(feature),
            split=np.array(split, np.float64),
            mode=np.array(mode, np.uint8),
            missing_yes=np.array(missing, bool),
            values=values,
            levels=self.levels,
        )


def sum_of_trees(graph: Graph, features: str, nodes: Nodes, target: np.ndarray, n_targets: int) -> str:
    """Return (rows, n_targets) float64 sums of trees.

    Each tree adds to its target.

    features: (rows, n_features) float64. target: (n_trees,).
    """
    if nodes.values.shape[1] == 1:
        return _ensemble(graph, features, nodes, target[nodes.tree_of[nodes.is_leaf]], nodes.values[nodes.is_leaf, 0])
    return _sum_of_vectors(graph, features, nodes)


def each_tree(graph: Graph, features: str, nodes: Nodes) -> str:
    """Return (rows, n_trees) float64: what each tree says."""
    return _ensemble(graph, features, nodes, nodes.tree_of[nodes.is_leaf], nodes.values[nodes.is_leaf, 0])


def _sum_of_vectors(graph: Graph, features: str, nodes: Nodes) -> str:
    """Return the sum of leaves of several values.

    A leaf of ONNX has one: here it is the leaf's number, by which its values are looked up.
    """
    total = None
    for first in range(0, len(nodes.sizes), TREES_AT_ONCE):
        part = nodes.take(first, min(first + TREES_AT_ONCE, len(nodes.sizes)))
        leaf = part.is_leaf
        number = _ensemble(graph, features, part, part.tree_of[leaf], np.arange(leaf.sum(), dtype=np.float64))
        said = graph.op("Gather", graph.const(part.values[leaf]), graph.cast(number, np.int64), axis=0)
        said = graph.reduced("ReduceSum", graph.cast(said, np.float64), 1)
        total = said if total is None else graph.op("Add", total, said)
    if total is None:
        raise ValueError("there is no tree")
    return total


def _ensemble(graph: Graph, features: str, nodes: Nodes, leaf_target: np.ndarray, leaf_value: np.ndarray) -> str:
    """Add a TreeEnsemble.

    Its targets are the sums of its trees' leaves.
    """
    from onnx.numpy_helper import from_array

    leaf = nodes.is_leaf
    inner = ~leaf
    start = (np.cumsum(nodes.sizes) - nodes.sizes)[nodes.tree_of]
    number = np.where(leaf, np.cumsum(leaf) - 1, np.cumsum(inner) - 1)
    yes, no = (start[inner] + child[inner] for child in (nodes.yes, nodes.no))
    roots = np.cumsum(nodes.sizes) - nodes.sizes
    feature, split, mode, missing = (
        each[inner] for each in (nodes.feature, nodes.split, nodes.mode, nodes.missing_yes)
    )
    ends = [number[yes], leaf[yes], number[no], leaf[no]]
    root = number[roots]
    if leaf[roots].any():  # a tree of one leaf: a node that leads to it either way
        alone = np.flatnonzero(leaf[roots])
        root[alone] = inner.sum() + np.arange(len(alone))
        lone = number[roots[alone]]
        zeros, ones = np.zeros(len(alone)), np.ones(len(alone), dtype=bool)
        feature, split, mode = (np.append(each, zeros.astype(each.dtype)) for each in (feature, split, mode))
        missing = np.append(missing, ~ones)
        ends = [np.append(each, more) for each, more in zip(ends, (lone, ones, lone, ones), strict=True)]
    members = [[*nodes.levels[node], np.nan] for node in np.flatnonzero(inner & (nodes.mode == MEMBER)).tolist()]
    attributes = {"membership_values": from_array(np.concatenate(members), "levels")} if members else {}
    return graph.op(
        "TreeEnsemble",
        features,
        domain=ML,
        n_targets=int(leaf_target.max()) + 1,
        post_transform=0,
        aggregate_function=1,
        tree_roots=root.tolist(),
        nodes_featureids=feature.tolist(),
        nodes_splits=from_array(split, "splits"),
        nodes_modes=from_array(mode.astype(np.uint8), "modes"),
        nodes_missing_value_tracks_true=missing.astype(int).tolist(),
        nodes_truenodeids=ends[0].tolist(),
        nodes_trueleafs=ends[1].astype(int).tolist(),
        nodes_falsenodeids=ends[2].tolist(),
        nodes_falseleafs=ends[3].astype(int).tolist(),
        leaf_targetids=leaf_target.tolist(),
        leaf_weights=from_array(np.asarray(leaf_value, np.float64), "leaves"),
        **attributes,
    )
