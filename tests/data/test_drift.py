"""Columns that hold other values in one table than in another are found; others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.data.drift import drifted, drifts
from stacktune.data.schema import infer_schema


def rows(n_rows: int, seed: int, shift: float = 0.0, extra: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    levels = np.where(random.random(n_rows) < extra, "other", random.choice(["a", "b", "c"], n_rows))
    return pd.DataFrame(
        {
            "number": random.normal(shift, 1, n_rows),
            "level": levels,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 400, n_rows), unit="D"),
            "gaps": np.where(random.random(n_rows) < 0.2, np.nan, random.normal(size=n_rows)),
        }
    )


def found(one: pd.DataFrame, other: pd.DataFrame):
    schema, _ = infer_schema(one, [])
    return drifts(schema.encode(one), schema.encode(other), schema)


@given(st.integers(0, 2**32 - 2))
@settings(max_examples=20, deadline=None)
def test_tables_of_the_same_kind_have_not_drifted(seed):
    assert not drifted(found(rows(800, seed), rows(300, seed + 1)))


def test_what_differs_is_found_and_comes_first():
    before = rows(800, 1)
    assert [one.column for one in drifted(found(before, rows(300, 2, shift=2.0)))] == ["number"]
    unseen = found(before, rows(300, 3, extra=0.5))
    assert [one.column for one in drifted(unseen)] == ["level"]
    assert unseen[0].column == "level"
    assert 0.4 < unseen[0].distance < 0.6
    missing = rows(300, 4).assign(gaps=np.nan)
    assert [one.column for one in drifted(found(before, missing))] == ["gaps"]
    later = rows(300, 5).assign(day=pd.Timestamp("2030-01-01"))
    assert [(one.column, one.distance) for one in drifted(found(before, later))] == [("day", 1.0)]


def test_a_table_has_not_drifted_from_itself():
    table = rows(500, 7)
    assert [one.distance for one in found(table, table)] == [0.0] * 4
