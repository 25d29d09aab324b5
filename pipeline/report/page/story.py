"""Reads what a finished run's folder tells of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stacktune.data.table import Task
from stacktune.ensemble.leader import read_manifest
from stacktune.ensemble.out_of_fold import Judged, judged_in
from stacktune.ensemble.rows import ENSEMBLE, TRIAL
from stacktune.errors import ConfigError
from stacktune.metrics import METRICS, Metric
from stacktune.report.event_file import LEARNED, NOTE, is_event_line
from stacktune.report.page.chart import COLOURS
from stacktune.report.results import Results, read_results
from stacktune.search import decisions as kinds
from stacktune.storage.lines import read_lines
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader
from stacktune.trials.result import COMPLETED, FAILED, STOPPED

# Each has one colour in all charts; a family that is not ours takes one of the others.
FAMILIES = ("lightgbm", "catboost", "xgboost", "linear", "mlp", "nas", "extra_trees", "random_forest")
ENDED = (COMPLETED, STOPPED, FAILED)
# How a run begins to say that its report is not written yet, which no report repeats.
NO_TIME = "no time was left for the report"


@dataclass(frozen=True)
class Rung:
    """A score at a rung, and when it came."""

    number: int
    score: float
    at_s: float
    fit_s: float


@dataclass
class TrialStory:
    """One trial, from its asking on.

    n_rungs: in all. status: None of one that was cut off, "interrupted" of one that had no time left. ended_s: None of
    the first, and of the second where it had no score. why: in words. exploits: (seconds, donor) of a population.
    """

    name: str
    family: str
    config: Mapping[str, Any]
    asked_s: float
    rungs: list[Rung] = field(default_factory=list)
    n_rungs: int = 0
    ended_s: float | None = None
    status: str | None = None
    score: float | None = None
    exploits: list[tuple[float, str]] = field(default_factory=list)
    fit_s: float = 0.0
    why: str = ""

    @property
    def began_s(self) -> float:
        """Return about when its work began.

        It may have waited after it was asked for: its first news says how long it was at work.
        """
        first = [(rung.at_s, rung.fit_s) for rung in self.rungs]
        at_s, fit_s = first[0] if first else (self.ended_s or self.asked_s, self.fit_s)
        return max(self.asked_s, at_s - fit_s)


@dataclass(frozen=True)
class Story:
    """A run as its folder tells it.

    facts: run.json. config: the settings. manifest: leader.json.
    events: in their order. judged: None where the run kept no targets beside its out-of-fold predictions.
    """

    folder: Path
    results: Results
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...]
    judged: Judged | None

    @property
    def facts(self) -> dict[str, Any]:
        return self.results.facts

    @property
    def board(self) -> pd.DataFrame:
        return self.results.leaderboard

    @cached_property
    def rows(self) -> dict[str, Mapping[str, Any]]:
        """Return the leaderboard's rows by name."""
        return {row["name"]: row for row in self.board.to_dict("records")}

    @property
    def leader(self) -> Mapping[str, Any]:
        """Return the leader's row."""
        return self.rows[self.facts["leader"]]

    @cached_property
    def best_trial(self) -> Mapping[str, Any] | None:
        """Return the best completed trial's row.

        It is another than the leader.
        """
        rows = self.board[(self.board["kind"] == TRIAL) & (self.board["status"] == COMPLETED)]
        rows = rows[(rows["name"] != self.facts["leader"]) & rows["score"].notna()]
        return rows.iloc[0].to_dict() if len(rows) else None

    @property
    def metric_name(self) -> str:
        return self.facts["metric"]

    @property
    def greater_is_better(self) -> bool:
        return bool(self.facts.get("greater_is_better", True))

    @property
    def metric(self) -> Metric | None:
        """Return the run's metric; None of its own ones."""
        return METRICS.get(self.metric_name)

    @cached_property
    def task(self) -> Task:
        return Task(self.manifest["task"], tuple(self.manifest["classes"]), tuple(self.manifest["labels"]))

    @property
    def threshold(self) -> float:
        """Return the leader's threshold on the positive class."""
        return float(self.manifest["threshold"])

    @cached_property
    def trials(self) -> dict[str, TrialStory]:
        """Return the trials by name, as asked for."""
        return _trials(self.events, dict(zip(self.board["name"], self.board["family"], strict=True)))

    @property
    def parts(self) -> str:
        """Return what rows were judged in, in words."""
        return "parts of the rows held out" if self.results.n_folds == 1 else "folds"

    @property
    def interrupted(self) -> list[TrialStory]:
        """Return trials that were left where they were."""
        return [trial for trial in self.trials.values() if trial.status == kinds.INTERRUPTED]

    @property
    def notes(self) -> list[str]:
        """Return what the run noted, each once."""
        said = dict.fromkeys(event["text"] for event in self.events if event["event"] == NOTE)
        return [text for text in said if not text.startswith(NO_TIME)]

    @cached_property
    def began(self) -> Mapping[str, Any]:
        """Return how the run began."""
        return next((event for event in self.events if event["event"] == kinds.BEGAN), {})

    @property
    def learned(self) -> Iterator[tuple[int, Mapping[str, float]]]:
        """Yield (step, values) that sources told of themselves."""
        for event in self.events:
            if event["event"] == LEARNED:
                yield event["step"], event["values"]

    @cached_property
    def palette(self) -> dict[str, str]:
        """Return the colour of each family, and of ensembles."""
        others = sorted(set(self.board["family"]) - {*FAMILIES, ENSEMBLE})
        return dict(zip((*FAMILIES, *others), COLOURS, strict=False)) | {ENSEMBLE: "var(--ink)"}


