"""The contract as a kit: a family outside the package keeps it, and broken ones are refused by the name of a check."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacktune.errors import ConfigError
from stacktune.testing import (
    CheckError,
    Subject,
    check_family,
    family_checks,
    fresh,
    house_subjects,
    processes,
    threads,
)

NEW_FAMILY = Path(__file__).parents[1] / "new_family"

# What a stranger runs; pytest and, in the process that imports the family, Ray are not needed.
STRANGER = """
import sys
from stacktune.testing import Subject, check_family
assert not {"pytest", "ray", "sklearn", "pyarrow"} & set(sys.modules)
check_family(Subject("mine.naive_bayes", "mine.space"))
assert "pytest" not in sys.modules
"""

BROKEN = {
    "unsummed": (
        "def predict(self, table):\n        return 1.01 * super().predict(table)",
        "every_configuration_predicts-binary-0: .*probabilities of a row sum to one",
    ),
    "moody": (
        "def __init__(self, job, config):\n"
        "        super().__init__(job, {'smoothing': config['smoothing'] * np.random.default_rng().uniform(1, 2)})",
        "the_same_seed_predicts_the_same-binary: ",
    ),
    "forgetful": (
        "def save(self, folder):\n"
        "        replace(self._model, priors=np.full(len(self._model.priors), 0.5)).save(folder)",
        "a_saved_learner_predicts_as_before-binary: ",
    ),
    "deaf": (
        "def __init__(self, job, config):\n        super().__init__(job, {'smoothing': 0.1})",
        "every_parameter_matters-binary-smoothing: 'smoothing' changes no prediction of 'deaf'",
    ),
    "crashing": (
        "def restore_best(self):\n        raise ValueError('nothing was kept')",
        "restoring_returns_to_the_best-binary: nothing was kept",
    ),
}
BREAKING = """
from dataclasses import replace
import numpy as np
from mine import naive_bayes

class Learner(naive_bayes.NaiveBayesLearner):
    {method}

FAMILY = replace(naive_bayes.FAMILY, name="{name}", start=Learner)
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of a stranger's."""
    folder = tmp_path_factory.mktemp("outside")
    mine = folder / "mine"
    mine.mkdir()
    (mine / "__init__.py").touch()
    shutil.copy(NEW_FAMILY / "pipeline" / "families" / "naive_bayes.py", mine)
    shutil.copy(NEW_FAMILY / "search_spaces" / "naive_bayes.py", mine / "space.py")
    for name, (method, _) in BROKEN.items():
        (mine / f"{name}.py").write_text(BREAKING.format(method=method, name=name))
    return folder


@pytest.fixture
def importable(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(outside)


def test_a_family_outside_the_package_keeps_the_contract(outside: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(outside)}
    done = subprocess.run([sys.executable, "-c", STRANGER], cwd=outside, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_family_is_refused_by_the_name_of_the_check(name: str) -> None:
    with pytest.raises(CheckError, match=f"(?s)^{name} fails the check {BROKEN[name][1]}"):
        check_family(Subject(f"mine.{name}", "mine.space"))


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(("modules", "missing"), [(("mine.space",) * 2, "FAMILY"), (("mine.deaf",) * 2, "SPACE")])
def test_a_module_that_is_no_family_or_no_space_is_refused(modules: tuple[str, str], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"the module {modules[0]} defines no {missing}"):
        check_family(Subject(*modules))


@pytest.mark.usefixtures("importable")
def test_checks_have_names_of_their_own() -> None:
    subject = Subject("mine.naive_bayes", "mine.space")
    names = [check.name for check in family_checks(subject)]
    assert len(set(names)) == len(names)
    assert "every_configuration_predicts-multiclass-2" in names
    assert not any("regression" in name for name in names), "a task that the family does not claim"


def test_a_check_can_be_sent_to_another_process() -> None:
    for check in family_checks(house_subjects()[0]):
        sent = pickle.loads(pickle.dumps(check))
        assert (sent.name, sent.run.func, sent.run.args) == (check.name, check.run.func, check.run.args)


def test_a_thread_that_ends_while_threads_are_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    (tmp_path / "1" / "schedstat").write_text("2500000000 7 3")
    monkeypatch.setattr(threads, "TASK_FOLDER", tmp_path)
    assert threads.busy_s_by_thread() == {"1": 2.5}


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; time.sleep(600)", "had not ended after 0.5 s"),
        ("raise SystemExit('no such thing')", "no such thing"),
    ],
)
def test_a_process_that_hangs_or_fails_is_told_of_by_every_check_that_needs_it(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "PROGRAM", program)
    monkeypatch.setattr(fresh, "MAX_PROCESS_S", 0.5 if "sleep" in program else 100)
    subject = Subject("mine.naive_bayes", "mine.space")
    left = fresh.fresh_process.__wrapped__(subject)
    monkeypatch.setattr(processes, "fresh_process", lambda _: left)
    needing = [check for clause in processes.CLAUSES[1:] for check in clause.checks(subject)]
    for check in needing:
        with pytest.raises(AssertionError, match=said):
            check()
    assert len(needing) == 5
