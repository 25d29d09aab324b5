"""Dates as text in formats other than ISO."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.data.date_text import find_format
from stacktune.data.read import read_for
from stacktune.data.schema import Schema, infer_schema
from stacktune.data.values import seconds_of
from stacktune.errors import DataWarning

DAYS = pd.Series(pd.date_range("2019-03-01", periods=400, freq="2D"))
MOMENTS = pd.Series(pd.date_range("2019-03-01", periods=400, freq="1717min"))
FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")


def schema_of(values):
    """Return the schema after a journey through JSON, and the notes."""
    schema, notes = infer_schema(pd.DataFrame({"d": values}), set())
    return Schema.from_dict(json.loads(json.dumps(schema.to_dict()))), notes


def encoded(schema, values):
    return schema.encode(pd.DataFrame({"d": values})).features


@pytest.mark.parametrize("time", ["", " %H:%M", " %H:%M:%S", "T%H:%M", " %I:%M %p"])
@pytest.mark.parametrize("date", FORMATS)
def test_dates_in_any_format_are_the_dates_that_they_spell(date, time):
    """They were categories, or dropped as identifiers: AUC .51 to .57 where dates gave .95, and no note."""
    dates = (MOMENTS if time else DAYS).sample(frac=1, random_state=0, ignore_index=True)
    texts = dates.dt.strftime(date + time)
    schema, notes = schema_of(texts)
    assert notes == [f"read 1 column of text as dates ({datetime.date(2020, 12, 31):{date}}): d"]
    as_dates, _ = schema_of(dates)
    assert schema.columns[0].date_format == date
    np.testing.assert_array_equal(encoded(schema, texts), encoded(as_dates, dates))


@pytest.mark.parametrize("date", FORMATS)
def test_a_model_of_written_dates_reads_every_carrier(date):
    texts = DAYS.dt.strftime(date)
    schema, _ = schema_of(texts)
    expected = encoded(schema, DAYS)
    carriers = [texts.astype("category"), texts.astype("string"), texts.astype(object), DAYS.astype(str)]
    carriers += [DAYS.dt.date, (seconds_of(DAYS) * 1000).astype(np.int64), texts.where(DAYS.index % 2 == 0, DAYS)]
    carriers += [texts.str.encode("ascii").astype(object)]
    if date == "%Y%m%d":  # so does a CSV file come
        carriers += [texts.astype(int), texts.astype(float)]
    for carrier in carriers:
        np.testing.assert_array_equal(encoded(schema, carrier), expected)
    np.testing.assert_array_equal(encoded(schema, texts[5:6]), expected[5:6])
    with pytest.warns(DataWarning, match=r"d \(100 % are no dates"):
        assert np.isnan(encoded(schema, ["", "?", None, "31/31/2020", "soon"])[:, 0]).all()


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("date", FORMATS)
def test_a_csv_file_of_written_dates_is_read_for_a_model(date, separator, tmp_path):
    frame = pd.DataFrame({"d": DAYS.dt.strftime(date), "x": DAYS.index % 7})
    schema, _ = infer_schema(frame, set())
    path = tmp_path / "new.csv"
    frame.to_csv(path, index=False, sep=separator)
    read = read_for(schema, str(path))
    np.testing.assert_array_equal(schema.encode(read).features, schema.encode(frame).features)


@pytest.mark.parametrize(
    ("form", "first"), [("%d/%m/%Y", "month"), ("%d.%m.%Y", "day"), ("%m.%d.%Y", "day"), ("%d-%m-%Y", "month")]
)
def test_days_that_may_be_months_are_said_to_be(form, first):
    dates = pd.Series([datetime.date(2019, month, day) for month in range(1, 13) for day in range(1, 13)])
    schema, notes = schema_of(dates.map(lambda day: day.strftime(form)))
    assert notes[-1] == f"no date of d tells the day from the month: took the {first} to come first"
    assert schema.columns[0].date_format.startswith(f"%{first[0]}")
    one_more = [*dates, datetime.date(2019, 5, 13)]
    schema, notes = schema_of([day.strftime(form) for day in one_more])
    assert len(notes) == 1
    assert schema.columns[0].date_format == form


def test_what_is_no_date_among_dates_is_said_and_missing():
    texts = pd.Series([*DAYS.dt.strftime("%d/%m/%Y"), "n/a", "n/a", "soon", "2020-02-29", "31/12/9999"])
    schema, notes = schema_of(texts)
    assert "took 3 values of d for missing, such as 'n/a', 'soon'" in notes
    assert any(note.startswith("moved 1 date of d far from the others, such as 9999-12-31") for note in notes)
    features = encoded(schema, texts)[:, 0]
    assert np.isnan(features[400:]).tolist() == [True, True, True, False, False]
    assert features[403] == encoded(schema, pd.to_datetime(pd.Series(["2020-02-29"])))[0, 0]


@pytest.mark.parametrize(
    "texts",
    [
        [f"{a}.{b}.{c}" for a in range(1, 5) for b in range(10) for c in range(10)],
        [f"10.0.{a}.{b}" for a in range(20) for b in range(10)],
        [f"{place % 12 + 1:02}/{place % 28 + 1:02}/{place * 7919 % 9000 + 1000}" for place in range(300)],
        [f"{place * 7919 % 90_000_000 + 10_000_000}" for place in range(300)],
        ["20200101", "20200102"] * 30,
        [*DAYS.dt.strftime("%Y%m%d"), "20201301"],
        [*DAYS.dt.strftime("%Y%m%d"), "22200101"],
        [f"{day:%d/%m/%y}" for day in DAYS],
    ],
    ids=["versions", "addresses", "codes", "digits", "few", "no month", "year 2220", "short years"],
)
def test_codes_are_no_dates(texts):
    distinct, counts = np.unique(texts, return_counts=True)
    assert find_format(distinct.tolist(), counts) is None


def test_whole_numbers_stay_numbers():
    schema, _ = schema_of(DAYS.dt.strftime("%Y%m%d").astype(int).sample(frac=1, random_state=0))
    assert schema.columns[0].kind == "numeric"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 12, 31)), min_size=3, max_size=120),
    st.sampled_from(FORMATS[:-1]),
    st.sampled_from(["", " %H:%M", " %H:%M:%S"]),
)
def test_what_is_written_is_read_as_it_was_meant(moments, date, time):
    moments = [*moments, datetime.datetime(2020, 1, 13), datetime.datetime(2020, 1, 14)]
    texts = [f"{moment:{date}{time}}" for moment in moments]
    schema, _ = schema_of(texts)
    meant = pd.Series([datetime.datetime.strptime(text, date + time) for text in texts])
    assert schema.columns[0].date_format == date
    np.testing.assert_array_equal(encoded(schema, texts), encoded(schema, meant))
