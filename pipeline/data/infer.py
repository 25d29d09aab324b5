"""Infers which columns are features, and their kinds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.column import PARTS, Column
from stacktune.data.date_text import find_format, seconds_of_text
from stacktune.data.dates import date_part, day_of, far_ranges, held_range, iso_dates, range_of_dates
from stacktune.data.notes import counted, missing_note
from stacktune.data.number_text import Reading, read_numbers
from stacktune.data.scale import Scale, scale_of
from stacktune.data.values import (
    BOOLEAN,
    DATETIME,
    NUMERIC,
    OTHER,
    are_durations,
    coded_text,
    content_of,
    numbers_of,
    seconds_of,
)
from stacktune.errors import DataError

_MIN_ROWS_OF_AN_ID = 100
_MIN_DISTINCT_SHARE_OF_AN_ID = 0.95
# A row number may be missing, be there twice, or stand a few rows too late, where tables were put together by hand; and
# files that were read one after the other may each begin anew. Few true amounts are in order to that degree.
_MIN_SHARE_IN_ORDER, _MIN_SHARE_OF_ROW_NUMBERS = 0.95, 0.99

ALL_NULL = "without any value"
CONSTANT = "with one value only"
IDENTIFIER = "whose text differs in nearly every row, taken for an identifier (--keep keeps it)"
UNUSABLE = "of lists, records or complex numbers"
ROW_NUMBER = (
    "of whole numbers that differ in nearly every row and rise or fall along the table, taken for row numbers "
    "(--keep keeps them)"
)
_ONLY_ROW_NUMBERS = "learns from {} of what look like row numbers, since there is no other feature"


# What pandas and Arrow raise at single values: whole numbers beyond any float, text that is none.
UNREADABLE = (OverflowError, UnicodeError, NotImplementedError)


class UnusableError(Exception):
    """A column that is no feature.

    The argument completes "dropped N columns …".
    """


@dataclass(frozen=True)
class Inferred:
    """An inferred feature and its notes.

    shared_notes: templates, `{}` standing for all columns of the same note. own_notes: of this column alone.
    """

    column: Column
    shared_notes: tuple[str, ...] = ()
    own_notes: tuple[str, ...] = ()


def infer_columns(frame: pd.DataFrame, exclude: set[str], keep: Collection[str] = ()) -> tuple[list[Column], list[str]]:
    """Return the features of `frame`, and notes.

    They are of the columns not in `exclude`. Notes tell what was dropped or read anew.

    keep: columns that are features also if they look like row numbers or identifiers.
    """
    found: list[Inferred] = []
    row_numbers: list[Inferred] = []
    groups: dict[str, list[str]] = defaultdict(list)
    for place, label in enumerate(frame.columns):
        name = str(label)
        if name in exclude:
            continue
        series = frame.iloc[:, place]
        try:
            inferred = infer_column(name, series, name in keep)
        except UnusableError as reason:
            groups[f"dropped {{}} {reason}"].append(name)
            continue
        except UNREADABLE as error:
            raise DataError(
                f"the column {name!r} cannot be read ({error}). Make plain numbers, dates or text of it, or "
                "leave it out."
            ) from None
        is_row_number = name not in keep and inferred.column.kind == "numeric" and _counts_rows(series)
        (row_numbers if is_row_number else found).append(inferred)
    if row_numbers:
        groups[f"dropped {{}} {ROW_NUMBER}" if found else _ONLY_ROW_NUMBERS] = [one.column.name for one in row_numbers]
    features = found or row_numbers
    for inferred in features:
        for template in inferred.shared_notes:
            groups[template].append(inferred.column.name)
    notes = [counted(template, names) for template, names in groups.items()]
    return [one.column for one in features], notes + [note for one in features for note in one.own_notes]


def infer_column(name: str, series: pd.Series, keep: bool = False) -> Inferred:
    """Return a feature's kind, or raise UnusableError.

    keep: it is no identifier.
    """
    content = content_of(series)
    if content == OTHER:
        raise UnusableError(UNUSABLE)
    if content == NUMERIC:
        return _numeric(name, numbers_of(series))
    if content == DATETIME:
        return _datetime(name, seconds_of(series))
    if content == BOOLEAN:
        return Inferred(Column(name, "boolean", tuple(sorted(_distinct_texts(*coded_text(series))))))
    return _text(name, series, keep)


def _counts_rows(series: pd.Series) -> bool:
    """Return whether the numbers count the rows.

    They are whole numbers, another in nearly each row, that rise or fall along the table. Where they begin anew, as
    each file's do, they differ among the rows from there on.
    """
    if len(series) < _MIN_ROWS_OF_AN_ID:
        return False
    # Most columns show in a few rows that they are none, which is cheaper to find out.
    for some in (series.iloc[:_MIN_ROWS_OF_AN_ID], series):
        values = numbers_of(some)
        known = values[np.isfinite(values)]
        if len(known) < _MIN_SHARE_OF_ROW_NUMBERS * len(values) or (known != np.floor(known)).any():
            return False
        rises, falls = known[1:] > known[:-1], known[1:] < known[:-1]
        steps = rises if np.count_nonzero(rises) > np.count_nonzero(falls) else falls
        if np.count_nonzero(steps) < _MIN_SHARE_IN_ORDER * (len(known) - 1):
            return False
    runs = np.append(0, np.cumsum(~steps)) if _begins_anew(known, steps) else np.zeros(len(known))
    return len(np.unique(np.column_stack((runs, known)), axis=0)) >= _MIN_SHARE_OF_ROW_NUMBERS * len(known)


def _begins_anew(values: np.ndarray, steps: np.ndarray) -> bool:
    """Return whether counting begins anew with each run.

    As the rows of a file are, each run of `steps` in one direction is long, and begins where one did.
    """
    starts = np.append(0, np.flatnonzero(~steps) + 1)
    lengths = np.diff(np.append(starts, len(values)))
    return len(starts) > 1 and lengths.min() >= _MIN_ROWS_OF_AN_ID and len(np.unique(values[starts])) == 1


def _varies(values: np.ndarray) -> bool:
    """Return whether the numbers can tell rows apart.

    A null tells one row from others too.
    """
    known = values[np.isfinite(values)]
    return known.size < values.size or bool((known != known[0]).any())


def _check_varies(values: np.ndarray) -> None:
    if not np.isfinite(values).any():
        raise UnusableError(ALL_NULL)
    if not _varies(values):
        raise UnusableError(CONSTANT)


def _numeric(name: str, values: np.ndarray) -> Inferred:
    _check_varies(values)
    scale, n_small = scale_of(values)
    column = Column(name, "numeric", scale=scale, low=float(np.nanmin(values)), high=float(np.nanmax(values)))
    if not n_small:
        return Inferred(column)
    return Inferred(
        column,
        own_notes=(f"took {n_small:,} of the numbers in {name} for 0, since they are next to nothing beside others",),
    )


def _datetime(name: str, seconds: np.ndarray) -> Inferred:
    _check_varies(seconds)
    known = seconds[np.isfinite(seconds)]
    parts = tuple(part for part in PARTS if _varies(date_part(known, part)))
    low, high = range_of_dates(known)
    column = Column(name, "datetime", parts=parts, scale=Scale(offset=low), low=low, high=high)
    first, last = held_range(low, high)
    far = known[(known < first) | (known > last)]
    if not far.size:
        return Inferred(column)
    note = (
        f"moved {far.size:,} date{'s' if far.size > 1 else ''} of {name} far from the others, such as "
        f"{day_of(far[0])}, to {day_of(first)} or {day_of(last)}"
    )
    return Inferred(replace(column, far=far_ranges(far, low, high)), own_notes=(note,))


def _distinct_texts(codes: np.ndarray, texts: list[str]) -> set[str]:
    used = np.unique(codes)
    distinct = {texts[code] for code in used if code >= 0}
    if not distinct:
        raise UnusableError(ALL_NULL)
    if len(distinct) == 1 and used[0] >= 0:
        raise UnusableError(CONSTANT)
    return distinct


def _merged_text(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return what `coded_text` does, each text once."""
    codes, texts = coded_text(series)
    places, distinct = pd.factorize(np.array(texts, dtype=object))
    return np.append(places, -1)[codes], distinct.tolist()


