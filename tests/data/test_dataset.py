import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stacktune.data.dataset import infer_task, load_dataset
from stacktune.data.demo import demo_frame
from stacktune.errors import DataError
from stacktune.settings.read import load_settings


def make_frame(n_rows=60, **columns):
    rng = np.random.default_rng(0)
    base = {
        "x": rng.normal(size=n_rows),
        "k": np.array(["red", "green", "blue"], dtype=object)[rng.integers(0, 3, n_rows)],
        "y": np.array(["no", "yes"], dtype=object)[np.arange(n_rows) % 2],
    }
    return pd.DataFrame({**base, **columns})


@pytest.fixture
def load(tmp_path):
    """Load a frame as the pipeline would from a file, with settings by their flags."""

    def load(frame, test=None, **flags):
        frame.to_parquet(tmp_path / "table.parquet")
        if test is not None:
            test.to_parquet(tmp_path / "test.parquet")
            flags["test_data"] = str(tmp_path / "test.parquet")
        return load_dataset(load_settings({"data": str(tmp_path / "table.parquet"), "target": "y", **flags}))

    return load


def test_a_table_is_encoded_with_its_target(load):
    frame = make_frame()
    dataset, test = load(frame)
    assert test is None
    assert dataset.name == "table"
    assert dataset.source.endswith("table.parquet")
    assert (dataset.task.kind, dataset.task.classes) == ("binary", ("no", "yes"))
    assert dataset.table.names == ("x", "k")
    assert dataset.table.target.dtype == np.int32
    np.testing.assert_array_equal(dataset.table.target, np.arange(60) % 2)
    pd.testing.assert_frame_equal(dataset.sample, frame[["x", "k"]].head(5), check_dtype=False)
    assert dataset.notes == (
        "y has two values, so the task is binary classification; --task overrides this",
        "yes is the positive class of y, as it affirms; --positive overrides this",
    )


def test_the_sample_holds_values_and_no_dictionaries(load):
    dataset, _ = load(make_frame(k=pd.Categorical(["a", "b", None] * 20)))
    assert dataset.sample["k"].tolist()[:2] == ["a", "b"]
    assert not isinstance(dataset.sample["k"].dtype, pd.CategoricalDtype)
    np.testing.assert_array_equal(dataset.schema.encode(dataset.sample).features, dataset.table.features[:5])


def test_the_digest_speaks_of_the_content_only(load):
    frame = make_frame()
    same, other = load(frame)[0].digest, load(frame.assign(x=frame["x"].to_numpy()[::-1]))[0].digest
    assert same == load(frame)[0].digest
    assert same != other
    assert len(same) == 16


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        ([0, 1, 1], "binary", "y has two values"),
        ([True, False], "binary", "y has two values"),
        ([1.5, 2.5, 1.5], "binary", "y has two values"),
        (["a", "b", "c"], "multiclass", "y holds 3 categories"),
        ([1, 2, 7], "multiclass", "y holds 3 distinct whole numbers"),
        ([1.0, 2.0, 7.0], "multiclass", "y holds 3 distinct whole numbers"),
        ([1.5, 2.0, 7.0], "regression", "y holds 3 distinct numbers"),
        (list(range(21)), "regression", "y holds 21 distinct numbers"),
        ([str(place) for place in range(50)], "multiclass", "y holds 50 categories"),
        ([str(place) for place in range(51)], "regression", "y holds 51 distinct numbers written as text"),
        (pd.date_range("2020-01-01", periods=3), "regression", "y holds dates"),
    ],
)
def test_the_task_follows_from_the_target(values, kind, why):
    inferred, sentence = infer_task(pd.Series(values, name="y"), "auto")
    assert inferred == kind
    assert sentence.startswith(why)
    assert "so the task is" in sentence


@pytest.mark.parametrize(
    ("values", "asked", "kind"),
    [
        ([1, 2, 3], "regression", "regression"),
        ([0, 1], "regression", "regression"),
        (["1.5", "2"], "regression", "regression"),
        (list(range(30)), "multiclass", "multiclass"),
        (["a", "b"], "multiclass", "binary"),
    ],
)
def test_a_task_that_is_asked_for_is_taken(values, asked, kind):
    assert infer_task(pd.Series(values, name="y"), asked)[0] == kind


