"""`stacktune doctor` names what is broken, with what to do, in bounded time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stacktune.doctor import machine
from stacktune.doctor.doctor import checks, examine, lines_of
from stacktune.doctor.finding import OK, PROBLEM, WARNING, Check, Finding, findings_of
from stacktune.errors import ConfigError
from stacktune.search.cluster.start import set_variables

STACKTUNE = str(Path(sys.executable).with_name("stacktune"))


def look(name: str, *, address=None, tracking_uri=None, storage=None):
    return findings_of(next(one for one in checks(address, tracking_uri, storage) if one.about == name))


def test_the_command_finds_a_working_machine(tmp_path):
    """With a real Ray, whose worker answers, and a real store of MLflow's."""
    words = [STACKTUNE, "doctor", "--storage", str(tmp_path / "copies")]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result
    lines = result.stdout.splitlines()
    found = {line[8:24].strip(): line for line in lines[:-2]}
    assert re.search(r"started here in [\d.]+ s: \d+ cores?.*a worker answered", found["Ray"])
    assert "written and removed" in found["MLflow"]
    assert "was written, read and cleared again" in found["storage"]
    assert all(line.startswith(("ok ", "warning ")) for line in lines[:-2])
    assert lines[-1].startswith("A run can work here")
    assert lines[-1].endswith("Next: stacktune demo")
    assert os.listdir(tmp_path) == ["copies"]
    assert os.listdir(tmp_path / "copies") == []


def test_a_cluster_that_is_not_there_is_a_problem():
    set_variables("127.0.0.1:1", None)  # until Ray is refused
    (found,) = look("Ray", address="127.0.0.1:1")
    assert found.state == PROBLEM
    assert "--address '127.0.0.1:1'" in found.said


def test_a_store_that_is_none_is_a_problem(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database")
    (found,) = look("MLflow", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert found.state == PROBLEM
    assert "is not a sqlite database. Name another file." in found.said


def test_a_store_is_left_as_it_was(tmp_path):
    from stacktune.tracking.client import connect

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = connect(uri)
    client.create_experiment("mine")
    (found,) = look("MLflow", tracking_uri=uri)
    assert found.state == OK
    assert not client.search_registered_models()
    assert {one.name for one in client.search_experiments()} == {"Default", "mine"}


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    (found,) = look("storage", storage=str(tmp_path / "file"))
    assert found.state == PROBLEM
    assert "cannot be written" in found.said


def test_packages_that_are_missing_or_old_are_named_with_the_remedy():
    findings = machine.packages(["numpy>=999", "no-such-package-as-this>=1", "pandas>=1", "pywin32; os_name == 'nt'"])
    problems = [(one.said, one.mend) for one in findings if one.state == PROBLEM]
    assert [mend for _, mend in problems] == ["pip install 'numpy>=999'", "pip install 'no-such-package-as-this>=1'"]
    assert "is installed, and >=999 is needed" in problems[0][0]
    assert problems[1][0] == "no-such-package-as-this is not installed"


def test_stacktunes_own_packages_are_all_right():
    assert {one.state for one in machine.packages()} == {OK}


def test_optional_packages_are_told_with_their_extra(monkeypatch):
    def version(name):
        if name in ("onnx", "onnxruntime"):
            raise machine.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(machine, "version", version)
    told = {one.said.split()[0]: one.mend for one in machine.packages([])[1:]}
    assert set(told) == {"catboost", "deltalake", "onnx", "onnxruntime"}
    assert told["onnxruntime"] == "pip install 'stacktune[onnx]' adds it"


def test_a_clone_that_python_takes_for_the_package_is_found(tmp_path, monkeypatch):
    """A script beside it ended with "cannot import name 'AutoMLClassifier' from 'stacktune' (unknown location)"."""
    monkeypatch.chdir(tmp_path)
    assert look("this folder") == []
    (tmp_path / "stacktune" / "pipeline").mkdir(parents=True)
    (tmp_path / "script.py").write_text("from stacktune import AutoMLClassifier\n")
    ended = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    found = look("this folder")
    assert [one.state for one in found] == [WARNING] * ended.returncode
    for one in found:
        assert str(tmp_path / "stacktune") in one.said
        assert one.mend == "run it from another folder, or rename stacktune"
    assert len(machine.working_folder(tmp_path / "elsewhere" / "pipeline")) == 1
    assert machine.working_folder(tmp_path / "site-packages" / "stacktune") == []
    assert machine.working_folder(tmp_path / "stacktune") == []
    (tmp_path / "stacktune" / "__init__.py").write_text("")
    assert len(machine.working_folder(tmp_path / "site-packages" / "stacktune")) == 1
    (tmp_path / "stacktune.py").write_text("")
    (found,) = machine.working_folder(tmp_path / "site-packages" / "stacktune")
    assert found.mend == "run it from another folder, or rename stacktune.py"


@pytest.mark.parametrize(
    ("variables", "state"),
    [
        ({"HTTP_PROXY": "http://p:1"}, WARNING),
        ({"http_proxy": "http://p:1", "no_proxy": "a,127.0.0.1"}, OK),
        ({}, None),
    ],
)
def test_a_proxy_that_would_take_what_is_said_here_is_warned_of(monkeypatch, variables, state):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = [one for one in machine.network() if one.about == "proxy"]
    assert [one.state for one in found] == ([state] if state else [])


def test_each_check_ends_in_its_time():
    began = time.monotonic()
    (found,) = findings_of(Check("slow", lambda: time.sleep(30) or [], "mend it", most_s=0.2))
    assert time.monotonic() - began < 10
    assert (found.state, found.said, found.mend) == (PROBLEM, "no answer in 0.2 s", "mend it")


def raising(error):
    def look():
        raise error

    return Check("it", look, "mend it")


@pytest.mark.parametrize(
    ("error", "mend"),
    [(ConfigError("say this."), ""), (OSError(13, "no"), "mend it"), (ImportError("gone"), "mend it")],
)
def test_whatever_a_check_raises_is_told_with_a_remedy(error, mend):
    (found,) = findings_of(raising(error))
    assert (found.state, found.mend) == (PROBLEM, mend)
    assert found.said == str(error)


def test_the_last_line_says_whether_a_run_can_work():
    said = []
    fine, warned = (Check(state, lambda state=state: [Finding(state, "it", "so")]) for state in (OK, WARNING))
    assert examine([fine, warned], said.append, None)
    assert said[-1] == "A run can work here, with 1 warning. Next: stacktune demo"
    assert not examine([fine, raising(OSError("broken"))], said.append, None)
    assert said[-1] == "1 problem to mend before a run can work here."


def test_lines_are_wrapped_for_a_terminal_and_whole_in_a_pipe():
    finding = Finding(WARNING, "memory", "word " * 30, "do " * 30)
    wrapped = list(lines_of(finding, 60))
    assert len(wrapped) > 4
    assert max(map(len, wrapped)) <= 60
    assert len(list(lines_of(finding, None))) == 1
