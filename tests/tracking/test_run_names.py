"""Five targets in five files of one name do not share an experiment and a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from stacktune.tracking.names import run_name, usual_name
from stacktune.tracking.store import check_model_name


@dataclass(frozen=True)
class Named:
    """What is read of a data set to name it."""

    source: str
    name: str
    target_name: str


NAMES = {
    ("adult.parquet", "adult", "income"): "adult-income",
    ("adult.parquet", "adult", "hours per week"): "adult-hours-per-week",
    ("/data/churn/train.parquet", "train", "left"): "churn-train-left",
    ("/data/houses/train.parquet", "train", "price"): "houses-train-price",
    ("s3://bucket/flights/data.parquet?region=x", "data", "delayed"): "flights-data-delayed",
    ("s3://bucket/flights/", "flights", "delayed"): "flights-delayed",
    ("/a/churn/part-00000.csv", "part-00000", "y"): "churn-part-00000-y",
    ("/a/churn/TRAIN_data_v2.csv", "TRAIN_data_v2", "y"): "churn-TRAIN_data_v2-y",
    ("/a/churn/trained_models.csv", "trained_models", "y"): "trained_models-y",
    ("demo", "breast_cancer", "diagnosis"): "breast_cancer-diagnosis",
    ("in-memory", "y", "y"): "y",
    ("/data.parquet", "data", "y"): "data-y",
    ("x/größe.csv", "größe", "a/b:c@d"): "größe-a-b-c-d",
}


@pytest.mark.parametrize("given", NAMES, ids=NAMES.values())
def test_the_usual_name_tells_tables_and_targets_apart_and_is_valid(given):
    name = usual_name(Named(*given))
    assert name == NAMES[given]
    check_model_name(name)


def test_a_relative_path_has_the_name_that_it_has_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "churn").mkdir()
    monkeypatch.chdir(tmp_path / "churn")
    here = usual_name(Named("train.parquet", "train", "y"))
    monkeypatch.chdir("/")
    assert here == usual_name(Named(str(tmp_path / "churn" / "train.parquet"), "train", "y")) == "churn-train-y"


@pytest.mark.parametrize("sign", ["x", "/", "..", " "])
def test_a_name_of_any_target_is_taken_by_the_registry(sign):
    names = {usual_name(Named("t.parquet", "t", sign * 400 + last)) for last in "ab"}
    for name in names:
        check_model_name(name)
    assert len(names) == 2


def test_the_parent_run_says_table_target_and_time():
    began = datetime(2026, 11, 28, 21, 7)
    assert run_name(Named("adult.parquet", "adult", "income"), began) == "adult income 2026-11-28 21:07"
    assert run_name(Named("in-memory", "y", "y"), began) == "y 2026-11-28 21:07"
    assert len(run_name(Named("t.parquet", "t", "x" * 900), began)) < 150
    assert run_name(Named("/a/churn/train.csv", "train", "y"), began) == "churn train y 2026-11-28 21:07"
