"""Shows the results of a search that has ended.

They are the leaderboard, what the leader is made of, and what to type next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stacktune.errors import ConfigError, nearest_column
from stacktune.metrics import METRICS
from stacktune.report.fitted import Fitted
from stacktune.report.results import Results
from stacktune.storage.run_folder import RunFolder
from stacktune.streams import visible
from stacktune.text import brief, clock, in_a_shell, number

N_TOP = 10
# What is left of 80 columns beside the longest metric's name.
MAX_CLASS_CHARS = 16
# The column of scores on another table than the run's, see runs/on_table.py.
ON = "on_"
ON_SCORE = f"{ON}score"
# Columns that a narrow terminal does without, the first of them first.
_MAY_GO = ("rungs", "predict_us", "fit_s", "test_score", "rank")


def sorted_by(results: Results, column: str) -> pd.DataFrame:
    """Return the leaderboard with `column`'s best first.

    Its missing values are last. Raises ConfigError if it is unknown.
    """
    frame = results.leaderboard
    if column == results.metric:
        column = "score"
    if column not in frame:
        raise ConfigError(f"the leaderboard has no column {column!r}.{nearest_column(column, map(str, frame.columns))}")
    return frame.sort_values(column, ascending=_is_ascending(column, results), kind="stable", na_position="last")


def on_column(results: Results, column: str) -> str:
    """Return the column of scores on another table.

    It is that of the metric that `column` names; where no score is on a table, it is `column` itself.
    """
    wanted = ON_SCORE if column == results.metric else f"{ON}{column}"
    return wanted if wanted in results.leaderboard else column


def _is_ascending(column: str, results: Results) -> bool:
    name = (
        results.metric if column in ("score", "test_score", ON_SCORE) else column.removeprefix("test_").removeprefix(ON)
    )
    if name in METRICS:
        return not METRICS[name].greater_is_better
    if name == results.metric:  # the run's own
        return not results.facts["greater_is_better"]
    return column != "rungs"  # ranks, errors, costs and durations are better when small


def leaderboard_table(results: Results, rows: pd.DataFrame, extra: str | None = None) -> RenderableType:
    """Return `rows` as a table of 80 columns.

    `extra` names one more column to show. In a narrower terminal columns are left out.
    """
    columns = {column.source: column for column in columns_of(results, extra) if column.source in rows}
    may_go = [source for source in _MAY_GO if source in columns and source != extra]

    def build(sources: Sequence[str]) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bright_black")
        for source in sources:
            is_name = source == "name"
            justify: JustifyMethod = "left" if is_name else "right"
            table.add_column(columns[source].title, justify=justify, no_wrap=not is_name, overflow="fold")
        for row in rows.to_dict("records"):
            style = "" if _is_scored(row) else "bright_black"
            style = "bold green" if row["name"] == results.facts["leader"] else style
            table.add_row(*(Text(visible(columns[source].cell(row))) for source in sources), style=style)
        return table

    return Padding(Fitted(build, list(columns), may_go), (0, 0, 0, 2), expand=False)


def _is_scored(row: dict[str, Any]) -> bool:
    return row.get("status", "completed") == "completed"


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard as people read it."""

    source: str
    title: str

    def cell(self, row: Mapping[str, Any]) -> str:
        """Return a row's text, with a score's standard error."""
        value = row[self.source]
        if self.source == "score":
            error = row.get("score_se")
            return number(value) + (f" ± {number(error, like=value)}" if error is not None and error == error else "")
        if self.source == "rank":
            return f"{value:.0f}" if value == value else ""
        if self.source in ("fit_s", "predict_us"):
            return brief(value)
        return value if isinstance(value, str) else number(value)


def columns_of(results: Results, extra: str | None = None) -> list[Column]:
    """Return what is shown of a leaderboard.

    `extra` names one more column.
    """
    shown = [
        Column("rank", "#"),
        Column("name", "name"),
        Column("score", results.metric),
        Column("test_score", "test"),
        Column(ON_SCORE, "on table"),
        Column("fit_s", "fit s"),
        Column("predict_us", "µs/row"),
        Column("rungs", "rungs"),
    ]
    if ON_SCORE in results.leaderboard:  # it takes the room of two that say nothing of it
        shown = [column for column in shown if column.source not in ("predict_us", "rungs")]
    if extra is None or extra in {results.metric, *(column.source for column in shown)}:
        return shown
    title = f"{extra.removeprefix(ON)} on table" if extra.startswith(ON) else extra
    # Room for it within 80 columns is made where it hurts least.
    return [column for column in shown if column.source != "predict_us"] + [Column(extra, title)]


