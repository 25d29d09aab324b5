"""Which columns of a training table are features, and of which kind."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd

from pipeline.data.column import PARTS, Column, date_part
from pipeline.data.values import BOOLEAN, DATETIME, NUMERIC, OTHER, coded_text, content_of, numbers_of, seconds_of

_MIN_ROWS_OF_AN_ID = 100
_DISTINCT_SHARE_OF_AN_ID = 0.95
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?"
_WHOLE = r"\s*[+-]?\d+\s*"
_NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"
_NAMES_SHOWN = 8

ALL_NULL = "without any value"
CONSTANT = "with one value only"
IDENTIFIER = "whose text differs in nearly every row, so that it carries nothing"
UNUSABLE = "of lists, records or complex numbers"


class UnusableError(Exception):
    """A column that is no feature; the argument completes "dropped N columns …"."""


def infer_columns(frame: pd.DataFrame, exclude: set[str]) -> tuple[list[Column], list[str]]:
    """Return the features of `frame` among the columns not in `exclude`, and notes on what was dropped or read anew."""
    columns: list[Column] = []
    groups: dict[str, list[str]] = defaultdict(list)
    for place, label in enumerate(frame.columns):
        name = str(label)
        if name in exclude:
            continue
        series = frame.iloc[:, place]
        try:
            column = infer_column(name, series)
        except UnusableError as reason:
            groups[f"dropped {{}} {reason}"].append(name)
            continue
        columns.append(column)
        if column.kind in ("numeric", "datetime") and content_of(series) not in (NUMERIC, DATETIME):
            groups[f"read {{}} of text as {'numbers' if column.kind == 'numeric' else 'dates'}"].append(name)
    return columns, [_sentence(template, names) for template, names in groups.items()]


def _sentence(template: str, names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN]) + (f" and {len(names) - _NAMES_SHOWN} more" if names[_NAMES_SHOWN:] else "")
    return template.format(f"{len(names)} column{'s' if len(names) > 1 else ''}") + f": {shown}"


def infer_column(name: str, series: pd.Series) -> Column:
    """Return what kind of feature `series` is, or raise UnusableError."""
    content = content_of(series)
    if content == OTHER:
        raise UnusableError(UNUSABLE)
    if content == NUMERIC:
        return _numeric(name, numbers_of(series))
    if content == DATETIME:
        return _datetime(name, seconds_of(series))
    if content == BOOLEAN:
        return Column(name, "boolean", tuple(sorted(_distinct_texts(series))))
    return _text(name, series)


def _varies(values: np.ndarray) -> bool:
    """Whether a feature of these numbers could tell rows apart; a null tells one row from others too."""
    known = values[np.isfinite(values)]
    return known.size < values.size or bool((known != known[0]).any())


def _check_varies(values: np.ndarray) -> None:
    if not np.isfinite(values).any():
        raise UnusableError(ALL_NULL)
    if not _varies(values):
        raise UnusableError(CONSTANT)


def _numeric(name: str, values: np.ndarray) -> Column:
    _check_varies(values)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    magnitude, span = max(abs(low), abs(high)), high - low
    # Float32 has 24 bits: numbers far from zero and near one another would lose theirs to what they have in common.
    blurred = span > 0 and (magnitude > 256 * span or (magnitude > 2**24 and magnitude > 2 * span))
    return Column(name, "numeric", offset=low if blurred else 0.0)


def _datetime(name: str, seconds: np.ndarray) -> Column:
    _check_varies(seconds)
    known = seconds[np.isfinite(seconds)]
    parts = tuple(part for part in PARTS if _varies(date_part(known, part)))
    return Column(name, "datetime", parts=parts, offset=float(known.min()))


def _distinct_texts(series: pd.Series) -> set[str]:
    codes, texts = coded_text(series)
    used = np.unique(codes)
    distinct = {texts[code] for code in used if code >= 0}
    if not distinct:
        raise UnusableError(ALL_NULL)
    if len(distinct) == 1 and used[0] >= 0:
        raise UnusableError(CONSTANT)
    return distinct


def _text(name: str, series: pd.Series) -> Column:
    distinct = _distinct_texts(series)
    if not isinstance(series.dtype, pd.CategoricalDtype):
        spelled = pd.Series(list(distinct), dtype=object)
        if _all_match(spelled, _ISO_DATE) and np.isfinite(seconds_of(spelled)).all():
            return _datetime(name, seconds_of(series))
        # Whole numbers written as text are more often codes (of places, of products) than amounts.
        if _all_match(spelled, _NUMBER) and not _all_match(spelled, _WHOLE):
            return _numeric(name, numbers_of(series))
    n_known = int(series.notna().sum())
    if n_known >= _MIN_ROWS_OF_AN_ID and len(distinct) > _DISTINCT_SHARE_OF_AN_ID * n_known:
        raise UnusableError(IDENTIFIER)
    return Column(name, "categorical", tuple(sorted(distinct)))


def _all_match(spelled: pd.Series, pattern: str) -> bool:
    return bool(spelled.head(10).str.fullmatch(pattern).all()) and bool(spelled.str.fullmatch(pattern).all())
