import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stacktune.data.column import Column
from stacktune.data.dates import date_part
from stacktune.data.schema import Schema, infer_schema
from stacktune.data.values import text_of
from stacktune.errors import DataError


def column_of(values, name="c"):
    """Return the column that is inferred from `values`, or the note that says why there is none."""
    schema, notes = infer_schema(pd.DataFrame({name: pd.Series(values)}), set())
    return schema.columns[0] if schema.columns else notes[0]


def encoded(values, again=None):
    """Return the features that `again` (by default `values`) has in the schema of `values`."""
    frame = pd.DataFrame({"c": pd.Series(values)})
    schema, _ = infer_schema(frame, set())
    return schema.encode(frame if again is None else pd.DataFrame({"c": pd.Series(again)})).features


UTC = datetime.UTC
DAYS = [datetime.date(2020, 1, 31), datetime.date(2020, 2, 1), datetime.date(2021, 6, 5)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 2], "numeric"),
        ([0.5, None, 1.5], "numeric"),
        (pd.array([1, None, 3], dtype="Int64"), "numeric"),
        ([Decimal("1.5"), None, Decimal(2)], "numeric"),
        ([datetime.time(1), datetime.time(2), None], "numeric"),
        (pd.to_timedelta([1, 2, 3], unit="h"), "numeric"),
        (["1.5", "2", "-.3e2"], "numeric"),
        (["a", "b", None], "categorical"),
        (["10", "2", "10"], "categorical"),
        (["1.5", "2", "n/a"], "numeric"),
        (["1.5", "2", "many"], "categorical"),
        (pd.Categorical([3, 1, 3]), "categorical"),
        ([1, "a", True], "categorical"),
        ([b"x", b"y", None], "categorical"),
        ([True, False, True], "boolean"),
        ([True, None, False], "boolean"),
        (pd.Categorical([True, False, None]), "boolean"),
        (DAYS, "datetime"),
        (pd.to_datetime(DAYS), "datetime"),
        (pd.to_datetime(DAYS).tz_localize("Asia/Tokyo"), "datetime"),
        (pd.Categorical(pd.to_datetime(DAYS)), "datetime"),
        (["2020-01-31", "2020-02-01T10:00:00Z", None], "datetime"),
    ],
)
def test_each_type_has_its_kind(values, kind):
    assert column_of(values).kind == kind


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, None, None], "without any value"),
        ([np.nan, np.inf, -np.inf], "without any value"),
        (pd.Categorical([None, None], categories=["a"]), "without any value"),
        ([4, 4, 4], "with one value only"),
        (["a", "a"], "with one value only"),
        ([True, True], "with one value only"),
        ([datetime.date(2020, 1, 1)] * 2, "with one value only"),
        ([[1], [2]], "of lists, records or complex numbers"),
        ([{"a": 1}, None], "of lists, records or complex numbers"),
        ([1j, 2j], "of lists, records or complex numbers"),
        ([f"user {place}" for place in range(100)], "whose text differs in nearly every row"),
        (pd.Categorical([f"user {place}" for place in range(100)]), "whose text differs in nearly every row"),
    ],
)
def test_what_cannot_be_learnt_from_is_dropped_and_named(values, reason):
    note = column_of(values, name="odd one")
    assert note.startswith(f"dropped 1 column {reason}")
    assert note.endswith(": odd one")


def test_a_note_names_a_few_columns_and_counts_the_rest():
    _, notes = infer_schema(pd.DataFrame({f"c{place}": [1, 1] for place in range(11)}), {"c0"})
    assert notes == ["dropped 10 columns with one value only: c1, c2, c3, c4, c5, c6, c7, c8 and 2 more"]


def test_one_value_and_nulls_are_kept_because_a_null_tells_too():
    assert column_of([1.0, None]).kind == "numeric"
    assert column_of(["a", None]).categories == ("a",)


def test_thousands_of_levels_stay_categories():
    levels = [f"level {place % 7518}" for place in range(15_000)]
    assert len(column_of(levels).categories) == 7518


def test_text_that_is_numbers_or_dates_is_said_to_be_read_so():
    frame = pd.DataFrame({"n": ["1.5", "2"], "m": ["0.1", "0.2"], "d": ["2020-01-01", "2020-01-02"]})
    assert infer_schema(frame, set())[1] == [
        "read 2 columns of text as numbers: n, m",
        "read 1 column of text as dates: d",
    ]


def test_codes_follow_the_order_of_the_text_and_come_last():
    frame = pd.DataFrame({"k": ["b", "a", None, "B"], "x": [1.0, 2.0, 3.0, 4.0], "t": [True, False, True, True]})
    schema, _ = infer_schema(frame, set())
    table = schema.encode(frame)
    assert table.names == ("x", "k", "t")
    assert table.cardinalities == (3, 2)
    assert schema.columns[0].categories == ("B", "a", "b")
    np.testing.assert_array_equal(table.codes, np.array([[2, 1], [1, 0], [np.nan, 1], [0, 1]], dtype=np.float32))
    assert table.features.dtype == np.float32
    assert table.features.flags.c_contiguous


