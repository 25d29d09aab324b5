"""The folder of a run has one owner, who knows its files."""

import ast
from pathlib import Path

import pytest

import stacktune
from stacktune.errors import ConfigError
from stacktune.storage import run_folder
from stacktune.storage.run_folder import LEADER, LEADER_MANIFEST, RunFolder, TrialFolder, find_leader

OWNER = Path(run_folder.__file__)
FACTS = {"metric": "f1", "leader": "stack_all", "cv_score": 0.5, "wall_s": 3}
# An alias of the registry, a member of a folder of nets, and what a data set's metadata is called elsewhere.
HOMONYMS = {LEADER, "state.json"}


def test_no_other_module_spells_a_name_in_it():
    names = {value for name, value in vars(run_folder).items() if name.isupper() and isinstance(value, str)}
    assert {"run.json", "leaderboard.parquet", "config.yaml", "journal.jsonl", "trials", "leader.json"} <= names
    spelled = {
        (path.name, node.value)
        for path in Path(stacktune.__file__).parent.rglob("*.py")
        if path != OWNER
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names - HOMONYMS
    }
    assert {one for one in spelled if one != ("screen.py", "trials")} == set()


def test_a_summary_is_read_as_it_was_written(tmp_path):
    places = RunFolder(tmp_path)
    assert places.write_summary(FACTS) == places.summary
    assert places.read_summary() == FACTS
    assert not places.is_finished
    places.board.touch()
    assert places.is_finished


@pytest.mark.parametrize("content", ["", "[]", '{"metric": 1}', "\x00"])
def test_a_broken_summary_is_named_with_what_to_do(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run\.json' is not what a run wrote.*remove it, and stacktune run --resume"):
        RunFolder(tmp_path).read_summary()


def test_the_models_of_a_trial_are_found_in_order(tmp_path):
    trial = TrialFolder(tmp_path)
    for number in (1, 0):
        trial.fold(number).mkdir()
    trial.out_of_fold.touch()
    assert trial.folds() == [trial.fold(0), trial.fold(1)]


@pytest.mark.parametrize("inside", ["", "data/model", "leader", "leader/data/model"])
def test_the_leader_is_found_in_a_run_a_model_and_a_leader(tmp_path, inside):
    assert find_leader(tmp_path) is None
    folder = tmp_path / inside
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LEADER_MANIFEST).touch()
    assert find_leader(tmp_path) == folder