@pytest.mark.parametrize(
    ("values", "asked", "message"),
    [
        (
            ["a", "b", "c"],
            "binary",
            r"--task binary needs two classes, but the target 'y' has 3\. Use --task multiclass",
        ),
        (["1", "b", "c"], "regression", r"regression needs a target of numbers, but 'y' holds 'b'"),
        ([5, 5, 5], "auto", r"'y' has one value only, '5'"),
        (["a", "a"], "binary", r"'y' has one value only, 'a'"),
        ([[1], [2]], "auto", r"holds lists, records or complex numbers"),
    ],
)
def test_a_target_that_does_not_suit_is_refused(values, asked, message):
    with pytest.raises(DataError, match=message):
        infer_task(pd.Series(values, name="y"), asked)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([10, 2, 1] * 20, ("1", "2", "10")),
        ([10.0, 2.0, None] * 20, ("2", "10")),
        (["10", "2", "1"] * 20, ("1", "2", "10")),
        (["b", "10", "2"] * 20, ("10", "2", "b")),
        ([True, False, None] * 20, ("False", "True")),
        ([-1, 1, 1] * 20, ("-1", "1")),
    ],
)
def test_classes_are_sorted_as_numbers_where_all_are_numbers(load, values, classes):
    dataset, _ = load(make_frame(y=values))
    assert dataset.task.classes == classes
    assert dataset.task.classes[dataset.table.target[0]] == str(values[0]).removesuffix(".0")


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_rows_without_a_target_are_dropped_and_counted(load, odd):
    dataset, _ = load(make_frame(y=np.where(np.arange(60) < 3, odd, np.arange(60) / 7)))
    assert dataset.table.n_rows == 57
    assert dataset.table.target.dtype == np.float64
    assert "dropped 3 rows whose target y is null" in dataset.notes


def test_weights_have_mean_one_and_rows_of_none_are_dropped(load):
    dataset, _ = load(make_frame(w=np.where(np.arange(60) < 10, 0, np.arange(60) * 1e6)), weight="w")
    assert "dropped 10 rows whose weight w is zero" in dataset.notes
    assert dataset.table.names == ("x", "k")
    assert dataset.table.weight.dtype == np.float32
    assert dataset.table.weight.mean() == pytest.approx(1)
    assert dataset.table.weight[1] / dataset.table.weight[0] == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("flags", "columns", "message"),
    [
        ({"target": "yy"}, {}, r"no target column 'yy'\. Did you mean 'y'\?"),
        ({"weight": "ks"}, {}, r"no weight column 'ks'\. Did you mean 'k'\?"),
        ({"weight": "k"}, {}, r"weight column 'k' must hold a number .* holds no numbers"),
        ({"weight": "w"}, {"w": [-1.5, *[1] * 59]}, r"1 are negative, the least -1\.5"),
        ({"weight": "w"}, {"w": [None, np.inf, *[1] * 58]}, r"2 are null or infinite"),
        ({"weight": "w"}, {"w": [0] * 60}, r"all are zero"),
        ({}, {"y": [None] * 60}, r"'y' has no value in any of the 60 rows"),
        ({}, {"y": [np.nan] * 60}, r"'y' has no value in any of the 60 rows"),
        ({}, {"y": ["a", *[None] * 59]}, r"one value only, 'a'"),
        (
            {"folds": 5},
            {"y": ["a"] * 4 + ["b"] * 56},
            r"a row in each of 5 folds, but 'a' of 'y' has 4\. .* fewer --folds\.$",
        ),
        (
            {"folds": 2},
            {"y": [1, 2, 3, 3, 3] + [2] * 55},
            r"but '1' of 'y' has 1\. Drop or merge such classes, or choose --task regression\.$",
        ),
        (
            {},
            {"x": [1.0] * 60, "k": [None] * 60},
            r"no feature is left: dropped 1 column with one value only: x; .*: k\.",
        ),
        ({}, {"y": np.arange(60) * 1e299}, r"values up to 5\.9e\+300 .* Multiply it by a power of ten first"),
        ({}, {"y": np.arange(60) * 1e-299}, r"differ by up to 5\.9e-298, whose squares are no numbers"),
        (
            {"target": "x", "test_size": 0.001},
            {},
            r"--test-size 0\.001 of 60 rows leaves the training or the test table",
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(load, flags, columns, message):
    with pytest.raises(DataError, match=message):
        load(make_frame(**columns), **flags)


def test_classes_of_one_row_are_dropped_and_named(load):
    dataset, _ = load(make_frame(y=["a", "b", *["c", "d"] * 29]))
    assert dataset.task.classes == ("c", "d")
    assert dataset.task.kind == "binary"
    assert dataset.table.n_rows == 58
    assert "dropped 2 rows of 2 classes of y with fewer than 2 rows, never to be predicted: a, b" in dataset.notes


def test_a_column_that_says_the_target_is_named(load):
    truth = ["a", "b", "c"] * 20
    dataset, _ = load(make_frame(y=truth, copy=[value.upper() for value in truth]))
    assert "copy says y exactly, row by row: leave it out if it is not known when predicting" in dataset.notes


def test_a_table_of_the_target_alone_is_refused(load):
    with pytest.raises(DataError, match=r"no feature is left: the target is the only column"):
        load(make_frame()[["y"]])


def test_test_rows_are_split_off_before_anything_is_learnt(load):
    frame = make_frame(600, k=[f"level {place}" for place in np.arange(600) // 2])
    dataset, test = load(frame, test_size=0.2)
    assert (dataset.table.n_rows, test.n_rows) == (480, 120)
    np.testing.assert_array_equal(np.bincount(test.target), [60, 60])
    held_out = ~np.isin(frame["x"].to_numpy(dtype=np.float32), dataset.table.features[:, 0])
    seen = set(frame["k"][~held_out])
    assert set(dataset.schema.columns[1].categories) == seen
    assert not np.isnan(test.codes).any()
    np.testing.assert_array_equal(test.codes[:, 0] == len(seen), ~frame["k"][held_out].isin(seen).to_numpy())


def test_the_split_is_fixed_by_the_seed(load):
    first, again, other = (load(make_frame(), test_size=0.3, seed=seed)[1].features for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def twice(n_rows=200, **columns):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=n_rows), "z": random.normal(size=n_rows), "y": ["a", "b"] * 100})
    return pd.concat([frame, frame], ignore_index=True).assign(**columns)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"id": np.arange(400)},
        {"id": [f"n{place}" for place in range(400)]},
        {"tags": [[place % 200, 1] for place in range(400)], "more": [{"a": place % 200} for place in range(400)]},
        {"y": ["a", "b"] * 100 + ["b", "a"] * 100},
        {"y": np.random.default_rng(1).normal(size=400)},
    ],
    ids=["as they are", "numbered", "named", "with lists", "with another class", "with another value"],
)
def test_copies_of_a_row_stay_on_one_side_of_the_split(load, columns):
    """Of rows that were all there twice, 80 % of the test rows had their copy in the training table."""
    dataset, test = load(twice(**columns), test_size=0.2)
    assert test.n_rows == pytest.approx(80, abs=2)
    place = dataset.table.names.index("x")
    assert not np.isin(test.features[:, place], dataset.table.features[:, place]).any()
    message = "200 rows are copies of others in all but y: copies stay together"
    assert any(message in note for note in dataset.notes)
    assert not any("test rows have the features" in note for note in dataset.notes)


