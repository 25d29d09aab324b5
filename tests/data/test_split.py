"""What splits rows is read before anything is learnt from them, and refused where it does not part them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stacktune.data.dataset import load_dataset
from stacktune.data.split_folds import folds_of, settled_folds
from stacktune.data.split_notes import window_notes
from stacktune.errors import ConfigError, DataError
from stacktune.settings.read import load_settings
from stacktune.storage.run_folder import ALL_ROWS

N_ROWS = 200


def frame(**columns):
    random = np.random.default_rng(0)
    base = {
        "x": random.normal(size=N_ROWS),
        "shop": [f"shop {place}" for place in random.permutation(N_ROWS) % 20],
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.permutation(N_ROWS), "D"),
        "part": random.permutation(N_ROWS) % 4,
        "y": np.array(["no", "yes"], dtype=object)[random.permutation(N_ROWS) % 2],
    }
    return pd.DataFrame({**base, **columns})


@pytest.fixture
def load(tmp_path):
    """Load a frame as the pipeline would from a file, with settings by their keys."""

    def load(table, other=None, **flags):
        table.to_parquet(tmp_path / "table.parquet")
        if other is not None:
            other.to_parquet(tmp_path / "other.parquet")
            flags["validation_data"] = str(tmp_path / "other.parquet")
        return load_dataset(load_settings({"data": str(tmp_path / "table.parquet"), "target": "y", **flags}))

    return load


def folds(dataset, asked=None, planned=5):
    parted = (dataset.split, dataset.table, dataset.task)
    return folds_of(*parted, asked or settled_folds(*parted, asked, planned, "", 0)[0], 0)


def test_groups_stay_together_in_folds_and_test_rows_and_are_not_learnt_from(load):
    dataset, test = load(frame(), group="shop", test_size=0.25)
    assert "shop" not in dataset.table.names
    found = folds(dataset)
    for group in np.unique(dataset.split.keys):
        assert len(np.unique(found.assignment[dataset.split.keys == group])) == 1
    assert (dataset.table.n_rows, test.n_rows) == (150, 50)
    assert len(np.unique(dataset.split.keys)) == 15
    assert "the test rows are 50 of 5 values of shop, all of which are new" in dataset.notes
    said = "rows of one shop stay together, 15 in all: scores say what models do where shop is new; it is not learnt "
    assert said + "from; --keep shop learns from it" in dataset.notes


def test_a_group_that_is_to_be_kept_is_learnt_from(load):
    dataset, _ = load(frame(), group="shop", keep="shop")
    assert "shop" in dataset.table.names
    assert any("it is learnt from, as --keep asks" in note for note in dataset.notes)


def test_rows_that_are_dropped_take_their_group_with_them(load):
    table = frame(w=np.arange(N_ROWS) % 5)
    table.loc[3, "y"] = None
    dataset, _ = load(table, group="shop", weight="w")
    kept = table[(table["w"] > 0) & table["y"].notna()]
    names = np.array(dataset.split.names)[dataset.split.keys]
    np.testing.assert_array_equal(names, kept["shop"])
    np.testing.assert_array_equal(dataset.table.groups, dataset.split.keys)


def test_the_last_rows_are_the_test_rows_and_the_gap_before_them_is_dropped(load):
    table = frame()
    dataset, test = load(table, time="day", test_size=0.2, gap="10d")
    assert (dataset.table.n_rows, test.n_rows) == (151, 40)
    last = table.sort_values("day").tail(40)
    assert f"the test rows are the last 40 by day, from {last['day'].min().date()} on" in dataset.notes
    assert "dropped 9 rows within 10 days before the test rows, as --gap asks" in dataset.notes
    assert "day" in {column.name for column in dataset.schema.columns}
    found = folds(dataset)
    assert found.is_ordered
    assert any(
        "judged on the newest 75 of 151 rows, in 5 windows" in note for note in window_notes(found, dataset.split)
    )


@pytest.mark.parametrize(
    "written",
    [
        lambda days: days.dt.strftime("%d.%m.%Y"),
        lambda days: days.dt.strftime("%Y-%m-%d"),
        lambda days: days.dt.date,
        lambda days: days.dt.tz_localize("Europe/Berlin"),
        lambda days: days.astype("int64"),
        lambda days: (days - days.min()).dt.days.astype(str) + ".5",
    ],
)
def test_time_is_in_one_order_however_it_is_written(load, written):
    table = frame()
    plain, _ = load(table, time="day")
    other, _ = load(table.assign(day=written(table["day"])), time="day")
    np.testing.assert_array_equal(folds(other).assignment, folds(plain).assignment)


def test_own_folds_are_the_values_of_their_column(load):
    table = frame()
    dataset, _ = load(table, fold_column="part")
    assert "part" not in dataset.table.names
    assert settled_folds(dataset.split, dataset.table, dataset.task, None, 8, "rows are few", 0) == (4, "")
    np.testing.assert_array_equal(folds(dataset).assignment, table["part"])
    with pytest.raises(DataError, match=r"--folds 3 and --fold-column part contradict each other: .* 4 values"):
        settled_folds(dataset.split, dataset.table, dataset.task, 3, 8, "", 0)


def test_validation_rows_are_judged_on_and_never_learnt_from(load):
    table, other = frame(), frame().head(40).assign(extra=1)
    dataset, test = load(table, other, test_size=0.25)
    assert (dataset.table.n_rows, test.n_rows) == (190, 50)
    found = folds(dataset, planned=8)
    assert found.n_folds == 1
    np.testing.assert_array_equal(found.judged_rows, np.arange(150, 190))
    np.testing.assert_array_equal(found.train_rows(0), np.arange(150))
    assert "left out of the validation table what the training table has not: extra" in dataset.notes


@pytest.mark.parametrize(
    ("changes", "flags", "message"),
    [
        ({}, {"group": "shp"}, r"the table has no group column 'shp'\. Did you mean 'shop'\?"),
        ({}, {"time": "dya"}, r"the table has no time column 'dya'\. Did you mean 'day'\?"),
        ({}, {"fold_column": "prt"}, r"the table has no fold column 'prt'\. Did you mean 'part'\?"),
        ({"shop": "one"}, {"group": "shop"}, r"the group column 'shop' has one value only, 'one': .*several values\."),
        (
            {"shop": [None, *"ab"] * 66 + ["a", "b"]},
            {"group": "shop"},
            r"'shop' must hold .*, but 66 of 200 are missing",
        ),
        ({"part": [np.nan, 1.0] * 100}, {"fold_column": "part"}, r"'part' must hold a value .*, but 100 of 200"),
        ({"day": [None, "2024-01-01"] * 100}, {"time": "day"}, r"'day' is the same in each row that has one"),
        (
            {"day": [None, 1.0, 2.0, 3.0] * 50},
            {"time": "day"},
            r"time column 'day' must hold .* but 50 of 200 are miss",
        ),
        ({"day": 5}, {"time": "day"}, r"'day' is a column with one value only, which orders no rows"),
        ({}, {"time": "shop"}, r"'shop' holds neither dates nor numbers, but text such as 'shop 0'"),
        ({"day": [[1]] * N_ROWS}, {"time": "day"}, r"the time column 'day' holds lists"),
        ({}, {"time": "x", "gap": "7d"}, r"--gap 7d is a duration, but the time column 'x' holds numbers"),
        ({"part": range(N_ROWS)}, {"fold_column": "part"}, r"'part' has 200 values, .* may be 100\. Give --group part"),
        ({"__split__": 1}, {}, r"the table has a column '__split__', a name that is needed\. Rename it\."),
        ({"__row__": 1}, {}, r"the table has a column '__row__', a name that is needed\. Rename it\."),
    ],
)
def test_a_column_that_parts_no_rows_is_refused_in_a_sentence(load, changes, flags, message):
    with pytest.raises(DataError, match=message) as caught:
        load(frame(**changes), **flags)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"group": "a", "time": "b"}, r"--group and --time exclude each other"),
        ({"fold_column": "a", "validation_data": "b"}, r"--fold-column and --validation-data exclude each other"),
        ({"group": "y"}, r"--group and --target must be two columns, but both are 'y'\."),
        ({"fold_column": "w", "weight": "w"}, r"--fold-column and --weight must be two columns, but both are 'w'\."),
        ({"gap": "7d"}, r"--gap 7d lies between rows in the order of time: name its column with --time\."),
        ({"gap": "7x", "time": "t"}, r"--gap must be a number of rows, or a duration, e\.g\. .*, not '7x'\."),
        ({"gap": "1.5", "time": "t"}, r"--gap must be a number of rows"),
        ({"stratify": True, "time": "t"}, r"--stratify deals rows at random, which --time does not: leave it out\."),
        ({"validation_data": "v", "folds": 5}, r"--validation-data and --folds 5 exclude each other"),
        ({"repeats": 3, "time": "t"}, r"--repeats 3 deals rows anew, but --time leaves one way to: leave it out\."),
        ({"repeats": 3, "folds": 1}, r"--repeats 3 deals folds anew, but --folds 1 makes none: give more"),
        ({"folds": "many"}, r"--folds must be auto or a whole number from 1 to 100, not 'many'\."),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_any_table_is_read(flags, message):
    with pytest.raises(ConfigError, match=message):
        load_settings({"data": "nowhere.parquet", "target": "y", **flags})


def test_a_flag_takes_the_place_of_another_split_in_the_file(tmp_path):
    (tmp_path / "run.yaml").write_text("data: x\ntarget: y\ntime: t\nfolds: auto\n")
    settings = load_settings({"group": "g"}, str(tmp_path / "run.yaml"))
    assert (settings.group, settings.time, settings.n_folds) == ("g", None, None)


def test_folds_of_one_class_are_refused_and_fewer_are_taken_where_none_were_asked_for(load):
    sorted_by_class = frame(y=np.repeat(["no", "yes"], N_ROWS // 2), t=np.arange(N_ROWS))
    dataset, _ = load(sorted_by_class, time="t", keep="t")
    parted = (dataset.split, dataset.table, dataset.task)
    with pytest.raises(DataError, match=r"one of 3 folds by 't' is judged on one class only, 'yes' \(33 rows\)"):
        folds_of(*parted, 3, 0)
    mixed = frame(y=["no", *["yes"] * 9] * 20, t=np.arange(N_ROWS))
    dataset, _ = load(mixed, time="t", keep="t")
    n_folds, reason = settled_folds(dataset.split, dataset.table, dataset.task, None, 40, "", 0)
    assert 2 <= n_folds < 40
    assert reason.startswith("of more one of ")


def test_own_folds_of_one_class_and_groups_fewer_than_folds_are_refused(load):
    table = frame()
    table["part"] = np.where(table["y"] == "no", 0, table["part"])
    dataset, _ = load(table, fold_column="part")
    with pytest.raises(DataError, match=r"the fold '[123]' of 'part' is judged on one class only, 'yes' .* Merge such"):
        folds(dataset)
    dataset, _ = load(frame(shop=np.arange(N_ROWS) % 3), group="shop")
    with pytest.raises(DataError, match=r"5 folds need at least 5 groups, but 'shop' has 3 .* Use --folds 3, or fewer"):
        folds(dataset, asked=5)
    parted = (dataset.split, dataset.table, dataset.task)
    n_folds, reason = settled_folds(*parted, None, 5, "", 0)
    assert (n_folds, reason) == (
        3,
        "of more 4 folds need at least 4 groups, but 'shop' has 3 in the rows to learn from",
    )


def test_a_holdout_of_groups_and_of_time_is_judged_in_blocks_of_these(load):
    dataset, _ = load(frame(), group="shop")
    found = folds(dataset, asked=1)
    assert not set(found.groups[found.train_rows(0)]) & set(found.groups[found.judged_rows])
    blocks, groups = found.blocks[found.judged_rows], found.groups[found.judged_rows]
    assert all(len(np.unique(blocks[groups == group])) == 1 for group in np.unique(groups))
    dataset, _ = load(frame(), time="day")
    found = folds(dataset, asked=1)
    assert found.models == (ALL_ROWS,)
    days = dataset.split.keys
    assert days[found.train_rows(0)].max() < days[found.judged_rows].min()
    by_time = found.blocks[np.argsort(days)]
    assert (np.diff(by_time[by_time >= 0]) >= 0).all()


def test_validation_tables_that_do_not_fit_are_refused(load):
    with pytest.raises(DataError, match=r"the validation table '.*other\.parquet' has no column 'part'"):
        load(frame(), frame().drop(columns="part"))
    with pytest.raises(DataError, match=r"the column 'x' is numeric in the training table and text in the validation"):
        load(frame(), frame(x="seven"))
    dataset, _ = load(frame(), frame().head(1))
    with pytest.raises(DataError, match=r"the validation table has 1 rows to be judged on, and needs at least 2"):
        folds(dataset)


def test_the_values_of_a_regression_are_spread_evenly_where_that_is_asked_for(load):
    table = frame(y=np.random.default_rng(1).exponential(size=N_ROWS))
    even, random = (folds(load(table, stratify=stratify)[0]) for stratify in (True, False))
    top = np.argsort(table["y"].to_numpy())[-20:]
    np.testing.assert_array_equal(np.bincount(even.assignment[top], minlength=5), [4] * 5)
    assert np.ptp(np.bincount(random.assignment[top], minlength=5)) > 0


@pytest.mark.parametrize("flags", [{}, {"group": "shop"}])
def test_folds_that_are_dealt_again_hold_each_row_out_as_often(load, flags):
    dataset, _ = load(frame(), repeats=3, **flags)
    found = folds(dataset, asked=4)
    assert (found.n_folds, found.n_blocks, found.n_repeats, len(found.models)) == (12, 4, 3, 12)
    held_out = np.array([np.bincount(found.valid_rows(fold), minlength=N_ROWS) for fold in range(12)])
    for repeat in range(3):
        np.testing.assert_array_equal(held_out[4 * repeat : 4 * repeat + 4].sum(axis=0), 1)
    assert len({held_out[4 * repeat].tobytes() for repeat in range(3)}) == 3
    np.testing.assert_array_equal(found.assignment, folds(load(frame(), **flags)[0], asked=4).assignment)
    for fold in range(12):
        np.testing.assert_array_equal(np.sort(np.append(found.train_rows(fold), found.valid_rows(fold))), range(N_ROWS))
    with pytest.raises(DataError, match=r"--repeats 3 deals folds anew, but rows are held out once"):
        folds(dataset, asked=1)


def test_a_date_and_an_id_that_repeats_are_pointed_out_and_nothing_else(load):
    dataset, _ = load(frame(customer_id=np.random.default_rng(0).integers(30, size=N_ROWS)))
    said = " | ".join(dataset.notes)
    assert "day is a time, and the folds are random" in said
    assert "--time day judges on later rows" in said
    assert "shop, customer_id repeat over rows, and the folds are random" in said
    assert "--group shop keeps each together" in said
    plain = frame(valid=np.arange(N_ROWS) % 7, grid=np.arange(N_ROWS) % 9).drop(columns=["shop", "day"])
    assert not any("--group" in note or "--time" in note for note in load(plain)[0].notes)
    assert not any("folds are random" in note for note in load(frame(), group="shop")[0].notes)
    numbered = frame(Time=np.random.default_rng(0).permutation(N_ROWS) * 1.5).drop(columns=["shop", "day"])
    assert any(note.startswith("Time is a time, and") for note in load(numbered)[0].notes)
