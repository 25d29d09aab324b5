"""What a run keeps of its beginning, and what of it may not change when it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from whole_runs import mixed_table

from stacktune.data.dataset import Dataset, load_dataset
from stacktune.data.folds import make_folds
from stacktune.data.table import Table
from stacktune.errors import ConfigError, DataError
from stacktune.metrics import get_metric
from stacktune.runs.resume import resume_config, write_config
from stacktune.runs.state import RunState, begin_state, experiment_name, model_name, new_run, provenance_of, write_state
from stacktune.runs.sync import sync
from stacktune.search.journal import Journal
from stacktune.search.plan.plan import SizePlan
from stacktune.settings.groups import SETTINGS, URIS, Settings
from stacktune.settings.read import load_settings
from stacktune.settings.resuming import kept_settings
from stacktune.settings.setting import Resume
from stacktune.trials.climb import Problem


def began(folder: Path, config: Settings, run: str = "a-run") -> RunState:
    """Write what a run with these settings leaves at its beginning."""
    write_config(folder, config)
    settings = kept_settings(config)
    table = ("d", 10, ("x",), (), None)
    state = RunState(run, "run", "/desk", *table, settings, "m", "x", "x", ("linear",), 5, False, ())
    write_state(folder, state)
    return state


def test_passwords_are_not_kept_and_asked_for_again(tmp_path):
    tracking_uri = "postgresql://me:very-secret@db/mlflow"
    state = began(tmp_path, Settings("s3://key:very-secret@bucket/x.parquet", "y", tracking_uri=tracking_uri))
    assert not any(b"very-secret" in path.read_bytes() for path in tmp_path.iterdir())
    with pytest.raises(ConfigError, match=r"password of 'postgresql://\*{3}@db/mlflow' was not kept .* --tracking-uri"):
        resume_config(tmp_path, {})
    with pytest.raises(ConfigError, match=r"password of 's3://\*{3}@bucket/x.parquet' was not kept .* give DATA"):
        resume_config(tmp_path, {"tracking_uri": tracking_uri})
    with pytest.raises(
        ConfigError, match=r"--tracking-uri is 'postgresql://\*{3}@other/mlflow' and was 'postgresql://\*{3}@db"
    ):
        resume_config(tmp_path, {"tracking_uri": "postgresql://me:very-secret@other/mlflow"})
    config, past = resume_config(tmp_path, {"tracking_uri": tracking_uri, "data": "/moved/x.parquet"})
    assert (config.tracking_uri, config.data) == (tracking_uri, "/moved/x.parquet")
    assert (config.experiment, past.state) == ("x", state)
    # Whatever the names are that this version would give: an earlier one gave the table's alone.
    assert model_name(config, None) == experiment_name(config, None) == "x"


@pytest.mark.parametrize("name", URIS)
def test_each_setting_whose_password_was_left_out_is_asked_for_again(name, tmp_path):
    """`--storage` and `--test-data` went on with stars for a password; one with quotes and blanks was kept."""
    uri = "s3://key:very 'secret'/x@bucket/x.parquet?secret_key=secret"
    began(tmp_path, Settings(**{"data": "x.parquet", "target": "y", name: uri}))
    assert not any(b"secret'" in path.read_bytes() for path in tmp_path.iterdir())
    flag = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"password of 's3://\*{{3}}@bucket/.*' was not kept .* give {flag} again"):
        resume_config(tmp_path, {})
    config, _ = resume_config(tmp_path, {name: uri})
    assert getattr(config, name) == uri
    if name == "tracking_uri":  # tables and copies may have moved; digests hold them against the run's own
        with pytest.raises(ConfigError, match=rf"{flag} is 's3://\*{{3}}@other' and was 's3://\*{{3}}@bucket/"):
            resume_config(tmp_path, {name: "s3://key:very-secret@other"})


def test_sync_asks_for_a_password_that_was_not_kept(tmp_path):
    began(tmp_path, Settings("x.parquet", "y", tracking_uri="postgresql://me:a/b c@db/mlflow"))
    with pytest.raises(ConfigError, match=r"password of 'postgresql://\*{3}@db/mlflow' .* give --tracking-uri again"):
        sync(tmp_path, None, pytest.fail)


def test_a_state_that_no_run_wrote_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"state\.json' is not what a run wrote"):
        resume_config(tmp_path, {})


@pytest.mark.parametrize("older", ["{}", None], ids=["unknown", "without a run's id"])
def test_a_run_that_another_version_began_is_refused(tmp_path, older):
    began(tmp_path, Settings("x.parquet", "y", max_trials=5))
    state = json.loads((tmp_path / "state.json").read_text())
    kept = {name: value for name, value in state.items() if name not in ("run", "settings", "state_format")}
    (tmp_path / "state.json").write_text(older or json.dumps(kept))
    with pytest.raises(ConfigError, match=r"was begun by another version of stacktune, whose trials"):
        resume_config(tmp_path, {})


# Each key of config.yaml that may not change: what it says, what it is changed to, and what is said of that.
EDITED = {
    "target": ("y", "z", "--target is 'z' in '.*config.yaml' and was 'y'"),
    "seed": (3, 4, "--seed is 4 in .* and was 3"),
    "folds": (5, 3, "--folds is 3 in .* and was 5"),
    "metric": ("f1", "mcc", "--metric is 'mcc' in .* and was 'f1'"),
    "cost": (["fn=10", "fp=1"], ["fn=5", "fp=1"], "--cost is 'fn=5,fp=1' in .* and was 'fn=10,fp=1'"),
    "balance": (True, False, "--balance is False in .* and was True"),
    "class_weights": (["a=2"], ["a=3"], "--class-weights is 'a=3' in .* and was 'a=2'"),
    "monotone": (["a=1"], ["a=-1"], "--monotone is 'a=-1' in .* and was 'a=1'"),
    "interactions": (["a,b", "c"], ["a,c", "b"], "--interactions is 'a,c,b' in .* and was 'a,b,c'"),
    "task": ("binary", "multiclass", "--task is 'multiclass' in .* and was 'binary'"),
    "positive": ("1", "0", "--positive is '0' in .* and was '1'"),
    "weight": ("w", "v", "--weight is 'v' in .* and was 'w'"),
    "keep": (["a", "b"], ["a"], "--keep is 'a' in .* and was 'a,b'"),
    "sample_rows": (50, 60, "--sample-rows is 60 in .* and was 50"),
    "test_size": (0.2, 0.3, "--test-size is 0.3 in .* and was 0.2"),
    "loss": ("mae", "huber", "--loss is 'huber' in .* and was 'mae'"),
    "refit": (True, False, "--refit is False in .* and was True"),
    "interval": (0.9, 0.8, "--interval is 0.8 in .* and was 0.9"),
    "calibrate": (True, False, "--calibrate is False in .* and was True"),
    "start_from": (
        {"family": "linear", "config": {"C": 1}, "source": "runs/one"},
        {"family": "linear", "config": {"C": 2}, "source": "runs/one"},
        "--start-from is .*'C': 2.* in .* and was .*'C': 1",
    ),
    "axes": (["C"], ["scaling"], "--axes is 'scaling' in .* and was 'C'"),
    "preset": ("fast", "best", "--preset is 'best' in .* and was 'fast'"),
    "exclude": (["nas"], ["mlp"], "--exclude is 'mlp' in .* and was 'nas'"),
    "search_space": ({"linear": {"C": 1}}, {"linear": {"C": [2]}}, r"--search-space is .*\[2\].* in .* and was .*1"),
    "max_model_size": (9.0, 10.0, "--max-model-size is 10.0 in .* and was 9.0"),
    "predict_budget": (9.0, 10.0, "--predict-budget is 10.0 in .* and was 9.0"),
    "controller": ([1, 1, 8], [1, 1, 4], "--controller is '1,1,4' in .* and was '1,1,8'"),
    "tracking_uri": ("http://a", "http://b", "--tracking-uri is 'http://b' in .* and was 'http://a'"),
    "experiment": ("x", "other", "--experiment is 'other' in .* and was 'x'"),
    "register": ("x", "other", "--register is 'other' in .* and was 'x'"),
    "input_example": ("real", "made-up", "--input-example is 'made-up' in .* and was 'real'"),
    "no_code": (True, False, "--no-code is False in .* and was True"),
    "time": ("day", "hour", "--time is 'hour' in .* and was 'day'"),
    "gap": ("7d", "8d", "--gap is '8d' in .* and was '7d'"),
}
# Those that go with none of the others that split rows.
EDITED_ALONE = {"group": ("shop", "day"), "fold_column": ("shop", "day"), "stratify": (True, False), "repeats": (2, 3)}


@pytest.fixture
def edited_run(tmp_path) -> Path:
    """A folder whose config.yaml says all of `EDITED`."""
    settings = {key: said for key, (said, _, _) in EDITED.items()}
    settings |= {"data": "x.parquet", "max_trials": 5, "search": "grid"}
    (tmp_path / "given.yaml").write_text(yaml.safe_dump(settings))
    began(tmp_path, load_settings({}, str(tmp_path / "given.yaml")))
    assert resume_config(tmp_path, {})[0].seed == 3
    return tmp_path


def edit(folder: Path, **changes: object) -> None:
    """Change config.yaml; None takes a key out."""
    settings = yaml.safe_load((folder / "config.yaml").read_text()) | changes
    left = {key: value for key, value in settings.items() if value is not None}
    (folder / "config.yaml").write_text(yaml.safe_dump(left))


@pytest.mark.parametrize("key", EDITED)
def test_a_setting_that_was_edited_is_refused_by_name_with_both_values(edited_run, key):
    """Another seed mixed two splits into folds."""
    edit(edited_run, **{key: EDITED[key][1]})
    with pytest.raises(ConfigError, match=EDITED[key][2] + r".*Put it back, or begin a new run"):
        resume_config(edited_run, {})


@pytest.mark.parametrize(
    "key", sorted(EDITED.keys() - {"target", "experiment", "register", "time", "axes", "start_from"})
)
def test_a_setting_that_was_taken_out_is_refused(edited_run, key):
    edit(edited_run, **{key: None})
    with pytest.raises(ConfigError, match=rf"--{key.replace('_', '-')} is .* in .*config.yaml' and was "):
        resume_config(edited_run, {})


@pytest.mark.parametrize("key", EDITED_ALONE)
def test_another_split_of_the_rows_is_refused(tmp_path, key):
    said, edited = EDITED_ALONE[key]
    (tmp_path / "given.yaml").write_text(yaml.safe_dump({"data": "x.parquet", "target": "y", key: said}))
    began(tmp_path, load_settings({}, str(tmp_path / "given.yaml")))
    edit(tmp_path, **{key: edited})
    flag = key.replace("_", "-")
    with pytest.raises(ConfigError, match=rf"--{flag} is {edited!r} in .* and was {said!r}.*Put it back"):
        resume_config(tmp_path, {})


def test_a_plan_that_was_edited_or_taken_out_is_refused(tmp_path):
    """It goes with no `families`, which `EDITED` has."""
    began(tmp_path, load_settings({"data": "x.parquet", "target": "y", "max_trials": 5, "plan": ["linear"]}))
    for changed in ([{"family": "mlp"}], None):
        edit(tmp_path, plan=changed)
        with pytest.raises(ConfigError, match=r"--plan is .* in .*config\.yaml' and was .*linear"):
            resume_config(tmp_path, {})


def test_a_grid_that_became_another_search_is_refused(edited_run):
    edit(edited_run, search=None, axes=None)
    with pytest.raises(ConfigError, match=r"--(search|axes) is .* in .*config\.yaml' and was "):
        resume_config(edited_run, {})


def test_every_setting_may_change_or_is_tried_here():
    free = {one.key for one in SETTINGS if one.spec.resume in (Resume.FREE, Resume.TYPED)}
    assert {one.key for one in SETTINGS} == EDITED.keys() | EDITED_ALONE.keys() | {"plan", "search"} | free


def test_comments_order_and_what_may_change_are_taken_from_an_edited_file(edited_run):
    edit(edited_run, max_trials=9, cpus=1, max_failures=0, storage="s3://other/runs", tracking_optional=True)
    settings = yaml.safe_load((edited_run / "config.yaml").read_text())
    lines = [f"{key}:   {json.dumps(settings[key])}  # was: ?" for key in reversed(settings)]
    (edited_run / "config.yaml").write_text("# ours\n\n" + "\n\n".join(lines))
    config, _ = resume_config(edited_run, {})
    assert (config.max_trials, config.n_cpus, config.max_failures, config.storage) == (9, 1, 0, "s3://other/runs")


def test_a_cluster_is_joined_only_if_the_command_says_so_and_elsewhere_is_said(edited_run):
    edit(edited_run, address="attacker:6379", storage="s3://key:very-secret@bucket")
    config, past = resume_config(edited_run, {"storage": "s3://key:very-secret@bucket"})
    assert config.address is None
    assert any("Ray cluster at attacker:6379, which is joined again only where --address" in one for one in past.notes)
    assert any("config.yaml says, the run logs to http://a" in one for one in past.notes)
    config, past = resume_config(edited_run, {"address": "ours:6379", "storage": "s3://bucket"})
    assert config.address == "ours:6379"
    assert not any("joined again" in one for one in past.notes)


@pytest.mark.parametrize("flag", ["storage", "test_data"])
def test_passwords_of_places_are_asked_for_again(tmp_path, flag):
    began(tmp_path, Settings("x.parquet", "y", max_trials=5, **{flag: "s3://key:very-secret@bucket/x"}))
    option = f"--{flag.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"password of 's3://\*{{3}}@bucket/x' was not kept .* give {option} again"):
        resume_config(tmp_path, {})
    given = "s3://key:very-secret@bucket/x"
    assert getattr(resume_config(tmp_path, {flag: given})[0], flag) == given


def test_the_journal_of_another_run_is_refused(tmp_path):
    began(tmp_path, Settings("x.parquet", "y", max_trials=5))
    for run in ("a-run", "another"):
        journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
        journal.began(run)
        journal.close()
        if run == "a-run":
            resume_config(tmp_path, {})
    with pytest.raises(ConfigError, match=r"holds the state of one run and the journal of another"):
        resume_config(tmp_path, {})


def state_of(folder: Path, **changes: object) -> tuple[RunState, Dataset, Table, Problem]:
    """Return what a run of a table begins with, and the table, or of one that was changed."""
    frame = mixed_table().head(200)
    frame.loc[frame.index[0], "mean area"] += changes.pop("area", 0)
    test = frame.tail(20).assign(**{"mean area": frame["mean area"].tail(20) + changes.pop("test_area", 0)})
    frame.head(180).to_parquet(folder / "x.parquet")
    test.to_parquet(folder / "test.parquet")
    places = {"test_data": str(folder / "test.parquet"), "weight": "weight", "n_folds": 3}
    config = Settings(str(folder / "x.parquet"), "diagnosis", **places, **changes)
    dataset, rows = load_dataset(config)
    folds = make_folds(dataset.table, dataset.task, 3, config.seed)
    problem = Problem(dataset.table, dataset.task, folds, get_metric(config.metric, dataset.task.kind), config.seed)
    size = SizePlan(3, False)
    made_by = provenance_of("a-run", config, dataset, problem)
    return begin_state(made_by, "run", config, dataset, rows, ["linear"], size), dataset, rows, problem


def test_content_is_compared_of_training_and_of_test_rows(tmp_path):
    state, *same = state_of(tmp_path)
    state.check(*same[:2])
    state.check_folds(same[0], same[2])
    with pytest.raises(DataError, match="its values differ"):
        state.check(*state_of(tmp_path, area=1)[1:3])
    with pytest.raises(DataError, match="its test rows differ"):
        state.check(*state_of(tmp_path, test_area=1)[1:3])
    with pytest.raises(DataError, match=r"its test rows differ: .* before, None now"):
        state.check(same[0], None)
    _, dataset, _, otherwise_split = state_of(tmp_path, seed=1)
    with pytest.raises(DataError, match="give other folds than when the run began"):
        state.check_folds(dataset, otherwise_split)


def test_a_function_of_the_users_that_was_changed_is_refused(tmp_path):
    state = replace(state_of(tmp_path)[0], metric_version="a digest of its module")
    metric = replace(get_metric("f1", "binary"), version="a digest of its module")
    state.check_metric(metric)
    with pytest.raises(ConfigError, match="what f1 is made of has changed"):
        state.check_metric(replace(metric, version="another"))


def test_what_trials_bear_differs_by_run_rows_settings_and_folds(tmp_path):
    state = state_of(tmp_path)[0]
    others = [state_of(tmp_path, **changes)[0] for changes in ({"area": 1}, {"seed": 1}, {"metric": "f1"})]
    assert len({one.made_of for one in (state, *others)}) == 4
    assert state_of(tmp_path)[0].made_by == state.made_by
    assert new_run() != new_run()


def test_a_time_budget_is_time_on_top_of_what_was_taken(tmp_path):
    began(tmp_path, Settings("x.parquet", "y", max_trials=5))
    (tmp_path / "journal.jsonl").write_text(json.dumps({"event": "alive", "elapsed_s": 40.0, "what": {}}) + "\n")
    config, past = resume_config(tmp_path, {"time_budget": "2m"})
    assert (config.time_budget_s, config.max_trials, past.elapsed_s) == (160.0, None, 40.0)
    assert config.data == "/desk/x.parquet"
    config, _ = resume_config(tmp_path, {"max_trials": 9})
    assert (config.time_budget_s, config.max_trials) == (None, 9)
