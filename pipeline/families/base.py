"""What every family gives and gets.

It gives a learner that grows when told, and gets arrays, with no Ray, MLflow, path or clock.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stacktune.data.table import Table, Task
from stacktune.families.losses import USUAL_LOSSES
from stacktune.families.suitability import LAST, SearchConditions, Turn, Unsuited, always_suits

Config = Mapping[str, Any]


class Cache:
    """What a process keeps between trials (binned data, encoders).

    It keeps the `limit` entries used last.
    """

    def __init__(self, limit: int = 24):
        self._limit = limit
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the entry under `key`.

        The first time, `make()` makes it.
        """
        if key not in self._entries:
            # Before, so that the new entry does not come on top of those that it displaces.
            while len(self._entries) >= self._limit:
                self._entries.popitem(last=False)
            self._entries[key] = make()
        self._entries.move_to_end(key)
        return self._entries[key]


@dataclass(frozen=True)
class Compute:
    """What a learner may use.

    It may use exactly `n_threads` threads, and a GPU when `device` is "cuda".
    """

    n_threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """One fit of a learner.

    It trains on `rows` of `table` and chooses the best state on `valid`.

    rows, valid: integer positions into `table`; `valid` may be empty.
    part: names the rows (e.g. "fold0"); what is cached for one part serves every job on the same part.
    """

    table: Table
    task: Task
    rows: np.ndarray
    valid: np.ndarray
    part: str
    seed: int = 0
    compute: Compute = field(default_factory=Compute)
    cache: Cache = field(default_factory=Cache)


@dataclass(frozen=True)
class FitSize:
    """The size of one fit.

    n_rows: that it learns from or is validated on. n_columns, cardinalities: as in the table. n_outputs: see Task.
    """

    n_rows: int
    n_columns: int
    n_outputs: int
    cardinalities: tuple[int, ...] = ()

    @classmethod
    def of(cls, table: Table, task: Task) -> FitSize:
        """Return the size of a fit on all rows."""
        return cls(table.n_rows, table.n_features, task.n_outputs, table.cardinalities)

    @property
    def n_cells(self) -> int:
        return self.n_rows * self.n_columns

    @property
    def n_models(self) -> int:
        """Return the number of trees or weight vectors.

        The trees are those of one round of boosting. There is one where two classes share a margin.
        """
        return self.n_outputs if self.n_outputs > 2 else 1


def usual_bytes(config: Config, fit_size: FitSize) -> float:
    """Estimate the bytes of a fit of any family.

    Of a family of which nothing is known, it counts two copies of its rows and four of its predictions.
    """
    return 8 * fit_size.n_cells + 32 * fit_size.n_rows * fit_size.n_outputs


class Predictor(Protocol):
    """A fitted model."""

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64.

        These are class probabilities that sum to one, or one column of values.
        """

    def save(self, folder: Path) -> None:
        """Write the model into the existing, empty `folder`.

        Its formats run no code when read.
        """


class Learner(Predictor, Protocol):
    """A model that grows.

    Until `keep_best` is called, predictions are those of all units grown.
    """

    n_units: int

    def advance(self, units: int) -> None:
        """Grow by `units` trees, epochs or fits.

        Advancing by a then b equals advancing by a + b.
        """

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows by all units grown.

        The predictions are (n_valid, n_outputs) float64.
        """

    def keep_best(self) -> None:
        """Remember the present state as the best one."""

    def restore_best(self) -> None:
        """Return to the best state, for good.

        From then on `predict` and `save` speak of it.
        """


@runtime_checkable
class KnowsUnseen(Protocol):
    """What the registry's learners can do besides.

    A family does not write it: its learners have it from `_unseen.py`.
    """

    def has_unseen(self, rows: np.ndarray) -> np.ndarray:
        """Find rows with levels that no training row has.

        It returns (n,) bool for the `rows` of the job's table.
        """


@runtime_checkable
class Attributing(Protocol):
    """A model that shares raw scores out among columns.

    They are path-dependent Shapley values of trees (TreeSHAP, Lundberg et al. 2020, Nat. Mach. Intell. 2). A family
    writes it where its library has it; all that the registry loads have it, and return None where the model has not.
    """

    def contributions(self, table: Table) -> np.ndarray | None:
        """Return what each feature gives to raw scores.

        It is (n_rows, n_features + 1, n_scores) float64, and sums to the raw scores over its second axis, whose last
        entry is the base. Raw scores are one log-odds of two classes, one logit a class of more, or one value: where
        the model sums up logarithms, the logarithm of what it predicts.
        """


