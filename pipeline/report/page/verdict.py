"""The verdict: three sentences for whoever decides.

How good the model is and how sure that is; what it gets right and wrong, in rows; and what its lead is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from stacktune.data.table import BINARY
from stacktune.ensemble.rows import ENSEMBLE
from stacktune.metrics import decide, is_defined
from stacktune.report.page.panel import Panel
from stacktune.report.page.story import Story, oof_of
from stacktune.report.summary import is_chance
from stacktune.text import brief, count, number

LEVEL = 0.95
# Of metrics that can be below zero.
LOWEST = {"mcc": -1.0, "r2": -math.inf}


def verdict(story: Story) -> Panel:
    """Return the panel that comes first."""
    score, low, high = interval_of(story)
    other = story.best_trial
    gap = None if other is None else lead_over(story, other["name"])
    lead = [_how_good(story, score, low, high), _in_rows(story), _what_the_lead_is_worth(story, gap)]
    facts = story.facts
    numbers: dict[str, Any] = {
        "leader": facts["leader"],
        "task": facts["task"],
        "target": facts["target"],
        "metric": story.metric_name,
        "score": score,
        "interval": [low, high],
        "level": LEVEL,
        "test_score": facts.get("test_score"),
        "predict_us": facts.get("predict_us"),
        "lead": None if other is None or gap is None else {"over": other["name"], "mean": gap[0], "error": gap[1]},
    }
    return Panel("verdict", f"What predicts {facts['target']}", [one for one in lead if one], (), numbers)


def interval_of(story: Story) -> tuple[float, float, float]:
    """Return the leader's score and its confidence interval.

    It is Student's, over the folds' mean; NaN where there is one fold, and within what the metric can be.
    """
    score, error = float(story.facts["cv_score"]), float(story.leader.get("score_se", math.nan))
    n_blocks = len(set(story.judged.blocks.tolist())) if story.judged else (story.results.n_folds or 1)
    if not math.isfinite(error) or error == 0 or n_blocks < 2:  # few rows can score alike in all folds
        return score, math.nan, math.nan
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, n_blocks - 1)) * error
    most = 1.0 if story.metric is not None and story.greater_is_better else math.inf
    least = LOWEST.get(story.metric_name, 0.0) if story.metric is not None else -math.inf
    return score, max(score - half, least), min(score + half, most)


def _how_good(story: Story, score: float, low: float, high: float) -> str:
    facts = story.facts
    how = "held out once" if story.results.n_folds == 1 else "cross-validated"
    how = "later than theirs" if story.results.is_later else how
    sure = "" if math.isnan(low) else f" (95 % interval {number(low, score)} to {number(high, score)})"
    n_rows = len(story.judged.row_numbers) if story.judged else story.began.get("n_rows")
    rows = f"{n_rows:,} rows" if n_rows else "rows"
    test = facts.get("test_score")
    tested = "" if test is None else f"; on the test rows, which nothing was chosen by, it has {number(test, score)}"
    return (
        f"{facts['leader']} predicts {facts['target']} with {story.metric_name} {number(score)}{sure}, "
        f"judged on {rows} that its models had not learnt from ({how}){tested}."
    )


def _in_rows(story: Story) -> str:
    """Say what the leader gets right, in rows."""
    if story.judged is None:
        return ""
    target, prediction = story.judged.labels, story.judged.prediction
    if not story.task.is_classification:
        return _in_values(target, prediction[:, 0])
    decided = decide(prediction, story.threshold)
    weight = np.ones(len(target)) if story.judged.weight is None else story.judged.weight.astype(np.float64)
    right = float(weight[decided == target].sum() / weight.sum())
    usual = float(np.bincount(target, weight).max() / weight.sum())
    weighed = "" if story.judged.weight is None else ", as they weigh,"
    line = (
        f"Of 100 rows{weighed} it decides {right * 100:.0f} rightly, "
        f"where always saying the most frequent would {usual * 100:.0f}"
    )
    if story.task.kind != BINARY:
        return f"{line}."
    both = weight[(decided == 1) & (target == 1)].sum()
    each = (weight[target == 1].sum(), weight[decided == 1].sum())
    found, true = (float(both / total) if total else math.nan for total in each)
    of = story.task.positive
    return (
        f"{line}; it finds {_of_100(found)} of 100 that are {of}, and of 100 that it calls {of} {_of_100(true)} are "
        f"(from a probability of {story.threshold:.3g} on)."
    )


def _of_100(share: float) -> str:
    return "none" if math.isnan(share) else f"{share * 100:.0f}"


def _in_values(target: np.ndarray, prediction: np.ndarray) -> str:
    off = np.abs(prediction - target)
    half, most = np.quantile(off, [0.5, 0.9])
    usual = float(np.quantile(np.abs(target - np.median(target)), 0.5))
    return (
        f"Half of its predictions are within {number(float(half))} of the truth and nine of ten within "
        f"{number(float(most))}; always saying the median would be within {number(usual)} half of the time."
    )


def _what_the_lead_is_worth(story: Story, lead: tuple[float, float] | None) -> str:
    """Say how far a single model is behind."""
    other = story.best_trial
    if other is None:
        return "No other model was completed, so there is nothing to compare it with."
    name, kind = other["name"], "best single model" if story.leader["kind"] == ENSEMBLE else "next best single model"
    if lead is None:
        gap = abs(float(other["score"]) - story.facts["cv_score"])
        line = f"The {kind}, {name}, has {number(other['score'])}, a difference of {number(gap, other['score'])}"
    else:
        line = lead_line(lead, name, kind, story.facts["cv_score"])
    return f"{line}; {_cost_line(story, other)}."


def lead_over(story: Story, name: str) -> tuple[float, float] | None:
    """Return the leader's lead over a trial.

    It is the mean difference over blocks of rows, and its standard error; None where that cannot be told.
    """
    judged, metric = story.judged, story.metric
    theirs = oof_of(story, name)
    if judged is None or metric is None or theirs is None:
        return None
    thresholds = [float(row.get("threshold", 0.5)) for row in (story.leader, story.rows[name])]
    gaps = []
    for block in sorted(set(judged.blocks.tolist())):
        rows = np.flatnonzero(judged.blocks == block)
        weight = None if judged.weight is None else judged.weight[rows]
        of_both = zip((judged.prediction, theirs), thresholds, strict=True)
        ours, others = (metric.score(judged.labels[rows], of[rows], weight, place) for of, place in of_both)
        gaps.append(ours - others if is_defined(ours) and is_defined(others) else math.nan)
    if len(gaps) < 2 or not np.isfinite(gaps).all():
        return None
    return float(np.mean(gaps)), float(np.std(gaps, ddof=1) / math.sqrt(len(gaps)))


def lead_line(lead: tuple[float, float], name: str, kind: str, like: float) -> str:
    """Say what a lead is worth."""
    mean, error = lead
    size = f"{number(abs(mean), like)} ± {number(error, like)}"
    if is_chance(mean, error):
        if mean < 0:
            return f"It is not ahead of the {kind}, {name}: it is behind by {size}, which chance explains"
        return f"Its lead over the {kind}, {name}, is no more than chance ({size})"
    return f"It is {'ahead of' if mean > 0 else 'behind'} the {kind}, {name}, by {size}, more than chance explains"


def _cost_line(story: Story, other: Mapping[str, Any]) -> str:
    ours, theirs = story.facts.get("predict_us"), other.get("predict_us")
    members = story.results.members
    made_of = f"it asks {count(len(members), 'model')}" if len(members) > 1 else "it is one model"
    if not ours or not theirs or theirs != theirs:
        return made_of
    return f"{made_of} and takes {brief(ours)} µs a row, {other['name']} {brief(theirs)}"