def test_dates_become_seconds_and_the_parts_that_vary():
    frame = pd.DataFrame({"d": pd.to_datetime(DAYS)})
    schema, _ = infer_schema(frame, set())
    table = schema.encode(frame)
    assert table.names == ("d", "d.month", "d.weekday")
    assert schema.columns[0].scale.offset == datetime.datetime(2020, 1, 31, tzinfo=UTC).timestamp()
    assert table.features.tolist() == [[0, 1, 4], [86_400, 2, 5], [86_400 * 491, 6, 5]]


@given(st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2200, 1, 1)))
def test_date_parts_are_those_of_the_calendar(moment):
    seconds = np.array([(moment - datetime.datetime(1970, 1, 1)) / datetime.timedelta(seconds=1), np.nan])
    parts = [date_part(seconds, part) for part in ("month", "weekday", "hour")]
    assert [part[0] for part in parts] == [moment.month, moment.weekday(), moment.hour]
    assert all(np.isnan(part[1]) for part in parts)


def test_a_moment_is_the_same_in_every_zone():
    moments = pd.date_range("2024-03-30", periods=50, freq="5h", tz="UTC")
    expected = encoded(moments)
    for zone in ("Europe/Berlin", "America/New_York"):
        np.testing.assert_array_equal(encoded(moments, moments.tz_convert(zone)), expected)
    np.testing.assert_array_equal(encoded(moments, moments.tz_localize(None)), expected)
    np.testing.assert_array_equal(encoded(moments, moments.strftime("%Y-%m-%dT%H:%M:%SZ")), expected)


def test_a_part_of_a_date_does_not_take_the_name_of_a_column():
    frame = pd.DataFrame({"d": pd.to_datetime(DAYS), "d.month": [1, 2, 3]})
    schema, _ = infer_schema(frame, set())
    assert schema.feature_names == ("d", "d.month'", "d.weekday", "d.month")


@pytest.mark.parametrize(
    "values",
    [
        np.arange(500) + 2**52,
        np.arange(500) * 256 + 2**60,  # float64, through which numbers go, keeps every 256th there
        1.7e9 + np.arange(500),
        4.5e6 + np.arange(500) / 1e4,
        -20_000_000 - np.arange(500),
        20_000_000 + np.arange(300_000),
    ],
)
def test_numbers_beyond_the_bits_of_float32_stay_apart(values):
    assert len(np.unique(encoded(values)[:, 0])) == len(values)


def test_numbers_within_the_bits_of_float32_are_left_as_they_are():
    values = np.array([-3.0, 0.1, 20_000_000.0, 12.0])
    np.testing.assert_array_equal(encoded(values)[:, 0], values.astype(np.float32))


def test_infinities_are_missing():
    features = encoded([5.0, -5.0, np.inf, -np.inf, 1.0])[:, 0]
    np.testing.assert_array_equal(features, np.array([5, -5, np.nan, np.nan, 1], dtype=np.float32))


def test_what_is_huge_beside_the_training_table_is_cut_to_the_range_of_float32():
    limit = np.finfo(np.float32).max
    np.testing.assert_array_equal(encoded([1.0, 2.0], [1e300, -1e300])[:, 0], np.float32([limit, -limit]))


@pytest.mark.parametrize(
    ("trained_on", "again"),
    [
        ([1, 2, 3], ["1", "2.0", "3"]),
        ([1, 2, 3], [Decimal(1), Decimal("2.0"), Decimal("3")]),
        ([1, 2, 3], pd.Categorical([1.0, 2.0, 3.0])),
        ([1, 2, 3], pd.array([1, 2, 3], dtype="Float64")),
        (["1", "2", "10"], [1, 2, 10]),
        (["1", "2", "10"], [1.0, 2.0, 10.0]),
        (pd.Categorical([5, 7, 5]), [5.0, 7.0, 5.0]),
        (["True", "False", "True"], [True, False, True]),
        ([True, False, True], [1, 0, 1]),
        ([True, False, True], ["true", "no", " Yes"]),
        (["x", "y", "z"], [b"x", b"y", b"z"]),
        (["x", "y", "z"], pd.Categorical(["x", "y", "z"], categories=["z", "q", "y", "x"])),
        (DAYS, [str(day) for day in DAYS]),
        (DAYS, pd.to_datetime(DAYS).tz_localize("UTC")),
    ],
)
def test_values_of_another_type_are_converted(trained_on, again):
    np.testing.assert_array_equal(encoded(trained_on, again), encoded(trained_on))


