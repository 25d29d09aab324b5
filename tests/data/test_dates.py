"""Dates of any year, and dates that come back as counts in one unit or another."""

from __future__ import annotations

import datetime
import json
import warnings

import numpy as np
import pandas as pd
import pytest

from stacktune.data.schema import infer_schema
from stacktune.data.values import seconds_of
from stacktune.errors import DataError

DAYS = pd.Series(pd.date_range("2021-03-01", periods=300, freq="31h"))
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def schema_of(values):
    return infer_schema(pd.DataFrame({"d": values}), set())


def encoded(schema, values):
    return schema.encode(pd.DataFrame({"d": values})).features


@pytest.mark.parametrize("far", ["9999-12-31", "2999-01-01", "0001-01-01", "1600-06-06"])
@pytest.mark.parametrize("share", [0.01, 0.9])
def test_dates_that_stand_for_never_do_not_blur_the_others(far, share):
    dates = pd.concat([DAYS.astype("datetime64[us]"), DAYS + pd.Timedelta(hours=1)]).reset_index(drop=True)
    dates = pd.concat([dates, pd.Series([pd.Timestamp(far)] * int(600 * share / (1 - share)))], ignore_index=True)
    schema, notes = schema_of(dates)
    assert schema.columns[0].low == seconds_of(DAYS).min()
    assert notes[0].startswith(f"moved {len(dates) - 600:,} dates of d far from the others, such as {far}, to ")
    features = encoded(schema, dates)
    assert len(np.unique(features[:600, 0])) == 600
    order = np.argsort(features[:, 0], kind="stable")
    assert seconds_of(dates)[order].tolist() == sorted(seconds_of(dates))
    assert features[-1, 1] == pd.Timestamp(far).month


def test_far_dates_are_the_same_in_every_type():
    dates = [datetime.datetime(9999, 12, 31, 23), datetime.datetime(2020, 1, 1), datetime.datetime(1, 1, 1)]
    expected = [253402297200.0, 1577836800.0, -62135596800.0]
    for unit in ("s", "ms", "us"):
        assert seconds_of(pd.Series(dates).astype(f"datetime64[{unit}]")).tolist() == expected
    assert seconds_of(pd.Series(dates, dtype=object)).tolist() == expected
    assert seconds_of(pd.Series([str(date) for date in dates])).tolist() == expected
    with_nanoseconds = pd.Series([*map(str, dates), "2020-01-01 00:00:00.123456789"])
    assert seconds_of(with_nanoseconds)[:3].tolist() == expected
    years = np.array(["300000-01-01", "-300000-01-01", "NaT"], dtype="datetime64[s]")
    np.testing.assert_array_equal(seconds_of(pd.Series(years))[:2], years[:2].astype(np.int64))


def test_ordinary_dates_are_not_moved():
    for dates in (DAYS, DAYS[:2], pd.to_datetime(pd.Series(["1950-01-01", "1990-01-01", "2020-01-01"]))):
        schema, notes = schema_of(dates)
        assert notes == []
        assert schema.columns[0].low == seconds_of(dates).min()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("carrier", [np.asarray, pd.array, lambda x: x.astype(float), lambda x: x.astype(object)])
def test_counts_of_any_unit_are_the_dates_they_count(unit, carrier):
    """What `to_json` writes, milliseconds, was taken for seconds: answers .992 off."""
    schema, _ = schema_of(DAYS)
    counts = (seconds_of(DAYS) * UNITS[unit]).astype(np.int64)
    np.testing.assert_array_equal(encoded(schema, carrier(counts)), encoded(schema, DAYS))
    np.testing.assert_array_equal(encoded(schema, carrier(counts[7:8])), encoded(schema, DAYS[7:8]))
    np.testing.assert_array_equal(encoded(schema, [str(count) for count in counts]), encoded(schema, DAYS))


def test_later_dates_come_back_from_json():
    schema, _ = schema_of(DAYS)
    later = pd.DataFrame({"d": [*(DAYS + pd.Timedelta(days=900))[:200], None]})
    rows = pd.DataFrame(json.loads(later.to_json(orient="records", date_unit="ms")))
    np.testing.assert_array_equal(encoded(schema, rows["d"]), encoded(schema, later["d"]))


@pytest.mark.parametrize("values", [[12.0, 13.0], [True, False], ["20210301123456", "20210301123457"], [1e30, 2e30]])
def test_numbers_that_are_no_dates_of_the_column_are_refused(values):
    schema, _ = schema_of(DAYS)
    with pytest.raises(DataError, match=r"'d' held dates from 2021-03-01 to 2022-03-22 in training .* such as"):
        encoded(schema, values)


def test_one_odd_number_among_dates_as_text_is_missing():
    schema, _ = schema_of(DAYS)
    features = encoded(schema, ["2021-03-01", "2021-03-02", "12"])
    assert np.isnan(features[:, 0]).tolist() == [False, False, True]


@pytest.mark.parametrize("unit", UNITS)
def test_a_column_learnt_as_counts_takes_dates(unit):
    counts = (seconds_of(DAYS) * UNITS[unit]).astype(np.int64)
    schema, _ = schema_of(np.random.default_rng(0).permutation(counts))
    np.testing.assert_array_equal(encoded(schema, DAYS), encoded(schema, counts))


