"""Keeps what an estimator has learnt.

A leader is a folder of files. So a pickle of an estimator holds these files, not the objects that libraries made of
them, whose pickles break between versions; and what `save` writes is read without running code. Secrets in settings are
written as in config.yaml, with stars.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from stacktune.ensemble.alone import build_other, trial_alone
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.rows import TRIAL
from stacktune.errors import ConfigError, DataError, nearest
from stacktune.own_module import hand_over
from stacktune.report.outputs import RunSummary
from stacktune.report.results import read_results
from stacktune.report.summary import sorted_by
from stacktune.settings.groups import URIS
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader
from stacktune.storage.uris import masked_uri
from stacktune.text import number
from stacktune.trials.result import COMPLETED, read_result

MODEL, DESCRIPTION = "leader", "estimator.json"
_LEADER = "leader_"


@dataclass(frozen=True)
class Kept:
    """What a folder holds of an estimator.

    n_features: None where the folder is a run's, which does not tell. feature_names: those of a frame, if it was one.
    """

    params: dict[str, Any]
    leader: Leader
    summary: RunSummary
    n_features: int | None = None
    feature_names: tuple[str, ...] = ()


def best_model(folder: Path, leader: Leader, family: str | None, by: str) -> tuple[Leader, str]:
    """Return the best trial's own model, and its words.

    These are its name and score; see `AutoML.best_model`.
    """
    results = read_results(folder)
    board = results.leaderboard
    rows = board[(board["kind"] == TRIAL) & (board["status"] == COMPLETED)]
    families = sorted(set(rows["family"]))
    if family is not None and family not in families:
        raise ConfigError(f"no trial of a family {family!r} was completed.{nearest(family, families)}")
    by = "score" if by == results.metric else by
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name]) and name != "rank"]
    if by not in numbers:
        raise ConfigError(f"the leaderboard has no numbers called {by!r}.{nearest(by, numbers)}")
    if family is not None:
        rows = rows[rows["family"] == family]
    for row in sorted_by(replace(results, leaderboard=rows), by).to_dict("records"):
        trial = TrialFolder(RunFolder(folder).trials / row["name"])
        if trial.models():
            return model_of_trial(leader, trial, row), f"{row['name']}, {results.metric} {number(row['score'])}"
    raise ConfigError("of these trials no models were kept: a run keeps those that an ensemble may still use.")


def model_of_trial(leader: Leader, trial: TrialFolder, row: dict[str, Any]) -> Leader:
    """Return a trial's model.

    It reads tables as the leader does. row: the trial's of the leaderboard.
    """
    result = read_result(trial.path)
    if result is None:
        raise ConfigError(f"{row['name']} is not as it was written: {str(trial.path)!r} is damaged.")
    threshold = row.get("threshold", leader.threshold)
    alone = trial_alone(result)
    return _in_a_folder(lambda folder: build_other(leader.folder, alone, float(threshold), folder))


def save(kept: Kept, estimator: str, folder: Path) -> Path:
    """Write an estimator; see `AutoML.save`.

    estimator: the name of its class.

    Raises:
        ConfigError: something is in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{str(folder)!r} is there already: name a new folder.")
    kept.leader.save(folder / MODEL)
    described = {
        "estimator": estimator,
        "params": {name: _plain(name, value) for name, value in kept.params.items()},
        "n_features": kept.n_features,
        "feature_names": kept.feature_names,
        "summary": asdict(kept.summary),
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1, default=str) + "\n", encoding="utf-8")
    return folder


def _plain(name: str, value: Any) -> Any:
    """Return a parameter as JSON has it, without secrets."""
    if name in URIS and value:
        return masked_uri(value)
    return hand_over(value) if callable(value) else value


def load(folder: Path, estimator: str, is_classifier: bool) -> Kept:
    """Read what `AutoML.load` names."""
    described = _description(folder, estimator)
    leader = Leader.load(leader_in(folder))
    if leader.task.is_classification != is_classifier:
        other = "AutoMLClassifier" if leader.task.is_classification else "AutoMLRegressor"
        raise ConfigError(f"the model in {str(folder)!r} is for {leader.task.kind}: {other}.load reads it.")
    facts = described.get("summary") or RunFolder(folder).read_summary() | {"folder": folder}
    known = {field.name for field in fields(RunSummary)}
    summary = RunSummary(**{name: value for name, value in facts.items() if name in known})
    names = tuple(described.get("feature_names", ()))
    return Kept(described.get("params", {}), leader, summary, described.get("n_features"), names)


def leader_in(folder: Path) -> Path:
    """Return the leader's folder.

    Raises:
        ConfigError: there is none in `folder`, be it a run's or one that `save` wrote.
    """
    found = find_leader(folder / MODEL) or find_leader(folder)
    if found is None:
        raise ConfigError(f"there is no model in {str(folder)!r}: name a run's folder, or one that `save` wrote.")
    return found


def packed(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with the leader's files.

    They are in the place of the leader itself.
    """
    if _LEADER not in state:
        return state
    with tempfile.TemporaryDirectory() as folder, io.BytesIO() as archive:
        state[_LEADER].save(Path(folder, MODEL))
        with tarfile.open(fileobj=archive, mode="w") as files:
            files.add(Path(folder, MODEL), MODEL)
        return state | {_LEADER: archive.getvalue()}


def unpacked(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of which `packed` made another."""
    if _LEADER not in state:
        return state

    def extracted(folder: Path) -> Leader:
        with tarfile.open(fileobj=io.BytesIO(state[_LEADER])) as files:
            files.extractall(folder.parent, filter="data")
        return Leader.load(folder)

    return state | {_LEADER: _in_a_folder(extracted)}


def _in_a_folder(made: Callable[[Path], Leader]) -> Leader:
    """Return a leader made in a temporary folder.

    The folder is there as long as the leader lives.
    """
    folder = Path(tempfile.mkdtemp(prefix="stacktune-model-"))
    leader = made(folder / MODEL)
    weakref.finalize(leader, shutil.rmtree, folder, ignore_errors=True)
    return leader


def _description(folder: Path, estimator: str) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        return {}
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        wanted = described["estimator"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{str(path)!r} is not as it was written.") from None
    if wanted != estimator:
        raise ConfigError(f"{str(folder)!r} holds an {wanted}: {wanted}.load reads it.")
    return described
