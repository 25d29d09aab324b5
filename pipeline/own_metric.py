"""Makes a metric of a user's function or scorer.

It is called as scikit-learn calls its own: a function with the truth, the predictions and, where it takes them, the
weights of rows; a scorer (what `make_scorer` returns) with an estimator that stands in for the model.

A function says with attributes what it is: `greater_is_better` (True unless it is set), and `needs_proba` (False unless
it is set: it is given decided classes). Of two classes it is given 1 for the positive class and 0 for the other; of
more classes those of the target, and probabilities in their sorted order.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from stacktune.data.table import BINARY, REGRESSION, Task
from stacktune.errors import ConfigError, nearest
from stacktune.metrics import OF_LEVELS, Metric, decide
from stacktune.own_module import UsersCode, handed_over, imported, is_installed
from stacktune.own_scorer import asked_of, scored

_logger = logging.getLogger(__name__)
# What functions raised in this process, so that each is logged once.
_said: set[str] = set()

# A function of the user's takes up to a millisecond on a few rows: so many thresholds are tried.
N_THRESHOLDS = 32
# The made-up predictions are of so many rows of each class, or of values, at most.
MAX_TRIED_ROWS = 200
# What made-up models say of the class that they mean.
SURE = 0.9


@dataclass(frozen=True)
class OwnMeasure:
    """A user's function, as a measure of ours.

    name: as typed. function: theirs. is_scorer: whether it scores an estimator instead of predictions.
    needs_proba: whether it is given probabilities instead of decided classes. takes_weight: whether it takes weights.
    counts_weigh: whether a row of weight 2 counts as two rows do, so that few rows can stand for many.
    """

    name: str
    function: Callable[..., Any]
    task: Task
    is_scorer: bool
    needs_proba: bool
    takes_weight: bool
    counts_weigh: bool = False

    def __call__(
        self, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float
    ) -> float:
        """Return the value, or NaN where there is none."""
        try:
            with UsersCode(self.name):
                return self.value(target, prediction, weight, threshold)
        except ConfigError as error:
            if str(error) not in _said:  # there may be thousands
                _said.add(str(error))
                _logger.warning("%s, on %d rows", error, len(target))
            return float("nan")

    def of_counts(self, counts: np.ndarray) -> np.ndarray:
        """Return the values of confusion counts (…, 2, 2)."""
        flat = counts.reshape(-1, 2, 2)
        return np.array([self._of_four(four) for four in flat]).reshape(counts.shape[:-2])

    def value(self, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float) -> float:
        """Return the value as the user's function has it.

        It raises what the function raises.
        """
        truth = self._named(target)
        more: dict[str, Any] = {} if weight is None or not self.takes_weight else {"sample_weight": np.array(weight)}
        if self.is_scorer:
            decided = None if self.task.kind == REGRESSION else self._named(decide(prediction, threshold))
            return _number(scored(self.function, self._shown(prediction), decided, self._classes, truth, more))
        if self.task.kind == REGRESSION:
            return _number(self.function(truth, np.array(prediction[:, 0]), **more))
        if not self.needs_proba:
            return _number(self.function(truth, self._named(decide(prediction, threshold)), **more))
        shown = self._shown(prediction)
        return _number(self.function(truth, shown[:, 1] if self.task.kind == BINARY else shown, **more))

    def _of_four(self, counts: np.ndarray) -> float:
        """Return the value of decisions that occur so often.

        counts: (2, 2), true classes before decided ones.
        """
        often = counts.ravel() if self.counts_weigh else np.rint(counts.ravel()).astype(np.int64)
        cells = np.flatnonzero(often)
        weight = often[cells] if self.counts_weigh else None
        if not self.counts_weigh:
            cells = np.repeat(cells, often[cells])
        sure = (cells % 2).astype(np.float64)
        return self(cells // 2, np.column_stack([1 - sure, sure]), weight, 0.5) if len(cells) else float("nan")

    @cached_property
    def _labels(self) -> np.ndarray:
        """The classes as the function gets them."""
        return np.arange(2) if self.task.kind == BINARY else np.array(self.task.labels or self.task.classes)

    @cached_property
    def _order(self) -> np.ndarray:
        """The codes of classes in scikit-learn's order."""
        return np.argsort(self._labels, kind="stable")

    @property
    def _classes(self) -> np.ndarray | None:
        return None if self.task.kind == REGRESSION else self._labels[self._order]

    def _named(self, codes: np.ndarray) -> np.ndarray:
        return np.array(codes) if self.task.kind == REGRESSION else self._labels[codes]

    def _shown(self, prediction: np.ndarray) -> np.ndarray:
        return np.array(prediction) if self.task.kind == REGRESSION else prediction[:, self._order]


