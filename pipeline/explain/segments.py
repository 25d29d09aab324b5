"""Scores a leader by segment, and compares groups.

The problem: one score for all rows hides the shop, the month or the group of people in which a model is worthless.

The solution is the run's score for the rows of each level of a column, or each fifth of its numbers, with how many rows
that is and an interval (percentile bootstrap of rows, Efron 1979), beside the score of all rows. Of two classes it has
how often the positive one is decided for at the leader's threshold, and how often rightly; the largest differences
between segments are what is called demographic parity and equalized odds (Hardt, Price and Srebro 2016, arXiv
1610.02413). Of values it has the mean error.

What is not guaranteed: that a gap is unfair, or that none is fair; and of many segments one is far off by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stacktune.data.table import BINARY, REGRESSION, Task
from stacktune.explain.progress import Tell, silent
from stacktune.metrics import Metric, decide, is_defined
from stacktune.seeds import derive_seed

MAX_LEVELS, N_BINS = 12, 5
# A segment of fewer rows says little of anything, and is in no gap between groups.
MIN_ROWS = 30
N_RESAMPLES, MIN_DEFINED_SHARE, LEVEL = 200, 0.8, 0.95
ALL, OTHERS, MISSING = "(all rows)", "(other levels)", "(missing)"


@dataclass(frozen=True)
class Judged:
    """Predictions beside what was so.

    prediction: (n_rows, n_outputs). labels, weight: as in a table. threshold: the leader's.
    """

    task: Task
    metric: Metric
    threshold: float
    labels: np.ndarray
    prediction: np.ndarray
    weight: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return labels, predictions and weights of rows."""
        return self.labels[rows], self.prediction[rows], None if self.weight is None else self.weight[rows]

    def score(self, rows: np.ndarray) -> float:
        """Return the score as people read it, or NaN."""
        labels, prediction, weight = self.take(rows)
        if not len(rows) or self.metric.problem(labels, self.task.classes) is not None:
            return math.nan
        score = self.metric.score(labels, prediction, weight, self.threshold)
        return self.metric.shown(score) if is_defined(score) else math.nan


def segments(judged: Judged, columns: Sequence[tuple[str, pd.Series]], seed: int, tell: Tell = silent) -> pd.DataFrame:
    """Return scores, a row a segment.

    Of each column a row of all rows comes first. columns: names and raw values of the same rows. Returns column,
    segment, n_rows, weight (the share of all rows'), score with the ends of its interval as low and high, is_small
    (fewer than MIN_ROWS rows); of two classes selection_rate, true_positive_rate and false_positive_rate, of values
    mean_error (predicted less true).
    """
    everything = np.arange(len(judged.labels))
    rows = []
    for place, (name, values) in enumerate(columns):
        parts = [(ALL, everything), *parted(values)]
        for at, (segment, own) in enumerate(parts):
            tell("scoring segments", place * len(parts) + at, len(columns) * len(parts))
            rows.append({"column": name, "segment": segment, **_of_segment(judged, own, name, segment, seed)})
    return pd.DataFrame(rows)


def _of_segment(judged: Judged, rows: np.ndarray, name: str, segment: str, seed: int) -> dict[str, object]:
    weight = np.ones(len(judged.labels)) if judged.weight is None else judged.weight
    low, high = _interval(judged, rows, derive_seed(seed, "segment", "" if segment == ALL else name, segment))
    return {
        "n_rows": len(rows),
        "weight": float(weight[rows].sum() / weight.sum()),
        "score": judged.score(rows),
        "low": low,
        "high": high,
        "is_small": len(rows) < MIN_ROWS,
        **_rates(judged, rows, weight[rows]),
    }


