"""Files of a run that a full disk or a person broke: one line that names the file, and never a traceback."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from stacktune.errors import ConfigError, UserError
from stacktune.report.outputs import make_folder, output_folder
from stacktune.report.results import read_results
from stacktune.report.retell import events_of
from stacktune.runs.distil import distil
from stacktune.runs.resume import resume_config, write_config
from stacktune.runs.state import RunState, write_state
from stacktune.runs.sync import sync
from stacktune.search.journal import Journal, elapsed_in, read_journal
from stacktune.search.log import SearchLog
from stacktune.search.plan.plan import ClusterSize, make_plan
from stacktune.search.replay import finished_since, replay
from stacktune.search.tune.searcher import FamilySearcher
from stacktune.settings.groups import Settings
from stacktune.settings.resuming import kept_settings
from stacktune.tracking.spool import Spool, read_spool
from stacktune.tracking.ui import ui_page
from stacktune.tracking.updates import Point, Update
from stacktune.trials.result import COMPLETED, TrialResult
from stacktune.trials.trial import Trial

sys.path.insert(0, str(Path(__file__).parent / "report"))
from finished_run import write_run

CONFIG = Settings("x.parquet", "y", max_trials=5)
TABLE = ("d", 10, ("x",), (), None)
STATE = RunState("a-run", "run", "/desk", *TABLE, kept_settings(CONFIG), "m", "x", "x", ("linear",), 5, False, ())
# What may be found where text was: nothing, a part, the zeros of a crash, another file's bytes, JSON and YAML of
# another kind.
DAMAGES = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "zeros": lambda whole: bytes(len(whole)),
    "binary": lambda whole: bytes(range(128, 256)) + whole,
    "null": lambda whole: b"null\n",
    "a list": lambda whole: b"[1, 2]\n",
    "a number": lambda whole: b"7\n",
    "no key": lambda whole: b"{}\n",
    "other kinds": lambda whole: (
        whole.replace(b": 10", b': "ten"').replace(b"0.95", b'"high"').replace(b"[0.2,", b'["most",')
    ),
}
READERS = {
    "resume": (lambda folder: resume_config(folder, {"max_trials": 99}), ("state.json", "config.yaml", "run.json")),
    "leaderboard": (read_results, ("run.json", "leaderboard.parquet", "leader.json")),
    "sync": (lambda folder: sync(folder, None, print), ("state.json", "config.yaml")),
    "ui": (lambda folder: ui_page(str(folder)), ("config.yaml",)),
}
# Says nothing that a run needs: the store beside the folder is taken, and what is missing is named.
HARMLESS = {("ui", name) for name in ("empty", "null", "no key", "other kinds", "cut")}
HARMLESS |= {("resume", "config.yaml", "other kinds"), ("sync", "config.yaml", "other kinds")}  # holds none
HARMLESS |= {("leaderboard", "leaderboard.parquet", "other kinds")}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A finished run's folder."""
    folder = write_run(tmp_path / "run")
    write_config(folder, CONFIG)
    write_state(folder, STATE)
    return folder


CASES = [
    (command, name, damage)
    for command, (_, names) in READERS.items()
    for name in names
    for damage in DAMAGES
    if (command, damage) not in HARMLESS and (command, name, damage) not in HARMLESS
]


@pytest.mark.parametrize(("command", "name", "damage"), CASES)
def test_a_broken_file_is_named_in_one_line(folder, command, name, damage):
    (path,) = folder.rglob(name)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(UserError) as refused:
        READERS[command][0](folder)
    said = str(refused.value)
    assert str(path) in said or str(path.parent) in said, said
    assert "\n" not in said


def trial(number: int, family: str = "linear") -> Trial:
    return Trial(f"{family}-{number:04}", family, {"alpha": 1.0})


def result(number: int, status: str = "stopped") -> TrialResult:
    return TrialResult(f"linear-{number:04}", "linear", {"alpha": 1.0}, "asha", status, 1, 3, curve=(0.5,))


def test_a_damaged_leaderboard_is_no_table_of_the_users_and_says_what_helps(folder):
    (folder / "leaderboard.parquet").write_bytes(b"junk")
    with pytest.raises(ConfigError, match=r"d\.parquet' is not what a run wrote.*Remove it; stacktune run --re"):
        read_results(folder)
    pd.DataFrame({"rank": [1.0]}).to_parquet(folder / "leaderboard.parquet")
    with pytest.raises(ConfigError, match=r"has no column 'name'\. Remove it"):
        read_results(folder)


def test_a_missing_leaderboard_is_named_and_a_resumed_run_writes_it_anew(folder):
    (folder / "leaderboard.parquet").unlink()
    with pytest.raises(ConfigError, match=r"has lost its leaderboard\.parquet; stacktune run --resume \S+ writes"):
        read_results(folder)
    assert resume_config(folder, {})  # though its trials are done
    (folder / "state.json").unlink()
    with pytest.raises(ConfigError, match="no state to make it from"):
        read_results(folder)