class AdjustableLearner(Learner, Protocol):
    """A learner of a PBT family.

    Its MUTABLE parameters may change while it grows, and its state can be kept.
    """

    def adjust(self, config: Config) -> None:
        """Take up the mutable parameters of `config`.

        They hold from the next unit on.
        """

    def save_state(self, folder: Path) -> None:
        """Write everything that growing on needs.

        This is weights, optimiser and units grown, in formats that run no code when read.
        """

    def load_state(self, folder: Path) -> None:
        """Take up the state that `save_state` wrote.

        The learner that wrote it had the same fixed parameters.
        """


class WarmStartLearner(Learner, Protocol):
    """A learner that may begin with other models' weights.

    The models have other configurations, and have learnt on the same rows.
    """

    def warm_start(self, folders: Sequence[Path]) -> None:
        """Take up what other models have learnt.

        Before anything is grown, each weight is taken from the first folder (see `save`) that has one like it.
        """


@dataclass(frozen=True)
class Family:
    """One model family.

    unit: what one unit of growth is, in the singular: "tree", "epoch" or "fit".
    max_units: the most units that a configuration may grow; 1 where there is nothing to grow.
    first_rung: the share of `max_units` (of the training rows where max_units is 1) at which trials are first compared.
    patience: units without a better validation score after which a fit stops, as a share of `max_units`.
    chunk: units grown between two looks at the validation score.
    start: makes a learner for a job and a configuration in the library's own parameter names.
    load: reads what `save` wrote.
    losses: kinds of losses of values (see objectives.py) that its learners fit; where the one of a run's metric is not
        among them they fit squared errors. ways: how it fits those that its library has no objective for.
    loosened_by: losses under which its models do not keep to directions of columns, as their leaves are set by rows.
    holds: which constraints its models keep to: "monotone", of values and two classes, and "interactions" (see Task).
    scheduler: "asha" or "pbt" (whose learners are AdjustableLearner).
    searcher: "bayesian", or "controller" (whose learners are WarmStartLearner): where configurations come from that are
        not in the portfolio.
    n_multiplications: what a configuration costs to predict a row; of "controller" families.
    knows_unseen_beyond: with more levels than so many in a column, the model itself makes sense of one that no training
        row has (such a code is the cardinality); in other columns it is never asked about one, see _unseen.py.
    n_bytes: about how much memory a fit takes at its peak beside the table that all share.
    uses_gpu: whether the learner runs faster where `Compute.device` is "cuda".
    suits: says of a search that the family does not pay there, and why; None where it does. Families that a user asks
        for by name are tried all the same.
    turn: when it is first tried.
    requires: the optional library without which there is no such family; the extra that installs it has its name.
    preloads: modules that processes of trials import while they wait for their first one. They cost every run their
        memory, so only families that nearly every run tries first name any.
    """

    name: str
    unit: str
    max_units: Callable[[Config], int]
    start: Callable[[Job, Config], Learner]
    load: Callable[[Path], Predictor]
    first_rung: float = 0.25
    patience: float = 0.1
    chunk: int = 10
    tasks: frozenset[str] = frozenset({"binary", "multiclass", "regression"})
    losses: frozenset[str] = USUAL_LOSSES
    holds: frozenset[str] = frozenset()
    ways: Mapping[str, str] = field(default_factory=dict)
    loosened_by: frozenset[str] = frozenset()
    scheduler: str = "asha"
    searcher: str = "bayesian"
    n_multiplications: Callable[[Config, FitSize], int] | None = None
    knows_unseen_beyond: Callable[[Config], float] = lambda config: math.inf
    n_bytes: Callable[[Config, FitSize], float] = usual_bytes
    uses_gpu: bool = False
    suits: Callable[[SearchConditions], Unsuited | None] = always_suits
    turn: Turn = LAST
    requires: str | None = None
    preloads: tuple[str, ...] = ()

    @property
    def can_be_donor(self) -> bool:
        """Return whether trials may lend weights to later ones."""
        return self.searcher == "controller"
