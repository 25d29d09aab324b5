"""A real leader of two families, registered in real stores and loaded where this checkout cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from stacktune.data.dataset import Dataset, load_dataset
from stacktune.data.folds import make_folds
from stacktune.ensemble.leader import Leader, build_leader
from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.serve import _load_pyfunc
from stacktune.errors import ConfigError, DataError
from stacktune.metrics import get_metric
from stacktune.report.outputs import write_leaderboard
from stacktune.runs.resume import write_config
from stacktune.runs.state import begin_state, write_state
from stacktune.runs.sync import sync
from stacktune.search.plan.plan import SizePlan
from stacktune.search_spaces import lightgbm, linear
from stacktune.settings.groups import Settings
from stacktune.settings.read import load_settings
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking import requirements
from stacktune.tracking.promotion import Evidence, settle_alias
from stacktune.tracking.registry import LeaderRecord, publish_leader, register_leader, resolve_model, save_model
from stacktune.tracking.requirements import requirements_for
from stacktune.tracking.store import store_for
from stacktune.tracking.tracker import Tracker
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import TrialResult, load_oof
from stacktune.trials.trial import Trial

# What a stranger runs: neither the checkout nor an installed stacktune can be imported, only a model's own code.
STRANGER = """
import json, sys, warnings
from importlib.machinery import PathFinder
from pathlib import Path
warnings.simplefilter("ignore")

class OnlyModelCode:
    def find_spec(name, path=None, target=None):
        if name == "stacktune":
            found = PathFinder.find_spec(name, [entry for entry in sys.path if Path(entry).name == "code"])
            if found is None:
                raise ModuleNotFoundError(name)
            return found

sys.meta_path.insert(0, OnlyModelCode)
try:
    import stacktune
except ModuleNotFoundError:
    hidden = True
import mlflow, pandas
store, uri, data, answer = sys.argv[1:]
mlflow.set_tracking_uri(store)
model = mlflow.pyfunc.load_model(uri)
predicted = model.predict(pandas.read_parquet(data))
predicted.to_parquet(answer)
import stacktune
print(json.dumps({
    "hidden": hidden, "code": stacktune.__file__, "ray": "ray" in sys.modules,
    "inputs": model.metadata.get_input_schema(),
    "outputs": model.metadata.get_output_schema().input_names(),
    "example": list(model.input_example.columns),
}))
"""


# What every run.json says.
FACTS = {"metric": "log_loss", "leader": "linear-0000", "cv_score": 0.5, "wall_s": 1.0}


def raw_frame() -> pd.DataFrame:
    """300 rows of each kind of column, with holes."""
    random = np.random.default_rng(0)
    amount, count = random.normal(size=300), random.integers(0, 50, 300)
    place = random.choice(["north", "south", "east"], 300)
    late = amount + (place == "north") + random.normal(scale=0.5, size=300) > 0.3
    frame = pd.DataFrame(
        {
            "amount": np.where(random.random(300) < 0.1, np.nan, amount),
            "count": count,
            "place": pd.Series(place).where(random.random(300) > 0.1),
            "member": random.random(300) > 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, 300), unit="D"),
            "late": np.where(late, "yes", "no"),
        }
    )
    return frame.astype({"place": "category"})


class Finished:
    """A finished run, up to its leader's folder."""

    def __init__(self, folder: Path):
        raw_frame().to_parquet(folder / "table.parquet")
        config = load_settings({"data": str(folder / "table.parquet"), "target": "late", "max_trials": 2}, None)
        self.dataset, _ = load_dataset(config)
        self.results = _climb_both(self.dataset, folder)
        self.leader_folder, self.table = folder / "leader", folder / "table.parquet"
        table = self.dataset.table
        oof = {result.trial_id: load_oof(result) for result in self.results}
        self.folds, metric = make_folds(table, self.dataset.task, 2, 0), get_metric("log_loss", "binary")
        self.board = build_leaderboard(self.results, oof, table.target, None, self.folds, self.dataset.task, metric)
        self.leader = build_leader(self.board, self.results, self.dataset, metric, self.leader_folder)


