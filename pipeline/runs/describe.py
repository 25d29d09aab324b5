"""Looks at a table before a run.

What is told of it comes from the functions that a run reads it by, so that a run says the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from stacktune.data.dataset import Dataset, dataset_of, read_training
from stacktune.data.duplicates import copies_of
from stacktune.data.folds import fold_notes, make_folds
from stacktune.data.memory import bytes_for, check_fits
from stacktune.data.profile import TableProfile, profile_of, with_raw
from stacktune.data.read import Source, read_source, sample_notes, size_of, use_cores_allowed
from stacktune.data.sample import Sample
from stacktune.data.schema import infer_schema
from stacktune.data.split import ROWS, no_features
from stacktune.data.split_hints import hints
from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table
from stacktune.errors import DataError
from stacktune.families.registry import all_families, known_families
from stacktune.host import cores_here
from stacktune.observers import Observers
from stacktune.report.described import Described, Intended
from stacktune.runs.begin import RunData, Scope, begin, posed, problem_notes, scope_of
from stacktune.search.plan.plan import ClusterSize
from stacktune.settings.groups import BY_KEY, Settings
from stacktune.settings.problem import DEMO
from stacktune.settings.read import load_settings
from stacktune.storage.uris import without_secrets


def describe(flags: Mapping[str, Any], n_rows: int) -> Described:
    """Return what a run would say of a table.

    What its columns hold comes first.

    flags: settings of a run by key, None where they were not typed; without a target only the columns are told of.
    n_rows: at most so many are looked at, drawn as --sample-rows draws them.

    Raises:
        ConfigError, DataError: what a run would refuse.
    """
    use_cores_allowed()
    if flags["target"] is None and flags["data"] not in (None, DEMO):
        return _unlabelled(flags, n_rows)
    settings = load_settings(flags)
    source = read_training(replace(settings, sample_rows=n_rows))
    sample = Sample(n_rows, settings.target, settings.seed, settings.task)
    unsaid = sample_notes(sample, source)
    source = replace(source, notes=tuple(note for note in source.notes if note not in unsaid))
    n_whole = source.n_of_table or len(source.frame)
    dataset, test = dataset_of(source, settings)
    start = begin(settings, Observers(()), None, None)
    cluster = ClusterSize(cores_here().at_most(settings.n_cpus).n, 0)
    whole = _as_large(dataset, len(source.frame), n_whole)
    data = posed(start, dataset, test, cluster, whole)
    scope = scope_of(start, data)
    profile = _profile(dataset, source, settings)
    notes = [*_notes(data, scope, whole), *_copy_notes(dataset.table)]
    return Described(
        without_secrets(settings.data),
        n_whole,
        profile,
        tuple(dict.fromkeys(notes)),
        _intended(data, scope, n_whole),
        _run_command(flags),
    )


def _profile(dataset: Dataset, source: Source, settings: Settings) -> TableProfile:
    profile = profile_of(dataset.table, dataset.schema, dataset.task, dataset.target_name)
    return with_raw(profile, source.frame, no_features(settings))


def _as_large(dataset: Dataset, n_seen: int, n_whole: int) -> Table | None:
    """Return a table as large as the whole.

    It is None where the data set is no sample. It has the sample's classes in their shares, and features that are all
    zero: nothing but sizes may be read of it.
    """
    if n_seen == n_whole:
        return None
    table, task = dataset.table, dataset.task
    labels = np.resize(table.labels, round(table.n_rows * n_whole / n_seen))
    if task.is_classification:
        sizes = np.bincount(table.labels, table.weight, minlength=task.n_outputs)
        counts = np.maximum(1, np.rint(sizes * n_whole / n_seen)).astype(np.int64)
        labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    features = np.broadcast_to(np.float32(0), (len(labels), table.n_features))
    return replace(table, features=features, target=labels, weight=None, groups=None)


def _notes(data: RunData, scope: Scope, whole: Table | None) -> list[str]:
    """Return the notes of a run.

    A sample may have been read.

    How many rows of a class there are to judge on is counted in the whole table then; where a column parts the rows,
    nobody knows that of rows that were not read.
    """
    problem = data.problem
    if whole is None:
        return problem_notes(data, scope)
    unsaid = fold_notes(problem.folds, problem.table, problem.task)
    said = [note for note in problem_notes(data, scope) if note not in unsaid]
    if data.dataset.split.by != ROWS:
        return said
    narrow = replace(whole, features=whole.features[:, :1])
    folds = make_folds(narrow, problem.task, problem.folds.n_folds // problem.folds.n_repeats, problem.seed)
    return [*said, *fold_notes(folds, narrow, problem.task)]


def _copy_notes(table: Table) -> list[str]:
    n_copies = int((copies_of(table) != np.arange(table.n_rows)).sum())
    if not n_copies:
        return []
    return [f"{n_copies:,} rows have the features of an earlier row: such rows stay together, in one fold"]


def _intended(data: RunData, scope: Scope, n_rows: int) -> Intended:
    problem = data.problem
    n_columns = len(data.dataset.schema.columns)
    return Intended(
        problem.task.kind,
        problem.metric.name,
        problem.folds.n_folds,
        tuple(scope.families),
        bytes_for(n_rows, n_columns),
        _untried(scope),
    )


def _untried(scope: Scope) -> dict[str, str]:
    """Return why each other family is not tried.

    They are those of which no note tells.
    """
    missing = sorted(set(known_families()).difference(all_families()))
    said = {name: f'not installed; pip install "stacktune[{name}]" adds it' for name in missing}
    return said | dict(scope.size.silently_left_out)


def _run_command(flags: Mapping[str, Any]) -> str:
    """Return the command of the described run."""
    words = ["stacktune", "run", str(flags["data"])]
    for key, value in flags.items():
        if key == "data" or value in (None, False):
            continue
        words += [BY_KEY[key].flag, *([] if value is True else [str(value)])]
    if not flags.get("time_budget") and not flags.get("max_trials"):
        words += [BY_KEY["time_budget"].flag, "10m"]
    return shlex.join(words)


def _unlabelled(flags: Mapping[str, Any], n_rows: int) -> Described:
    """Return what can be told without a target."""
    uri, keep = str(flags["data"]), _kept(flags["keep"])
    size = size_of(uri)
    if size is not None:
        check_fits(without_secrets(uri), *size, None)
    source = read_source(uri, keep=keep)
    n_whole = len(source.frame)
    frame = source.frame.iloc[evenly_spread(n_whole, n_rows)].reset_index(drop=True)
    schema, notes = infer_schema(frame, set(), keep)
    if not schema.columns:
        raise DataError("no feature is in the table: " + ("; ".join(notes) or "it has no column") + ".")
    table = schema.encode_with_message(frame)[0]
    profile = with_raw(profile_of(table, schema), frame)
    said = (*source.notes, *notes, *hints(frame, schema), *_copy_notes(table))
    command = shlex.join(["stacktune", "describe", uri, "--target", "COLUMN"])
    return Described(without_secrets(uri), n_whole, profile, said, None, command)


def _kept(keep: str | None) -> tuple[str, ...]:
    return BY_KEY["keep"].spec.kind.read(keep) if keep else ()
