from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.errors import ConfigError
from stacktune.settings.groups import Settings
from stacktune.settings.kinds import parse_duration
from stacktune.settings.problem import DEMO_TARGET
from stacktune.settings.read import load_settings, to_yaml

TABLE = {"data": "table.parquet", "target": "y"}


def write(folder, text):
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 2 M ", 120),
        ("1m30", 90),
        (0.5, 0.5),
        (90, 90),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["0", "0m", "-5", "", "soon", "10x", "m", "1m1h", "nan", "inf", "1e999", True, "5 minutes"]
)
def test_a_duration_of_zero_or_nonsense_is_refused(text):
    with pytest.raises(ConfigError, match=r"duration above zero, not .* 1h30m"):
        parse_duration(text)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_hours_minutes_and_seconds_add_up(hours, minutes, seconds):
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


def test_without_a_limit_a_run_takes_ten_minutes():
    config = load_settings(TABLE)
    assert config.time_budget_s == 600
    assert not config.reproducible


def test_a_number_of_trials_without_a_budget_is_reproducible():
    assert load_settings({**TABLE, "max_trials": 3}).reproducible
    assert not load_settings({**TABLE, "max_trials": 3, "time_budget": "1m"}).reproducible


def test_flags_win_over_the_file_and_none_is_no_flag(tmp_path):
    file = write(tmp_path, "data: other.parquet\ntarget: y\nfolds: 3\ntime_budget: 2m\nfamilies: [linear, mlp]\n")
    config = load_settings({"data": "table.parquet", "folds": None, "seed": 7}, file)
    assert config == Settings("table.parquet", "y", n_folds=3, time_budget_s=120, families=("linear", "mlp"), seed=7)


def test_a_flag_for_test_data_replaces_the_files_test_size(tmp_path):
    config = load_settings({**TABLE, "test_data": "test.parquet"}, write(tmp_path, "test_size: 0.2\n"))
    assert (config.test_data, config.test_size) == ("test.parquet", None)


@pytest.mark.parametrize("given_families", ["xgboost, linear,,linear", ["xgboost", "linear"], ("xgboost", "linear")])
def test_families_are_a_list_or_names_with_commas(given_families):
    assert load_settings({**TABLE, "families": given_families}).families == ("xgboost", "linear")


def test_numbers_may_come_as_text_and_a_column_may_be_called_by_a_number(tmp_path):
    config = load_settings({"data": "t.csv", "folds": "4", "test_size": "0.25"}, write(tmp_path, "target: 2024\n"))
    assert (config.target, config.n_folds, config.test_size) == ("2024", 4, 0.25)


def test_a_programs_paths_and_numbers_may_be_objects(tmp_path):
    given = {"data": Path("t.csv"), "folds": np.int64(4), "test_size": np.float32(0.25), "time_budget": np.int32(90)}
    config = load_settings({"target": np.str_("y"), **given})
    assert config == Settings("t.csv", "y", n_folds=4, test_size=0.25, time_budget_s=90)
    assert load_settings({}, write(tmp_path, to_yaml(config))) == config


def test_the_demo_knows_its_target():
    assert load_settings({"data": "demo"}).target == DEMO_TARGET


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"folds": 0}, r"--folds must be auto or a whole number from 1 to 100, not 0\."),
        ({"folds": True}, r"--folds must be .* not True"),
        ({"folds": 2.5}, r"--folds must be .* not 2\.5"),
        ({"predict_budget": 0}, r"--predict-budget must be a number of microseconds above 0, not 0"),
        ({"predict_budget": True}, r"--predict-budget must be .* not True"),
        ({"predict_budget": float("inf")}, r"--predict-budget must be .* not inf"),
        ({"test_size": 1.0}, r"--test-size must be a share above 0 and below 1, not 1\.0"),
        ({"test_size": "half"}, r"--test-size must be .* not 'half'"),
        ({"test_size": 0.2, "test_data": "t.parquet"}, r"exclude each other: give one"),
        ({"cpus": 0}, r"--cpus must be a whole number of at least 1, not 0"),
        ({"gpus": -1}, r"--gpus must be a whole number of at least 0, not -1"),
        ({"max_trials": 0}, r"--max-trials must be a whole number of at least 1, not 0"),
        ({"task": "clustering"}, r"--task must be auto, binary, multiclass or regression, not 'clustering'"),
        ({"time_budget": "0"}, r"duration above zero"),
        ({"time_budget": -3}, r"duration above zero, not -3"),
        ({"families": 3}, r"--families must be names with commas between them"),
        ({"seed": "x"}, r"--seed must be a whole number of at least 0, not 'x'"),
        ({"weight": "y"}, r"--weight and --target must be two columns, but both are 'y'"),
        ({"metric": ""}, r"--metric must be text that is not empty"),
        ({"target": False}, r"--target must be text .*in quotes.*, not False"),
        ({"register": 3.5j}, r"--register must be text"),
        ({"controller": "1,2"}, r"--controller must be three whole numbers of at least 1 .*, not '1,2'"),
        ({"controller": "1,0,4"}, r"--controller must be three whole numbers of at least 1 .*, not '0'"),
        ({"controller": [1, True, 4]}, r"--controller must be three whole numbers"),
        ({"controller": "1,4,4", "max_trials": 9}, r"give --controller 1,1,4, or a --time-budget"),
        ({"fold": 3}, r"there is no option called 'fold'\. Did you mean 'folds'\?"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_in_one_sentence(flags, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings({**TABLE, **flags})
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(("missing", "message"), [("data", "no table is given"), ("target", "--target is missing")])
def test_a_table_and_a_target_are_needed(missing, message):
    with pytest.raises(ConfigError, match=message):
        load_settings({key: value for key, value in TABLE.items() if key != missing})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_budgt: 3\n", r"there is no setting in '.*run\.yaml' called 'time_budgt'\. Did you mean 'time_budget'\?"),
        ("- a\n- b\n", r"must hold `key: value` lines"),
        ("a: [1\n", r"run\.yaml', line 2 is not YAML"),
        ("n_folds: 3\n", r"called 'n_folds'\. Did you mean 'folds'\?"),
        ("3: 4\n", r"called '3'\. Valid names: address, .*data, .*metric, .*…"),
        ("seed: 1\nfolds: 3\nseed: 2\n", r"has 'seed' twice, the second time in line 3\. Keep one of them"),
        ("seed: 2026-13-45\n", r"run\.yaml' holds a value that is none: month must be in 1\.\.12"),
        (f"seed: {'9' * 5001}\n", r"run\.yaml' holds a value that is none: Exceeds the limit"),
        (f"seed: {'[' * 2000}\n", r"run\.yaml' holds a value that is none: .*recursion"),
        ('register: "a\\0b"\n', r"--register must be text .*, not 'a\\x00b'"),
        (f"folds: {'9' * 500}\n", r"--folds must be auto or a whole number from 1 to 100, not 9"),
        (f"test_size: {'9' * 500}\n", r"--test-size must be a share above 0 and below 1, not 9"),
    ],
)
def test_a_bad_settings_file_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(TABLE, write(tmp_path, text))


