"""Retells a run from its file of events."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.report.event_file import LEARNED, NOTE, is_event_line
from stacktune.search import decisions as kinds
from stacktune.storage.lines import read_lines, unread_lines
from stacktune.storage.run_folder import EVENTS, RunFolder, model_hint
from stacktune.streams import visible
from stacktune.terminal import remark
from stacktune.text import clock, count, number
from stacktune.trials.result import COMPLETED, FAILED, STOPPED

WIDTH, CLOCK_WIDTH = 80, 8
# Behind the clock; the longest are "ensemble built" and "leader chosen".
EVENT_WIDTH = 14
# Of a configuration, as much as fits beside the trial's name; `--json` has all of it.
MAX_CONFIG_CHARS = 90


def tell(folder: Path, as_json: bool, say: Callable[[str], None]) -> None:
    """Say what a run decided, line by line.

    as_json: the lines as they are, for programs.

    Raises:
        ConfigError: the folder holds no events.
    """
    events = events_of(folder)
    for line in (json.dumps(event) for event in events) if as_json else retold(events):
        say(line)
    if damage := damage_of(folder):
        (remark if as_json else say)(damage)  # what reads the lines is not to find others among them


def events_of(folder: Path) -> list[dict[str, Any]]:
    """Return a run's events, in order.

    Raises:
        ConfigError: the folder holds none.
    """
    path = RunFolder(folder).events
    if not path.is_file():
        raise ConfigError(
            f"{str(folder)!r} holds no {EVENTS}: name the folder of a run. One by a version of stacktune that wrote "
            f"none gets it when it goes on.{model_hint(folder)}"
        )
    return list(read_lines(path, is_event_line))


def damage_of(folder: Path) -> str | None:
    """Return a sentence on lines that are no events."""
    numbers = unread_lines(RunFolder(folder).events, is_event_line)
    if not numbers:
        return None
    return f"{count(len(numbers), 'line')} of {EVENTS} cannot be read; the first is line {numbers[0]:,}"


def retold(events: list[dict[str, Any]]) -> Iterator[str]:
    """Yield lines of at most 80 columns."""
    indent = " " * (CLOCK_WIDTH + 2 + EVENT_WIDTH + 2)
    for event in events:
        head = f"{clock(event['elapsed_s']):>{CLOCK_WIDTH}}  {visible(event['event']):<{EVENT_WIDTH}}  "
        yield from textwrap.wrap(
            visible(_said(event)) or "·",
            WIDTH,
            initial_indent=head,
            subsequent_indent=indent,
            break_on_hyphens=False,
        )


def _said(event: Mapping[str, Any]) -> str:
    """Return what an event says behind its name.

    One of another version is told as it is.
    """
    say = _SAYINGS.get(event["event"])
    if say is not None:
        with suppress(KeyError, TypeError, ValueError, AttributeError):  # it has other fields than ours
            return say(event)
    return ", ".join(f"{name} {value}" for name, value in event.items() if name not in ("event", "elapsed_s"))


def _began(event: Mapping[str, Any]) -> str:
    n_folds = event["n_folds"]
    how = f"{n_folds} folds" if n_folds > 1 else "held-out rows"
    table = f"{event['of']}: {event['n_rows']:,} rows, {count(event['n_columns'], 'column')}"
    what = f"{event['task']} of {event['target']}, by {event['metric']} in {how}"
    return f"{table}; {what}; {', '.join(event['families'])}; {_limits(event)}, seed {event['seed']}"


def _went_on(event: Mapping[str, Any]) -> str:
    return f"with {count(event['n_trials'], 'trial')} of before; {_limits(event)}"


def _limits(event: Mapping[str, Any]) -> str:
    limits = [clock(event["time_budget"])] if event.get("time_budget") else []
    limits += [f"at most {count(event['max_trials'], 'trial')}"] if event.get("max_trials") else []
    return " and ".join(limits) or "no limit"


def _broke_off(event: Mapping[str, Any]) -> str:
    return str(event["why"])


def _asked(event: Mapping[str, Any]) -> str:
    return f"{event['of']}{_share(event)}: {_config(event)}"


def _rung(event: Mapping[str, Any]) -> str:
    return f"{event['of']} at {event['rung']} of {event['n_rungs']}: {_score(event)} after {event['fit_s']:.1f} s"


def _exploited(event: Mapping[str, Any]) -> str:
    return f"{event['of']} goes on from {event['donor']} at rung {event['rung']}: {_config(event)}"


def _retried(event: Mapping[str, Any]) -> str:
    share = f"{event['rows_share']:.3g}" if event["rows_share"] < 1 else "all"
    return f"{event['of']} ran out of memory and begins again on {share} of its rows"


def _ended(event: Mapping[str, Any]) -> str:
    place = (
        f" at rung {event['rung']} of {event['n_rungs']}" if event["event"] != COMPLETED and event["n_rungs"] else ""
    )
    why = (event.get("why") or "").splitlines()
    score = f": {_score(event)}" if event.get("score") is not None else ""
    return f"{event['of']}{place}{score}{_share(event)}{f'; {why[0]}' if why else ''}"


def _aside(event: Mapping[str, Any]) -> str:
    return f"{event['of']}, as {event['why']}"


def _built(event: Mapping[str, Any]) -> str:
    members = ", ".join(f"{weight:.2f} {name}" for name, weight in event["members"].items())
    return f"{event['of']}: {_score(event)} by {members}"


def _chosen(event: Mapping[str, Any]) -> str:
    return f"{event['of']}: {_score(event)}; {event['why']}"


def _registered(event: Mapping[str, Any]) -> str:
    if event.get("version") is None:
        return f"not: {event['why']}"
    alias = f" as {event['alias']}" if event.get("alias") else ""
    why = f"; {event['why']}" if event.get("why") else ""
    return f"{event['of']} version {event['version']}{alias}{why}"


def _learned(event: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name} {_value(value)}" for name, value in event["values"].items())
    return f"{event['of']} at {event['step']}: {values}"


def _note(event: Mapping[str, Any]) -> str:
    return str(event["text"])


def _score(event: Mapping[str, Any]) -> str:
    return number(event["score"])


def _share(event: Mapping[str, Any]) -> str:
    return f" on {event['rows_share']:.3g} of the rows" if "rows_share" in event else ""


def _config(event: Mapping[str, Any]) -> str:
    pairs = ", ".join(f"{name} {_value(value)}" for name, value in event["config"].items())
    return pairs if len(pairs) <= MAX_CONFIG_CHARS else f"{pairs[: MAX_CONFIG_CHARS - 1]}…"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_SAYINGS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    kinds.BEGAN: _began,
    kinds.WENT_ON: _went_on,
    kinds.BROKE_OFF: _broke_off,
    kinds.ASKED: _asked,
    kinds.RUNG: _rung,
    kinds.EXPLOITED: _exploited,
    kinds.RETRIED: _retried,
    **dict.fromkeys((COMPLETED, STOPPED, FAILED, kinds.INTERRUPTED), _ended),
    kinds.SET_ASIDE: _aside,
    kinds.ENSEMBLE_BUILT: _built,
    kinds.LEADER_CHOSEN: _chosen,
    kinds.REGISTERED: _registered,
    LEARNED: _learned,
    NOTE: _note,
}