MODEL_ALONE = {
    "leaderboard": read_results,
    "events": events_of,
    "sync": lambda folder: sync(folder, None, print),
    "ui": lambda folder: ui_page(str(folder)),
    "resume": lambda folder: resume_config(folder, {}),
    "distil": lambda folder: distil(str(folder), "x.parquet", folder / "new", "lightgbm", None, print),
}


@pytest.mark.parametrize("command", MODEL_ALONE)
def test_a_folder_of_a_distilled_model_is_known_for_what_it_is(tmp_path, command):
    (tmp_path / "leader.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds a model without its run.*predict, explain and export take it"):
        MODEL_ALONE[command](tmp_path)


BROKEN_LINES = [
    b'{"event": "ended", "elapsed_s": 3.0, "what": {"trial_',
    bytes(range(128, 256)).replace(b"\n", b""),
    b"\0" * 40,
    b"null",
    b"{}",
    b'["asked"]',
    b'{"event": "asked", "elapsed_s": 3.0, "what": {"trial_id": 7}}',
    b'{"event": "progressed", "elapsed_s": 3.0, "what": null}',
    b'{"event": "alive", "elapsed_s": "long", "what": {}}',
]


def write_journal(path: Path, n_trials: int) -> None:
    journal = Journal(path, lambda: 12.0, print)
    for number in range(n_trials):
        journal.asked(trial(number))
        journal.ended(result(number))
    journal.close()


def test_broken_lines_of_a_journal_are_passed_over_with_a_note(folder):
    path = folder / "journal.jsonl"
    write_journal(path, 3)
    whole = list(read_journal(path))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], *BROKEN_LINES, *lines[2:]]) + b"\n")
    assert list(read_journal(path)) == whole
    assert elapsed_in(path) == 12.0
    _, past = resume_config(folder, {"max_trials": 99})
    (note,) = past.notes
    assert f"{len(BROKEN_LINES)} lines of {str(path)!r} cannot be read (the first is line 3)" in note


def test_a_trial_whose_beginning_is_lost_is_lost_alone_and_its_name_is_not_given_again(tmp_path):
    path = tmp_path / "journal.jsonl"
    write_journal(path, 3)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], b"\0\0\0", *lines[3:]]) + b"\n")
    entries = replay(read_journal(path), tmp_path / "trials")
    assert [entry.trial.trial_id for entry in entries] == ["linear-0000", "linear-0002"]
    log = SearchLog(listener=None)
    log.restore(entries)
    plan = make_plan(["linear"], ClusterSize(1, 0), 0, 9, None, 0.0)
    searcher = FamilySearcher(plan, log)
    assert searcher._n_asked == 3, "the next is linear-0003"


def test_a_trial_whose_result_is_damaged_runs_again(tmp_path):
    """A full disk once left an empty result.json, which says that a trial is complete."""
    done = tmp_path / "linear-0000"
    done.mkdir()
    result(0, COMPLETED).save(done)
    events = [("asked", asdict(trial(0))), ("ended", asdict(result(0, COMPLETED)))]
    assert replay(events, tmp_path)[0].result is not None
    (done / "result.json").write_text("")
    (entry,) = replay(events, tmp_path)
    assert entry.result is None
    assert finished_since([entry], tmp_path) == []


def test_broken_lines_of_what_mlflow_is_to_have_are_passed_over(tmp_path):
    path = tmp_path / "tracking.jsonl"
    spool = Spool(path)
    update = Update("linear-0000", params={"alpha": "1"}, points=(Point("f1", 0.5, 0),))
    spool.put(update)
    spool.close()
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], *BROKEN_LINES, b'{"update": {}, "number": 2}', *lines[1:]]) + b"\n")
    assert list(read_spool(path).waiting.values()) == [update]
    assert read_spool(path).key == spool.key


def test_two_runs_of_one_second_get_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stacktune.report.outputs.strftime", lambda pattern: "20260101-000000")
    config = Settings("table.parquet", "y")
    first, second = output_folder(config), output_folder(config)
    assert first == second, "neither is made while its table is read"
    made = [make_folder(first, config), make_folder(second, config), make_folder(output_folder(config), config)]
    assert [folder.name for folder in made] == [f"20260101-000000-table{end}" for end in ("", "-2", "-3")]
    assert all(folder.is_dir() for folder in made)


def test_a_folder_that_was_named_is_never_another(tmp_path):
    config = Settings("table.parquet", "y", output=str(tmp_path / "one"))
    assert make_folder(output_folder(config), config) == make_folder(output_folder(config), config) == tmp_path / "one"