def _climb_both(dataset: Dataset, folder: Path) -> list[TrialResult]:
    metric = get_metric("log_loss", "binary")
    problem = Problem(dataset.table, dataset.task, make_folds(dataset.table, dataset.task, 2, 0), metric, 0)
    results = []
    for family, portfolio in (("lightgbm", lightgbm.PORTFOLIO), ("linear", linear.PORTFOLIO)):
        trial = Trial(f"{family}-0000", family, portfolio[0], must_complete=True)
        climbing = climb(trial, problem, TrialResources(folder / trial.trial_id, folder / "states"))
        try:
            while True:
                next(climbing)
        except StopIteration as ended:
            results.append(ended.value)
    return results


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Finished:
    return Finished(tmp_path_factory.mktemp("run"))


def register(run: Finished, uri: str, output: Path, name: str) -> tuple[Tracker, LeaderRecord]:
    tracker = Tracker(uri, "registered", store_for(uri, output).artifacts, "first run")
    tracker.start()
    example = run.dataset.example
    record = register_leader(tracker, run.leader_folder, example, run.leader.predict(example), name, output)
    assert record.model_uri == f"models:/{name}/{record.version}"
    record = settle_alias(uri, record, Evidence.of(run.dataset, run.folds, run.board))
    assert tracker.finish("FINISHED", {}, {})
    return tracker, record


def ask_a_stranger(store: str, uri: str, table: Path, folder: Path) -> tuple[pd.DataFrame, dict]:
    """Return the predictions of a fresh process that stands in `folder`, and what it says of the model."""
    command = [sys.executable, "-I", "-c", STRANGER, store, uri, str(table), str(folder / "answer.parquet")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(folder / "answer.parquet"), json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(params=["sqlite", "server"])
def store_uri(request) -> str:
    return request.getfixturevalue("sqlite_uri") if request.param == "sqlite" else request.getfixturevalue("server").uri


def test_a_stranger_predicts_with_the_registered_leader_as_the_leader_does(
    run, store_uri, tmp_path, monkeypatch, capfd
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tracker, record = register(run, store_uri, tmp_path / "out", "late parcels")
    assert (record.model_uri, record.name, record.problem) == ("models:/late parcels@leader", "late parcels", None)
    assert (record.alias, record.alias_reason) == ("leader", "it is the first")
    assert list(Path.cwd().iterdir()) == []
    assert capfd.readouterr() == ("", "")

    predicted, said = ask_a_stranger(store_uri, record.model_uri, run.table, tmp_path)
    pd.testing.assert_frame_equal(predicted, run.leader.predict(pd.read_parquet(run.table)))
    assert said["hidden"]
    assert Path(said["code"]).parts[-3:] == ("code", "stacktune", "__init__.py")
    assert not said["ray"]
    assert said["inputs"] is None
    assert said["example"] == ["amount", "count", "place", "member", "day"]
    assert said["outputs"] == ["prediction", "no", "yes"]

    client = MlflowClient(store_uri)
    version = client.get_model_version_by_alias("late parcels", "leader")
    _, parent_id = tracker.ids()
    assert (int(version.version), version.run_id) == (record.version, parent_id)
    (output,) = client.get_run(parent_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.name, logged.status, logged.artifact_location) == ("leader", "READY", version.source)
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "late parcels", "version": 1}]


