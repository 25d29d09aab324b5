"""Finds what a search begins from, and its gain.

A run, a trial or a model names a configuration. It is read when the run begins and kept with the run's settings, so
that what becomes of its source later does not matter.

What a search gained is the difference on the same folds. The best of many trials is best partly by chance, so the gain
is given twice: of the best trial, and of the trial that the other folds would have chosen for each fold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.ensemble.leaderboard import nested_best_trial_scores
from stacktune.errors import ConfigError, nearest
from stacktune.families.registry import get_family, known_families
from stacktune.metrics import Metric
from stacktune.places import expanded
from stacktune.search.around import StartingPoint
from stacktune.search.journal import ASKED, ENDED, read_journal
from stacktune.settings.groups import SearchSettings, Settings
from stacktune.storage.run_folder import LEADER_MANIFEST, STORE, RunFolder, find_leader
from stacktune.text import number
from stacktune.tracking.registry import resolve_model
from stacktune.trials.result import COMPLETED, TrialResult, read_result, result_from

_Candidate = tuple[str, str, Mapping[str, Any]]  # name, family, configuration


def starting_point(config: SearchSettings) -> StartingPoint | None:
    """Return what is searched around, once that was found."""
    start = config.start_from
    if start is None or isinstance(start, str):
        return None
    axes = config.axes if config.search_by == "grid" else None
    return StartingPoint(start["family"], start["config"], start["source"], axes)


def with_start_found(config: Settings) -> Settings:
    """Return the settings with the configuration to begin from.

    Raises:
        ConfigError: there is none where --start-from points to, or none of the families that were asked for.
    """
    if not isinstance(config.start_from, str):
        return config
    name, family, found = _best(config, config.start_from)
    source = config.start_from if Path(config.start_from).name == name else f"{config.start_from} ({name})"
    return replace(config, start_from={"family": family, "config": dict(found), "source": source})


def _best(config: Settings, text: str) -> _Candidate:
    families, exclude, candidates = config.families, config.exclude, list(_candidates(text, _store(config)))
    wanted = [one for one in candidates if (not families or one[1] in families) and one[1] not in exclude]
    for candidate in wanted:
        if candidate[1] in known_families() and get_family(candidate[1]).searcher == "bayesian":
            return candidate
    if not candidates:
        raise ConfigError(f"--start-from {text} has no completed trial to begin from.")
    held = ", ".join(dict.fromkeys(family for _, family, _ in candidates))
    what = "one that was asked for" if not wanted else "one whose parameters can be varied"
    raise ConfigError(f"--start-from {text} holds configurations of {held}, and none of them is {what}.")


def _store(config: Settings) -> str | None:
    """Return where a registered model is looked for.

    It is the store that the run will have, if that is there; None for the usual one.
    """
    if config.tracking_uri or config.output is None:
        return config.tracking_uri
    beside = Path(config.output).absolute().parent / STORE
    return f"sqlite:///{beside}" if beside.is_file() else None


def _candidates(text: str, store: str | None) -> Iterator[_Candidate]:
    """Yield the configurations at a place, the best first."""
    if text.startswith("models:"):
        yield from _in_model(find_leader(resolve_model(text, store)), text)
        return
    path = Path(expanded(text))
    for folder in (path, RunFolder(path.parent).trials / path.name):
        if result := read_result(folder):
            yield result.trial_id, result.family, result.config
            return
    if RunFolder(path).journal.is_file():
        yield from _in_run(path)
        return
    yield from _in_model(find_leader(path), text)


def _in_run(folder: Path) -> Iterator[_Candidate]:
    preliminary, completed = set(), []
    for event, what in read_journal(RunFolder(folder).journal):
        if event == ASKED and what.get("is_preliminary"):
            preliminary.add(what["trial_id"])
        if event == ENDED and what["status"] == COMPLETED:
            completed.append(result_from(what))
    for result in sorted(completed, key=lambda one: -one.score):
        if result.trial_id not in preliminary:
            yield result.trial_id, result.family, result.config


def _in_model(leader: Path | None, text: str) -> Iterator[_Candidate]:
    if leader is None:
        beside = Path(expanded(text)).parent
        near = [one.parent.name for pattern in ("*/state.json", "*/result.json") for one in beside.glob(pattern)]
        hint = nearest(Path(text).name, near)
        raise ConfigError(f"--start-from {text} is no run's folder, no trial's below it, and no model.{hint}")
    try:
        manifest = json.loads((leader / LEADER_MANIFEST).read_text(encoding="utf-8"))
        pairs = zip(manifest["blend"]["weights"], manifest["members"], strict=True)
        members = [member for _, member in sorted(pairs, key=lambda pair: -pair[0])]
        found = [(one["trial_id"], one["family"], one["config"]) for one in members]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"the model at --start-from {text} says nothing of its configurations, as those of earlier versions of "
            "stacktune: name the run's folder."
        ) from None
    yield from found


@dataclass(frozen=True)
class Gain:
    """What a search came to, beside its start.

    Scores are as people read them. honest, error: the gain where each fold's trial is chosen by the other folds, and
    its standard error; positive is better.
    """

    source: str
    start: str
    start_score: float
    best: str
    best_score: float
    n_trials: int
    honest: float
    error: float
    metric: str

    @property
    def sentence(self) -> str:
        """Say what was gained."""
        if self.best == self.start:
            return (
                f"nothing of {self.n_trials:,} trials is better than the start, {self.start}, which has "
                f"{self.metric} {number(self.start_score)}"
            )
        gain = abs(self.best_score - self.start_score)
        return (
            f"{self.best} has {self.metric} {number(self.best_score)} and its start, {self.start}, "
            f"{number(self.start_score)} on the same folds: a gain of {number(gain, like=self.start_score)}, and of "
            f"{self.honest:.2g} ± {self.error:.2g} where the other folds choose the trial"
        )


def gain_of(config: SearchSettings, results: Sequence[TrialResult], metric: Metric) -> Gain | str | None:
    """Return what was gained over the start.

    It is None where there was none to begin from, and a sentence where the start was not completed.
    """
    start = starting_point(config)
    if start is None:
        return None
    completed = [one for one in results if one.status == COMPLETED and one.rows_share == 1]
    same = [one for one in completed if one.family == start.family and one.config == dict(start.config)]
    if not same:
        return "the start was not completed, so that nothing can be said of a gain: give more --time-budget"
    first, best = max(same, key=lambda one: sum(one.n_units)), max(completed, key=lambda one: one.score)
    gaps = nested_best_trial_scores([one.fold_scores for one in completed]) - np.array(first.fold_scores)
    error = float(np.std(gaps, ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else float("nan")
    return Gain(
        source=start.source,
        start=first.trial_id,
        start_score=metric.shown(first.score),
        best=first.trial_id if best.score <= first.score else best.trial_id,
        best_score=metric.shown(best.score),
        n_trials=len(results),
        honest=float(np.mean(gaps)),
        error=error,
        metric=metric.name,
    )
