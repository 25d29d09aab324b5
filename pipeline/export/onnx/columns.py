"""Makes raw columns into features, in a graph.

Numbers and moments come as doubles, NaN where missing; texts and truth values as strings. Text of a number or of a date
is parsed by whoever asks: ONNX has no parser.
"""

from __future__ import annotations

import math
import re

import numpy as np

from stacktune.data.column import Column
from stacktune.data.number_text import MISSING
from stacktune.data.scale import Scale
from stacktune.data.schema import Schema
from stacktune.data.values import FALSE_TEXTS, TRUE_TEXTS
from stacktune.export.onnx.graph import ML, Graph

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_NAN = np.array(np.nan)
# What Python takes for blank at the ends of a text, as RE2 writes it.
_BLANKS = r"[\s\p{Z}\x{85}\x{1c}-\x{1f}\x{0b}]*"
_DAY_S = 86_400.0


def features_of(graph: Graph, schema: Schema) -> str:
    """Declare the inputs, and return (rows, n_features) float32.

    They are what `Schema.encode` returns.
    """
    inputs = {column.name: graph.input(column.name, type_of(column)) for column in schema.columns}
    return graph.join(
        [feature for column in schema.ordered for feature in _features(graph, column, inputs[column.name])], 1
    )


def type_of(column: Column) -> type:
    """Return what a column comes as: `str` or `float`."""
    return str if column.is_coded else float


def missing_text(column: Column) -> str:
    """Return the text that stands for no value.

    It is "" unless that is a level.
    """
    free = (text for text in ("", "nan", "null", "NULL", "?") if text not in column.code_of)
    return next(free, "(null)")


def unit_of(column: Column) -> str:
    """Say what is to be given of a column."""
    if column.is_coded:
        what = "true or false, as text" if column.kind == "boolean" else "text"
        return f"{what}; {missing_text(column)!r} where missing"
    if column.kind == "datetime":
        return "seconds since 1970-01-01 UTC; NaN where missing"
    return "number; NaN where missing"


def _features(graph: Graph, column: Column, value: str) -> list[str]:
    if column.is_coded:
        return [_codes(graph, column, value)]
    value = graph.where(graph.op("IsInf", value), graph.const(_NAN), value)
    if column.kind != "datetime":
        return [_stored(graph, _scaled(graph, column.scale, value))]
    first, last = column.held
    held = graph.where(graph.op("Less", value, graph.const(first)), graph.const(first), value)
    held = graph.where(graph.op("Greater", held, graph.const(last)), graph.const(last), held)
    parts = [graph.cast(_part(graph, value, part), np.float32) for part in column.parts]
    return [_stored(graph, _scaled(graph, column.scale, held)), *parts]


def _scaled(graph: Graph, scale: Scale, value: str) -> str:
    """Return what `Scale.apply` does."""
    if scale.log_from:
        log2 = graph.const(math.log(2))
        ratio = graph.op("Div", graph.op("Log", graph.op("Abs", value)), log2)
        ratio = graph.op("Sub", ratio, graph.const(math.log2(scale.log_from)))
        # log2(1 + 2^r) without overflow: max(r, 0) + log2(1 + 2^-|r|)
        power = graph.op("Exp", graph.op("Mul", graph.op("Neg", graph.op("Abs", ratio)), log2))
        rest = graph.op("Div", graph.op("Log", graph.op("Add", power, graph.const(1.0))), log2)
        positive = graph.where(graph.op("Less", ratio, graph.const(0.0)), graph.const(0.0), ratio)
        return graph.op("Mul", graph.op("Sign", value), graph.op("Add", positive, rest))
    if scale.offset:
        value = graph.op("Sub", value, graph.const(scale.offset))
    return graph.op("Div", value, graph.const(scale.factor)) if scale.factor != 1.0 else value