@pytest.mark.parametrize(
    "again", [["x", None, "perhaps"], [None] * 3, [[1], {}, (2,)], pd.to_datetime(DAYS), [1j, 2j, 3j]]
)
@pytest.mark.parametrize("trained_on", [["a", "b", "c"], [True, False, True]])
def test_categories_never_seen_are_a_level_of_their_own_and_nulls_are_missing(trained_on, again):
    codes = encoded(trained_on, again)[:, 0]
    is_null = pd.Series(again, dtype=object).isna()
    np.testing.assert_array_equal(codes, np.where(is_null, np.nan, len(set(trained_on))))


@pytest.mark.parametrize("text", ["", " ", "?", "N/A", "None", "nan"])
@pytest.mark.parametrize("trained_on", [["a", "b", "c"], [True, False, True]])
def test_nulls_that_come_back_as_text_are_nulls(trained_on, text):
    """They counted as a level never seen: answers were .995 off where missing tells the target."""
    assert np.isnan(encoded(trained_on, [text] * 3)).all()
    assert encoded(["a", "b", text], [text] * 3).max() <= 2


@pytest.mark.filterwarnings("ignore::stacktune.errors.DataWarning")
@pytest.mark.parametrize("again", [["x", None, ""], [None] * 3, [np.inf, -np.inf, np.nan], [pd.NaT] * 3])
@pytest.mark.parametrize("trained_on", [[1.5, 2.0, 3.0], DAYS])
def test_what_is_no_number_and_no_date_is_missing(trained_on, again):
    assert np.isnan(encoded(trained_on, again)).all()


WIDE = pd.DataFrame(
    {
        "n": [1.5, None, 3.0, -2.0] * 30,
        "i": np.arange(120) + 10**12,
        'emoji 🎉 {"a": [1, 2]}': ["é", "b", None, "c"] * 30,
        "mixed": [1, "a", True, 2.0] * 30,
        "flag": [True, None, False, True] * 30,
        "when": pd.date_range("2020-01-01", periods=120, freq="31h", tz="Asia/Tokyo"),
        "text date": [f"2020-01-{day:02}" for day in range(1, 31)] * 4,
        7: [0, 1, 1, 2] * 30,
    }
)
SCHEMA = infer_schema(WIDE, set(), keep=["i"])[0]


@example(order=list(range(WIDE.shape[1])), rows=list(range(100, 20, -1)))
@given(st.permutations(range(WIDE.shape[1])), st.lists(st.integers(0, 119), max_size=90))
def test_rows_encode_alike_alone_in_company_and_with_columns_in_any_order(order, rows):
    whole = SCHEMA.encode(WIDE).features
    shuffled = WIDE.iloc[rows, order].assign(extra="ignored")
    np.testing.assert_array_equal(SCHEMA.encode(shuffled).features, whole[rows])
    np.testing.assert_array_equal(SCHEMA.encode(shuffled.astype(object)).features, whole[rows])


def test_a_schema_survives_json():
    document = json.loads(json.dumps(SCHEMA.to_dict()))
    assert Schema.from_dict(document) == SCHEMA
    np.testing.assert_array_equal(Schema.from_dict(document).encode(WIDE).features, SCHEMA.encode(WIDE).features)


def test_encoding_leaves_the_frame_as_it_was():
    before = WIDE.copy(deep=True)
    SCHEMA.encode(WIDE)
    pd.testing.assert_frame_equal(WIDE, before)


def test_a_missing_column_is_named_with_the_nearest_there_is():
    with pytest.raises(DataError, match=r"no column 'flag', which the model was trained on\. Did you mean 'flags'\?"):
        SCHEMA.encode(WIDE.rename(columns={"flag": "flags"}))
    with pytest.raises(DataError, match=r"no column 'n', .* 2 more are missing: 'i', 'flag'"):
        SCHEMA.encode(WIDE.drop(columns=["n", "i", "flag"]))


def test_a_column_that_is_there_twice_is_refused_if_it_is_needed():
    twice = pd.concat([WIDE, WIDE[["flag"]]], axis=1)
    with pytest.raises(DataError, match=r"must be unique, but 'flag' is there 2 times"):
        SCHEMA.encode(twice)
    extra = pd.DataFrame([[1, 2]], columns=["other", "other"])
    both = pd.concat([WIDE.head(1), extra], axis=1)
    np.testing.assert_array_equal(SCHEMA.encode(both).features, SCHEMA.encode(WIDE.head(1)).features)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (np.float32(3), "3"),
        (np.int8(-4), "-4"),
        (-0.0, "0"),
        (Decimal("1.00"), "1"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+2"), "100"),
        (1.5, "1.5"),
        (2**60, str(2**60)),
        (True, "True"),
        (np.bool_(False), "False"),
        (b"caf\xc3\xa9", "café"),
        ("1.0", "1.0"),
        (float("inf"), "inf"),
    ],
)
def test_a_value_has_one_text(value, text):
    assert text_of(value) == text


def test_a_column_knows_whether_its_feature_is_a_code():
    assert [Column("c", kind).is_coded for kind in ("numeric", "datetime", "categorical", "boolean")] == [
        False,
        False,
        True,
        True,
    ]
