"""The positive class: `fraud` beside `legit` was not, as it sorts first, and random scores had a precision of .98."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.dataset import load_dataset
from stacktune.data.positive import with_positive_class
from stacktune.data.table import Task
from stacktune.data.target import encode_target, make_task
from stacktune.errors import ConfigError, DataError
from stacktune.metrics import get_metric
from stacktune.settings.groups import Settings
from stacktune.settings.read import load_settings


def _decided(values, asked=None):
    target = pd.Series(values, name="y")
    task = make_task(target, "binary")
    turned, codes, (note,) = with_positive_class(task, encode_target(target, task), asked, "y")
    assert np.array_equal(codes, encode_target(target, turned))
    assert turned.labels == make_task(target, "binary").labels[:: 1 if turned == task else -1]
    return turned.positive, note


DEFAULTS = {
    "rarer, sorted first": (["fraud"] * 2 + ["legit"] * 98, "fraud", "the rarer with 2 % of the rows"),
    "rarer, sorted last": (["bad"] * 7 + ["good"] * 3, "good", "the rarer with 30 % of the rows"),
    "as many": (["a", "b"], "b", "the last in order, as both have as many rows"),
    "whole numbers": ([1] * 9 + [0], "1", "the larger number"),
    "numbers of two lengths": ([10] * 9 + [9], "10", "the larger number"),
    "minus one": ([1] * 9 + [-1], "1", "the larger number"),
    "numbers as text": (["1"] * 9 + ["0"], "1", "the larger number"),
    "truth values": ([True] * 9 + [False], "True", "as it affirms"),
    "yes": (["Yes"] * 9 + ["No"], "Yes", "as it affirms"),
    "letters": (["T"] * 9 + ["F"], "T", "as it affirms"),
    "signs": (["+"] * 9 + ["-"], "+", "as it affirms"),
    "no pair": (["yes"] * 9 + ["never"], "never", "the rarer with 10 % of the rows"),
}


@pytest.mark.parametrize("case", DEFAULTS)
def test_it_affirms_or_is_larger_or_rarer_and_that_is_said(case):
    values, positive, why = DEFAULTS[case]
    found, note = _decided(values)
    assert found == positive
    assert note == f"{positive} is the positive class of y, {why}; --positive overrides this"


@pytest.mark.parametrize(
    ("values", "asked", "positive"),
    [
        (["fraud", "legit", "legit"], "legit", "legit"),
        ([1, 0], "0", "0"),
        ([1, 0], "0.0", "0"),
        ([True, False], "false", "False"),
        (["No", "Yes"], "False", "No"),  # what YAML makes of `positive: no`
    ],
)
def test_what_is_asked_for_is_positive(values, asked, positive):
    assert _decided(values, asked) == (positive, f"{positive} is the positive class of y, as --positive asks")


@given(st.lists(st.booleans(), min_size=2).filter(lambda rows: len(set(rows)) == 2), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    values = ["one" if row else "other" for row in rows]
    shuffled = random.sample(values, len(values))
    assert _decided(values) == _decided(shuffled)


@pytest.fixture
def write(tmp_path):
    def write(target, name="table.parquet"):
        frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(target)), "y": target})
        frame.to_parquet(tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("target", "asked", "message"),
    [
        (["fraud", "legit"] * 9, "frad", r"--positive 'frad' is no class of the target 'y'\. Did you mean 'fraud'\?"),
        (["a", "b", "c"] * 9, "a", r"--positive 'a' needs a target of two classes, but 'y' is a multiclass target"),
        (np.arange(99.0), "1", r"but 'y' is a regression target\. Leave --positive out\."),
    ],
)
def test_what_cannot_be_positive_is_refused(write, target, asked, message):
    with pytest.raises(DataError, match=message):
        load_dataset(Settings(write(target), "y", positive=asked))


def test_a_settings_file_may_say_yes_without_quotes(tmp_path):
    (tmp_path / "run.yaml").write_text("data: table.csv\ntarget: y\npositive: yes\n")
    assert load_settings({}, str(tmp_path / "run.yaml")).positive == "True"
    (tmp_path / "run.yaml").write_text("data: table.csv\ntarget: y\npositive: 1\n")
    assert load_settings({}, str(tmp_path / "run.yaml")).positive == "1"
    with pytest.raises(ConfigError, match="--positive must be text"):
        load_settings({"data": "table.csv", "target": "y", "positive": ""})


def test_the_training_table_decides_for_the_test_table_too(write):
    """In the test table the other class is the rarer."""
    test = write(["fraud"] * 9 + ["legit"], "test.parquet")
    dataset, table = load_dataset(Settings(write(["fraud"] * 20 + ["legit"] * 80), "y", test_data=test))
    assert (dataset.task.positive, dataset.task.classes) == ("fraud", ("legit", "fraud"))
    assert dataset.table.target.sum() == 20
    assert table.target.tolist() == [1] * 9 + [0]


def test_a_sample_has_the_same_positive_class(write):
    target = np.where(np.arange(5000) % 100 == 0, "fraud", "legit")
    dataset, _ = load_dataset(Settings(write(target), "y", sample_rows=100))
    assert dataset.task.positive == "fraud"


def test_rows_that_are_held_out_are_the_same_whichever_class_is_positive(write):
    path = write(["fraud"] * 20 + ["legit"] * 80)
    (one, test_one), (other, test_other) = (
        load_dataset(Settings(path, "y", test_size=0.25, positive=name)) for name in ("fraud", "legit")
    )
    assert np.array_equal(one.table.features, other.table.features)
    assert np.array_equal(test_one.target, 1 - test_other.target)


def test_classes_that_are_left_when_rare_ones_are_dropped_have_a_positive_one(write):
    dataset, _ = load_dataset(Settings(write(["a"] * 30 + ["b"] * 60 + ["c"]), "y"))
    assert (dataset.task.kind, dataset.task.positive) == ("binary", "a")


def test_random_scores_have_the_average_precision_of_the_rarer_class(write):
    target = np.where(np.arange(2000) % 50 == 0, "fraud", "legit")
    dataset, _ = load_dataset(Settings(write(target), "y"))
    chance = np.random.default_rng(1).random(2000)
    score = get_metric("average_precision", "binary").score(dataset.table.target, np.column_stack([1 - chance, chance]))
    assert score < 0.1


def test_a_sample_is_counted_as_the_table_that_it_stands_for():
    task, target = Task("binary", ("fraud", "legit")), np.array([0, 0, 0, 1])
    turned, _, notes = with_positive_class(task, target, None, "kind", np.array([1, 1, 1, 97]))
    assert turned.positive == "fraud"
    assert "the rarer with 3 % of the rows" in notes[0]
