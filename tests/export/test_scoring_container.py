"""A container's folder answers over HTTP with nothing else installed than what it lists."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from packaging.requirements import Requirement

from stacktune.errors import ConfigError, DataError
from stacktune.export.container import write_container
from stacktune.export.example import request_of
from stacktune.export.server import frame_of
from stacktune.runs.export import export

SEARCH_LIBRARIES = ("ray", "optuna", "mlflow", "pyarrow", "torch", "xgboost", "typer", "rich", "psutil", "matplotlib")
# Whatever is not among the installed distributions that requirements.txt asks for is as if it was not there.
BLOCKED = """
import sys
blocked, finders = set({blocked!r}), list(sys.meta_path)
class Listed:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is None and name.partition(".")[0] in blocked:
            return None
        return next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
sys.meta_path[:] = [Listed]
for name in {absent!r}:
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
from stacktune.export.server import main
main(["model", "--port", "{port}"])
"""


def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=200), "color": random.choice(["red", "blue"], 200)})
    frame["sold"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, 200), unit="D")
    return frame.assign(y=np.where(frame["x"] + (frame["color"] == "red") > 0.5, "yes", "no"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("container")
    leader = fit(table(), "y", folder, ("lightgbm",), n_folds=2).leader
    said: list[str] = []
    export(str(leader.folder), "container", folder / "scoring", None, said.append)
    return leader, folder / "scoring", said


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def modules_of(requirements: list[str]) -> set[str]:
    """Return the modules of distributions and of all that these need."""
    by_distribution: dict[str, set[str]] = {}
    for module, names in metadata.packages_distributions().items():
        for name in names:
            by_distribution.setdefault(re.sub("[-_.]+", "-", name).lower(), set()).add(module)
    ahead, seen, modules = [Requirement(line) for line in requirements], set(), set()
    while ahead:
        name = re.sub("[-_.]+", "-", ahead.pop().name).lower()
        if name in seen:
            continue
        seen.add(name)
        modules |= by_distribution.get(name, set())
        try:
            more = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue
        ahead += [each for each in more if each.marker is None or each.marker.evaluate({"extra": ""})]
    return modules


@pytest.fixture(scope="module")
def address(written):
    """The server, in a process to which only the listed libraries are there."""
    _, folder, _ = written
    allowed = modules_of((folder / "requirements.txt").read_text().split()) | {"stacktune"}
    blocked = set(metadata.packages_distributions()) - allowed
    port = free_port()
    script = BLOCKED.format(blocked=sorted(blocked), absent=SEARCH_LIBRARIES, port=port)
    command, environment = (
        [sys.executable, "-c", script],
        {"PYTHONPATH": "code", "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        place = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                assert urllib.request.urlopen(f"{place}/ping").status == 200
                break
            except urllib.error.URLError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        yield place
        process.terminate()


def ask(address: str, body: object) -> tuple[int, dict]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/invocations", content, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_folder_has_what_docker_needs_and_no_search_library(written):
    leader, folder, said = written
    assert {path.name for path in folder.iterdir()} == {"Dockerfile", "README.md", "code", "model", "requirements.txt"}
    needed = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().split()}
    assert {"lightgbm", "numpy", "pandas", "starlette", "uvicorn"} <= needed
    assert not needed & set(SEARCH_LIBRARIES)
    assert "libgomp1" in (folder / "Dockerfile").read_text()
    assert any("docker build" in line for line in said)
    assert max(len(line) for line in said if not line.startswith(("build", str(folder)))) <= 80
    assert request_of(leader.schema) in (folder / "README.md").read_text()


def test_it_answers_as_the_leader_with_nothing_else_installed(written, address):
    leader, _, _ = written
    rows = table().drop(columns="y").head(20)
    split = json.loads(rows.to_json(orient="split", date_format="iso"))
    expected = leader.predict(rows)
    for body in (
        {"dataframe_split": split},
        {"dataframe_records": [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]},
        {"inputs": {name: [row[place] for row in split["data"]] for place, name in enumerate(split["columns"])}},
    ):
        status, answer = ask(address, body)
        assert status == 200
        given = pd.DataFrame(answer["predictions"])
        assert given["prediction"].tolist() == expected["prediction"].tolist()
        np.testing.assert_allclose(given["yes"], expected["yes"])


def test_the_request_of_the_readme_is_answered(written, address):
    leader, _, _ = written
    status, answer = ask(address, request_of(leader.schema).encode())
    assert (status, len(answer["predictions"])) == (200, 1)
    assert "warnings" not in answer


def test_what_it_cannot_use_is_said(address):
    row = {"x": "a text", "color": "red", "sold": "2024-02-03"}
    status, answer = ask(address, {"dataframe_records": [row] * 3})
    assert status == 200
    assert "x" in answer["warnings"][0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the request is no JSON"),
        ({"rows": []}, "one of dataframe_records"),
        ({"dataframe_split": {"columns": ["x"], "data": [[1, 2]]}}, "a list for each row"),
        ({"dataframe_records": [{"color": "red"}]}, "has no column 'x'"),
    ],
)
def test_a_request_that_is_none_gets_a_message(address, body, message):
    status, answer = ask(address, body)
    assert status == 400
    assert message in answer["message"]


def test_a_request_without_columns_is_refused():
    with pytest.raises(DataError, match="columns with names"):
        frame_of(b'{"instances": [[1, 2]]}')


def test_a_folder_that_holds_something_is_not_written_over(written, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match=r"is there already: name a new folder with --output"):
        write_container(written[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