def test_the_model_folder_of_the_output_serves_alone_and_pins_what_it_needs(run, sqlite_uri, tmp_path):
    _, record = register(run, sqlite_uri, tmp_path / "out", "parcels")
    assert record.folder == tmp_path / "out" / "leader"
    assert not [path for path in record.folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pyc")]
    pins = (record.folder / "requirements.txt").read_text().split()
    assert {pin.partition("==")[0] for pin in pins} >= {"mlflow", "numpy", "pandas", "lightgbm", "scikit-learn"}
    assert not {pin.partition("==")[0] for pin in pins} & {"ray", "xgboost", "torch", "stacktune"}
    about = yaml.safe_load((record.folder / "MLmodel").read_text())
    assert about["flavors"]["python_function"]["loader_module"] == "stacktune.ensemble.serve"
    predicted, _ = ask_a_stranger(sqlite_uri, str(record.folder), run.table, tmp_path)
    pd.testing.assert_frame_equal(predicted, run.leader.predict(pd.read_parquet(run.table)))


def test_frames_of_other_types_are_predicted_as_by_the_leader(run, sqlite_uri, tmp_path):
    _, record = register(run, sqlite_uri, tmp_path / "out", "other types")
    frame = pd.DataFrame(
        {
            "extra": ["x", "y", "z"],
            "day": ["2024-03-01", None, "2024-05-01"],
            "member": [None, True, False],
            "place": ["nowhere", None, "east"],
            "count": [1.0, np.nan, 3.0],
            "amount": [1, 2, 3],
        }
    )
    frame.to_parquet(tmp_path / "few.parquet")
    predicted, _ = ask_a_stranger(sqlite_uri, record.model_uri, tmp_path / "few.parquet", tmp_path)
    pd.testing.assert_frame_equal(predicted, run.leader.predict(frame))
    assert np.isfinite(predicted[["no", "yes"]].to_numpy()).all()


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(np.random.default_rng(1).permutation(300)),
        pd.Index(np.arange(300) % 7, name="shop"),
        pd.MultiIndex.from_product([["a", "b"], range(150)], names=["shop", "day"]),
    ],
)
def test_served_predictions_have_the_index_of_the_rows(run, tmp_path, sqlite_uri, index):
    """Predictions had an index of their own, so that pandas gave them to other rows."""
    _, record = register(run, sqlite_uri, tmp_path / "out", "rows in any order")
    pd.read_parquet(run.table).set_index(index).to_parquet(tmp_path / "turned.parquet")
    predicted, _ = ask_a_stranger(sqlite_uri, str(record.folder), tmp_path / "turned.parquet", tmp_path)
    pd.testing.assert_index_equal(predicted.index, index)
    in_order = run.leader.predict(pd.read_parquet(run.table))
    pd.testing.assert_frame_equal(predicted.reset_index(drop=True), in_order)


def test_the_alias_moves_to_a_leader_as_good_and_names_its_folder(run, store_uri, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri)
    _, first = register(run, store_uri, tmp_path / "one", "moving")
    _, second = register(run, store_uri, tmp_path / "two", "moving")
    assert second.version == first.version + 1
    for uri in ("models:/moving@leader", f"models:/moving/{first.version}"):
        (manifest,) = resolve_model(uri).glob("data/*/leader.json")
        frame = pd.read_parquet(run.table)
        pd.testing.assert_frame_equal(Leader.load(manifest.parent).predict(frame), run.leader.predict(frame))


@pytest.mark.parametrize("uri", ["models:/nobody@leader", "models:/nobody/1", "models:/nobody"])
def test_a_model_that_is_not_there_is_said_with_the_store(sqlite_uri, uri):
    with pytest.raises(ConfigError, match=r"there is no model 'models:/nobody.*' in sqlite:.*MLFLOW_TRACKING_URI"):
        resolve_model(uri, sqlite_uri)


def test_without_any_store_the_user_hears_where_to_name_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI is not set"):
        resolve_model("models:/late parcels@leader")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_gone_costs_the_registration_and_not_the_leader(run, proxy, tmp_path):
    tracker = Tracker(proxy.uri, "registered", None, "first run")
    tracker.start()
    tracker.ids()
    example = run.dataset.example
    output = run.leader.predict(example)
    proxy.mode = "drop"
    record = register_leader(tracker, run.leader_folder, example, output, "unheard", tmp_path / "out")
    proxy.mode = "open"
    assert (record.model_uri, record.name, record.version) == (None, None, None)
    assert "failed with exception" in record.problem
    predicted, _ = ask_a_stranger(f"sqlite:///{tmp_path}/none.db", str(record.folder), run.table, tmp_path)
    pd.testing.assert_frame_equal(predicted, run.leader.predict(pd.read_parquet(run.table)))
    assert tracker.finish("FINISHED", {}, {})


def test_code_of_a_model_that_was_changed_is_said_and_what_python_makes_of_it_is_none(run, sqlite_uri, tmp_path):
    """The digests covered the models, and not the code that reads them."""
    _, record = register(run, sqlite_uri, tmp_path / "out", "with code")
    code = record.folder / "code" / "stacktune"
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"made on import")
    served = _load_pyfunc(str(next(record.folder.glob("data/*"))))
    assert served.leader.members
    with (code / "errors.py").open("a") as file:
        file.write("\n# changed\n")
    with pytest.raises(DataError, match=r"the code in '.*/code' is not as it was written"):
        _load_pyfunc(str(next(record.folder.glob("data/*"))))


