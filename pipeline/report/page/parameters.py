"""What each family's parameters did to the score."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from stacktune.report.page.chart import Chart, Spec, layered, mark, number_axis
from stacktune.report.page.panel import Panel
from stacktune.report.page.story import Story, TrialStory
from stacktune.text import count, number
from stacktune.trials.result import COMPLETED

MIN_TRIALS, MAX_PARAMETERS, MAX_FAMILIES = 6, 2, 8


def parameters(story: Story) -> Panel | None:
    """Return the panel of parameters, if trials suffice.

    Of each family those parameters are drawn whose order agrees most with the scores' (Spearman's rank correlation).
    """
    by_family: dict[str, list[TrialStory]] = defaultdict(list)
    for trial in story.trials.values():
        if trial.status == COMPLETED and trial.score is not None:
            by_family[trial.family].append(trial)
    parts, numbers = [], {}
    for family, trials in sorted(by_family.items(), key=lambda pair: -len(pair[1]))[:MAX_FAMILIES]:
        if len(trials) >= MIN_TRIALS:
            ranked = _ranked(trials)
            parts += [_chart(story, family, name, trials, agreement) for name, agreement in ranked[:MAX_PARAMETERS]]
            numbers[family] = {
                "rank_correlation": dict(ranked),
                "tried": [{"name": one.name, "score": one.score, "config": dict(one.config)} for one in trials],
            }
    if not parts:
        return None
    lead = [
        "Of each family with six completed trials or more: the two parameters whose values go most with the score. A "
        "search looks where scores are good, so that what it left out is seen at few points."
    ]
    return Panel("parameters", "What the parameters did", lead, parts, numbers)


def _ranked(trials: Sequence[TrialStory]) -> list[tuple[str, float]]:
    """Return numeric parameters, with their rank correlations.

    Where all scores or all values are the same there is none.
    """
    from scipy.stats import spearmanr

    found: list[tuple[str, float]] = []
    if len({trial.score for trial in trials}) < 2:
        return found
    for name in trials[0].config:
        values = [trial.config.get(name) for trial in trials]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            continue
        if len(set(values)) > 2:
            agreement = float(spearmanr(values, [trial.score for trial in trials]).statistic)
            if math.isfinite(agreement):
                found.append((name, agreement))
    return sorted(found, key=lambda pair: -abs(pair[1]))


def _chart(story: Story, family: str, name: str, trials: Sequence[TrialStory], agreement: float) -> Chart:
    rows: list[dict[str, Any]] = [
        {"value": float(one.config[name]), "score": one.score,
         "said": f"{one.name}: {name} {one.config[name]:.4g}, {number(one.score)}"}
        for one in trials
    ]  # fmt: skip
    low, high = min(row["value"] for row in rows), max(row["value"] for row in rows)
    scale: dict[str, Any] = {"type": "log"} if low > 0 and high / low >= 20 else {"zero": False}
    colour = story.palette.get(family, "var(--quiet)")
    spec: Spec = layered(
        rows,
        {
            "mark": mark("point", filled=True, size=48, opacity=0.8, color=colour, aria=True),
            "encoding": {
                "x": number_axis("value", name, scale=scale),
                "y": number_axis("score", story.metric_name),
                "description": {"field": "said"},
            },
        },
    )
    told = f"{count(len(rows), 'completed trial')}; rank correlation with the score {agreement:+.2f}."
    return Chart(f"{family}: {name}", told, spec)
