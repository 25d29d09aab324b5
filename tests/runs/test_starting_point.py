"""--start-from: where configurations are found, and what is said of the gain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from in_process import completed_trial, fit
from test_on_table import frame

from stacktune.errors import ConfigError
from stacktune.metrics import METRICS
from stacktune.runs.choices import check_choices, choice_notes, spaces_of, wanted_families
from stacktune.runs.starting_point import Gain, gain_of, starting_point, with_start_found
from stacktune.search.journal import Journal
from stacktune.settings.read import load_settings, to_yaml
from stacktune.storage.run_folder import RunFolder
from stacktune.trials.result import COMPLETED, STOPPED, TrialResult
from stacktune.trials.trial import Trial

TABLE = {"data": "t.parquet", "target": "y", "max_trials": 5}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run's folder with two trials of linear, the second of them better, and a leader."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    places = RunFolder(folder)
    places.trials.mkdir(parents=True)
    fitted = fit(frame(0), "y", places.trials, ("linear",), n_folds=2)
    (places.trials / "leader").rename(folder / "leader")
    second = completed_trial("linear", fitted.problem, places.trials, 1)
    second = replace(second, fold_scores=tuple(score + 1 for score in second.fold_scores))
    journal = Journal(places.journal, lambda: 0.0, print)
    for result in (fitted.results[0], second):
        journal.asked(Trial(result.trial_id, result.family, result.config))
        journal.ended(result)
        result.save(places.trials / result.trial_id)
    journal.close()
    return folder


@pytest.mark.parametrize(
    ("place", "name"),
    [("", "linear-0001"), ("trials/linear-0000", "linear-0000"), ("linear-0000", "linear-0000")],
)
def test_a_run_has_its_best_trial_and_a_trial_itself(run_folder, place, name):
    config = with_start_found(load_settings({**TABLE, "start_from": run_folder / place}))
    entry = spaces_of(replace(config, start_from=None)).load("linear").portfolio[int(name[-1])]
    assert starting_point(config).config == entry
    assert wanted_families(config) == ("linear",)
    assert spaces_of(config).load("linear").portfolio == (entry,)
    assert name in choice_notes(config, ["linear"])[0]


def test_a_model_has_the_configuration_of_its_heaviest_member(run_folder):
    config = with_start_found(load_settings({**TABLE, "start_from": run_folder / "leader"}))
    assert starting_point(config).source.endswith("leader (linear-0000)")


def test_a_registered_model_is_looked_for_where_the_run_will_register(run_folder, tmp_path, monkeypatch):
    """It was looked for in the usual store only."""
    asked = []

    def resolve(uri, store):
        asked.append(store)
        return run_folder

    monkeypatch.setattr("stacktune.runs.starting_point.resolve_model", resolve)
    (tmp_path / "mlflow.db").touch()
    for more in ({"output": tmp_path / "one"}, {"output": tmp_path / "a" / "b"}, {"tracking_uri": "http://host"}):
        with_start_found(load_settings({**TABLE, "start_from": "models:/t@leader", **more}))
    assert asked == [f"sqlite:///{tmp_path / 'mlflow.db'}", None, "http://host"]


def test_what_was_found_is_what_the_run_keeps(run_folder, tmp_path):
    found = with_start_found(load_settings({**TABLE, "start_from": run_folder, "search": "grid", "axes": "C"}))
    (tmp_path / "config.yaml").write_text(to_yaml(found))
    assert load_settings({}, str(tmp_path / "config.yaml")) == found
    check_choices(found)
    assert "a grid of 5 points over C" in choice_notes(found, ["linear"])[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start_from": "nowhere"}, "--start-from nowhere is no run's folder, no trial's below it, and no model"),
        ({"start_from": "RUN", "families": "lightgbm"}, "holds configurations of linear, .*one that was asked for"),
        ({"search": "grid"}, "--search grid says how to search around a start"),
        ({"start_from": "RUN", "search": "grid"}, "--search grid varies the parameters that --axes names"),
        ({"start_from": "RUN", "axes": "C"}, "--axes C are those of a grid: give --search grid"),
        ({"start_from": "RUN", "plan": ["linear"]}, "--plan and --start-from exclude each other"),
        ({"start_from": {"family": "linear"}}, "--start-from must be a run's folder"),
    ],
)
def test_a_start_that_is_none_is_refused(run_folder, given, message):
    if given.get("start_from") == "RUN":
        given = {**given, "start_from": str(run_folder)}
    with pytest.raises(ConfigError, match=message):
        check_choices(with_start_found(load_settings({**TABLE, **given})))


def result(name: str, config: dict, scores: tuple[float, ...], status: str = COMPLETED) -> TrialResult:
    return TrialResult(name, "linear", config, "asha", status, 3, 3, fold_scores=scores, n_units=(1,) * len(scores))


@pytest.fixture
def config(run_folder):
    return with_start_found(load_settings({**TABLE, "start_from": run_folder}))


def test_a_gain_is_told_with_and_without_what_choosing_flatters(config):
    start = dict(starting_point(config).config)
    others = [result("linear-0001", {"C": 2}, (0.8, 0.9)), result("linear-0002", {"C": 3}, (0.9, 0.5))]
    gain = gain_of(config, [result("linear-0000", start, (0.7, 0.7)), *others], METRICS["roc_auc"])
    assert isinstance(gain, Gain)
    assert (gain.start, gain.best) == ("linear-0000", "linear-0001")
    # On the second fold linear-0001 is best, so it is judged on the first; and linear-0002 the other way about.
    assert gain.honest == pytest.approx(((0.8 - 0.7) + (0.5 - 0.7)) / 2)
    assert "a gain of 0.1500, and of -0.05 ± 0.15 where the other folds choose the trial" in gain.sentence


def test_no_gain_and_no_start_are_told(config):
    start = dict(starting_point(config).config)
    best = [result("linear-0000", start, (0.9, 0.9)), result("linear-0001", {"C": 2}, (0.8, 0.8))]
    gain = gain_of(config, best, METRICS["roc_auc"])
    assert "nothing of 2 trials is better than the start, linear-0000" in gain.sentence
    stopped = [result("linear-0000", start, (), STOPPED)]
    assert "the start was not completed" in gain_of(config, stopped, METRICS["roc_auc"])
