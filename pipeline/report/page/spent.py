"""How the score rose, and where the seconds went."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from stacktune.report.page.chart import Chart, family_colour, layered, mark, name_axis, number_axis
from stacktune.report.page.panel import Panel, Part
from stacktune.report.page.story import Story, TrialStory, better, said_of_interrupted
from stacktune.search.decisions import ENSEMBLE_BUILT
from stacktune.text import brief, clock, count, number
from stacktune.trials.result import COMPLETED

MAX_DRAWN = 600


def spent(story: Story) -> Panel | None:
    """Return the panel of the run's time, if told."""
    timed = [trial for trial in story.trials.values() if trial.ended_s is not None]
    if not timed:
        return None
    phases, rises, placed = _phases(story), _rises(story), lanes(timed)
    busy_s = sum(end - begin for _, begin, end, _ in placed)
    n_lanes = 1 + max(lane for lane, _, _, _ in placed)
    span_s = max(end for _, _, end, _ in placed) - min(begin for _, begin, _, _ in placed)
    budget = story.facts.get("budget_s")
    lead = [
        f"The run took {clock(story.facts['wall_s'])}{f' of {clock(budget)}' if budget else ''}: "
        + ", ".join(f"{name} {brief(seconds)} s" for name, seconds in phases)
        + ".",
        f"While it searched, {busy_s / max(span_s, 1e-9):.1f} of {count(n_lanes, 'place')} for trials were at work on "
        "average.",
    ]
    parts: list[Part] = [_anytime(story, rises)] if rises else []
    parts.append(_timeline(story, placed))
    numbers = {
        "phases_s": dict(phases),
        "rises": rises,
        "timeline": [
            {
                "name": one.name,
                "family": one.family,
                "lane": lane,
                "began_s": begin,
                "ended_s": end,
                "status": one.status,
            }
            for lane, begin, end, one in placed
        ],
    }
    return Panel("time", "Score over time", lead, parts, numbers)


def _phases(story: Story) -> list[tuple[str, float]]:
    began = list((story.facts.get("phase_began_s") or {}).items())
    ends = [begin for _, begin in began[1:]] + [story.facts["wall_s"]]
    named = [("starting", began[0][1])] if began else []
    return named + [(name, max(0.0, end - begin)) for (name, begin), end in zip(began, ends, strict=True)]


def _rises(story: Story) -> list[dict[str, Any]]:
    """Return when each family got better."""
    best: dict[str, float] = {}
    rises = []
    for trial in sorted(story.trials.values(), key=lambda one: one.ended_s or 0.0):
        if trial.status != COMPLETED or trial.score is None or trial.ended_s is None:
            continue
        before = best.get(trial.family)
        if before is None or (trial.score != before and (trial.score > before) == story.greater_is_better):
            best[trial.family] = trial.score
            rises.append({"family": trial.family, "at_s": trial.ended_s, "score": trial.score, "name": trial.name})
    leader = story.facts["leader"]
    built = [one for one in story.events if one["event"] == ENSEMBLE_BUILT and one.get("of") == leader]
    if built:
        rises.append(
            {"family": "ensemble", "at_s": built[-1]["elapsed_s"], "score": story.facts["cv_score"], "name": leader}
        )
    return rises


def _anytime(story: Story, rises: Sequence[dict[str, Any]]) -> Chart:
    end_s = story.facts["wall_s"]
    last = {row["family"]: row for row in rises}
    rows = [*rises, *({**row, "at_s": end_s, "name": ""} for row in last.values() if row["family"] != "ensemble")]
    rows = [{**row, "said": f"{row['name']}: {number(row['score'])} after {clock(row['at_s'])}"} for row in rows]
    at = {
        "x": number_axis("at_s", "seconds", scale={"domain": [0, end_s]}),
        "y": number_axis("score", story.metric_name),
        "color": family_colour([row["family"] for row in rows], story.palette),
    }
    spec = layered(
        rows,
        {"mark": mark("line", interpolate="step-after", strokeWidth=2), "encoding": at},
        {
            "mark": mark("point", filled=True, size=45, opacity=1, aria=True),
            "transform": [{"filter": "datum.name != ''"}],
            "encoding": at | {"description": {"field": "said"}},
        },
    )
    single = [row for row in last.values() if row["family"] != "ensemble"]
    best = better([row["score"] for row in single], story.greater_is_better) if single else story.facts["cv_score"]
    first = next((row for row in single if row["score"] == best), {"family": "ensemble", "at_s": end_s})
    told = f"The best single model, of {first['family']}, was there after {clock(first['at_s'])}."
    return Chart("The best score of each family so far", told, spec, 290)


def lanes(trials: Iterable[TrialStory]) -> list[tuple[int, float, float, TrialStory]]:
    """Return trials on as few lanes as possible."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    found, n_lanes = [], 0
    for trial in sorted(trials, key=lambda one: one.began_s):
        begin, end = trial.began_s, max(trial.began_s, trial.ended_s or 0.0)
        while busy and busy[0][0] <= begin + 1e-6:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else n_lanes
        n_lanes = max(n_lanes, lane + 1)
        heapq.heappush(busy, (end, lane))
        found.append((lane, begin, end, trial))
    return found


def _timeline(story: Story, placed: Sequence[tuple[int, float, float, TrialStory]]) -> Chart:
    rows: list[dict[str, Any]] = [
        {
            "lane": str(lane + 1),
            "family": trial.family,
            "began_s": begin,
            "ended_s": end,
            "opacity": 1.0 if trial.status == COMPLETED else 0.45,
            "said": f"{trial.name}: {trial.status}, {clock(begin)} to {clock(end)}",
        }
        for lane, begin, end, trial in sorted(placed, key=lambda one: one[1] - one[2])[:MAX_DRAWN]
    ]
    order = [str(lane + 1) for lane in range(1 + max(lane for lane, _, _, _ in placed))]
    encoding = {
        "x": number_axis("began_s", "seconds", scale={"domain": [0, story.facts["wall_s"]]}),
        "x2": {"field": "ended_s"},
        "y": name_axis("lane", order, "lane"),
        "color": family_colour([row["family"] for row in rows], story.palette),
        "opacity": {"field": "opacity", "type": "quantitative", "scale": None},
        "description": {"field": "said"},
    }
    spec = layered(rows, {"mark": mark("bar", height={"band": 0.8}, stroke="var(--page)", strokeWidth=0.5, aria=True),
                          "encoding": encoding})  # fmt: skip
    told = f"{count(len(rows), 'trial')}, {count(len(order), 'lane')}; pale ones did not complete"
    # Nobody knows when their work began.
    unseen = [trial for trial in story.interrupted if trial.ended_s is None]
    told += f". Not drawn: {said_of_interrupted(unseen)}, before a first score." if unseen else "."
    return Chart("Trials side by side", told, spec, 110 + 26 * len(order))