def _interval(judged: Judged, rows: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the ends of the score's interval, or NaN.

    There are none where too many resamples have no score.
    """
    if len(rows) < 2:
        return math.nan, math.nan
    random = np.random.default_rng(seed)
    found = np.array([judged.score(rows[random.integers(len(rows), size=len(rows))]) for _ in range(N_RESAMPLES)])
    found = found[np.isfinite(found)]
    if len(found) < MIN_DEFINED_SHARE * N_RESAMPLES:
        return math.nan, math.nan
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _rates(judged: Judged, rows: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    labels, prediction, _ = judged.take(rows)
    if judged.task.kind == REGRESSION:
        return {"mean_error": _mean(prediction[:, 0] - labels, weight)}
    if judged.task.kind != BINARY:
        return {}
    chosen, positive = decide(prediction, judged.threshold) == 1, labels == 1
    return {
        "selection_rate": _mean(chosen, weight),
        "true_positive_rate": _mean(chosen[positive], weight[positive]),
        "false_positive_rate": _mean(chosen[~positive], weight[~positive]),
    }


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    return float(np.average(values, weights=weight)) if len(values) else math.nan


def parted(values: pd.Series) -> list[tuple[str, np.ndarray]]:
    """Return segments' names and rows.

    They are the levels of a column, the most frequent first, or fifths of its numbers or dates, ascending; rows of no
    value come last.
    """
    values = values.reset_index(drop=True)
    known = values[values.notna()]
    gone = np.flatnonzero(values.isna())
    is_ordered = pd.api.types.is_numeric_dtype(known) or pd.api.types.is_datetime64_any_dtype(known)
    if is_ordered and not pd.api.types.is_bool_dtype(known) and known.nunique() > MAX_LEVELS:
        found = _binned(known)
    else:
        found = _levels(known)
    return [*found, *([(MISSING, gone)] if len(gone) else [])]


def _binned(known: pd.Series) -> list[tuple[str, np.ndarray]]:
    bins = pd.qcut(known, N_BINS, duplicates="drop")
    codes, where = bins.cat.codes.to_numpy(), known.index.to_numpy()
    found = []
    for code in range(len(bins.cat.categories)):
        own = where[codes == code]
        if len(own):
            inside = known.loc[own]
            found.append((f"{_text(inside.min())} – {_text(inside.max())}", own))
    return found


def _levels(known: pd.Series) -> list[tuple[str, np.ndarray]]:
    texts = known.map(_text).to_numpy(dtype=str)
    levels, counts = np.unique(texts, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    where = known.index.to_numpy()
    found = [(str(level), where[texts == level]) for level in levels[order[:MAX_LEVELS]]]
    rest = levels[order[MAX_LEVELS:]]
    if len(rest):
        found.append((OTHERS, where[np.isin(texts, rest)]))
    return found


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() else str(value)
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


# Of each measure, what is compared; their names are those of fairlearn.
_RATES = (
    ("demographic parity", ("selection_rate",)),
    ("equalized odds", ("true_positive_rate", "false_positive_rate")),
)
# Why a segment has none of what is compared.
_LACKS = {"true_positive_rate": "no positives in", "false_positive_rate": "no negatives in"}
N_NAMED = 3


def gaps(found: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return the largest gaps between segments.

    They are column, measure, value and why. Small segments are left out.

    Of two classes they are the difference and the ratio of selection rates, and the larger difference of true and of
    false positive rates; of values that of mean errors; of all tasks that of scores.

    value: NaN where it is undefined, which takes two segments that have what is compared. why: it is undefined, or
    which segments are not in it; empty where all are.
    """
    rows: list[tuple[str, str, float, str]] = []
    for name, of_column in found.groupby("column", sort=False):
        groups = of_column[(of_column["segment"] != ALL) & ~of_column["is_small"]]
        if len(groups) >= 2:
            rows += [(str(name), *gap) for gap in _gaps_between(groups, metric)]
    return pd.DataFrame(rows, columns=["column", "measure", "value", "why"])


def _gaps_between(groups: pd.DataFrame, metric: Metric) -> Iterator[tuple[str, float, str]]:
    yield f"{metric.name} difference", *_difference(groups, ("score",))
    for measure, rates in _RATES:
        if set(rates) <= set(groups):
            yield f"{measure} difference", *_difference(groups, rates)
    if "selection_rate" in groups:
        rates_of = groups["selection_rate"]
        if rates_of.max() > 0:
            yield "demographic parity ratio", float(rates_of.min() / rates_of.max()), ""
        else:
            yield "demographic parity ratio", math.nan, "no positives predicted in any segment"
    if "mean_error" in groups:
        yield "mean error difference", *_difference(groups, ("mean_error",))


def _difference(groups: pd.DataFrame, names: Sequence[str]) -> tuple[float, str]:
    """Return the largest difference of some figures, and why.

    Segments that lack one are not in it, and are named.
    """
    spreads, lacking = [], []
    for name in names:
        known = groups[name].dropna()
        spreads.append(float(known.max() - known.min()) if len(known) >= 2 else math.nan)
        without = [str(one) for one in groups.loc[groups[name].isna(), "segment"]]
        if without:
            more = f" and {len(without) - N_NAMED:,} more" if len(without) > N_NAMED else ""
            lacking.append(f"{_LACKS.get(name, 'no score of')} {', '.join(without[:N_NAMED])}{more}")
    value = math.nan if any(map(math.isnan, spreads)) else max(spreads)
    return value, "; ".join(lacking)
