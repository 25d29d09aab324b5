"""What runs elsewhere is read here: workflows are whole, name what is there, and versions stand in one place."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_there_are_workflows_for_changes_for_old_versions_and_for_a_ray_to_come():
    assert [path.stem for path in WORKFLOWS] == ["ci", "minimum", "ray-nightly"]
    jobs = {path.stem: set(yaml.safe_load(path.read_text())["jobs"]) for path in WORKFLOWS}
    assert jobs["ci"] == {"lint", "unit", "ray"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflow_is_whole_and_names_what_is_there(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow[True]  # YAML 1.1 takes `on` for a truth value
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 45
        assert job["steps"][0]["uses"].startswith("actions/checkout@")
        for command in (step["run"] for step in job["steps"] if "run" in step):
            words = shlex.split(command)
            named = [word for word in words if re.match(r"tests/|\.ci/", word)]
            assert all((ROOT / word).exists() for word in named), command


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflow_refers_to_what_it_defines(path):
    """GitHub reads what is not there as an empty text, and passes over a key that it does not know in a matrix."""
    workflow = yaml.safe_load(path.read_text())
    assert workflow.keys() <= {"name", True, "permissions", "concurrency", "env", "jobs"}
    for job in workflow["jobs"].values():
        assert job.keys() <= {"runs-on", "timeout-minutes", "strategy", "steps"}
        matrix = job.get("strategy", {}).get("matrix", {})
        assert set(re.findall(r"matrix\.(\w+)", yaml.safe_dump(job["steps"]))) == set(matrix)
        for step in job["steps"]:
            assert step.keys() <= {"uses", "with"} or step.keys() == {"run"}
            for name in re.findall(r"\$([A-Z]+)\b", step.get("run", "")):
                assert name in workflow["env"]
            for extra in re.findall(r'-e "\.\[(\w+)\]"', step.get("run", "")):
                assert extra in SETTINGS["project"]["optional-dependencies"]
            given = step.get("with", {})
            assert (ROOT / given.get("cache-dependency-path", "pyproject.toml")).exists()


def test_workflows_run_pythons_that_the_project_promises():
    promised = {line.rpartition(" ")[2] for line in SETTINGS["project"]["classifiers"] if "Python :: 3." in line}
    found = set(re.findall(r'"(3\.\d+)"', "".join(path.read_text() for path in WORKFLOWS)))
    assert found == promised


def test_scripts_can_be_run_and_find_the_versions_that_are_pinned_for_commits_too():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    lint = (ROOT / ".ci/lint").read_text()
    patterns = re.findall(r"sed -n 's/(\S.*)/\\1/p'", lint)
    assert len(patterns) == 2
    for pattern in patterns:
        found = re.findall(pattern.replace("\\(", "(").replace("\\)", ")"), hooks, re.MULTILINE)
        assert len(found) == 1
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?", found[0])
    assert all(os.access(ROOT / ".ci" / name, os.X_OK) for name in ("run", "lint", "types"))
    yaml.safe_load(hooks)


def test_mypy_passes_over_no_module():
    usual = SETTINGS["tool"]["mypy"]
    assert not any(one.get("ignore_errors") for one in [usual, *usual["overrides"]])


def test_what_ruff_passes_over_is_there():
    """A name in the list that is gone would hide that nothing is checked under the new one."""
    for name in SETTINGS["tool"]["ruff"]["lint"]["per-file-ignores"]:
        assert (ROOT / name.removesuffix("/*")).exists()