def show_results(console: Console, results: Results, wall_s: float) -> None:
    """Print everything that a finished search has to say.

    wall_s: until now; `run.json` was written a moment before the run's end.
    """
    for part in closing(results, wall_s):
        console.print(part, soft_wrap=isinstance(part, Text))


def closing(results: Results, wall_s: float) -> Iterator[RenderableType]:
    """Yield the closing lines and tables.

    They are at most 80 columns wide (commands excepted: they are to be copied whole).
    """
    shown = results.leaderboard.head(N_TOP)
    yield Text()
    yield leaderboard_table(results, shown)
    n_more = len(results.leaderboard) - len(shown)
    if n_more > 0:
        more = f"stacktune leaderboard {in_a_shell(str(results.folder))}"
        yield Text(f"  … and {n_more:,} more: {more}", "bright_black")
    yield Text()
    yield from _leader_lines(results, wall_s)
    yield Text()
    yield from _command_lines(results)


def _leader_lines(results: Results, wall_s: float) -> Iterator[RenderableType]:
    facts = results.facts
    judged = "on held-out rows" if results.n_folds == 1 else "cross-validated"
    judged = "on later rows" if results.is_later else judged
    score = f"  {number(facts['cv_score'])} {judged}"
    if facts.get("test_score") is not None:
        score += f", {number(facts['test_score'])} on the test rows"
    yield Text.assemble("  ", (visible(facts["leader"]), "bold green"), score)
    if len(results.members) > 1:
        yield Padding(_member_table(results.members), (0, 0, 0, 2), expand=False)
    for line in _told_of(results, wall_s):
        yield Text(f"  {line}", "bright_black")


def _told_of(results: Results, wall_s: float) -> Iterator[str]:
    """Yield what is to be known of the leader."""
    facts = results.facts
    if facts.get("positive") is not None:
        yield _decision_line(facts)
    yield from _extra_lines(facts)
    if facts.get("selection_penalty"):
        lowered = number(facts["selection_penalty"], like=facts["cv_score"])
        yield f"ranks take {lowered} off single trials: the best of many is partly luck"
    if line := _lead_line(results):
        yield line
    if facts.get("predict_budget_us"):
        yield _predict_line(facts)
    if facts.get("max_model_mb"):
        yield _size_line(facts)
    yield f"{_counts_line(facts)}; {budget_line(wall_s, facts.get('budget_s'))}"


def _decision_line(facts: dict[str, Any]) -> str:
    """Say which class is positive, from what probability, why."""
    metric, positive = facts["metric"], visible(facts["positive"])
    shown = positive if len(positive) <= MAX_CLASS_CHARS else f"{positive[: MAX_CLASS_CHARS - 1]}…"
    decided_by = facts["decided_by"] if "decided_by" in facts else metric if METRICS[metric].needs_threshold else None
    why = f", chosen for {decided_by}" if decided_by else f"; {metric} chooses no threshold"
    return f"predicts {shown} from {facts['threshold']:.3g} on{why}"