def test_a_model_with_a_link_in_it_is_not_sent_to_the_store(run, sqlite_uri, tmp_path):
    tracker, record = register(run, sqlite_uri, tmp_path / "out", "linked")
    (record.folder / "secret.txt").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match=r"holds a symbolic link, 'secret\.txt'"):
        publish_leader(tracker, record.folder, "linked")


def began(folder: Path, config: Settings, dataset: Dataset) -> None:
    """Write what a run of these settings leaves at its beginning."""
    made_by, size = Provenance("a-run", "a-digest"), SizePlan(2, False, opening=())
    write_state(folder, begin_state(made_by, folder.name, config, dataset, None, ["linear"], size))


def test_sync_registers_what_missed_the_store_by_the_same_rules(run, tmp_path):
    """It moved the alias to whatever it sent."""
    evidence = Evidence.of(run.dataset, run.folds, run.board)
    store = f"sqlite:///{tmp_path}/mlflow.db"
    said = []
    for number, score in enumerate([evidence.cv_score, evidence.cv_score + 1, evidence.cv_score - 0.1], start=1):
        folder = tmp_path / f"run{number}"
        example = run.dataset.example
        save_model(folder / "leader", run.leader_folder, example, run.leader.predict(example), with_code=False)
        config = Settings("x.parquet", "late", tracking_uri=store)
        write_config(folder, config)
        began(folder, replace(config, n_folds=2, register="late"), run.dataset)
        facts = FACTS | {
            "registered_version": None,
            "alias": None,
            "evidence": asdict(replace(evidence, cv_score=score)),
        }
        RunFolder(folder).write_summary(facts)
        write_leaderboard(run.board, folder)
        sync(folder, None, said.append)
        facts = json.loads((folder / "run.json").read_text())
        assert facts["alias"] == ("challenger" if number == 2 else "leader")
        assert facts["model_uri"] == ("models:/late/2" if number == 2 else "models:/late@leader")
    assert any("version 2 of late is its challenger" in line for line in said)
    assert any('set_registered_model_alias("late", "leader", "2")' in line for line in said)
    assert int(MlflowClient(store).get_model_version_by_alias("late", "leader").version) == 3


def test_sync_gives_the_alias_that_a_run_could_not(run, tmp_path, sqlite_uri):
    """The store went away between the registration and the alias."""
    _, record = register(run, sqlite_uri, tmp_path / "out", "half")
    MlflowClient(sqlite_uri).delete_registered_model_alias("half", "leader")
    write_config(tmp_path, config := Settings("x.parquet", "late", tracking_uri=sqlite_uri))
    began(tmp_path, replace(config, n_folds=2), run.dataset)
    evidence = asdict(Evidence.of(run.dataset, run.folds, run.board))
    facts = FACTS | {
        "registered_name": "half",
        "registered_version": record.version,
        "alias": None,
        "evidence": evidence,
    }
    RunFolder(tmp_path).write_summary(facts)
    write_leaderboard(run.board, tmp_path)
    sync(tmp_path, None, [].append)
    assert json.loads((tmp_path / "run.json").read_text())["alias"] == "leader"
    assert int(MlflowClient(sqlite_uri).get_model_version_by_alias("half", "leader").version) == record.version


def test_a_family_is_pinned_with_its_own_library_and_no_other():
    names = {pin.partition("==")[0] for pin in requirements_for(["stacktune.families.xgboost"])}
    assert {"xgboost", "numpy", "mlflow"} <= names
    assert not names & {"lightgbm", "torch", "ray"}


def test_requirements_are_read_beside_threads_that_parse(monkeypatch):
    """Two threads that parse at once fail before Python 3.11.8: a run of 15 s ended in a traceback."""

    def parse(*_, **__):
        raise SystemError("AST constructor recursion depth mismatch (before=39, after=42)")

    monkeypatch.setattr("ast.parse", parse)
    requirements._imports_of.cache_clear()
    assert "xgboost" in {pin.partition("==")[0] for pin in requirements_for(["stacktune.families.xgboost"])}