def is_own(name: str | None) -> bool:
    """Return whether a name is a user's function's.

    Others have a level behind the colon, as in "pinball:0.9".
    """
    return name is not None and ":" in name and name.partition(":")[0] not in OF_LEVELS


def load_function(name: str, folders: Sequence[Path]) -> tuple[Callable[..., Any], str]:
    """Return the function `module:function`, and a module's digest.

    Where a program handed the function over, it is that one, and its own digest.

    folders: the user's, in which the module is looked for first.

    Raises:
        ConfigError: there is none.
    """
    given = handed_over(name)
    if given is not None:
        return given, _digest_of(given)
    module_name, _, function_name = name.partition(":")
    flag = f"--metric {name}"
    if module_name == "__main__":
        raise ConfigError(f"{flag} was a function of the program that ran: put it into a module, and name that.")
    if not function_name:
        raise ConfigError(f"{flag} must name a module and a function, as in mymodule:score.")
    module = imported(module_name, flag, folders)
    function = getattr(module, function_name, None)
    if not callable(function):
        offered = [one for one, value in vars(module).items() if callable(value) and not one.startswith("_")]
        own = [one for one in offered if getattr(vars(module)[one], "__module__", None) == module_name]
        named = own or offered  # of a package, what it offers is its modules' own
        what = "is no function" if hasattr(module, function_name) else "is not there"
        raise ConfigError(f"{flag}: {function_name!r} {what} in {module_name}.{nearest(function_name, named)}")
    file = getattr(module, "__file__", None)
    content = Path(file).read_bytes() if file else name.encode()
    return function, hashlib.sha256(content).hexdigest()[:16]


def _digest_of(function: Callable[..., Any]) -> str:
    """Return the digest of a function's text."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # of a prompt, of a library in C, or a scorer
        text = repr(getattr(function, "__code__", type(function)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def own_metric(name: str, task: Task, target: np.ndarray, folders: Sequence[Path]) -> Metric:
    """Return the user's metric, tried on made-up predictions.

    target: (n,) of the training rows.

    Raises:
        ConfigError: it cannot be imported, raises, returns no number, or has a perfect prediction score no better than
            a wrong one.
    """
    function, digest = load_function(name, folders)
    measure = _measure_of(name, function, task)
    greater_is_better = True if measure.is_scorer else bool(getattr(function, "greater_is_better", True))
    tried = _tried_rows(target, task)
    if measure.is_scorer and task.kind != REGRESSION:
        with UsersCode(f"--metric {name} cannot be used"):
            asked = asked_of(function, measure._shown(_made_up(tried, task)), measure._classes, measure._named(tried))
        measure = replace(measure, needs_proba=asked != "predict")
    right, wrong = (_tried(measure, tried, _made_up(tried, task, shift)) for shift in (0, 1))
    if (right <= wrong) if greater_is_better else (right >= wrong):
        raise ConfigError(_indifferent(name, measure, greater_is_better, right, wrong))
    if measure.takes_weight and not measure.needs_proba and task.kind == BINARY:
        counts = np.array([[3.0, 1.0], [2.0, 4.0]])
        measure = replace(measure, counts_weigh=_alike(replace(measure, counts_weigh=True), measure, counts))
    needs_threshold = task.kind != REGRESSION and not measure.needs_proba
    module = name.partition(":")[0]
    return Metric(
        f"{module.rpartition('.')[2]}.{name.partition(':')[2]}",
        frozenset({task.kind}),
        greater_is_better,
        needs_threshold,
        measure,
        of_counts=measure.of_counts if needs_threshold else None,
        n_thresholds=N_THRESHOLDS,
        version=digest,
        module=module,
    )


def own_notes(metric: Metric, is_weighted: bool) -> list[str]:
    """Return sentences on a user's metric."""
    measure = metric.measure
    if not isinstance(measure, OwnMeasure):
        return []
    given = "values"
    if measure.task.kind != REGRESSION:
        given = "probabilities" if measure.needs_proba else "decided classes"
        if measure.task.kind == BINARY:
            given += f", 1 for {measure.task.classes[1]} and 0 for {measure.task.classes[0]}"
    better = "greater" if metric.greater_is_better else "less"
    notes = [f"{measure.name} is the metric: it is given {given}, and {better} is better"]
    if is_weighted and not measure.takes_weight:
        notes.append(f"{measure.name} takes no sample_weight, so that all rows weigh the same in its scores")
    return notes


