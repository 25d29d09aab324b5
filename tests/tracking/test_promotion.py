"""Which version is called the leader: real versions in a real store, and scores as runs may leave them."""

from __future__ import annotations

import itertools
import json
import random
import re
import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from mlflow.tracking import MlflowClient

from stacktune.tracking import promotion
from stacktune.tracking.client import connect
from stacktune.tracking.promotion import Evidence, compared, evidence_from, promoting_command, say_alias, settle_alias
from stacktune.tracking.registry import LeaderRecord

FIRST = Evidence("binary", "late", "roc_auc", "yes", "c", "x", 0.80, "folds 1", 0.70, "rows 1")
names = (f"model {number}" for number in itertools.count())


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def client(store) -> MlflowClient:
    return connect(store)


@pytest.fixture
def name(client) -> str:
    client.create_registered_model(name := next(names))
    return name


def version_of(client: MlflowClient, name: str) -> LeaderRecord:
    created = client.create_model_version(name, "file:///nowhere", None)
    return LeaderRecord(Path("nowhere"), name, int(created.version))


def holder(client: MlflowClient, name: str, alias: str = "leader") -> int:
    return int(client.get_model_version_by_alias(name, alias).version)


BETTER = {
    "better on the same test rows, other training rows": {"test_score": 0.75, "cv_score": 0.6, "cv_on": "folds 2"},
    "as good": {},
    "better in the same folds, without test rows": {"cv_score": 0.81, "test_score": None, "test_on": None},
    "better in the same folds, on other test rows": {"cv_score": 0.81, "test_score": 0.1, "test_on": "rows 2"},
}
WORSE = {
    "on the same test rows": (
        {"test_score": 0.69, "cv_score": 0.9},
        r"it scores 0\.69 on the same test rows, and",
    ),
    "in the same folds": ({"cv_score": 0.79, "test_on": "rows 2"}, r"0\.79 in the same folds, and version 1 0\.8"),
    "on other rows": ({"cv_score": 0.9, "cv_on": "folds 2", "test_on": "rows 2"}, r"other rows .* same --test-data"),
    "with an undefined score": (
        {"cv_on": "folds 2", "test_score": float("nan")},
        r"scored on other rows than version 1",
    ),
    "by another metric": ({"metric": "f1"}, r"its metric is 'f1', and that of version 1 is 'roc_auc'"),
    "of another target": ({"target": "early"}, r"its target is 'early'"),
    "of another task": ({"task": "regression"}, r"its task is 'regression'"),
    "with another positive class": ({"positive": "no"}, r"its positive is 'no'"),
    "with other columns": ({"columns": "y"}, r"columns are not those of version 1; --register gives it a name"),
    "with other classes": ({"classes": "d"}, r"classes are not those of version 1"),
}


@pytest.mark.parametrize("case", BETTER)
def test_the_alias_moves_to_a_version_that_is_shown_to_be_no_worse(case, store, client, name):
    settle_alias(store, version_of(client, name), FIRST)
    record = settle_alias(store, version_of(client, name), replace(FIRST, **BETTER[case]))
    assert (record.alias, record.model_uri, record.promote) == ("leader", f"models:/{name}@leader", None)
    assert holder(client, name) == 2
    assert client.get_model_version(name, "2").tags["stacktune.alias_reason"] == record.alias_reason


@pytest.mark.parametrize("case", WORSE)
def test_any_other_version_is_a_challenger_and_says_why_and_how_it_is_promoted(case, store, client, name):
    """`@leader` moved to whichever run ended last: to a worse model, and to one of another table."""
    changed, reason = WORSE[case]
    settle_alias(store, version_of(client, name), FIRST)
    record = settle_alias(store, version_of(client, name), replace(FIRST, **changed))
    assert (record.alias, record.model_uri) == ("challenger", f"models:/{name}/2")
    assert (holder(client, name), holder(client, name, "challenger")) == (1, 2)
    tags = client.get_model_version(name, "2").tags
    assert tags["stacktune.alias"] == "challenger"
    assert tags["stacktune.alias_reason"] == record.alias_reason
    said = []
    say_alias(record, said.append)
    assert re.search(reason, said[0])


