"""Search spaces as a user wants them: what is tried lies inside, and what cannot be is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from played_search import Nobody, completed, height, plan_of
from ray.tune.search import Searcher

from stacktune.errors import ConfigError
from stacktune.runs.choices import check_choices, choice_notes
from stacktune.search.log import SearchLog
from stacktune.search.narrowing import Spaces, check_changes
from stacktune.search.space import load_space
from stacktune.search.tune.searcher import TRIAL, FamilySearcher
from stacktune.settings.read import load_settings, to_yaml
from stacktune.settings.resuming import kept_settings, resumed
from stacktune.trials.trial import Trial

TABLE = {"data": "t.parquet", "target": "y", "max_trials": 5}
FILE = """
lightgbm:
  learning_rate: {low: 0.05, high: 0.08}
  num_leaves: [15, 31]
  extra_trees: false
  min_data_in_leaf: {low: 3, high: 4}
linear:
  C: 2
"""


def asked(changes: dict, family: str, most: int = 30) -> list[Trial]:
    """Return what a search of one family asks for."""
    log = SearchLog(Nobody())
    searcher = FamilySearcher(replace(plan_of([family], max_trials=most), spaces=Spaces(changes)), log)
    trials = []
    while (suggestion := searcher.suggest("ray-id")) != Searcher.FINISHED:
        trials.append(log.entry(suggestion[TRIAL]["trial_id"]).trial)
        log.ended(completed(trials[-1], height(trials[-1])))
    return trials


@pytest.fixture
def changes(tmp_path) -> dict:
    (tmp_path / "mine.yaml").write_text(FILE)
    return load_settings({**TABLE, "search_space": tmp_path / "mine.yaml"}).search_space


def test_nothing_outside_is_tried_from_the_first_configuration_on(changes):
    configs = [trial.config for trial in asked(changes, "lightgbm")]
    assert len(configs) == 30 > len(load_space("lightgbm").portfolio)
    own = load_space("lightgbm").domains
    for config in configs:
        assert 0.05 <= config["learning_rate"] <= 0.08
        assert config["num_leaves"] in (15, 31)
        assert config["extra_trees"] is False
        assert config["min_data_in_leaf"] in (3, 4)
        assert all(own[name].is_valid(config[name]) for name in ("lambda_l2", "cross_levels"))
    assert {config["min_data_in_leaf"] for config in configs} == {3, 4}, "both ends of a range belong to it"


def test_entries_that_became_alike_are_tried_once(changes):
    portfolio = Spaces(changes).load("linear").portfolio
    assert [entry["C"] for entry in portfolio] == [2.0] * 4
    fixed = {"linear": {"C": 2, "scaling": "squash", "min_frequency": 5}}
    assert [trial.config["high_cardinality"] for trial in asked(fixed, "linear")] == ["target", "crossed", "onehot"]


def test_a_small_grid_is_tried_point_by_point_and_then_the_search_is_over():
    """The optimiser drew the same few points over and over."""
    grid = {"linear": {"C": [0.1, 1.0], "scaling": ["squash"], "min_frequency": [2, 5], "high_cardinality": "target"}}
    trials = asked(grid, "linear")
    assert len(trials) == 4
    assert {(trial.config["C"], trial.config["min_frequency"]) for trial in trials} == {
        (c, n) for c in (0.1, 1.0) for n in (2, 5)
    }
    assert len(asked(grid, "linear", most=3)) == 3


def test_a_family_that_is_not_named_is_searched_as_ever(changes):
    assert Spaces(changes).load("xgboost") == load_space("xgboost")
    assert Spaces().load("lightgbm", is_large=True) == load_space("lightgbm", is_large=True)


@pytest.mark.parametrize(
    ("of_lightgbm", "said"),
    [
        ({"learning_rat": 0.1}, r"lightgbm has no parameter 'learning_rat'\. Did you mean 'learning_rate'\?"),
        ({"learning_rate": "fast"}, r"lightgbm\.learning_rate must be a number, as in 0\.015 to 0\.2, not 'fast'\."),
        ({"learning_rate": True}, r"must be a number, as in .*, not True"),
        ({"num_leaves": 15.5}, r"num_leaves must be a whole number, as in 4 to 512, not 15\.5"),
        ({"num_leaves": [15, 0]}, r"num_leaves must be above 0, as in 4 to 512, not 0"),
        ({"num_leaves": {"low": 31, "high": 15}}, r"num_leaves has a low of 31 above its high of 15"),
        ({"extra_trees": {"low": 0, "high": 1}}, r"extra_trees is one of False, True: give a value or a list"),
        ({"extra_trees": 1}, r"extra_trees must be among False, True, not 1"),
    ],
)
def test_a_change_that_the_family_does_not_allow_is_refused_in_one_line(of_lightgbm, said):
    config = load_settings({**TABLE, "search_space": {"lightgbm": of_lightgbm}})
    with pytest.raises(ConfigError, match=said) as refused:
        check_choices(config)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("family", "change", "said"),
    [
        ("lihgtgbm", {"C": 1}, r"there is no model family 'lihgtgbm'\. Did you mean 'lightgbm'"),
        ("nas", {"k": 4}, r"nas, which searches in its own way"),
        ("linear", {"scaling": "sqash"}, r"scaling must be among squash, piecewise, not 'sqash'\. Did you mean"),
    ],
)
def test_a_family_and_a_word_that_are_none_are_answered_with_the_nearest(family, change, said):
    with pytest.raises(ConfigError, match=said):
        check_changes({family: change})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lightgbm: 3", r"--search-space must be a YAML file of families, .*, not \{'lightgbm': 3\}"),
        ("lightgbm: {}", r"not \{'lightgbm': \{\}\}"),
        ("[1, 2]", r"not \[1, 2\]"),
        ("linear: {C: {low: 1}}", r"not \{'low': 1\}"),
        ("linear: {C: {low: 1, high: 2, lgo: true}}", r"not \{'low': 1, 'high': 2, 'lgo': True\}"),
        ("linear: {C: []}", r"not \[\]"),
        ("linear: {C: .inf}", r"not inf"),
        ("linear: &a {C: *a}", r"--search-space must be a YAML file"),
        ("linear: {C: 1, C: 2}", r"has 'C' twice, the second time in line 1"),
        ("linear: {C: 1", r"is not YAML"),
        ("", r"must be a YAML file .* not None"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_what_is_wrong(tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_settings({**TABLE, "search_space": str(tmp_path / "mine.yaml")})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"the search space 'mine\.yml' cannot be read: no such file"):
        load_settings({**TABLE, "search_space": "mine.yml"})


def test_config_yaml_keeps_what_the_file_said_and_a_resumed_run_refuses_another(tmp_path, changes):
    config = load_settings({**TABLE, "search_space": changes})
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert yaml.safe_load(path.read_text())["search_space"]["lightgbm"]["num_leaves"] == [15, 31]
    assert load_settings({}, str(path)) == config
    found = {"experiment": "e", "register": "m"}
    assert resumed(config, {}, tmp_path, kept_settings(config), found).search_space == changes
    other = load_settings({"search_space": {"linear": {"C": 3}}}, str(path))
    with pytest.raises(ConfigError, match="a resumed run keeps its settings, but --search-space is"):
        resumed(other, {"search_space": "x"}, tmp_path, kept_settings(config), found)


def test_it_is_said_what_is_changed_and_how_it_goes_beyond():
    config = load_settings({**TABLE, "search_space": {"linear": {"C": {"low": 1, "high": 5000}}, "mlp": {"k": 1}}})
    assert choice_notes(config, ["linear", "xgboost"]) == [
        "linear is searched in --search-space's C; 1 of the 4 first configurations is moved into it; "
        "C beyond what linear is known to be good in"
    ]
