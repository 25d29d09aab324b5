"""What a program hands to a run is checked before anything is begun."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stacktune.errors import ConfigError, SearchError
from stacktune.observers import Observer, Snapshot
from stacktune.report.outputs import output_folder
from stacktune.runs import driver, watch
from stacktune.runs.program import run
from stacktune.settings.groups import Settings
from stacktune.settings.problem import IN_MEMORY
from stacktune.stop import Stopped, StopRequest

FRAME = pd.DataFrame({"a": range(8), "y": ["no", "yes"] * 4})


@pytest.fixture
def handed(monkeypatch) -> list:
    """What driver.run is called with, which does nothing."""
    calls: list = []
    monkeypatch.setattr(driver, "run", lambda *given: calls.append(given))
    return calls


def test_a_table_may_be_a_path_or_in_memory_and_settings_a_mapping(handed, tmp_path):
    run({"target": "y"}, tmp_path / "t.parquet")
    run({"target": "y", "data": "t.parquet", "test_data": "u.csv"})
    run(Settings(IN_MEMORY, "y"), FRAME, test_table="u.csv")
    run({"target": "y"}, FRAME, test_table=FRAME)
    configs, tables = [given[0] for given in handed], [given[4] for given in handed]
    assert [(one.data, one.test_data) for one in configs] == [
        (str(tmp_path / "t.parquet"), None),
        ("t.parquet", "u.csv"),
        (IN_MEMORY, "u.csv"),
        (IN_MEMORY, IN_MEMORY),
    ]
    assert [(one.training is FRAME, one.test is FRAME) for one in tables] == [
        *[(False, False)] * 2,
        *[(True, False), (True, True)],
    ]


REFUSED = {
    "two tables": (
        ({"target": "y", "data": "t.parquet"}, FRAME),
        {},
        "name a table, 't.parquet', and another is handed",
    ),
    "two paths": ((Settings("t.parquet", "y"), "u.parquet"), {}, "leave 'data' out, or the other"),
    "none": (({"target": "y"},), {}, "no table is given"),
    "a promise": (({"target": "y", "data": IN_MEMORY},), {}, r"stands for a table that a program hands over"),
    "a test table's promise": (
        ({"target": "y", "test_data": IN_MEMORY}, FRAME),
        {},
        r"stacktune\.run\(settings, table, test_table=rows\)",
    ),
    "a list": (({"target": "y"}, [1, 2]), {}, "a table must be a path, a pandas DataFrame or .*, not list"),
    "a key": (({"targt": "y"}, FRAME), {}, "no option called 'targt'. Did you mean 'target'"),
    "test rows twice": (({"target": "y", "test_size": 0.2}, FRAME), {"test_table": FRAME}, "exclude each other"),
    "test rows twice, in settings": (
        (Settings(IN_MEMORY, "y", test_size=0.2), FRAME),
        {"test_table": FRAME},
        "exclude each other",
    ),
    "all settings anew": (
        (Settings(IN_MEMORY, "y"), FRAME),
        {"resume": "runs/one"},
        "give a mapping of those that may",
    ),
    "settings that are none": ((["y"], FRAME), {}, "settings must be a mapping such as"),
    "one observer alone, of no kind": (({"target": "y"}, FRAME, print), {}, "in a list; .*print.* is none"),
    "a class of observers": (({"target": "y"}, FRAME, [Observer]), {}, "in a list; .*Observer.* is none"),
    "a stop that is none": (({"target": "y"}, FRAME), {"stop": True}, "stop must be a threading.Event"),
    "a run by number": (({}, FRAME), {"resume": 3}, "resume must be the folder or URI of a run, not 3"),
    "no run": (({}, FRAME), {"resume": "nowhere"}, "there is no run to go on with in"),
}


@pytest.mark.parametrize(("given", "named", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_at_once(given, named, why):
    with pytest.raises(ConfigError, match=why):
        run(*given, **named)


def test_a_default_folder_of_a_table_in_memory_is_called_after_its_target(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output_folder(Settings(IN_MEMORY, "net income")).name.endswith("-net-income")


def test_a_run_that_is_stopped_before_there_is_a_trial_says_so_in_one_line(monkeypatch):
    def stopped(*_given: object) -> None:
        raise Stopped(None)

    monkeypatch.setattr(driver, "run", stopped)
    with pytest.raises(SearchError, match="the run was stopped before a trial was completed: there is no leader"):
        run({"target": "y"}, FRAME)


def test_the_example_of_the_readme_stops_at_the_score_that_it_says(monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "pipeline" / "runs" / "README.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)

    def heard(config, observers, started_at, past, tables, stop) -> SimpleNamespace:
        for score, is_good in ((None, False), (0.5, False), (0.94, True)):
            observers[0].snapshot(Snapshot(1.0, "searching", best=score))
            assert stop.is_set() == is_good
        return SimpleNamespace(leader="linear-0000", cv_score=0.94, folder="there")

    monkeypatch.setattr(driver, "run", heard)
    exec(example, {"frame": FRAME.rename(columns={"y": "income"})})
    assert capsys.readouterr().out == "linear-0000 0.94 there\n"


def test_a_search_without_a_completed_trial_ends_at_once_when_a_program_asks():
    search = SimpleNamespace(wait=lambda _seconds: False, log=SimpleNamespace(results=list))
    event = threading.Event()
    assert watch._end_if_over(None, search, StopRequest(print, event)) is None
    event.set()
    with pytest.raises(Stopped, match="Stopped by the program"):
        watch._end_if_over(None, search, StopRequest(print, event))


class SlowRay:
    """A Ray that never comes up; somebody asks the run to end meanwhile."""

    def __init__(self, stop: threading.Event):
        self._stop = stop
        self.waits_until: list[float] = []

    def size(self, until: float) -> None:
        self.waits_until.append(until)
        self._stop.set()


def test_a_program_is_heard_while_ray_comes_up(monkeypatch):
    monkeypatch.setattr(driver, "search_ends_at", lambda *_args, **_named: np.inf)
    monkeypatch.setattr(driver, "prepare", lambda: None)
    start = SimpleNamespace(clock=None, pace=SimpleNamespace(usual_s=1e9))
    data, event = SimpleNamespace(problem=None, test=None), threading.Event()
    ray, before = SlowRay(event), time.monotonic()
    with pytest.raises(Stopped, match="Stopped by the program"):
        driver._ray_up(start, data, ray, None, StopRequest(print, event))
    assert len(ray.waits_until) == 1
    assert ray.waits_until[0] < before + 1e6
