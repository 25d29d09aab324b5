"""What --loss chooses, whom it leaves out, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import fit, write_table

from stacktune.data.dataset import load_dataset
from stacktune.data.table import REGRESSION, Task
from stacktune.ensemble.stacker import fit_stack
from stacktune.errors import ConfigError
from stacktune.families.loss_choice import (
    chosen_loss_notes,
    fitting_families,
    left_out_notes_of_loss,
    with_metric_of_loss,
)
from stacktune.families.registry import all_families, get_family
from stacktune.metrics import get_metric
from stacktune.objectives import ABSOLUTE, QUANTILE, SQUARED, SQUARED_LOG, TWEEDIE, loss_of
from stacktune.runs.begin import problem_of
from stacktune.settings.groups import Settings
from stacktune.settings.read import load_settings
from stacktune.testing.losses import LOSSES, loss_job
from stacktune.testing.subject import subject_of


def counts_frame(n_rows: int = 400, least: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 2))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(y=rng.poisson(np.exp(1 + x[:, 0])).astype(float))
    frame.loc[0, "y"] = least
    return frame


@pytest.mark.parametrize(
    ("loss", "metric", "fitted"),
    [
        ("quantile:0.9", "pinball:0.9", "quantile:0.9"),
        ("Quantile:.90", "pinball:0.9", "quantile:0.9"),
        ("poisson", "poisson_deviance", "poisson"),
        ("tweedie:1.5", "tweedie_deviance:1.5", "tweedie:1.5"),
        ("mae", "mae", ABSOLUTE),
        ("huber", "mae", "huber"),
        ("log", "rmsle", SQUARED_LOG),
        ("squared", "rmse", SQUARED),
    ],
)
def test_the_metric_follows_from_the_loss_unless_it_is_given(loss, metric, fitted, tmp_path):
    path = str(write_table(counts_frame(), tmp_path))
    config = load_settings({"data": path, "target": "y", "task": "regression", "loss": loss, "folds": 3})
    problem = problem_of(config, *load_dataset(config))
    assert (problem.metric.name, problem.task.loss) == (metric, fitted)
    given = replace(config, metric="r2")
    problem = problem_of(given, *load_dataset(config))
    assert (problem.metric.name, problem.task.loss) == ("r2", fitted)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("quantil:0.9", "--loss must be quantile:Q, .* not 'quantil:0.9'. Did you mean 'quantile'"),
        (
            "quantile",
            "--loss quantile needs a quantile above 0 and below 1, which is missing: e.g. --loss quantile:0.9",
        ),
        ("quantile:1", "above 0 and below 1, not '1'"),
        ("quantile:nan", "above 0 and below 1, not 'nan'"),
        ("quantile:-0.1", "above 0 and below 1, not '-0.1'"),
        ("tweedie:1", "a power above 1 and below 2, not '1'"),
        ("tweedie:2", "a power above 1 and below 2, not '2'"),
        ("tweedie:x", "a power above 1 and below 2, not 'x'"),
        ("poisson:1.5", "--loss poisson has no level"),
        ("mae:", "--loss mae has no level"),
    ],
)
def test_a_loss_that_is_none_is_refused_by_name(loss, said):
    with pytest.raises(ConfigError, match=said):
        load_settings({"data": "x", "target": "y", "loss": loss})


def test_a_loss_for_classes_is_refused():
    config = Settings("x", "y", loss="quantile:0.9")
    with pytest.raises(ConfigError, match="is for regression, but this is a binary target"):
        with_metric_of_loss(config, Task("binary", ("a", "b")))


@pytest.mark.parametrize("loss", ["poisson", "tweedie:1.5", "log"])
def test_targets_below_zero_are_refused(loss, tmp_path):
    config = Settings(str(write_table(counts_frame(least=-0.5), tmp_path)), "y", task=REGRESSION, loss=loss, n_folds=3)
    with pytest.raises(ConfigError, match=f"--loss {loss} needs targets of at least 0, but 1 of 400 is below, down to"):
        problem_of(config, *load_dataset(config))


def test_families_that_cannot_are_left_out_by_name_and_refused_where_none_can(monkeypatch):
    plain = replace(all_families()["linear"], losses=frozenset({SQUARED}), ways={})
    known = {**all_families(), "linear": plain}
    for module in ("loss_choice", "registry"):
        monkeypatch.setattr(f"stacktune.families.{module}.get_family", lambda name: known[name])
    names, config = ["lightgbm", "linear"], Settings("x", "y", loss="quantile:0.9")
    quantile, counts = Task(REGRESSION, loss="quantile:0.9"), Task(REGRESSION, loss="poisson")
    assert fitting_families(names, quantile, True) == ["lightgbm"]
    assert fitting_families(names, quantile, False) == ["lightgbm"]
    assert fitting_families(names, Task(REGRESSION, loss=ABSOLUTE), False) == names
    assert fitting_families(names, counts, True) == names
    [note] = chosen_loss_notes(config, "quantile:0.9", get_metric("pinball:0.9", REGRESSION), ["lightgbm"])
    assert "models fit the pinball loss of the 0.9 quantile and are judged by pinball:0.9" in note
    assert left_out_notes_of_loss(["linear"], quantile) == [
        "linear left out, which cannot fit the pinball loss of the 0.9 quantile"
    ]
    assert left_out_notes_of_loss([], quantile) == []
    [note] = chosen_loss_notes(
        replace(config, loss="poisson"), "poisson", get_metric("poisson_deviance", REGRESSION), names
    )
    assert "linear by squared errors, which are least at the mean, too" in note
    with pytest.raises(ConfigError, match="can be fitted by none of the families linear"):
        fitting_families(["linear"], quantile, True)


@pytest.mark.parametrize("name", [name for name in all_families() if "monotone" in get_family(name).holds])
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss not in ("squared", "squared_log")])
def test_a_family_keeps_to_directions_under_a_loss_or_is_left_out(name, loss):
    """LightGBM refused, and XGBoost's and the forests' leaves broke directions in silence."""
    task = Task(REGRESSION, loss=loss, monotone=(("b", 1),))
    if fitting_families([name, "catboost"], task, False) == ["catboost"] and name != "catboost":
        assert f"{name} left out, which cannot fit" in left_out_notes_of_loss([name], task)[0]
        return
    job = replace(loss_job(loss), task=task)
    family = get_family(name)
    learner = family.start(job, subject_of(name).default)
    learner.advance(20)
    features = np.repeat(job.table.features[:40], 15, axis=0)
    features[:, 1] = np.tile(np.linspace(-3, 3, 15), 40)
    said = learner.predict(replace(job.table.take(np.arange(600)), features=features))[:, 0].reshape(40, 15)
    assert np.diff(said, axis=1).min() >= -1e-6 * np.ptp(said)


def test_a_note_says_who_fits_a_loss_in_a_way_of_its_own():
    config = Settings("x", "y", loss="quantile:0.1")
    [note] = chosen_loss_notes(
        config, "quantile:0.1", get_metric("pinball:0.1", REGRESSION), ["lightgbm", "linear", "extra_trees"]
    )
    assert "linear by squares under other weights" in note
    assert "extra_trees by the quantile of a row drawn" in note
    assert chosen_loss_notes(Settings("x", "y"), SQUARED, get_metric("rmse", REGRESSION), ["linear"]) == []


@pytest.mark.parametrize("loss", ["quantile:0.9", "tweedie:1.5"])
def test_a_run_fits_a_loss_through_to_its_leader(loss, tmp_path):
    frame = counts_frame(600)
    fitted = fit(
        frame,
        "y",
        tmp_path,
        ("lightgbm", "linear", "extra_trees"),
        task=REGRESSION,
        loss=loss,
        test_size=0.3,
        n_folds=3,
    )
    kind = loss.partition(":")[0]
    assert fitted.leader.metric_name == {QUANTILE: "pinball:0.9", TWEEDIE: "tweedie_deviance:1.5"}[kind]
    said = fitted.leader.predict(frame)["prediction"]
    assert set(fitted.board.leader.test) == {"rmse", "mae", "r2", "rmsle", "mape", fitted.leader.metric_name}
    if kind == QUANTILE:
        assert 0.85 < (frame.y <= said).mean() < 0.98
    else:
        assert (said > 0).all()
        assert said.mean() == pytest.approx(frame.y.mean(), rel=0.1)


@pytest.mark.parametrize("loss", ["quantile:0.9", "huber", "poisson", "tweedie:1.5"])
def test_a_stack_is_best_under_the_loss_that_it_is_fitted_for(loss):
    """Under all of them stacks were fitted by squares."""
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(size=3000))
    target = rng.poisson(mean) * (1 + 20 * (rng.random(3000) < 0.02) * (loss == "huber"))
    models = np.array([mean * np.exp(rng.normal(0, 0.3, 3000)), mean + rng.exponential(size=3000)])[:, :, None]
    name = {"quantile:0.9": "pinball:0.9", "huber": "mae", "poisson": "poisson_deviance"}
    metric = get_metric(name.get(loss, "tweedie_deviance:1.5"), REGRESSION)
    scores = []
    for fitted in (SQUARED, loss_of(loss)):
        stack = fit_stack(models[:, :1500], target[:1500].astype(float), None, fitted)
        scores.append(metric.score(target[1500:], stack.combine(models[:, 1500:])))
    assert scores[1] > scores[0]
