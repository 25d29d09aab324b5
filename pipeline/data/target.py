"""Reads a target: its task, classes and values."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Sequence

import numpy as np
import pandas as pd

from stacktune.data.class_text import respelled
from stacktune.data.folds import MIN_FOLDS
from stacktune.data.notes import MAX_NAMES_SHOWN, shortened
from stacktune.data.number_text import is_missing, looks_like_number
from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Task
from stacktune.data.values import (
    BOOLEAN,
    DATETIME,
    NUMERIC,
    OTHER,
    coded_text,
    content_of,
    numbers_of,
    seconds_of,
    truth_of,
)
from stacktune.errors import DataError

# Whole numbers with no more levels than this are grades or labels more often than amounts.
MAX_NUMERIC_CLASSES = 20
# Numbers that were written as text or categories are classes up to this many levels.
MAX_SPELLED_CLASSES = 50
# Squares of what lies within are within float64's range, with room to add them up, and errors above what undefined
# scores count as (metrics.WORST).
MAX_MAGNITUDE, MIN_TARGET_SPREAD = 1e90, 1e-150
# Where more of the rows have classes that are too rare, what is left is another task than the one that was asked for.
MAX_LOST_SHARE = 0.5


def known_rows(target: pd.Series) -> np.ndarray:
    """Return which rows have a usable target.

    It is (n_rows,) bool: where it has a value; where it holds numbers, a finite one.
    """
    return np.isfinite(numbers_of(target)) if content_of(target) == NUMERIC else target.notna().to_numpy()


def labelled_rows(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with a target, and notes.

    The notes are on the other rows.

    Raises DataError where there is none.
    """
    known = known_rows(frame[target])
    if known.all():
        return frame, []
    if not known.any():
        raise DataError(f"the target {target!r} has no value in any of the {len(frame):,} rows.")
    n_dropped = int((~known).sum())
    rows = "row" if n_dropped == 1 else "rows"
    return frame[known].reset_index(drop=True), [f"dropped {n_dropped:,} {rows} whose target {target} is null"]


def infer_task(target: pd.Series, asked: str) -> tuple[str, str]:
    """Return the task, and why it is that.

    It is the one that the known values of `target` set.

    asked: "auto", or the task to check that the target suits. Raises DataError when it does not suit, or when there is
    one value only.
    """
    name, content = str(target.name), content_of(target)
    if content == OTHER:
        raise DataError(f"the target {name!r} holds lists, records or complex numbers. Name a column of plain values.")
    n_levels = len(_levels(target))
    if n_levels < 2:
        only = _levels(target)[0]
        raise DataError(
            f"the target {name!r} has one value only, {only!r}, and so one class: there is nothing to predict."
        )
    if asked == REGRESSION:
        return REGRESSION, _check_regression(target)
    if asked != "auto":
        return _check_classes(name, asked, n_levels, _guess(target, content, n_levels)[0])
    return _guess(target, content, n_levels)


def _guess(target: pd.Series, content: str, n_levels: int) -> tuple[str, str]:
    name, values = str(target.name), numbers_of(target)
    told = "; --task overrides this"
    if n_levels == 2:
        return BINARY, f"{name} has two values, so the task is binary classification{told}"
    if content == DATETIME:
        return REGRESSION, f"{name} holds dates, so the task is regression on seconds since 1970{told}"
    if content == NUMERIC and not (n_levels <= MAX_NUMERIC_CLASSES and (values == np.floor(values)).all()):
        return REGRESSION, f"{name} holds {n_levels:,} distinct numbers, so the task is regression{told}"
    if content == NUMERIC:
        return (
            MULTICLASS,
            f"{name} holds {n_levels} distinct whole numbers, so the task is multiclass classification{told}",
        )
    if n_levels > MAX_SPELLED_CLASSES and np.isfinite(values).all():
        return (
            REGRESSION,
            f"{name} holds {n_levels:,} distinct numbers written as text, so the task is regression{told}",
        )
    return MULTICLASS, f"{name} holds {n_levels} categories, so the task is multiclass classification{told}"