def _text(name: str, series: pd.Series, keep: bool) -> Inferred:
    codes, texts = _merged_text(series)
    distinct = _distinct_texts(codes, texts)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    n_known = int(counts.sum())
    differs = n_known >= _MIN_ROWS_OF_AN_ID and len(distinct) > _MIN_DISTINCT_SHARE_OF_AN_ID * n_known
    is_dictionary = isinstance(series.dtype, pd.CategoricalDtype)
    if not is_dictionary:
        dates = _text_dates(name, series, texts, counts) or _other_dates(name, codes, texts, counts)
        if dates is not None:
            return dates
        if are_durations(distinct):
            numbers = _numeric(name, numbers_of(series))
            return replace(
                numbers, shared_notes=("read {} of text as times or durations, in seconds", *numbers.shared_notes)
            )
    reading = read_numbers(texts, counts) if differs or not is_dictionary else None
    # Whole numbers written as text are more often codes than amounts, unless there are nearly as many as rows.
    if reading is not None and (not reading.are_codes or (differs and not reading.has_leading_zeros)):
        return _text_numbers(name, reading, np.append(reading.values, np.nan)[codes])
    if differs and not keep:
        raise UnusableError(IDENTIFIER)
    return Inferred(Column(name, "categorical", tuple(sorted(distinct))))


