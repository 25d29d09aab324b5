"""`stacktune register` makes a version of any row's model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stacktune.ensemble.alone import Other, build_other, trial_alone
from stacktune.ensemble.out_of_fold import KeptEnsemble, kept_ensemble
from stacktune.ensemble.rows import TRIAL
from stacktune.errors import ConfigError, nearest
from stacktune.report.results import Results, read_results
from stacktune.runs.mlflow_notes import describe_model, model_facts
from stacktune.runs.sync import reached, sent
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader
from stacktune.text import as_typed, in_a_shell
from stacktune.tracking.promotion import Evidence, evidence_from, say_alias, settle_alias
from stacktune.tracking.registry import example_in, save_model
from stacktune.tracking.store import check_model_name
from stacktune.trials.result import COMPLETED, read_result

MAX_NAMED = 8


def register(
    folder: Path, trial: str, name: str | None, always: bool, tracking_uri: str | None, say: Callable[[str], None]
) -> None:
    """Register the model of a row of the leaderboard.

    It becomes a new version, and leads or not by the same rule as a run's leader.

    trial: the row's name. name: the registered model's, by default that of the run. always: whether it leads whatever
    it has earned. tracking_uri: the run's store, where its password was not kept. say: hears what was done.

    Raises:
        ConfigError: there is no such row, its models are gone, or the store cannot be reached.
    """
    folder = folder.absolute()
    results = read_results(folder)
    row = _row(results, trial)
    other = _other_of(results, row)
    if name is not None:
        check_model_name(name)
    facts = model_facts(folder, row, _weights_of(other))
    with reached(folder, tracking_uri, say) as (tracker, state), TemporaryDirectory() as aside:
        tracker.start()
        tracker.ids()
        tracker.flush()
        model, places = Path(aside, "model"), RunFolder(folder)
        if other is None:
            shutil.copytree(places.leader, model)
        else:
            _save(results, other, row, model, Path(aside, "alone"), say)
        record = sent(tracker, model, name or state.model_name, str(row["name"]))
        record = settle_alias(tracker.uri, record, _evidence(results.facts, row), always)
        if record.problem:
            raise ConfigError(f"{trial} could not be registered: {record.problem}. Try again when MLflow is back.")
        describe_model(tracker.uri, record, facts)
    say(f"registered {trial} as models:/{record.name}/{record.version}, alias {record.alias}")
    say_alias(record, say)
    if record.promote:
        say(f"to promote it: {record.promote}")
    uri = in_a_shell(f"models:/{record.name}/{record.version}")
    say(f"to predict with it: stacktune predict {uri} TABLE.parquet")


def _row(results: Results, trial: str) -> Mapping[str, Any]:
    """Return a row; ConfigError names the nearest."""
    board = results.leaderboard
    found = board[board["name"] == trial].to_dict("records")
    if not found:
        hint = nearest(trial, map(str, board["name"]))
        raise ConfigError(f"the leaderboard of {str(results.folder)!r} has no row {trial!r}.{hint}")
    row = found[0]
    if row.get("status", COMPLETED) != COMPLETED or row["score"] != row["score"]:
        raise ConfigError(
            f"{trial} has no model: it was {row.get('status', 'left without a score')}. {_others(results)}"
        )
    return row


def _weights_of(other: Other | None) -> tuple[tuple[str, float], ...]:
    """Return (trial, weight) pairs, heaviest first."""
    if other is None:
        return ()
    pairs = zip((one.trial_id for one in other.members), other.blend.weights, strict=True)
    return tuple(sorted(pairs, key=lambda pair: -pair[1]))


def _other_of(results: Results, row: Mapping[str, Any]) -> Other | None:
    """Return a row that has models; None: the leader.

    Raises ConfigError where they are gone.
    """
    name, places = str(row["name"]), RunFolder(results.folder)
    if name == results.facts["leader"]:
        if find_leader(places.leader) is None:
            raise ConfigError(f"the leader of {str(results.folder)!r} is gone. {_others(results)}")
        return None
    if row.get("kind", TRIAL) != TRIAL:
        return _ensemble_of(results, name)
    result = read_result(places.trials / name) if _has_models(places, name) else None
    if result is None:
        raise ConfigError(f"the models of {name} were not kept: others were better. {_others(results)}")
    return trial_alone(result)


def _ensemble_of(results: Results, name: str) -> Other:
    """Return an ensemble that does not lead.

    Raises ConfigError where its weights or a member's models are gone.
    """
    places, kept = RunFolder(results.folder), kept_ensemble(results.folder, name)
    if kept is None:
        raise ConfigError(
            f"{name} is an ensemble that does not lead, and this run kept no weights of such: an earlier stacktune "
            f"made it. {_others(results)}"
        )
    if gone := _gone_of(places, kept):
        raise ConfigError(
            f"{name} needs models of {', '.join(gone)}, which are not in {str(places.trials)!r} any more: "
            f"bring them back from a copy of the run, or register another row. {_others(results)}"
        )
    members = tuple(one for member in kept.members if (one := read_result(places.trials / member)) is not None)
    return Other(name, members, _models_of(places, kept), kept.blend)


def _models_of(places: RunFolder, kept: KeptEnsemble) -> tuple[tuple[Path, ...], ...]:
    pairs = zip(kept.members, kept.folds, strict=True)
    return tuple(tuple(TrialFolder(places.trials / member).fold(fold) for fold in folds) for member, folds in pairs)


def _gone_of(places: RunFolder, kept: KeptEnsemble) -> list[str]:
    """Return the members of which something is gone."""
    pairs = zip(kept.members, _models_of(places, kept), strict=True)
    return [one for one, own in pairs if read_result(places.trials / one) is None or not all(map(Path.is_dir, own))]


def _has_models(places: RunFolder, name: str) -> bool:
    return bool(TrialFolder(places.trials / name).models())


def _is_whole(places: RunFolder, name: str) -> bool:
    """Return whether an ensemble has all its models."""
    try:
        kept = kept_ensemble(places.path, name)
    except ConfigError:  # it is another row that was asked for
        return False
    return kept is not None and not _gone_of(places, kept)


def _others(results: Results) -> str:
    """Say what can be registered instead."""
    board, places = results.leaderboard, RunFolder(results.folder)
    trials = [name for name in map(str, board["name"]) if _has_models(places, name) or _is_whole(places, name)]
    names = [results.facts["leader"]] * (find_leader(places.leader) is not None)
    names = list(dict.fromkeys([*names, *trials]))
    if not names:
        return "Nothing of this run can be registered: its models are gone; begin a new run."
    more = ", …" if len(names) > MAX_NAMED else ""
    return f"These can be registered: {', '.join(names[:MAX_NAMED])}{more}."


def _save(
    results: Results, other: Other, row: Mapping[str, Any], model: Path, aside: Path, say: Callable[[str], None]
) -> None:
    """Save another row as an MLflow model."""
    places, facts = RunFolder(results.folder), results.facts
    found, threshold = find_leader(places.leader), row.get("threshold")
    if found is None:
        raise ConfigError(f"the leader of {as_typed(results.folder)} is gone, and with it what its columns are.")
    for what, key in (("intervals", "interval"), ("temperature", "calibration")):
        if facts.get(key):
            say(f"the run's {what} were learnt for its leader: {other.name} predicts without")
    is_trial = row.get("kind", TRIAL) == TRIAL
    if is_trial and (facts.get("predict_budget_us") or facts.get("max_model_mb")):
        say(f"{other.name} is registered with all its models, whatever limit the run kept to")
    leader = build_other(found, other, None if threshold is None or threshold != threshold else threshold, aside)
    example = example_in(places.leader)
    config = places.read_config() or {}
    save_model(model, aside, example, leader.predict(example), not config.get("no_code"))


def _evidence(facts: Mapping[str, Any], row: Mapping[str, Any]) -> Evidence | None:
    """Return a row's evidence, from that of the leader."""
    of_leader = evidence_from(facts.get("evidence"))
    if of_leader is None:
        return None
    test = row.get("test_score")
    if test is None or test != test:
        return replace(of_leader, cv_score=float(row["score"]), test_score=None, test_on=None)
    return replace(of_leader, cv_score=float(row["score"]), test_score=float(test))
