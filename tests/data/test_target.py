"""Targets in text: numbers became classes of which 582 of 600 rows were thrown away, and True was no class beside 1."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.class_text import respelled
from stacktune.data.dataset import load_dataset
from stacktune.data.target import infer_task
from stacktune.errors import DataError
from stacktune.settings.groups import Settings

N = 600
X = np.random.default_rng(0).normal(size=N)
AMOUNTS = np.round(np.random.default_rng(1).gamma(2, 900, N) + 1, 2)
DAYS = pd.date_range("2019-01-01", periods=N, freq="31h")
SPELLED = {
    "thousands": ([f"{value:,.0f}" for value in AMOUNTS], np.round(AMOUNTS)),
    "dollars": ([f"${value:,.2f}" for value in AMOUNTS], AMOUNTS),
    "decimal comma": ([f"{value:.2f}".replace(".", ",") for value in AMOUNTS], AMOUNTS),
    "per cent": ([f"{value:.2f}%" for value in AMOUNTS], AMOUNTS),
    "plain": ([f"{value:.2f}" for value in AMOUNTS], AMOUNTS),
    "dates": ([f"{day:%Y-%m-%d}" for day in DAYS], DAYS.normalize().to_numpy().astype("datetime64[s]").astype(float)),
    "durations": ([f"{place // 60:02}:{place % 60:02}:30" for place in range(N)], np.arange(N) * 60.0 + 30),
}


@pytest.fixture
def load(tmp_path):
    """Load a target beside one feature, and the target of a test table if any, each from a file of its own."""

    def write(target, name):
        frame = pd.DataFrame({"x": X[: len(target)], "y": target})
        if name.endswith(".csv"):
            frame.to_csv(tmp_path / name, index=False, sep=";")
        else:
            frame.to_parquet(tmp_path / name)
        return str(tmp_path / name)

    def load(target, test=None, ending="parquet", **settings):
        if test is not None:
            settings["test_data"] = write(test, f"test.{ending}")
        return load_dataset(Settings(write(target, f"table.{ending}"), "y", **settings))

    return load


@pytest.mark.parametrize("how", SPELLED)
@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("task", ["auto", "regression"])
def test_numbers_in_text_are_a_regression_on_every_row(load, how, ending, task):
    texts, values = SPELLED[how]
    dataset, test = load(texts, texts[:40], ending, task=task)
    assert dataset.task.kind == "regression"
    np.testing.assert_allclose(dataset.table.target, values)
    np.testing.assert_allclose(test.target, values[:40])


@pytest.mark.parametrize("how", SPELLED)
@pytest.mark.parametrize("marker", ["N/A", "-", "unknown", "?"])
def test_markers_among_numbers_in_text_are_null_targets(load, how, marker):
    """A float target with one N/A kept 22 of 800 rows."""
    texts, values = SPELLED[how]
    dataset, test = load([marker, *texts[1:]], [*texts[:9], marker])
    assert dataset.task.kind == "regression"
    np.testing.assert_allclose(dataset.table.target, values[1:])
    np.testing.assert_allclose(test.target, values[:9])
    for prefix in ("", "test data: "):
        assert f"{prefix}took 1 value of y for missing, such as {marker!r}" in dataset.notes
        assert f"{prefix}dropped 1 row whose target y is null" in dataset.notes


def test_the_convention_is_said(load):
    notes = load(SPELLED["dollars"][0])[0].notes
    assert "read the text of y as numbers (1,234.5 $ is 1234.5)" in notes
    assert any(note.endswith("distinct numbers, so the task is regression; --task overrides this") for note in notes)
    assert "read the text of y as dates, in seconds since 1970" in load(SPELLED["dates"][0])[0].notes


@pytest.mark.parametrize("how", ["dollars", "decimal comma", "dates"])
@pytest.mark.parametrize("carried", ["text in training", "text in the test table"])
def test_one_table_may_hold_text_and_the_other_numbers(load, how, carried):
    texts, values = SPELLED[how]
    typed = DAYS.normalize() if how == "dates" else values
    train, test = (texts, typed[:50]) if carried == "text in training" else (typed, texts[:50])
    dataset, table = load(train, test)
    np.testing.assert_allclose(dataset.table.target, values)
    np.testing.assert_allclose(table.target, values[:50])


def test_a_decimal_comma_that_the_csv_reader_reads_is_read_in_the_test_table_too(load):
    """Of 1.500 alone the reader would make one and a half."""
    _, test = load(SPELLED["decimal comma"][0], ["1.500", "12"], "csv")
    np.testing.assert_array_equal(test.target, [1500, 12])
    levels = ["0,5", "1,5", "2"] * 200
    dataset, test = load(levels, ["1,5", "0,5"], "csv", task="multiclass")
    assert [dataset.task.classes[code] for code in test.target] == ["1.5", "0.5"]


def test_a_sample_of_numbers_in_text_has_the_rows_that_were_asked_for(load):
    """As classes each of the 600 values kept up to ten rows, so all were read."""
    texts, _ = SPELLED["dollars"]
    dataset, _ = load([None, *texts[1:]], sample_rows=200)
    assert dataset.table.n_rows == pytest.approx(200, abs=2)
    assert dataset.table.weight is None


def test_numbers_of_few_levels_in_text_stay_classes_unless_regression_is_asked_for(load):
    texts = ["$1", "$2", "$3"] * 200
    assert load(texts)[0].task.classes == ("$1", "$2", "$3")
    dataset, _ = load(texts, task="regression")
    np.testing.assert_array_equal(dataset.table.target, [1, 2, 3] * 200)


def test_where_too_few_are_numbers_regression_says_how_many_are_not(load):
    texts = ["about nine", *["$1", "$2", "x"] * 199]
    with pytest.raises(DataError, match=r"holds 'about nine': 200 of the 598 rows hold no number\. Correct these"):
        load(texts, task="regression")


@pytest.mark.parametrize("texts", [["$1", "N/A"] * 300, ["1.2.3", "1.2.4"] * 300], ids=["one number", "versions"])
def test_where_no_two_are_numbers_regression_says_so(load, texts):
    with pytest.raises(DataError, match=r"two or more numbers that are written alike, but 'y' holds '\S+', '\S+'\. "):
        load(texts, task="regression")


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ([f"case {place}" for place in range(500)] + ["a", "b"] * 50, {}),
        ([f"case {place}" for place in range(N)], {}),
        (AMOUNTS, {"task": "multiclass"}),
    ],
    ids=["two classes left", "none left", "numbers as classes"],
)
def test_a_target_that_would_lose_most_rows_is_refused(load, target, settings):
    with pytest.raises(DataError, match=r"of the 600 rows have a class of 'y' with fewer than 2 rows.*another target"):
        load(target, **settings)


def test_rows_of_dropped_classes_are_counted(load):
    dataset, _ = load(["a", "b"] * 290 + [f"case {place}" for place in range(20)])
    assert any(note.startswith("dropped 20 rows of 20 classes of y with fewer than 2 rows") for note in dataset.notes)


CLASSES = {
    "0 and 1": [0, 1],
    "truth values": [False, True],
    "text of numbers": ["0", "1"],
    "text of fractions": ["0.0", "1.0"],
    "truth in words": ["false", "true"],
    "capitals": ["FALSE", "TRUE"],
    "yes": ["no", "yes"],
    "spaced": [" No", "Yes "],
}


@pytest.mark.parametrize("train", CLASSES)
@pytest.mark.parametrize("test", CLASSES)
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_two_classes_may_be_spelled_otherwise_in_the_test_table(load, train, test, ending):
    _, table = load(CLASSES[train] * 300, CLASSES[test] * 20, ending)
    np.testing.assert_array_equal(table.target, [0, 1] * 20)


def test_another_spelling_of_classes_is_said(load):
    dataset, _ = load([0, 1] * 300, [True, False])
    assert "test data: took for classes of y what spells them otherwise: 'False' for '0', 'True' for '1'" in (
        dataset.notes
    )
    assert not any("otherwise" in note for note in load([0, 1] * 300, [1, 0])[0].notes)


def test_a_test_table_without_a_known_class_is_refused_with_examples(load):
    with pytest.raises(DataError, match=r"it holds 'maybe', 'never'; training had '0', '1'"):
        load([0, 1] * 300, ["never", "maybe"])
    with pytest.raises(DataError, match=r"it holds 'low'; training had numbers"):
        load(AMOUNTS, ["low"] * 9)


@pytest.mark.parametrize(
    ("text", "classes", "found"),
    [
        ("2.0", ("1", "2", "3"), "2"),
        ("2", ("01", "02"), "02"),
        ("RED", ("red", "blue"), "red"),
        ("True", ("yes", "never"), "yes"),
        ("Red", ("red", "RED"), None),
        ("1.00", ("1", "1.0"), None),
        ("true", ("1", "2"), None),
        ("1", ("x", "y", "z"), None),
        ("yes", ("s", "t", "u"), None),
        ("nan", ("1", "2"), None),
    ],
)
def test_equal_is_what_one_class_alone_equals(text, classes, found):
    assert respelled([text], classes).get(text) == found


@given(st.lists(st.text(max_size=4), min_size=2, unique=True), st.lists(st.text(max_size=4)))
def test_what_is_a_class_is_never_taken_for_another(classes, texts):
    found = respelled(texts + classes, classes)
    assert not found.keys() & set(classes)
    assert set(found.values()) <= set(classes)


@pytest.mark.parametrize(("values", "advised"), [(range(72), "regression"), (range(5), "multiclass")])
def test_what_is_no_binary_target_is_advised_as_what_it_is(values, advised):
    """An age of 72 values was to be multiclass."""
    with pytest.raises(DataError, match=rf"has {len(values)}\. Use --task {advised}\."):
        infer_task(pd.Series([*values, *values], name="age"), "binary")