def _levels(target: pd.Series) -> list[str]:
    codes, texts = coded_text(target)
    return sorted({texts[code] for code in np.unique(codes) if code >= 0})


def _check_regression(target: pd.Series) -> str:
    is_number = np.isfinite(_numbers_or_seconds(target))
    if not is_number.all():
        raise DataError(
            _no_numbers_message(str(target.name), [str(value) for value in target[~is_number]], len(target))
        )
    return f"{target.name} is predicted as a number, as --task regression asks"


def _no_numbers_message(name: str, unread: list[str], n_rows: int) -> str:
    """Return a message on texts that are no numbers.

    They may be in a convention in which too few others are.
    """
    odd = [text for text in unread if not (looks_like_number(text) or is_missing(text))]
    if not odd:
        return (
            f"regression needs a target of two or more numbers that are written alike, but {name!r} holds "
            f"{_examples(list(dict.fromkeys(unread)))}. Write all as plain numbers, or leave --task out."
        )
    remedy = "Leave --task out" if len(odd) == n_rows else "Correct these or leave them empty, or leave --task out"
    return (
        f"regression needs a target of numbers, but {name!r} holds {odd[0]!r}: {len(odd):,} of the {n_rows:,} rows "
        f"hold no number. {remedy}."
    )


def _check_classes(name: str, asked: str, n_levels: int, likely: str) -> tuple[str, str]:
    if asked == BINARY and n_levels != 2:
        raise DataError(
            f"--task binary needs two classes, but the target {name!r} has {n_levels}. Use --task {likely}."
        )
    if n_levels == 2 and asked == MULTICLASS:
        return BINARY, f"{name} has two classes, so the task is binary classification"
    return asked, f"{name} has {n_levels} classes, and --task {asked} asks for classification"


def _numbers_or_seconds(target: pd.Series) -> np.ndarray:
    """Return (n,) float64 values; dates are seconds since 1970."""
    return seconds_of(target) if content_of(target) == DATETIME else numbers_of(target)