@pytest.mark.parametrize("evidence", [replace(FIRST, test_score=0.1), None], ids=["worse", "says nothing"])
def test_register_always_lets_it_lead_and_says_so(evidence, store, client, name):
    settle_alias(store, version_of(client, name), FIRST)
    record = settle_alias(store, version_of(client, name), evidence, always=True)
    assert (record.alias, record.model_uri, record.promote) == ("leader", f"models:/{name}@leader", None)
    assert holder(client, name) == 2
    assert client.get_model_version(name, "2").tags["stacktune.alias_reason"] == record.alias_reason
    said = []
    say_alias(record, said.append)
    assert re.search(rf"^version 2 of {name} leads by --register-always, though it (scores 0\.1|does not)", said[0])


def test_register_always_changes_nothing_of_a_version_that_leads_anyway(store, client, name):
    settle_alias(store, version_of(client, name), FIRST, always=True)
    record = settle_alias(store, version_of(client, name), replace(FIRST, test_score=0.9), always=True)
    assert (record.alias, holder(client, name)) == ("leader", 2)
    assert record.alias_reason.startswith("it scores 0.9 on the same test rows")
    said = []
    say_alias(record, said.append)
    assert said == []


def test_a_smaller_error_is_no_worse(store, client, name):
    of_values = replace(FIRST, task="regression", metric="rmse", positive=None)
    settle_alias(store, version_of(client, name), of_values)
    assert settle_alias(store, version_of(client, name), replace(of_values, test_score=0.71)).alias == "challenger"
    assert settle_alias(store, version_of(client, name), replace(of_values, test_score=0.69)).alias == "leader"


def test_beside_a_version_that_says_nothing_a_new_one_is_a_challenger(store, client, name):
    """As those are that an earlier stacktune, or somebody else, has registered."""
    client.set_registered_model_alias(name, "leader", str(version_of(client, name).version))
    record = settle_alias(store, version_of(client, name), FIRST)
    assert (record.alias, record.alias_reason) == ("challenger", "version 1 does not say what it was scored on")
    client.set_model_version_tag(name, "1", promotion.EVIDENCE_TAG, json.dumps({"metric": "of tomorrow"}))
    assert settle_alias(store, record, FIRST).alias == "challenger"
    assert settle_alias(store, version_of(client, name), None).alias == "challenger"


def test_the_command_that_is_said_promotes(store, client, name):
    settle_alias(store, version_of(client, name), FIRST)
    record = settle_alias(store, version_of(client, name), replace(FIRST, test_score=0.1))
    python, option, program = shlex.split(record.promote)
    assert (python, option) == ("python", "-c")
    exec(program, {})
    assert holder(client, name) == 2
    # It now is what others are held against.
    assert settle_alias(store, version_of(client, name), replace(FIRST, test_score=0.2)).alias == "leader"


def test_the_command_holds_no_password():
    assert "MlflowClient()" in promoting_command("postgresql://me:secret@host/db", "it's", 3)


def test_settled_again_the_leader_stays_the_leader(store, client, name):
    """As of a run that was resumed after its end, or that `sync` finds half registered."""
    record = settle_alias(store, version_of(client, name), FIRST)
    assert settle_alias(store, record, FIRST).alias == "leader"


def test_a_store_that_is_away_costs_the_alias_alone():
    record = LeaderRecord(Path("nowhere"), "x", 1)
    settled = settle_alias("http://127.0.0.1:9", record, FIRST)
    assert (settled.alias, settled.version, settled.model_uri) == (None, 1, "models:/x/1")
    assert settled.problem