def test_test_rows_that_are_training_rows_are_counted(load):
    frame = twice()
    dataset, _ = load(frame[:200], frame[100:230].assign(x=lambda part: part["x"].where(part.index >= 150)))
    assert any("80 of the 130 test rows have the features of a training row" in note for note in dataset.notes)


def test_where_rows_repeat_by_nature_nothing_is_said_of_copies(load):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.integers(3, size=400).astype(str) for name in "abcy"})
    dataset, test = load(frame, test_size=0.2)
    assert test.n_rows == pytest.approx(80, abs=1)
    assert not any("copies" in note or "test rows" in note for note in dataset.notes)


def test_test_data_is_read_in_the_training_tables_terms(load):
    test = pd.DataFrame(
        {
            "y": ["yes", "maybe", None, "no"],
            "extra": 1,
            "k": ["red", "red", "red", "mauve"],
            "x": ["1.5", "2", "3", "?"],
        }
    )
    dataset, table = load(make_frame(), test)
    assert dataset.table.n_rows == 60
    np.testing.assert_array_equal(table.features, np.array([[1.5, 2], [np.nan, 3]], dtype=np.float32))
    np.testing.assert_array_equal(table.target, [1, 0])
    assert "test data: dropped 1 row whose target y is null" in dataset.notes
    assert "dropped 1 test row whose target is no class of the training data" in dataset.notes


def test_test_data_needs_no_weights(load):
    dataset, table = load(make_frame(w=1.5), make_frame(), weight="w")
    assert table.weight is None
    assert "the test table has no column w, so its rows weigh the same" in dataset.notes
    assert load(make_frame(w=1.5), make_frame(w=2.5), weight="w")[1].weight.tolist() == [1] * 60


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (make_frame().drop(columns="y"), r"test table .*test\.parquet' has no target column 'y'"),
        (make_frame(y="maybe"), r"no test row has a target 'y' that the training data knows"),
        (make_frame(y=None), r"'y' has no value in any of the 60 rows"),
        (make_frame().drop(columns="k"), r"no column 'k', which the model was trained on"),
    ],
)
def test_test_data_that_do_not_match_are_refused(load, test, message):
    with pytest.raises(DataError, match=message):
        load(make_frame(), test)


def test_a_boolean_target_may_be_numbers_in_the_test_data(load):
    train = make_frame(y=np.arange(60) % 2 == 0)
    np.testing.assert_array_equal(load(train, make_frame(y=np.arange(60) % 2))[1].target, np.arange(60) % 2)


def test_a_csv_table_says_so_and_is_called_by_its_file(tmp_path):
    path = tmp_path / "my.table.csv.gz"
    make_frame().to_csv(path, index=False)
    dataset, _ = load_dataset(load_settings({"data": str(path), "target": "y"}))
    assert dataset.name == "my.table"
    assert dataset.notes[0].startswith("CSV is slower to read than Parquet")


def test_two_columns_called_like_the_target_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([0, 1]), pa.array([0, 1])], names=["y", "y"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"must be unique, but .* has 2 columns 'y'"):
        load_dataset(load_settings({"data": str(tmp_path / "t.parquet"), "target": "y"}))


def test_the_demo_ships_with_scikit_learn():
    frame, target = demo_frame()
    dataset, test = load_dataset(load_settings({"data": "demo", "test_size": 0.25}))
    assert (dataset.name, dataset.source, dataset.target_name) == ("breast_cancer", "demo", target)
    assert dataset.task.classes == ("benign", "malignant")
    assert dataset.table.n_rows + test.n_rows == len(frame) == 569


def test_a_dataset_is_frozen(load):
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        load(make_frame())[0].name = "other"
