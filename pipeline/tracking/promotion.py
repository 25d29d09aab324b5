"""Decides which version of a registered model leads.

A new one leads only where it is shown to be no worse.

The alias `leader` is what predictions are made with. It moves to a new version that answers the same question from the
same columns, and scores no worse on the same test rows, or in the same folds of the same data. Any other version gets
the alias `challenger`, and it is said why. Access to the registry is what keeps the alias: nothing here does.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from stacktune.data.dataset import Dataset
from stacktune.data.folds import Folds
from stacktune.ensemble.rows import Leaderboard
from stacktune.metrics import METRICS
from stacktune.storage.digests import digest_of, digest_of_arrays
from stacktune.storage.uris import has_secret
from stacktune.tracking.client import Attempt, connect
from stacktune.tracking.registry import CHALLENGER, LEADER, LeaderRecord

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

EVIDENCE_TAG, ALIAS_TAG, REASON_TAG = "stacktune.evidence", "stacktune.alias", "stacktune.alias_reason"
ALWAYS = "--register-always"
# Runs that end within so long of each other may not have seen each other's versions.
MAX_OVERLAP_MS = 600_000
# How often the alias is handed on among runs that end at once; each try sees the versions of all before it.
MAX_HANDED_ON = 10
# The newest ones that are looked at; more do not come to a name in the time of an overlap.
MAX_VERSIONS = 200


@dataclass(frozen=True)
class Evidence:
    """A version's task, columns and scores.

    positive: of two classes. columns: digest of the names and kinds of the columns. classes: digest of the classes.
    cv_score, test_score: of `metric`, as people read it. cv_on: digest of the data and its folds. test_on: digest of
    the test rows; both of test are None where there were none. greater_is_better: of a metric that is a run's own.
    """

    task: str
    target: str
    metric: str
    positive: str | None
    classes: str
    columns: str
    cv_score: float
    cv_on: str
    test_score: float | None = None
    test_on: str | None = None
    greater_is_better: bool | None = None

    @property
    def is_greater_better(self) -> bool:
        known = METRICS.get(self.metric)
        return known.greater_is_better if known else bool(self.greater_is_better)

    @classmethod
    def of(cls, dataset: Dataset, folds: Folds, board: Leaderboard) -> Evidence:
        """Return that of the leader of `board`."""
        task, row, metric = dataset.task, board.leader, board.metric
        return cls(
            task=task.kind,
            target=dataset.target_name,
            metric=f"{metric.name} of {metric.version}" if metric.version else metric.name,
            positive=task.positive,
            classes=digest_of(sorted(map(str, task.classes))),
            columns=digest_of(sorted([str(column.name), column.kind] for column in dataset.schema.columns)),
            cv_score=row.score,
            cv_on=digest_of(
                [
                    *(dataset.digest, folds.n_folds),
                    *(digest_of_arrays(folds.assignment), digest_of_arrays(folds.blocks)),
                    *([digest_of_arrays(folds.n_learning)] if folds.is_ordered else []),
                    *map(digest_of_arrays, folds.again),
                ]
            ),
            test_score=row.test[metric.name] if row.test else None,
            test_on=dataset.test_digest if row.test else None,
            greater_is_better=None if metric.name in METRICS else metric.greater_is_better,
        )


@dataclass(frozen=True)
class Verdict:
    """A verdict on a version: no worse, and why."""

    is_no_worse: bool
    reason: str


def compared(new: Evidence, old: Evidence | None, version: int) -> Verdict:
    """Compare a new version's scores with `version`.

    `old` is the evidence of that, if it has any.
    """
    if old is None:
        return Verdict(False, f"version {version} does not say what it was scored on")
    for name in ("task", "target", "metric", "positive"):
        now, before = getattr(new, name), getattr(old, name)
        if now != before:
            return Verdict(False, f"its {name} is {now!r}, and that of version {version} is {before!r}")
    for name in ("columns", "classes"):
        if getattr(new, name) != getattr(old, name):
            reason = f"its {name} are not those of version {version}; --register gives it a name of its own"
            return Verdict(False, reason)
    for where, name in (("on the same test rows", "test"), ("in the same folds", "cv")):
        now, before = getattr(new, f"{name}_score"), getattr(old, f"{name}_score")
        is_same = getattr(new, f"{name}_on") == getattr(old, f"{name}_on")
        if is_same and _is_finite(now) and _is_finite(before):
            is_no_worse = now >= before if new.is_greater_better else now <= before
            reason = f"it scores {now:.6g} {where}, and version {version} {before:.6g} ({new.metric})"
            return Verdict(is_no_worse, reason)
    reason = (
        f"it was scored on other rows than version {version}; give runs that are to be compared the same --test-data"
    )
    return Verdict(False, reason)


def settle_alias(uri: str, record: LeaderRecord, evidence: Evidence | None, always: bool = False) -> LeaderRecord:
    """Give the registered version its alias.

    It is the one that the version of `record` has earned; returns the record with it.

    evidence: None of a run that an earlier stacktune ended. always: whether it leads whatever it has earned. A store
    that is away costs the alias alone.
    """
    name, version = record.name, record.version
    if name is None or version is None:
        return record
    with Attempt() as attempt:
        alias, reason = _settled(connect(uri), name, version, evidence, always)
        promote = None if alias == LEADER else promoting_command(uri, name, version)
        return replace(record, alias=alias, alias_reason=reason, promote=promote)
    return replace(record, problem=attempt.reason)


def promoting_command(uri: str, name: str, version: int) -> str:
    """Return the command that promotes a version.

    Where the store has a password, the environment names it.
    """
    store = "" if has_secret(uri) else json.dumps(uri)
    call = f"set_registered_model_alias({json.dumps(name)}, {json.dumps(LEADER)}, {json.dumps(str(version))})"
    return f"python -c {shlex.quote(f'import mlflow; mlflow.MlflowClient({store}).{call}')}"


def _settled(client: MlflowClient, name: str, version: int, evidence: Evidence | None, always: bool) -> tuple[str, str]:
    """Set a version's alias; return it and its reason."""
    if evidence:
        client.set_model_version_tag(name, str(version), EVIDENCE_TAG, json.dumps(asdict(evidence)))
    holder = _holder(client, name)
    if holder is None or holder == version:
        is_leader, reason = True, "it is the first"
    else:
        before = _evidence_in(client.get_model_version(name, str(holder)).tags)
        verdict = compared(evidence, before, holder) if evidence else _UNKNOWN
        is_leader, reason = verdict.is_no_worse, verdict.reason
    if always and not is_leader:
        # No other has a better claim than what was asked for.
        reason = f"{ALWAYS}, though {reason}"
        _tag(client, name, version, LEADER, reason)
        client.set_registered_model_alias(name, LEADER, str(version))
        return LEADER, reason
    if is_leader:
        _tag(client, name, version, LEADER, reason)
        last = _take_lead(client, name, version, holder)
        if last != version:
            is_leader, reason = False, f"version {last} ended at the same time, and goes before it"
    if not is_leader:
        _tag(client, name, version, CHALLENGER, reason)
        client.set_registered_model_alias(name, CHALLENGER, str(version))
    return (LEADER if is_leader else CHALLENGER), reason