@pytest.mark.parametrize("seed", range(3))
def test_of_runs_that_end_at_once_the_best_is_the_leader(seed, store, client, name, monkeypatch):
    """Each has seen the same leader, is better than it, and sets the alias whenever it comes to it."""
    settle_alias(store, version_of(client, name), FIRST)
    scores = random.Random(seed).sample([0.72, 0.74, 0.76, 0.78], 4)
    records = [version_of(client, name) for _ in scores]
    both, seen = threading.Barrier(len(scores)), promotion._holder

    def seen_by_all(*asked):
        found = seen(*asked)
        both.wait(timeout=60)
        time.sleep(random.random() / 20)
        return found

    monkeypatch.setattr(promotion, "_holder", seen_by_all)
    with ThreadPoolExecutor(len(scores)) as pool:
        settled = list(
            pool.map(lambda one, score: settle_alias(store, one, replace(FIRST, test_score=score)), records, scores)
        )
    best = records[scores.index(max(scores))].version
    assert holder(client, name) == best
    assert next(one for one in settled if one.version == best).alias == "leader"


def test_of_first_runs_that_end_at_once_and_compare_with_none_the_earliest_leads(store, client, name, monkeypatch):
    first, second = version_of(client, name), version_of(client, name)
    assert settle_alias(store, first, FIRST).alias == "leader"
    monkeypatch.setattr(promotion, "_holder", lambda *_: None)  # as the second saw it before
    record = settle_alias(store, second, replace(FIRST, columns="y"))
    assert (record.alias, holder(client, name)) == ("challenger", 1)
    assert "version 1 ended at the same time" in record.alias_reason


def table(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=200), "k": rng.choice(["a", "b"], 200)})
    return frame.assign(y=np.where(frame["x"] + rng.normal(size=200) > 0, "up", "down"))


def evidence(folder: Path, frame: pd.DataFrame, test: pd.DataFrame, **settings) -> Evidence:
    folder.mkdir()
    test.to_parquet(folder / "test.parquet")
    fitted = fit(frame, "y", folder, ("linear",), test_data=str(folder / "test.parquet"), **settings)
    stored = json.loads(json.dumps(asdict(Evidence.of(fitted.dataset, fitted.problem.folds, fitted.board))))
    assert evidence_from(stored) is not None
    return evidence_from(stored)


def test_a_metric_of_the_runs_own_says_what_it_is_made_of_and_how_it_is_meant(tmp_path):
    """Versions with other costs have other metrics, and what an earlier stacktune wrote of others is still read."""
    frame, test = table(0), table(1)
    dear = evidence(tmp_path / "dear", frame, test, cost=("fn=10", "fp=1"))
    even = evidence(tmp_path / "even", frame, test, cost=("fn=1", "fp=1"))
    assert (dear.metric, dear.is_greater_better) == ("cost of tn=0,fp=1,fn=10,tp=0", False)
    assert compared(dear, even, 1).reason.startswith("its metric is 'cost of tn=0,fp=1,fn=10,tp=0'")
    cheaper = replace(dear, test_score=dear.test_score - 0.1)
    assert compared(cheaper, dear, 1).is_no_worse
    assert not compared(dear, cheaper, 1).is_no_worse
    earlier = {key: value for key, value in asdict(FIRST).items() if key != "greater_is_better"}
    assert evidence_from(earlier) == FIRST
    assert evidence_from({**earlier, "metric": "house.f2"}) is None


def test_evidence_says_what_is_the_same_and_what_is_not(tmp_path):
    frame, test = table(0), table(1)
    one = evidence(tmp_path / "one", frame, test)
    assert evidence(tmp_path / "again", frame, test) == one
    turned = evidence(tmp_path / "turned", frame, test.sample(frac=1, random_state=0)[["y", "k", "x"]])
    assert (turned.test_on, turned.cv_on) == (one.test_on, one.cv_on)
    later = evidence(tmp_path / "later", table(2), test)
    assert later.test_on == one.test_on
    assert (later.columns, later.classes) == (one.columns, one.classes)
    assert later.cv_on != one.cv_on
    assert evidence(tmp_path / "seed", frame, test, seed=1).cv_on != one.cv_on
    changed = test.assign(x=np.where(test.index == 3, 0.0, test["x"]))
    assert evidence(tmp_path / "changed", frame, changed).test_on != one.test_on
    typed = evidence(tmp_path / "typed", frame.assign(k=frame["k"] == "a"), test.assign(k=test["k"] == "a"))
    assert typed.columns != one.columns
    assert not compared(typed, one, 1).is_no_worse