def test_dates_for_other_numbers_are_refused():
    schema, _ = schema_of([17.0, 40.0, 65.0])
    with pytest.raises(DataError, match=r"'d' held numbers from 17 to 65 in training and holds dates now"):
        encoded(schema, DAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(encoded(schema, pd.to_datetime(pd.Series([None, None])))).all()


def with_far(far, n_far=30):
    days = pd.Series(pd.date_range("1975-01-02", "2024-06-01", periods=600).floor("D")).astype("datetime64[us]")
    return pd.concat([days, pd.Series([pd.Timestamp(far)] * n_far)], ignore_index=True)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("far", ["9999-12-31", "2999-01-01", "0001-01-01", "1600-06-06"])
def test_far_dates_come_back_as_counts_whatever_comes_beside_them(far, unit):
    """A far date alone, in milliseconds, was read as microseconds in 1978: .110 for .755."""
    dates = with_far(far)
    schema, _ = schema_of(dates)
    counts = (seconds_of(dates) * UNITS[unit]).astype(float)
    expected = encoded(schema, dates)
    for rows in (slice(600, 601), slice(600, 630), slice(590, 630), slice(0, 1), slice(0, 630), slice(598, 602)):
        np.testing.assert_array_equal(encoded(schema, counts[rows]), expected[rows])


def test_a_date_that_may_be_far_in_one_unit_and_near_in_another_is_refused():
    schema, _ = schema_of(with_far("9999-12-31"))
    count = seconds_of(pd.Series(["2999-01-01"])) * 1000  # in microseconds a day of 1971
    with pytest.raises(DataError, match="'d' held dates from 1975-01-02"):
        encoded(schema, count)
    near = seconds_of(pd.Series(["2021-05-05"])) * 1000
    features = encoded(schema, np.concatenate([near, count, count]))
    np.testing.assert_array_equal(features, encoded(schema, ["2021-05-05", "2999-01-01", "2999-01-01"]))


def test_later_dates_beside_far_ones_come_back_from_json():
    schema, _ = schema_of(with_far("9999-12-31"))
    later = pd.Series(["2026-11-27"])
    np.testing.assert_array_equal(encoded(schema, seconds_of(later) * 1000), encoded(schema, later))


BIRTHS = pd.Series(pd.date_range("1940-01-01", "2005-12-31", periods=500).floor("D"))
OTHER_COUNTS = {
    "days": (seconds_of(BIRTHS) / 86_400).astype(int),
    "years": BIRTHS.dt.year.to_numpy(),
    "digits": BIRTHS.dt.strftime("%Y%m%d").astype(int).to_numpy(),
}


@pytest.mark.parametrize("rows", [slice(None), slice(100, 101), slice(300, 303)])
@pytest.mark.parametrize("kind", OTHER_COUNTS)
def test_years_and_days_for_dates_of_birth_are_refused(kind, rows):
    """They were taken for seconds of 1970, and 44 % of the answers were wrong."""
    schema, _ = schema_of(BIRTHS)
    with pytest.raises(DataError, match=r"'d' held dates from 1940-01-01 to 2005-12-31 in training .* such as"):
        encoded(schema, OTHER_COUNTS[kind][rows])


@pytest.mark.parametrize("rows", [slice(None), slice(100, 101), slice(300, 303)])
@pytest.mark.parametrize("kind", OTHER_COUNTS)
def test_years_and_days_for_moments_are_refused(kind, rows):
    random = np.random.default_rng(0)
    schema, _ = schema_of(BIRTHS + pd.to_timedelta(random.integers(0, 86_400, len(BIRTHS)), unit="s"))
    with pytest.raises(DataError, match="'d' held dates from"):
        encoded(schema, OTHER_COUNTS[kind][rows])


def test_digits_as_text_are_iso_dates_and_days_as_text_are_refused():
    schema, _ = schema_of(BIRTHS)
    features = encoded(schema, OTHER_COUNTS["digits"].astype(str))
    np.testing.assert_array_equal(features, encoded(schema, BIRTHS))
    with pytest.raises(DataError, match="'d' held dates from"):
        encoded(schema, ["12000", "12001"])


@pytest.mark.parametrize("unit", UNITS)
def test_moments_of_one_month_of_1970_come_back_from_counts(unit):
    schema, _ = schema_of(pd.Series(pd.date_range("1960-01-01", "2010-01-01", freq="701h")))
    moments = pd.Series(pd.date_range("1970-07-20", "1970-08-26", freq="67min"))
    counts = (seconds_of(moments) * UNITS[unit]).astype(np.int64)
    np.testing.assert_array_equal(encoded(schema, counts), encoded(schema, moments))


@pytest.mark.parametrize("unit", UNITS)
def test_dates_of_birth_come_back_from_counts(unit):
    schema, _ = schema_of(BIRTHS)
    counts = (seconds_of(BIRTHS) * UNITS[unit]).astype(np.int64)
    np.testing.assert_array_equal(encoded(schema, counts), encoded(schema, BIRTHS))
    of_1970 = pd.Series(pd.date_range("1970-02-01", "1970-11-01"))
    counts = (seconds_of(of_1970) * UNITS[unit]).astype(np.int64)
    np.testing.assert_array_equal(encoded(schema, counts), encoded(schema, of_1970))
    np.testing.assert_array_equal(encoded(schema, counts[:1]), encoded(schema, of_1970[:1]))
    np.testing.assert_array_equal(encoded(schema, [0, 0]), encoded(schema, ["1970-01-01"] * 2))