_UNKNOWN = Verdict(False, "it does not say what it was scored on")


def _holder(client: MlflowClient, name: str) -> int | None:
    version = client.get_registered_model(name).aliases.get(LEADER)
    return None if version is None else int(version)


def _tag(client: MlflowClient, name: str, version: int, alias: str, reason: str) -> None:
    for key, value in ((ALIAS_TAG, alias), (REASON_TAG, reason)):
        client.set_model_version_tag(name, str(version), key, value)


def _take_lead(client: MlflowClient, name: str, version: int, holder: int | None) -> int:
    """Set the alias; return the version that has it.

    It is handed on where a run that ended at the same time has the better claim.

    A registry has no lock. But each run marks its version before it sets the alias and looks for the others' marks
    afterwards, so that whoever sets it last has seen them all, and sets it to the same one as all others would.
    """
    leading = version
    for _ in range(MAX_HANDED_ON):
        client.set_registered_model_alias(name, LEADER, str(leading))
        found = _first_of(_rivals(client, name, version, holder))
        if found == leading:
            break
        leading = found
    return leading


def _rivals(client: MlflowClient, name: str, version: int, holder: int | None) -> list[ModelVersion]:
    """Return versions that compete with `version`, by number.

    They claim to follow `holder` and are of about the same time.
    """
    quoted = f"'{name}'" if "'" not in name else f'"{name}"'
    versions = client.search_model_versions(f"name={quoted}", MAX_VERSIONS, ["creation_timestamp DESC"])
    own = client.get_model_version(name, str(version))
    since = own.creation_timestamp - MAX_OVERLAP_MS
    claiming = [
        one
        for one in versions
        if one.tags.get(ALIAS_TAG) == LEADER and int(one.version) > (holder or 0) and one.creation_timestamp >= since
    ]
    return sorted({int(one.version): one for one in (*claiming, own)}.values(), key=lambda one: int(one.version))


def _first_of(rivals: list[ModelVersion]) -> int:
    """Return the version that no other is better than.

    It is no worse than those before it; among versions that compare with none, the earliest.
    """
    first, *later = rivals
    for one in later:
        new, old = _evidence_in(one.tags), _evidence_in(first.tags)
        if new and compared(new, old, int(first.version)).is_no_worse:
            first = one
    return int(first.version)


def _evidence_in(tags: Mapping[str, str]) -> Evidence | None:
    """Return the evidence in a version's tags.

    It is None where they say nothing that this stacktune understands.
    """
    try:
        return evidence_from(json.loads(tags[EVIDENCE_TAG]))
    except (KeyError, ValueError):
        return None


def evidence_from(stored: Any) -> Evidence | None:
    """Return the evidence in a dictionary.

    It is None where the dictionary is of another kind.
    """
    names = {field.name for field in fields(Evidence)}
    # A version that an earlier stacktune registered does not say the last, and has a metric that everybody knows.
    if not isinstance(stored, dict) or set(stored) | {"greater_is_better"} != names:
        return None
    if stored["metric"] not in METRICS and stored.get("greater_is_better") is None:
        return None
    return Evidence(**stored)


def _is_finite(score: Any) -> bool:
    return isinstance(score, int | float) and math.isfinite(score)


def say_alias(record: LeaderRecord, say: Callable[[str], None]) -> None:
    """Report why a version leads or not, if unusual."""
    if record.alias == CHALLENGER:
        say(f"version {record.version} of {record.name} is its challenger, and the leader stays: {record.alias_reason}")
    if record.alias == LEADER and (record.alias_reason or "").startswith(ALWAYS):
        say(f"version {record.version} of {record.name} leads by {record.alias_reason}")