def make_task(target: pd.Series, kind: str) -> Task:
    """Return the task with its ordered classes.

    They are in order of number where all texts are numbers, of text otherwise.
    """
    if kind == REGRESSION:
        return Task(kind)
    classes = _levels(target)
    values = pd.to_numeric(pd.Series(classes, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    if np.isfinite(values).all():
        classes = [classes[place] for place in np.argsort(values, kind="stable")]
    return Task(kind, tuple(classes), _labels(target, classes))


def _labels(target: pd.Series, classes: Sequence[str]) -> tuple[bool | int | float | str, ...]:
    """Return the classes as booleans or numbers.

    They are so where the target holds such, whatever type carries them.

    Whole numbers are whole, so that a table gives the same labels with and without a missing target beside them.
    """
    is_coded = isinstance(target.dtype, pd.CategoricalDtype)
    content = content_of(pd.Series(target.cat.categories) if is_coded else target)
    if content == BOOLEAN:
        return tuple(truth_of(text) == "True" for text in classes)
    codes, texts = coded_text(target)
    places, rows = np.unique(codes, return_index=True)
    first_row = {texts[place]: row for place, row in zip(places, rows, strict=True) if place >= 0}
    values = [target.iloc[first_row[text]] for text in classes]
    if content != NUMERIC or not all(isinstance(value, numbers.Real | decimal.Decimal) for value in values):
        return tuple(classes)  # durations are among what counts as numbers
    kind = int if all(value == int(value) for value in values) else float
    return tuple(map(kind, values))


def encode_target(target: pd.Series, task: Task) -> np.ndarray:
    """Return class codes or values of a target.

    They are (n,) int32 class codes, -1 for what is no class of the task, or (n,) float64 values.

    What is no class as it is written may be one in another spelling, see `respelled`.
    """
    if not task.is_classification:
        return _numbers_or_seconds(target)
    rows, texts = coded_text(target)
    class_of = respelled(texts, task.classes)
    texts = [class_of.get(text, text) for text in texts]
    codes = pd.Index(task.classes, dtype=object).get_indexer(pd.Index(texts, dtype=object)).astype(np.int32)
    return np.append(codes, np.int32(-1))[rows]


def respelled_notes(target: pd.Series, task: Task) -> list[str]:
    """Return a note on respelled test classes.

    They are texts of a test target that were taken for a class spelled otherwise.
    """
    class_of = respelled(_levels(target), task.classes) if task.is_classification else {}
    if not class_of:
        return []
    shown = ", ".join(f"{text!r} for {name!r}" for text, name in sorted(class_of.items())[:MAX_NAMES_SHOWN])
    return [f"test data: took for classes of {target.name} what spells them otherwise: {shown}"]


def unknown_target_message(target: pd.Series, task: Task) -> str:
    """Return a message on an unknown test target.

    Training knows none of its values.
    """
    held, had = _examples(_levels(target)), _examples(task.classes) if task.is_classification else "numbers or dates"
    return (
        f"no test row has a target {str(target.name)!r} that the training data knows: it holds {held}; training had "
        f"{had}. Write the target as in the training data."
    )


def _examples(texts: Sequence[str]) -> str:
    return shortened([repr(text) for text in texts[: MAX_NAMES_SHOWN + 1]])


def without_rare_classes(target: pd.Series, n_rows: int) -> tuple[np.ndarray, list[str]]:
    """Return rows of frequent classes, and notes.

    They are (n,) bool, the rows of classes with at least `n_rows`; the notes are on the others.

    All rows are kept where fewer than two classes would be. Raises DataError where most rows would go.
    """
    codes, texts = coded_text(target)
    classes, places = np.unique(np.array(texts, dtype=object)[codes], return_inverse=True)
    sizes = np.bincount(places)
    rare = sizes < n_rows
    n_rare, n_lost = int(rare.sum()), int(sizes[rare].sum())
    shown = shortened(classes[rare].tolist())
    if n_lost > MAX_LOST_SHARE * len(target):
        raise DataError(
            f"{n_lost:,} of the {len(target):,} rows have a class of {str(target.name)!r} with fewer than {n_rows} "
            f"rows, and nobody could predict these {n_rare:,} classes: {shown}. Name another target, merge its "
            "classes, or, where they are amounts, write them as numbers and choose --task regression."
        )
    if not n_rare or (~rare).sum() < 2:
        return np.ones(len(target), dtype=bool), []
    return ~rare[places], [
        f"dropped {n_lost:,} row{'s' if n_lost > 1 else ''} of {n_rare:,} class{'es' if n_rare > 1 else ''} of "
        f"{target.name} with fewer than {n_rows} rows, never to be predicted: {shown}"
    ]


def check_magnitude(target: np.ndarray, name: str) -> None:
    """Raise DataError for targets too large or close.

    They are so unless the squares of a regression's errors are numbers that float64 holds.
    """
    most, spread = float(np.abs(target).max()), float(np.ptp(target / 2))
    if most > MAX_MAGNITUDE or 0 < spread < MIN_TARGET_SPREAD:
        raise DataError(
            f"regression squares its errors, but the target {name!r} holds values up to {most:.3g} that differ by up "
            f"to {2 * spread:.3g}, whose squares are no numbers. Multiply it by a power of ten first."
        )


def check_class_sizes(target: np.ndarray, task: Task, n_folds: int, name: str) -> None:
    """Raise DataError for classes smaller than the folds.

    One is so when it has fewer rows than there are folds to put one into each.
    """
    if not task.is_classification:
        return
    sizes = np.bincount(target, minlength=len(task.classes))
    small = int(np.argmin(sizes))
    if sizes[small] < n_folds:
        remedies = ["Drop or merge such classes"]
        remedies += ["use fewer --folds"] if n_folds > MIN_FOLDS else []
        remedies += ["choose --task regression"] if _are_numbers(task) else []
        raise DataError(
            f"each class needs a row in each of {n_folds} folds, but {task.classes[small]!r} of {name!r} "
            f"has {sizes[small]}. {', or '.join(remedies)}."
        )


def _are_numbers(task: Task) -> bool:
    return all(text.lstrip("-").replace(".", "", 1).isdigit() for text in task.classes)
