"""Loads a run's tables, encoded.

One is to learn from, and one to judge the leader on once.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.added import with_columns
from stacktune.data.demo import demo_frame
from stacktune.data.duplicates import digest_of_rows, n_known
from stacktune.data.example import made_up_rows
from stacktune.data.expected import Expected
from stacktune.data.files import find_files
from stacktune.data.folds import MIN_FOLDS
from stacktune.data.held_back import split_off_test
from stacktune.data.in_memory import NO_TABLES, Rows, Tables, source_in_memory
from stacktune.data.leaks import leak_notes
from stacktune.data.memory import check_fits
from stacktune.data.number_text import DECIMAL_COMMA
from stacktune.data.positive import with_positive_class
from stacktune.data.read import Source, read_source, release_memory, size_of, use_cores_allowed
from stacktune.data.sample import Sample
from stacktune.data.schema import Schema, infer_schema
from stacktune.data.split import (
    AT_RANDOM,
    ROW_NUMBER,
    ROWS,
    SPLIT_KEY,
    Split,
    check_no_key,
    no_features,
    settled,
    split_columns,
    with_split_key,
)
from stacktune.data.split_hints import hints
from stacktune.data.split_notes import split_notes
from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table, Task
from stacktune.data.target import (
    check_class_sizes,
    check_magnitude,
    encode_target,
    infer_task,
    labelled_rows,
    make_task,
    respelled_notes,
    unknown_target_message,
    without_rare_classes,
)
from stacktune.data.target_text import COMMA_NUMBERS, Writing, with_numbers, with_same_numbers
from stacktune.data.validation_rows import with_validation_rows
from stacktune.data.weights import SAMPLE_WEIGHT, weighted_rows, with_sample_weight
from stacktune.errors import DataError, nearest_column
from stacktune.settings.groups import Settings
from stacktune.settings.problem import DEMO, IN_MEMORY, DataSettings
from stacktune.storage.digests import digest_of_arrays
from stacktune.storage.uris import without_secrets

__all__ = ["Dataset", "infer_task", "load_dataset"]

_N_SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Dataset:
    """An encoded training table, and facts about it.

    table: with target and weight; weights have mean one.
    notes: sentences on what was dropped, and why the task is what it is.
    name: of the file or folder, without its ending; of the target, where the table was in memory.
    source: path or URI as typed, less any secret in it.
    digest: 16 hexadecimal digits of the encoded content.
    sample: at most 5 raw rows of the schema's columns; dictionaries are replaced by the values they stand for.
    example: the rows that travel with a model: made up, or the sample where that is asked for.
    encode_us: microseconds of one core that a raw row took to be encoded.
    test_digest: 16 hexadecimal digits of the raw test rows, whatever their order; "" without any.
    split: what folds are made by.
    row_numbers: (n_rows,) where each row came among those that were read, counted from 0; validation rows come last.
    """

    table: Table
    schema: Schema
    task: Task
    target_name: str
    notes: tuple[str, ...]
    name: str
    source: str
    digest: str
    sample: pd.DataFrame
    example: pd.DataFrame
    encode_us: float = 0.0
    test_digest: str = ""
    split: Split = AT_RANDOM
    row_numbers: np.ndarray | None = None

    def without_features(self) -> Dataset:
        """Return the dataset with targets and weights only.

        It is for whoever has shared the rest.
        """
        return replace(self, table=self.table.without_features())


def load_dataset(config: Settings, tables: Tables = NO_TABLES) -> tuple[Dataset, Table | None]:
    """Return the training data, and any test table.

    The latter is labelled, and of `test_data` or `test_size`, if either is set.

    Test rows leave before anything is learnt from the table: types, categories and classes are those of the rest.
    tables: those in memory, where the settings say so of `data` or `test_data`.
    Raises DataError for a table, target or weight that cannot be used.
    """
    use_cores_allowed()
    try:
        return dataset_of(read_training(config, tables), config, tables)
    finally:
        release_memory()


@dataclass(frozen=True)
class _Known:
    """What a model knows of its training table."""

    schema: Schema
    task: Task
    table: None = None


def load_labelled(
    place: str, schema: Schema, task: Task, target: str, weight: str | None, rows: Rows | None = None
) -> tuple[Table, list[str]]:
    """Return another labelled table, encoded, and notes.

    weight: its column, if the table has it. rows: of a table in memory, whose place is IN_MEMORY then.

    Raises:
        DataError: it has no target, or other columns than the model.
    """
    table, _, notes = load_labelled_frame(place, schema, task, target, weight, rows)
    return table, notes


def load_labelled_frame(
    place: str,
    schema: Schema,
    task: Task,
    target: str,
    weight: str | None,
    rows: Rows | None = None,
    beside: Sequence[str] = (),
) -> tuple[Table, pd.DataFrame, list[str]]:
    """Return what `load_labelled` does, and raw rows.

    The raw rows are those of the table. beside: columns that they are to have though the model does not use them, if
    the table has them; where it lacks one, they have all.
    """
    known, config = _Known(schema, task), DataSettings(place, target, weight=weight)
    frame, notes = _read_test(config, place, known, (), None, rows, beside)
    table, _, kept, more = _encode_labelled(frame, known, config)
    return table, kept, [*notes, *more]


def dataset_of(source: Source, config: Settings, tables: Tables = NO_TABLES) -> tuple[Dataset, Table | None]:
    """Return `load_dataset`'s, of a table that was read.

    source: as `read_training` returns it.
    """
    frame, writing, text_notes = with_numbers(source.frame, config.target, config.task)
    frame, notes = labelled_rows(frame, config.target)
    notes = [*source.notes, *text_notes, *notes]
    kind, why = infer_task(frame[config.target], config.task)
    notes.append(why)
    frame, split = with_split_key(frame, config)
    train, test, test_notes = split_off_test(frame, config, make_task(frame[config.target], kind), split)
    notes += test_notes
    if config.test_data is not None and tables.test is None:
        find_files(config.test_data)  # A path that names nothing is better told before the training table is encoded.
    dataset = _encode_training(train, config, kind, notes, source.commas, split)
    if config.test_data is not None:
        test, test_notes = _read_test(config, config.test_data, dataset, source.commas, writing, tables.test)
        dataset = replace(dataset, notes=dataset.notes + tuple(test_notes))
    if test is None:
        return dataset, None
    table, digest, test_notes = _encode_test(test, dataset, config)
    return replace(dataset, notes=dataset.notes + tuple(test_notes), test_digest=digest), table


def read_training(config: Settings, tables: Tables = NO_TABLES) -> Source:
    """Return the table to learn from, not encoded.

    Columns are added that say which row is which. Raises DataError where a column that the settings name is missing.
    """
    source = Source(demo_frame()[0]) if config.data == DEMO else _read_within_memory(config, tables.training)
    for role, name in (("target", config.target), ("weight", config.weight), *split_columns(config)):
        if name in source.left_out:
            raise DataError(
                f"the {role} column {name!r} holds lists, records or the like. Name a column of plain values."
            )
        if name is not None and name not in source.frame.columns:
            raise DataError(
                f"the table has no {role} column {name!r}.{nearest_column(name, map(str, source.frame.columns))}"
            )
    check_no_key(source.frame)
    source = with_sample_weight(with_validation_rows(source, config))
    return replace(source, frame=with_columns(source.frame, {ROW_NUMBER: np.arange(len(source.frame))}))


def _read_within_memory(config: Settings, rows: Rows | None) -> Source:
    size: tuple[int, int] | None = size_of(config.data) if rows is None else (rows.shape[0], rows.shape[1])
    if size is not None:
        check_fits(without_secrets(config.data), *size, config.sample_rows, config.max_memory_bytes)
    n_rows = config.sample_rows
    if n_rows is not None and size is not None and n_rows >= size[0]:
        n_rows = None
    sample = Sample(n_rows, config.target, config.seed, config.task) if n_rows is not None else None
    return _source(config.data, rows, sample, keep=config.keep)


def _source(
    uri: str,
    rows: Rows | None,
    sample: Sample | None = None,
    expected: Expected | None = None,
    keep: Collection[str] = (),
) -> Source:
    if rows is not None:
        return source_in_memory(rows, uri, sample, expected)
    return read_source(uri, sample, expected, keep)


def _read_test(
    config: DataSettings,
    place: str,
    dataset: Dataset | _Known,
    commas: Collection[str],
    writing: Writing | None,
    rows: Rows | None,
    beside: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[str]]:
    """Read the test table like the training table.

    CSV does not say its types.

    commas: the columns of the training table that had decimal commas. writing: of its target, where that was text.
    beside: columns that are read though the model does not use them.
    """
    writing = COMMA_NUMBERS if config.target in commas else writing
    classes = dataset.task.classes if dataset.task.is_classification else None
    others = {config.target: classes} | ({config.weight: None} if config.weight else {})
    expected = Expected.by(dataset.schema, others, commas, [config.target] if writing else [])
    source = _source(place, rows, expected=replace(expected, names=(*expected.names, *beside)))
    if config.target not in source.frame.columns:
        raise DataError(
            f"the test table {without_secrets(place)!r} has no target column {config.target!r}."
            + nearest_column(config.target, map(str, source.frame.columns))
        )
    frame, text_notes = with_same_numbers(source.frame, config.target, dataset.task, writing)
    frame, notes = labelled_rows(frame, config.target)
    return frame, [f"test data: {note}" for note in (*text_notes, *notes)]


def _encode_training(
    frame: pd.DataFrame, config: Settings, kind: str, notes: list[str], commas: Collection[str], split: Split
) -> Dataset:
    frame, weight, weight_notes = weighted_rows(frame, config.weight)
    if kind != REGRESSION and config.n_folds is None:
        kept, rare_notes = without_rare_classes(frame[config.target], MIN_FOLDS)
        frame, weight = frame[kept].reset_index(drop=True), None if weight is None else weight[kept]
        notes = [*notes, *rare_notes]
    task = make_task(frame[config.target], kind)
    if kind == MULTICLASS and len(task.classes) == 2:
        task = replace(task, kind=BINARY)
    target = encode_target(frame[config.target], task)
    if task.is_classification and len(task.classes) < 2:
        raise DataError(
            f"the target {config.target!r} has one class only in the training rows: there is nothing to learn."
        )
    stands_for = frame.get(SAMPLE_WEIGHT)
    task, target, positive_notes = with_positive_class(task, target, config.positive, config.target, stands_for)
    notes = [*notes, *positive_notes, *_naming_notes(task, config.target)]
    check_class_sizes(target, task, config.n_folds or MIN_FOLDS, config.target)
    if not task.is_classification:
        check_magnitude(target, config.target)
    _check_kept(frame, config.keep)
    schema, schema_notes = infer_schema(frame, no_features(config), config.keep)
    schema = schema.with_spelling(commas, DECIMAL_COMMA)
    if not schema.columns:
        raise DataError("no feature is left: " + ("; ".join(schema_notes) or "the target is the only column") + ".")
    started_s = time.thread_time()  # other threads start Ray and MLflow meanwhile
    split = settled(split, frame)
    table = replace(schema.encode_with_message(frame)[0], target=target, weight=weight, groups=split.groups)
    encode_us = (time.thread_time() - started_s) * 1e6 / table.n_rows
    schema = schema.with_optional(table)
    notes = [*notes, *weight_notes, *schema_notes, *leak_notes(table, task, config.target)]
    notes += [*split_notes(split, config.keep), *(hints(frame, schema) if split.by == ROWS else [])]
    sample = _sample_of(frame[schema.column_names])
    return Dataset(
        table=table,
        schema=schema,
        task=task,
        target_name=config.target,
        notes=tuple(notes),
        name=_name_of(config),
        source=without_secrets(config.data),
        digest=_digest(table, schema, task),
        sample=sample,
        example=sample if config.input_example == "real" else made_up_rows(frame, schema),
        encode_us=encode_us,
        split=split,
        row_numbers=frame[ROW_NUMBER].to_numpy(),
    )


def _naming_notes(task: Task, target_name: str) -> list[str]:
    if "prediction" not in task.classes:
        return []
    return [f"{target_name} has a class 'prediction', so predictions name the decided class {task.prediction_name!r}"]


def _encode_test(frame: pd.DataFrame, dataset: Dataset | _Known, config: DataSettings) -> tuple[Table, str, list[str]]:
    table, digest, _, notes = _encode_labelled(frame, dataset, config)
    return table, digest, notes


def _encode_labelled(
    frame: pd.DataFrame, dataset: Dataset | _Known, config: DataSettings
) -> tuple[Table, str, pd.DataFrame, list[str]]:
    held = frame[config.target]
    notes = respelled_notes(held, dataset.task)
    target = encode_target(held, dataset.task)
    known = target >= 0 if dataset.task.is_classification else np.isfinite(target)
    if not known.all():
        n_dropped = int((~known).sum())
        what = "is no class of the training data" if dataset.task.is_classification else "is no number"
        notes.append(f"dropped {n_dropped:,} test row{'s' if n_dropped > 1 else ''} whose target {what}")
        frame = frame[known].reset_index(drop=True)
    if not len(frame):
        raise DataError(unknown_target_message(held, dataset.task))
    weight_name = config.weight if config.weight in frame.columns else None
    if config.weight and not weight_name:
        notes.append(f"the test table has no column {config.weight}, so its rows weigh the same")
    frame, weight, weight_notes = weighted_rows(frame, weight_name)
    target = encode_target(frame[config.target], dataset.task)
    table, message = dataset.schema.encode_with_message(frame)
    notes += [f"test data: {message}"] if message else []
    table = replace(table, target=target, weight=weight)
    columns = [*dataset.schema.column_names, config.target]
    digest = digest_of_rows(frame[[name for name in columns if name in frame.columns]], weight)
    return table, digest, frame, [*notes, *weight_notes, *_known_notes(table, dataset.table)]


def _known_notes(test: Table, training: Table | None) -> list[str]:
    n_copies = 0 if training is None else n_known(test, training)
    if not n_copies:
        return []
    return [
        f"{n_copies:,} of the {test.n_rows:,} test rows {'have' if n_copies > 1 else 'has'} the features of a training "
        "row, so that the test score says too little of what models do with rows that are new"
    ]


def _check_kept(frame: pd.DataFrame, keep: tuple[str, ...]) -> None:
    names = [str(name) for name in frame.columns if name not in (SPLIT_KEY, ROW_NUMBER)]
    for name in keep:
        if name not in names:
            raise DataError(f"--keep names {name!r}, but the table has no such column.{nearest_column(name, names)}")


def _sample_of(frame: pd.DataFrame) -> pd.DataFrame:
    sample = frame.head(_N_SAMPLE_ROWS)
    coded = [name for name in sample if isinstance(sample[name].dtype, pd.CategoricalDtype)]
    return sample.assign(**{name: pd.Series(np.asarray(sample[name]), index=sample.index) for name in coded})


def _name_of(config: DataSettings) -> str:
    if config.data == DEMO:
        return "breast_cancer"
    if config.data == IN_MEMORY:
        return re.sub(r"[^\w.-]+", "-", config.target)
    last = without_secrets(config.data).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return re.sub(r"(\.(parquet|pq|parq|csv|tsv))?(\.gz)?$", "", last, flags=re.IGNORECASE) or "table"


def _digest(table: Table, schema: Schema, task: Task) -> str:
    salt = json.dumps([schema.to_dict(), task.classes]).encode()
    return digest_of_arrays(table.features, table.target, table.weight, table.groups, salt=salt)