def test_a_settings_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read: no such file"):
        load_settings(TABLE, str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"data: \xff\xfe")
    with pytest.raises(ConfigError, match=r"cannot be read: it is not UTF-8 text"):
        load_settings(TABLE, str(tmp_path / "bytes.yaml"))


def test_an_empty_settings_file_changes_nothing(tmp_path):
    assert load_settings(TABLE, write(tmp_path, "")) == load_settings(TABLE)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
NAMES = st.text("abcdefghijk_", min_size=1)


@given(
    st.builds(
        Settings,
        data=TEXT,
        target=TEXT,
        task=st.sampled_from(["auto", "binary", "multiclass", "regression"]),
        metric=st.none() | NAMES,
        positive=st.none() | TEXT,
        time_budget_s=st.integers(1, 10**6).map(lambda tenths: tenths / 10),
        max_trials=st.none() | st.integers(1, 1000),
        families=st.lists(NAMES, unique=True).map(tuple),
        n_folds=st.none() | st.integers(1, 100),
        predict_budget_us=st.none() | st.floats(0.1, 1e6),
        controller=st.none() | st.tuples(*[st.integers(1, 20)] * 3),
        test_size=st.none() | st.floats(0.01, 0.99),
        seed=st.integers(0, 2**31),
        n_cpus=st.none() | st.integers(1, 64),
        n_gpus=st.none() | st.integers(0, 8),
        tracking_uri=st.none() | TEXT,
    )
)
def test_settings_written_and_read_again_are_the_same(tmp_path_factory, config):
    file = write(tmp_path_factory.getbasetemp(), to_yaml(config))
    assert load_settings({}, file) == config


def test_the_reproducible_mode_survives_the_file(tmp_path):
    config = load_settings({**TABLE, "max_trials": 20, "register": "champion"})
    assert load_settings({}, write(tmp_path, to_yaml(config))) == config


@pytest.mark.parametrize(("said", "n_bytes"), [("4GB", 4e9), ("500 mb", 5e8), ("1.5g", 1.5e9), (4e9, 4e9)])
def test_a_size_has_a_unit(said, n_bytes, tmp_path):
    settings = load_settings({"data": "x", "target": "y", "max_memory": said})
    assert settings.max_memory_bytes == n_bytes
    (tmp_path / "config.yaml").write_text(to_yaml(settings))
    assert load_settings({}, str(tmp_path / "config.yaml")) == settings


def test_a_tolerance_without_a_number_of_trials_is_refused():
    with pytest.raises(ConfigError, match=r"--stop-tolerance 0\.1 says what counts as a gain; --stop-after says"):
        load_settings({"data": "x", "target": "y", "stop_tolerance": 0.1})


@pytest.mark.parametrize("said", ["4", 4, "GB", "-1GB", "4XB", True])
def test_a_size_without_a_unit_is_refused(said):
    with pytest.raises(ConfigError, match=r"--max-memory must be a size with its unit, e\.g\. 500MB, 4GB"):
        load_settings({"data": "x", "target": "y", "max_memory": said})


@pytest.mark.parametrize(("typed", "shown"), [(-3, "-3"), ("-3", "'-3'")])
def test_a_duration_that_is_none_is_shown_as_it_was_given(typed, shown):
    with pytest.raises(ConfigError, match=rf"above zero, not {shown}\."):
        parse_duration(typed)