def _trials(events: Iterable[Mapping[str, Any]], families: Mapping[str, str]) -> dict[str, TrialStory]:
    found: dict[str, TrialStory] = {}
    for event in events:
        kind, of, at_s = event["event"], event.get("of", ""), event["elapsed_s"]
        with suppress(KeyError, TypeError):  # a line of another version, or a damaged one
            if kind == kinds.ASKED:
                family = families.get(of, of.rpartition("-")[0])
                found.setdefault(of, TrialStory(of, family, event["config"], at_s))
            elif of in found:
                _goes_on(found[of], kind, event)
    return found


def _goes_on(trial: TrialStory, kind: str, event: Mapping[str, Any]) -> None:
    """Add one more event to a trial's story."""
    at_s = event["elapsed_s"]
    if kind == kinds.RUNG:
        trial.n_rungs = event["n_rungs"]
        if event["score"] is not None:
            trial.rungs.append(Rung(event["rung"], event["score"], at_s, event["fit_s"]))
    elif kind == kinds.EXPLOITED:
        trial.exploits.append((at_s, event["donor"]))
    elif kind == kinds.INTERRUPTED:
        trial.status, trial.why, trial.ended_s = kind, event.get("why") or "", at_s if trial.rungs else None
    elif kind in ENDED:
        trial.ended_s, trial.status, trial.score = at_s, kind, event.get("score")
        trial.n_rungs, trial.fit_s = event["n_rungs"] or trial.n_rungs, event["fit_s"]


def read_story(folder: Path) -> Story:
    """Read a finished run's folder.

    Raises:
        ConfigError: it is none, or its leader is damaged.
    """
    results, places = read_results(folder), RunFolder(folder)
    events = tuple(read_lines(places.events, is_event_line)) if places.events.is_file() else ()
    return Story(folder, results, places.read_config() or {}, _manifest(folder), events, _judged(folder))


def _manifest(folder: Path) -> dict[str, Any]:
    leader = find_leader(folder)
    if leader is None:
        raise ConfigError(f"{str(folder)!r} holds no leader: stacktune run --resume with it makes one.")
    return read_manifest(leader)


def _judged(folder: Path) -> Judged | None:
    try:
        judged = judged_in(folder)
    except ConfigError:
        return None
    return None if judged.target is None else judged


def oof_of(story: Story, name: str) -> np.ndarray | None:
    """Return a completed trial's predictions of the judged rows.

    They are (n_judged, n_outputs), out of fold; None where they are gone.
    """
    if story.judged is not None and name in story.judged.names:
        return story.judged.parts[story.judged.names.index(name)]
    path = TrialFolder(RunFolder(story.folder).trials / name).out_of_fold
    if story.judged is None or not path.is_file():
        return None
    predictions: np.ndarray = np.load(path, allow_pickle=False)
    return predictions[story.judged.positions] if len(predictions) > story.judged.positions.max() else None


def said_of_interrupted(trials: Sequence[TrialStory]) -> str:
    """Say how many trials were interrupted, and why."""
    whys = " or ".join(sorted({trial.why for trial in trials if trial.why}))
    return f"{len(trials):,} {'was' if len(trials) == 1 else 'were'} interrupted{f', as {whys}' if whys else ''}"


def better(values: Sequence[float], greater_is_better: bool) -> float:
    """Return the best of some scores."""
    return max(values) if greater_is_better else min(values)