def _text_numbers(name: str, reading: Reading, values: np.ndarray) -> Inferred:
    inferred = _numeric(name, values)
    shared_note = f"read {{}} of text as numbers{reading.spelling.description}"
    return Inferred(
        replace(inferred.column, spelling=reading.spelling),
        (shared_note,),
        (*inferred.own_notes, *missing_note(name, reading.missing, reading.n_missing)),
    )


def _text_dates(name: str, series: pd.Series, texts: list[str], counts: np.ndarray) -> Inferred | None:
    """Return the feature of ISO dates, if any.

    Nearly all of the texts are such, those without a value aside.
    """
    is_date = iso_dates(texts, counts)
    if is_date is None:
        return None
    inferred = _datetime(name, seconds_of(series))
    missing = _no_date_note(name, texts, counts, is_date)
    return Inferred(inferred.column, ("read {} of text as dates",), (*inferred.own_notes, *missing))


def _other_dates(name: str, codes: np.ndarray, texts: list[str], counts: np.ndarray) -> Inferred | None:
    """Return the feature of other dates, if any.

    Nearly all of the texts are in one format other than ISO.
    """
    form = find_format(texts, counts)
    if form is None:
        return None
    seconds = seconds_of_text(pd.Series(texts, dtype=object), form.text)
    inferred = _datetime(name, np.append(seconds, np.nan)[codes])
    own_notes = (*inferred.own_notes, *_no_date_note(name, texts, counts, np.isfinite(seconds)))
    if form.is_ambiguous:
        own_notes += (f"no date of {name} tells the day from the month: took the {form.part_first} to come first",)
    column = replace(inferred.column, date_format=form.text)
    return Inferred(column, (f"read {{}} of text as dates ({form.example})",), own_notes)


def _no_date_note(name: str, texts: list[str], counts: np.ndarray, is_date: np.ndarray) -> tuple[str, ...]:
    lost = [place for place in np.argsort(-counts, kind="stable") if counts[place] and not is_date[place]]
    return missing_note(name, tuple(texts[place] for place in lost[:3]), int(counts[lost].sum()))
