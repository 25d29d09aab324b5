"""A search space in a file of Python says what one in YAML says."""

from __future__ import annotations

import pytest

from stacktune.errors import ConfigError
from stacktune.settings.read import load_settings

TABLE = {"data": "t.parquet", "target": "y", "max_trials": 5}
IN_YAML = """
lightgbm: {learning_rate: {low: 0.02, high: 0.1, log: true}, num_leaves: {low: 15, high: 63, log: false}}
linear: {scaling: [squash], C: 1.0}
"""
IN_PYTHON = """
from ray import tune
SPACES = {
    "lightgbm": {"learning_rate": tune.loguniform(0.02, 0.1), "num_leaves": tune.randint(15, 64)},
    "linear": {"scaling": tune.choice(["squash"]), "C": 1.0},
}
"""


def test_it_says_what_yaml_says(tmp_path):
    (tmp_path / "mine.yaml").write_text(IN_YAML)
    (tmp_path / "mine.py").write_text(IN_PYTHON)
    first, second = (load_settings({**TABLE, "search_space": tmp_path / f"mine.{kind}"}) for kind in ("yaml", "py"))
    assert second == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", r"mine\.py' cannot be used: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", r"mine\.py' cannot be used: SystemExit: 3"),
        ("def f(:", r"mine\.py' cannot be used: SyntaxError"),
        ("SPACE = {}", r"mine\.py' defines no SPACES: write SPACES = \{'lightgbm'"),
        (
            "from ray import tune; SPACES = {'linear': {'C': tune.quniform(0, 1, 0.1)}}",
            r"mine\.py': linear\.C must be a value, a list, or Tune's choice",
        ),
        ("SPACES = {'linear': 3}", "--search-space must be a YAML file"),
        ("SPACES = {'linear': {'C': print}}", "--search-space must be a YAML file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_settings({**TABLE, "search_space": tmp_path / "mine.py"})


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.py' cannot be read"):
        load_settings({**TABLE, "search_space": tmp_path / "gone.py"})
