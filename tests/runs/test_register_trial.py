"""`stacktune register` makes a version of a trial of a finished run, and of nothing that has no models."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit
from mlflow.tracking import MlflowClient
from whole_runs import lend_store

from stacktune.ensemble.leader import Leader
from stacktune.ensemble.member import load_member, predict_members
from stacktune.ensemble.out_of_fold import judged_in, keep_out_of_fold
from stacktune.errors import ConfigError, DataError
from stacktune.report.outputs import write_leaderboard
from stacktune.runs.mlflow_notes import model_facts
from stacktune.runs.predict import leader_folder
from stacktune.runs.register import register
from stacktune.runs.resume import write_config
from stacktune.runs.state import begin_state, write_state
from stacktune.search.plan.plan import SizePlan
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.promotion import Evidence
from stacktune.tracking.registry import publish_trial, resolve_model, save_model
from stacktune.tracking.tracker import Tracker
from stacktune.trials.provenance import Provenance


@dataclass(frozen=True)
class Finished:
    """A finished run's folder, and what it was made of."""

    folder: Path
    fitted: Fitted
    frame: pd.DataFrame

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder.parent / 'mlflow.db'}"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Finished:
    """A run of two trials and their ensembles, judged on test rows too."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    (folder / "trials").mkdir(parents=True)
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"weight": random.normal(size=240), "place": random.choice(["north", "south"], 240)})
    late = frame["weight"] + (frame["place"] == "north") + random.normal(scale=0.7, size=240) > 0.4
    frame["late"] = np.where(late, "yes", "no")
    fitted = fit(frame, "late", folder / "trials", ("lightgbm", "linear"), test_size=0.25)
    for result in fitted.results:
        result.save(result.place)
    config = Settings("parcels.parquet", "late", no_code=True, n_folds=fitted.problem.folds.n_folds)
    write_config(folder, config)
    size = SizePlan(fitted.problem.folds.n_folds, False, opening=())
    dataset, made_by = fitted.dataset, Provenance("a-run", "a-digest")
    write_state(folder, begin_state(made_by, folder.name, config, dataset, None, ["linear"], size))
    write_leaderboard(fitted.board, folder)
    of_rows = (fitted.problem.folds, dataset.row_numbers, fitted.problem.table)
    keep_out_of_fold(RunFolder(folder).out_of_fold, fitted.board, *of_rows)
    example, leader = dataset.example, fitted.leader
    save_model(RunFolder(folder).leader, leader.folder, example, leader.predict(example), with_code=False)
    row = fitted.board.leader
    facts = {"task": "binary", "target": "late", "metric": "roc_auc", "leader": row.name, "cv_score": row.score}
    facts |= {"wall_s": 1.0, "n_completed": 2, "n_stopped": 0, "n_failed": 0, "positive": "yes", "threshold": 0.5}
    evidence = Evidence.of(dataset, fitted.problem.folds, fitted.board)
    RunFolder(folder).write_summary(facts | {"test_score": row.test["roc_auc"], "evidence": asdict(evidence)})
    return Finished(folder, fitted, frame)


@pytest.fixture
def run(made, tmp_path) -> Finished:
    """The run, in a folder of its own: nothing is registered yet."""
    folder = shutil.copytree(made.folder, tmp_path / "runs" / "first")
    lend_store(["--output", folder], tmp_path)
    return replace(made, folder=folder)


def registered(run: Finished, trial: str, name: str | None = None, always: bool = False) -> list[str]:
    said: list[str] = []
    register(run.folder, trial, name, always, None, said.append)
    return said


def test_a_trial_becomes_a_version_that_predicts_as_its_models_do_and_says_what_it_is(run):
    said = registered(run, "linear-0000", "parcels")
    assert said[0] == "registered linear-0000 as models:/parcels/1, alias leader"
    assert said[-1] == "to predict with it: stacktune predict models:/parcels/1 TABLE.parquet"
    served = mlflow.pyfunc.load_model(str(resolve_model("models:/parcels@leader", run.store))).predict(run.frame)
    member = load_member(run.folder / "trials" / "linear-0000", "linear-0000", "linear")
    (expected,) = predict_members([member], run.fitted.dataset.schema.encode(run.frame))
    np.testing.assert_allclose(served["yes"], expected[:, 1])

    client = MlflowClient(run.store)
    version = client.get_model_version("parcels", "1")
    row = next(row for row in run.fitted.board.rows if row.name == "linear-0000")
    assert version.description.startswith(f"linear-0000, a trial of the run first: roc_auc {row.score:.5g} ± ")
    for part in (
        "models:/parcels/1",
        "- numeric: weight",
        "on the test rows",
        "learnt from parcels.parquet: 180 rows",
    ):
        assert part in version.description
    assert client.get_registered_model("parcels").description.startswith("Predicts **late** (binary)")
    evidence = json.loads(version.tags["stacktune.evidence"])
    assert (evidence["cv_score"], evidence["test_score"]) == (row.score, row.test["roc_auc"])


def test_the_alias_goes_by_the_rows_own_scores_and_moves_where_it_must_be(run):
    board = run.fitted.board
    rows = sorted((row for row in board.rows if row.kind == "trial"), key=lambda row: row.test["roc_auc"])
    worse, better = (row.name for row in rows)
    name = "trials-table-late"  # that of the run
    assert registered(run, better)[0] == f"registered {better} as models:/{name}/1, alias leader"
    said = registered(run, worse)
    assert said[0] == f"registered {worse} as models:/{name}/2, alias challenger"
    assert "on the same test rows, and version 1" in said[1]
    assert said[2].startswith("to promote it: python -c ")
    said = registered(run, worse, always=True)
    assert said[0] == f"registered {worse} as models:/{name}/3, alias leader"
    assert "leads by --register-always, though it scores" in said[1]
    before = (run.folder / "leader" / "MLmodel").read_bytes()
    leader = board.leader.name
    assert registered(run, leader)[0].startswith(f"registered {leader} as models:/{name}/4, alias ")
    assert (run.folder / "leader" / "MLmodel").read_bytes() == before


def test_what_has_no_models_is_refused_with_what_has(run):
    leader = run.fitted.board.leader.name
    others = [row.name for row in run.fitted.board.rows if row.kind == "ensemble" and row.name != leader]
    can = rf"These can be registered: {leader}.*"
    with pytest.raises(ConfigError, match=r"has no row 'linear-000'\. Did you mean 'linear-0000'\?"):
        registered(run, "linear-000")
    for models in (run.folder / "trials" / "linear-0000").glob("fold*"):
        shutil.rmtree(models)
    with pytest.raises(ConfigError, match=rf"{others[0]} needs models of linear-0000, which are not in .* {can}"):
        registered(run, others[0])
    RunFolder(run.folder).out_of_fold.unlink()
    with pytest.raises(ConfigError, match=rf"what {others[0]} was made of is not in .* any more"):
        registered(run, others[0])
    with pytest.raises(ConfigError, match=rf"the models of linear-0000 were not kept: others were better\. {can}"):
        registered(run, "linear-0000")
    with pytest.raises(ConfigError, match="name has no '/'"):
        registered(run, leader, "a/b")
    board = pd.read_parquet(run.folder / "leaderboard.parquet")
    board.loc[board["name"] == "lightgbm-0000", "status"] = "stopped"
    board.to_parquet(run.folder / "leaderboard.parquet", index=False)
    with pytest.raises(ConfigError, match=rf"lightgbm-0000 has no model: it was stopped\. {can}"):
        registered(run, "lightgbm-0000")
    assert MlflowClient(run.store).search_registered_models() == []


def test_an_ensemble_that_does_not_lead_predicts_what_the_leaderboard_says(run):
    """It was refused: nothing but the leader was kept of ensembles."""
    board, leader = run.fitted.board, run.fitted.board.leader.name
    problem = run.fitted.problem
    for row in (row for row in board.rows if row.kind == "ensemble" and row.name != leader):
        assert registered(run, row.name, row.name)[0] == f"registered {row.name} as models:/{row.name}/1, alias leader"
        model = resolve_model(f"models:/{row.name}/1", run.store)
        found = Leader.load(leader_folder(str(model)))
        # Its out-of-fold score, by the blends that were kept, is the leaderboard's.
        judged = judged_in(run.folder, row.name)
        scores = [
            problem.metric.score(judged.labels[own], judged.prediction[own], None)
            for block in range(problem.folds.n_blocks)
            for own in [judged.blocks == block]
        ]
        assert np.mean(scores) == pytest.approx(row.score)
        assert found.blend == row.blend
        assert found.threshold == board.threshold(row)
        # What it predicts is that blend of the members' models that the leaderboard judged on the test rows.
        shown = problem.metric.score(run.fitted.test.labels, found.predict_table(run.fitted.test), None)
        assert shown == pytest.approx(row.test["roc_auc"])
        version = MlflowClient(run.store).get_model_version(row.name, "1")
        # Members are named where there are several; an ensemble may have come down to one.
        assert len(row.members) == 1 or all(name in version.description for name in row.members)


def test_a_run_that_kept_no_weights_of_ensembles_says_so(run):
    path = RunFolder(run.folder).out_of_fold
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept}
    how = json.loads(str(arrays.pop("how")))
    how.pop("ensembles")
    np.savez(path, how=np.array(json.dumps(how)), **arrays)
    leader = run.fitted.board.leader.name
    other = next(row.name for row in run.fitted.board.rows if row.kind == "ensemble" and row.name != leader)
    with pytest.raises(ConfigError, match=r"this run kept no weights of such: an earlier stacktune made it\. These"):
        registered(run, other)


def test_a_leader_whose_description_was_changed_is_not_described(run):
    """Its columns were once read past the digest that tells of changes."""
    (description,) = (run.folder / "leader").glob("data/*/leader.json")
    description.write_text(description.read_text().replace('"weight"', '"wait"'))
    with pytest.raises(DataError, match=r"leader\.json was changed"):
        model_facts(run.folder)


def test_a_model_that_is_sent_file_by_file_is_whole_and_tells_how_far_it_is(run):
    """A long upload showed nothing but the time."""
    folder, told = run.folder / "leader", []
    tracker = Tracker(run.store, "sent")
    tracker.start()
    record = publish_trial(tracker, folder, "sent", None, told.append)
    tracker.close()
    sizes = {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert record.problem is None
    assert sorted(told) == sorted(sizes.values())
    there = resolve_model("models:/sent/1", run.store)
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} >= set(sizes)
