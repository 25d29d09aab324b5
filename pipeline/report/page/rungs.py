"""Shows who was stopped, and what was learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from stacktune.report.page.chart import Chart, family_colour, layered, mark, number_axis
from stacktune.report.page.panel import Grid, Panel, Part
from stacktune.report.page.story import Story, TrialStory, said_of_interrupted
from stacktune.text import clock, count, number
from stacktune.trials.result import COMPLETED, STOPPED

MAX_LINES, N_AVERAGED = 120, 10
# What an architecture search tells of a child in events.jsonl, and who drew it.
_REWARDS = {"reward": "the controller", "reward_of_random": "at random"}


def rungs(story: Story) -> Panel | None:
    """Return the panel of early stopping, if any."""
    trials = [trial for trial in story.trials.values() if trial.rungs]
    if not trials:
        return None
    n_stopped = Counter(trial.rungs[-1].number for trial in trials if trial.status == STOPPED)
    n_reached = Counter(number for trial in trials for number in {rung.number for rung in trial.rungs})
    lead = [_said(n_stopped, n_reached)]
    if story.interrupted:
        lead.append(f"Of all that were asked for, {said_of_interrupted(story.interrupted)}.")
    parts: list[Part] = [_curves(story, trials)]
    numbers: dict[str, Any] = {"reached": dict(n_reached), "stopped": dict(n_stopped),
                               "interrupted": [trial.name for trial in story.interrupted]}  # fmt: skip
    if exploits := [(at_s, trial, donor) for trial in trials for at_s, donor in trial.exploits]:
        lead.append(f"In populations {count(len(exploits), 'member')} took up the state of a better one.")
        parts.append(_lineage(exploits))
        numbers["exploits"] = [{"at_s": at_s, "member": one.name, "donor": donor} for at_s, one, donor in exploits]
    if learning := _rewards(story):
        lead.append(_learnt(learning))
        parts.append(_learning(learning))
        numbers["controller"] = learning
    return Panel("rungs", "What was stopped early, and why", lead, parts, numbers)


def _said(n_stopped: Counter[int], n_reached: Counter[int]) -> str:
    if not n_stopped:
        return "No trial was stopped early."
    each = ", ".join(
        f"{n_stopped[rung]:,} of {count(n_reached[rung], 'trial')} at rung {rung}" for rung in sorted(n_stopped)
    )
    return (
        f"Each trial is judged on a part of its work first, a rung; the worse ones go no further. Stopped were {each}."
    )


def _curves(story: Story, trials: Sequence[TrialStory]) -> Chart:
    shown = [*(one for one in trials if one.status == COMPLETED), *(one for one in trials if one.status != COMPLETED)]
    rows: list[dict[str, Any]] = [
        {
            "rung": rung.number,
            "score": rung.score,
            "name": trial.name,
            "family": trial.family,
            "opacity": 0.9 if trial.status == COMPLETED else 0.35,
            "said": f"{trial.name}: {number(rung.score)} at rung {rung.number}",
        }
        for trial in shown[:MAX_LINES]
        for rung in trial.rungs
    ]
    y = number_axis("score", story.metric_name, scale={"domain": _drawn_scores(story, trials), "clamp": True})
    at = {
        "x": {"field": "rung", "type": "ordinal", "title": "rung", "axis": {"labelAngle": 0}},
        "y": y,
        "color": family_colour([row["family"] for row in rows], story.palette),
        "opacity": {"field": "opacity", "type": "quantitative", "scale": None},
    }
    lines = {"mark": mark("line", strokeWidth=1.3), "encoding": at | {"detail": {"field": "name"}}}
    points = {
        "mark": mark("point", filled=True, size=28, aria=True),
        "encoding": at | {"description": {"field": "said"}},
    }
    n_left = len(shown) - MAX_LINES
    told = (
        "Each line is a trial on its first fold; pale ones did not complete. Scores far from those that went on are "
        "drawn at the edge."
    )
    return Chart("Scores at each rung", told + (f" {n_left:,} more are not drawn." if n_left > 0 else ""),
                 layered(rows, lines, points), 290)  # fmt: skip


def _drawn_scores(story: Story, trials: Sequence[TrialStory]) -> list[float]:
    """Return the scores between which lines are told apart.

    They are those of the trials that went on; what was stopped for a far worse one lies at the edge.
    """
    went_on = [rung.score for one in trials if one.status == COMPLETED for rung in one.rungs]
    scores = went_on or [rung.score for one in trials for rung in one.rungs]
    low, high = min(scores), max(scores)
    room = 0.15 * (high - low) or 0.01 * abs(high) or 1.0
    return [low - room, high + room]


def _lineage(exploits: Sequence[tuple[float, TrialStory, str]]) -> Grid:
    rows = [[clock(at_s), trial.name, donor] for at_s, trial, donor in sorted(exploits, key=lambda one: one[0])]
    return Grid("Who went on from whom in a population", ["at", "member", "took up"], rows, frozenset({0}))


def _rewards(story: Story) -> list[dict[str, Any]]:
    found = []
    for step, values in story.learned:
        for name, by in _REWARDS.items():
            if name in values:
                found.append({"child": step, "reward": values[name], "by": by})
    return found


def _learnt(rewards: Sequence[dict[str, Any]]) -> str:
    means = {
        by: float(np.mean([row["reward"] for row in rewards if row["by"] == by]))
        for by in dict.fromkeys(row["by"] for row in rewards)
    }
    each = " and ".join(f"{mean:.2f} {by if by == 'at random' else f'by {by}'}" for by, mean in means.items())
    tried = f"The architecture search tried {len(rewards):,} children"
    return f"{tried}; a child beats, of those before it, a share of {each}."


def _learning(rewards: Sequence[dict[str, Any]]) -> Chart:
    rows = []
    for by in dict.fromkeys(row["by"] for row in rewards):
        mine = [row for row in rewards if row["by"] == by]
        for place, row in enumerate(mine):
            window = [one["reward"] for one in mine[max(0, place + 1 - N_AVERAGED) : place + 1]]
            rows.append({**row, "mean": float(np.mean(window)), "said": f"child {row['child']}: {row['reward']:.2f}"})
    colour = {"field": "by", "type": "nominal", "scale": {"range": ["var(--c1)", "var(--c2)"]}}
    x = number_axis("child", "child")
    spec = layered(
        rows,
        {
            "mark": mark("point", filled=True, size=24, opacity=0.5, aria=True),
            "encoding": {
                "x": x,
                "y": number_axis("reward", "reward"),
                "color": colour,
                "description": {"field": "said"},
            },
        },
        {
            "mark": mark("line", strokeWidth=2),
            "encoding": {"x": x, "y": number_axis("mean", "reward"), "color": colour},
        },
    )
    told = f"Rewards of children, and the mean of the last {N_AVERAGED}: a line that rises is learning."
    return Chart("The architecture search's learning", told, spec)