def _stored(graph: Graph, value: str) -> str:
    """Return doubles as float32.

    Those beyond it are at its ends.
    """
    for kind, end in (("Greater", _FLOAT32_MAX), ("Less", -_FLOAT32_MAX)):
        value = graph.where(graph.op(kind, value, graph.const(end)), graph.const(end), value)
    return graph.cast(value, np.float32)


def _part(graph: Graph, seconds: str, part: str) -> str:
    """Return the month, weekday or hour, as `date_part` does."""
    if part == "hour":
        return _remainder(graph, _floored(graph, seconds, 3600.0), 24.0)
    days = _floored(graph, seconds, _DAY_S)
    if part == "weekday":
        return _remainder(graph, graph.op("Add", days, graph.const(3.0)), 7.0)
    return _month(graph, days)


def _floored(graph: Graph, value: str, by: float) -> str:
    return graph.op("Floor", graph.op("Div", value, graph.const(by)))


def _remainder(graph: Graph, value: str, by: float) -> str:
    return graph.op("Sub", value, graph.op("Mul", _floored(graph, value, by), graph.const(by)))


def _month(graph: Graph, days: str) -> str:
    """Return the month of days since 1970.

    In years that begin in March leap days come last, so that a month follows from the day of such a year: five months
    have 153 days. 719,468 days are from 1 March of the year 0 to 1970, and 400 years have 146,097.
    """
    day = _remainder(graph, graph.op("Add", days, graph.const(719_468.0)), 146_097.0)
    leaps = [(_floored(graph, day, by), kind) for by, kind in ((1460.0, "Sub"), (36_524.0, "Add"), (146_096.0, "Sub"))]
    year = day
    for leap, kind in leaps:
        year = graph.op(kind, year, leap)
    year = _floored(graph, year, 365.0)
    began = graph.op("Mul", year, graph.const(365.0))
    began = graph.op("Add", began, _floored(graph, year, 4.0))
    began = graph.op("Sub", began, _floored(graph, year, 100.0))
    of_year = graph.op("Sub", day, began)
    fifths = graph.op("Add", graph.op("Mul", of_year, graph.const(5.0)), graph.const(2.0))
    month = _floored(graph, fifths, 153.0)
    is_before = graph.op("Less", month, graph.const(10.0))
    return graph.op("Add", month, graph.where(is_before, graph.const(3.0), graph.const(-9.0)))


def _codes(graph: Graph, column: Column, text: str) -> str:
    """Return codes as `Column.encode` does of text."""
    unseen = float(len(column.categories))
    code = graph.const(np.float32(unseen))
    if column.categories:
        code = graph.op(
            "LabelEncoder",
            text,
            domain=ML,
            keys_strings=list(column.categories),
            values_floats=[float(place) for place in range(len(column.categories))],
            default_float=unseen,
        )
    is_unseen = graph.op("Equal", code, graph.const(np.float32(unseen)))
    is_missing_text = _matches(graph, text, MISSING)
    if column.kind == "boolean":
        for spelled, texts in (("True", TRUE_TEXTS), ("False", FALSE_TEXTS)):
            spelled_code = np.float32(column.code_of.get(spelled, unseen))
            code = graph.where(_matches(graph, text, texts), graph.const(spelled_code), code)
        is_unseen = graph.op("Equal", code, graph.const(np.float32(unseen)))
    if missing_text(column) == "(null)":
        is_missing_text = graph.op("Or", is_missing_text, graph.op("Equal", text, graph.const(np.array("(null)"))))
    is_gone = graph.op("And", is_unseen, is_missing_text)
    return graph.where(is_gone, graph.const(np.float32(np.nan)), code)


def _matches(graph: Graph, text: str, texts: frozenset[str]) -> str:
    """Return whether a text is one of these.

    Its case does not count, nor do blanks at its ends.
    """
    either = "|".join(sorted(map(re.escape, texts), key=len, reverse=True))
    return graph.op("RegexFullMatch", text, pattern=f"(?i){_BLANKS}(?:{either}){_BLANKS}")
