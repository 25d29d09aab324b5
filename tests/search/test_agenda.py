"""A modelling plan is followed: which family, which entries, in what order, for what share; or refused in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from played_search import Nobody, completed, height, plan_of
from ray.tune.search import Searcher

from stacktune.errors import ConfigError
from stacktune.runs.choices import check_choices, choice_notes, spaces_of, wanted_families
from stacktune.search.log import SearchLog
from stacktune.search.plan.agenda import agenda_of
from stacktune.search.plan.plan import ClusterSize, make_plan
from stacktune.search.space import load_space
from stacktune.search.tune.searcher import TRIAL, FamilySearcher
from stacktune.settings.groups import Settings
from stacktune.settings.read import load_settings, to_yaml
from stacktune.trials.trial import Trial

TABLE = {"data": "t.parquet", "target": "y", "max_trials": 5}
FILE = """
- {family: xgboost, entries: [3, 1]}
- linear
- {family: xgboost, entries: 2, share: 0.5}
- {family: lightgbm, entries: [1], search: false}
"""


@pytest.fixture
def config(tmp_path) -> Settings:
    (tmp_path / "plan.yaml").write_text(FILE)
    return load_settings({**TABLE, "plan": tmp_path / "plan.yaml"})


def play(config: Settings, most: int, n_known: int = 0, seconds: dict[str, float] | None = None) -> list[Trial]:
    """Return what is asked for; of a search with a budget where trials take `seconds`, by family.

    n_known: so many trials are of an earlier session.
    """
    families = list(wanted_families(config))
    cluster, spaces = ClusterSize(1, 0), spaces_of(config)
    plan = make_plan(families, cluster, 0, most, 1e6 if seconds else None, 0.0, spaces=spaces, steps=config.plan)
    log = SearchLog(Nobody())
    trials: list[Trial] = []
    searcher = FamilySearcher(plan, log)
    while (suggestion := searcher.suggest("ray-id")) != Searcher.FINISHED:
        trials.append(log.entry(suggestion[TRIAL]["trial_id"]).trial)
        took_s = seconds[trials[-1].family] if seconds else 1.0
        log.ended(completed(trials[-1], height(trials[-1]), took_s))
        if len(trials) == n_known:
            searcher = FamilySearcher(plan, log)
    return trials


@pytest.fixture(autouse=True)
def endless(monkeypatch) -> None:
    """No deadline comes, on whatever clock."""
    monkeypatch.setattr(FamilySearcher, "_deadline", float("inf"))
    monkeypatch.setattr("stacktune.search.tune.searcher.PATIENCE_S", 60.0)


@pytest.mark.parametrize("n_known", [0, 2, 6])
def test_entries_come_in_the_order_of_the_steps_also_of_a_run_that_goes_on(config, n_known):
    trials = play(config, 20, n_known)
    linear, xgboost = load_space("linear").portfolio, load_space("xgboost").portfolio
    first = [*[("xgboost", xgboost[2]), ("xgboost", xgboost[0])], *(("linear", entry) for entry in linear)]
    first += [("xgboost", xgboost[1]), ("lightgbm", load_space("lightgbm").portfolio[0])]
    assert [(trial.family, dict(trial.config)) for trial in trials[: len(first)]] == first
    rest = Counter(trial.family for trial in trials[len(first) :])
    assert rest["lightgbm"] == 0, "its search does not go on"
    assert len(trials) == 20


def test_shares_are_of_trials_where_seconds_may_not_count_and_of_seconds_where_they_may():
    steps = [{"family": "linear", "entries": 1, "share": 0.75}, {"family": "xgboost", "entries": 1}]
    config = load_settings({**TABLE, "plan": steps})
    by_trials = Counter(trial.family for trial in play(config, 40))
    assert by_trials == {"linear": 30, "xgboost": 10}
    by_seconds = Counter(trial.family for trial in play(config, 40, seconds={"linear": 9.0, "xgboost": 1.0}))
    assert by_seconds["linear"] * 9 / (by_seconds["linear"] * 9 + by_seconds["xgboost"]) == pytest.approx(0.75, abs=0.1)


def test_a_plan_without_shares_leaves_what_comes_after_its_entries_to_the_search():
    config = load_settings({**TABLE, "plan": ["linear", {"family": "xgboost", "entries": [2]}]})
    trials = play(config, 25)
    n_linear = len(load_space("linear").portfolio)
    assert [trial.family for trial in trials[: n_linear + 1]] == ["linear"] * n_linear + ["xgboost"]
    assert {trial.family for trial in trials[n_linear + 1 :]} == {"linear", "xgboost"}


def test_a_plan_that_searches_nothing_ends_after_its_entries():
    steps = [{"family": "linear", "entries": [1, 2], "search": False}]
    assert len(play(load_settings({**TABLE, "plan": steps}), 30)) == 2


def test_a_family_that_is_set_aside_is_passed_over_in_the_opening(config):
    agenda = agenda_of(config.plan, spaces_of(config), False)
    assert agenda.next_in_opening({}, ["linear"]) == "linear"
    assert agenda.next_in_opening({"xgboost": 2}, ["linear", "xgboost"]) == "linear"
    assert agenda.next_in_opening({"xgboost": 3, "linear": 4, "lightgbm": 1}, ["linear"]) is None
    assert agenda.shares == {"xgboost": 0.5, "linear": 0.25, "lightgbm": 0.25}


def test_entries_move_into_a_search_space_that_is_narrowed():
    given = {"plan": [{"family": "linear", "entries": [3, 1]}], "search_space": {"linear": {"C": 7}}}
    portfolio = spaces_of(load_settings({**TABLE, **given})).load("linear").portfolio
    assert [(entry["C"], entry["min_frequency"]) for entry in portfolio] == [(7.0, 2), (7.0, 5)]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"famly": "linear"}], r"--plan: a step has no 'famly'\. Did you mean 'family'\?"),
        ([{"family": "linaer"}], r"there is no model family 'linaer'\. Did you mean 'linear'\?"),
        (["lightgmb"], r"there is no model family 'lightgmb'\. Did you mean 'lightgbm'\?"),
        ([{"family": "linear", "entry": 1}], r"a step has no 'entry'\. Did you mean 'entries'\?"),
        ([{"family": "linear", "entries": 5}], r"--plan: the entries of linear are 1 to 4, not 5\."),
        ([{"family": "linear", "entries": 0}], r"--plan must be a YAML file of steps, .* not \{'family': 'linear'"),
        ([{"family": "linear", "entries": []}], r"--plan must be a YAML file of steps"),
        ([{"family": "linear", "share": 1.5}], r"--plan must be a YAML file of steps"),
        ([{"family": "linear", "share": "half"}], r"--plan must be a YAML file of steps"),
        ([{"entries": 1}], r"--plan must be a YAML file of steps"),
        ([], r"--plan must be a YAML file of steps, .*, not \[\]"),
        ("linear", r"the plan 'linear' cannot be read: no such file"),
        ([{"family": "nas", "entries": 1}], r"--plan: nas searches in its own way"),
        (
            [{"family": "linear", "share": 0.7}, {"family": "mlp", "share": 0.7}],
            r"--plan deals out 1\.4 of the budget: let all shares be at most 1 together",
        ),
        (
            [{"family": "linear", "share": 1}, "mlp", "nas"],
            r"deals out 1 of the budget, which leaves nothing for 2 others",
        ),
        ([{"family": "linear", "share": 0.1}] * 2, r"--plan gives linear 2 shares"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_in_one_line(steps, said):
    with pytest.raises(ConfigError, match=said) as refused:
        check_choices(load_settings({**TABLE, "plan": steps}))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["families", "exclude"])
def test_a_plan_names_the_families_by_itself(key):
    with pytest.raises(ConfigError, match=rf"--plan and --{key} exclude each other: the plan names the families"):
        load_settings({**TABLE, "plan": ["linear"], key: "mlp"})
    assert load_settings({**TABLE, "plan": ["mlp"], "preset": "fast"}).exclude == ()


def test_config_yaml_has_the_plan_and_a_sentence_says_it(tmp_path, config):
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_settings({}, str(path)) == config
    assert choice_notes(config, wanted_families(config)) == [
        "--plan: xgboost 3,1; linear; xgboost 2 for 50 % of the budget; lightgbm 1 and no search"
    ]


def test_a_preset_says_which_of_its_settings_hold():
    config = load_settings({**TABLE, "max_trials": None, "preset": "fast", "folds": 4})
    assert choice_notes(config, ["linear"])[0] == "--preset fast stands for --time-budget 1m --exclude mlp,nas"
    assert "all of it was given otherwise" in choice_notes(replace(config, time_budget_s=9.0, exclude=()), [])[0]


def test_without_a_plan_the_search_opens_as_ever():
    plan = plan_of(["linear", "xgboost"])
    assert (plan.agenda.opening, dict(plan.agenda.shares)) == ((), {})