def _measure_of(name: str, function: Callable[..., Any], task: Task) -> OwnMeasure:
    with UsersCode(f"--metric {name} cannot be used"):
        parameters = inspect.signature(function).parameters
    is_scorer = next(iter(parameters), "") == "estimator"
    n_positional = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters.values())
    if n_positional < 2 + is_scorer and not _takes_any(parameters):
        raise ConfigError(f"--metric {name} must take y_true and y_pred, as scikit-learn's metrics do.")
    needs_proba = bool(getattr(function, "needs_proba", False))
    return OwnMeasure(name, function, task, is_scorer, needs_proba, "sample_weight" in parameters)


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(one.kind is one.VAR_POSITIONAL for one in parameters.values())


def _tried_rows(target: np.ndarray, task: Task) -> np.ndarray:
    """Return a few targets, each class equally often."""
    if task.kind == REGRESSION:
        return np.asarray(target[np.linspace(0, len(target) - 1, MAX_TRIED_ROWS).astype(np.int64)])
    k = task.n_outputs
    return np.tile(np.arange(k), max(2, MAX_TRIED_ROWS // k))


def _made_up(target: np.ndarray, task: Task, shift: int = 0) -> np.ndarray:
    """Return right predictions, or wrong ones if shifted."""
    if task.kind == REGRESSION:
        spread = float(np.ptp(target)) or 1.0
        return (target + shift * spread).reshape(-1, 1)
    k = task.n_outputs
    prediction = np.full((len(target), k), (1 - SURE) / (k - 1))
    prediction[np.arange(len(target)), (target + shift) % k] = SURE
    return prediction


def _tried(measure: OwnMeasure, target: np.ndarray, prediction: np.ndarray) -> float:
    weight = np.ones(len(target)) if measure.takes_weight else None
    with UsersCode(f"--metric {measure.name} raises on made-up predictions"), np.errstate(all="ignore"):
        value = measure.value(target, prediction, weight, 0.5)
    if not np.isfinite(value):
        raise ConfigError(f"--metric {measure.name} returns {value} for made-up predictions: it must return a number.")
    return value


def _indifferent(name: str, measure: OwnMeasure, greater_is_better: bool, right: float, wrong: float) -> str:
    given = ""
    if measure.task.kind == BINARY:
        given = f" It is given 1 for {measure.task.classes[1]!r} and 0 for {measure.task.classes[0]!r}."
    remedy = "make_scorer(…, greater_is_better=False)" if measure.is_scorer else "greater_is_better = False on it"
    turned = f" Where less is better, set {remedy}." if greater_is_better and right < wrong else ""
    return (
        f"--metric {name} is {right:.6g} for predictions that are right and {wrong:.6g} for those that are wrong, "
        f"though {'greater' if greater_is_better else 'less'} is to be better.{turned}{given}"
    )


def _alike(first: OwnMeasure, second: OwnMeasure, counts: np.ndarray) -> bool:
    one, other = first.of_counts(counts), second.of_counts(counts)
    return bool(np.isclose(one, other, rtol=1e-9, equal_nan=False))


def _number(value: Any) -> float:
    if isinstance(value, str | bytes) or np.ndim(value):
        raise TypeError(f"it returned {value!r:.60} instead of a number")
    return float(value)


def module_of(metric: Metric) -> ModuleType | None:
    """Return the module that workers cannot import, if any.

    It is the package around it where there is one.
    """
    top = metric.module.partition(".")[0]
    module = sys.modules.get(top)
    return None if module is None or is_installed(module) else module