def _extra_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Say what intervals hold, and what a temperature did."""
    if interval := facts.get("interval"):
        on_test = interval.get("test_coverage")
        tested = "" if on_test is None else f", {on_test:.3f} of the test rows"
        width = number(interval["width"])
        yield f"intervals of {interval['level']:g} hold {interval['coverage']:.3f} out of fold{tested}; {width} wide"
    if calibration := facts.get("calibration"):
        change = f"log loss {calibration['before']:.5g} → {calibration['after']:.5g} out of fold"
        left = "" if calibration["why"] is None else ", left off"
        yield f"temperature {calibration['fitted']:.3g}: {change}{left}"
    if gain := facts.get("gain"):
        yield _gain_line(gain)


def _gain_line(gain: Mapping[str, Any]) -> str:
    """Say what a search around a start found."""
    start = f"{gain['start']} {number(gain['start_score'])}"
    if gain["best"] == gain["start"]:
        return f"no trial is better than the start, {start}"
    better = number(abs(gain["best_score"] - gain["start_score"]), like=gain["start_score"])
    return f"{better} better than the start, {start}; by other folds {gain['honest']:.2g} ± {gain['error']:.2g}"


def _lead_line(results: Results) -> str | None:
    """Say how sure the leader's lead is.

    It is the report's finding, None where there is no report, or no other model.
    """
    try:
        found = json.loads(RunFolder(results.folder).report_numbers.read_text(encoding="utf-8"))["verdict"]["lead"]
        name, mean, error = visible(found["over"]), found["mean"], found["error"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    size = f"{number(mean, like=results.facts['cv_score'])} ± {number(error, like=results.facts['cv_score'])}"
    return f"ahead of {name} by {size}: {'no ' if is_chance(mean, error) else ''}more than chance"


def is_chance(mean: float, error: float) -> bool:
    """Return whether chance explains a mean difference."""
    return abs(mean) < 2 * error or mean == 0


def _predict_line(facts: dict[str, Any]) -> str:
    """Say how the leader keeps to its prediction budget."""
    takes, limit = brief(facts["predict_us"]), brief(facts["predict_budget_us"])
    if facts["predict_us"] > facts["predict_budget_us"]:
        return f"no model predicts a row in {limit} µs: the cheapest leads, which takes {takes} µs"
    return f"predicts a row in {takes} of {limit} µs; {facts['n_too_dear']:,} dearer rank below"


def _size_line(facts: dict[str, Any]) -> str:
    """Say how the leader keeps to its size."""
    takes, limit = brief(facts["model_mb"]), f"{facts['max_model_mb']:,g}"
    if facts["model_mb"] > facts["max_model_mb"]:
        return f"no model takes {limit} MB or less: the smallest leads, which takes {takes} MB"
    return f"takes {takes} of {limit} MB on the disk; {facts['n_too_large']:,} larger rank below"


def _member_table(members: tuple[tuple[str, float], ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", width=7)
    table.add_column(no_wrap=True)
    total = sum(weight for _, weight in members) or 1.0
    for name, weight in members:
        table.add_row(
            f"{weight:.3f}", Text.assemble(f"{visible(name):<24}", ("━" * round(30 * weight / total), "cyan"))
        )
    return table


def _counts_line(facts: dict[str, Any]) -> str:
    line = f"trials: {facts['n_completed']:,} completed, {facts['n_stopped']:,} stopped"
    return f"{line}, {facts['n_failed']:,} failed" if facts["n_failed"] else line


def budget_line(wall_s: float, budget_s: float | None) -> str:
    """Say how long the run took.

    It says honestly how far that is from what was asked.
    """
    if budget_s is None:
        return f"took {clock(wall_s)}"
    difference = wall_s - budget_s
    verdict = f"{abs(difference):.1f} s {'over' if difference > 0 else 'under'}"
    return f"took {clock(wall_s)} of {clock(budget_s)} ({verdict})"


def _command_lines(results: Results) -> Iterator[Text]:
    facts = results.facts
    folder = in_a_shell(str(results.folder))
    yield _labelled("results", folder)
    if RunFolder(results.folder).report.is_file():
        yield _labelled("report", in_a_shell(str(RunFolder(results.folder).report)))
    if facts.get("registered_name"):
        alias = facts.get("alias", "leader")  # what every version was before there were challengers
        about = f"version {facts['registered_version']}" if alias == "leader" else alias or "no alias yet"
        yield _labelled("model", f"{facts.get('model_uri')} ({about})")
        if facts.get("promote"):
            yield _labelled("promote", facts["promote"])
    yield _labelled("predict", f"stacktune predict {folder} TABLE.parquet --output predictions.parquet")
    yield _labelled("MLflow", f"stacktune ui {folder}")


def _labelled(label: str, text: str) -> Text:
    return Text.assemble("  ", (f"{label:<9}", "bright_black"), visible(text))
