"""The file of a run's decisions: each once, whenever the run was killed, and retold in 80 columns."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stacktune.data.table import Task
from stacktune.ensemble.blend import Blend
from stacktune.ensemble.rows import ENSEMBLE, TRIAL, Leaderboard, LeaderboardRow
from stacktune.errors import ConfigError
from stacktune.metrics import get_metric
from stacktune.report.event_file import EventFile
from stacktune.report.retell import events_of, retold, tell
from stacktune.runs.news import SearchNews
from stacktune.runs.record import conclusions, registration
from stacktune.search.decisions import BEGAN, WENT_ON, DecisionRecord
from stacktune.search.events import Event
from stacktune.search.journal import Journal, read_journal
from stacktune.search.log import SearchLog
from stacktune.search.replay import replay
from stacktune.storage.lines import read_lines
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.registry import LeaderRecord
from stacktune.trials.result import COMPLETED, FAILED, TrialResult
from stacktune.trials.trial import Progress, Resume, Trial

RMSE = get_metric("rmse", "regression")


def board() -> Leaderboard:
    blend = Blend("average", (0.75, 0.25))
    pair = LeaderboardRow(
        "greedy_all", ENSEMBLE, ENSEMBLE, COMPLETED, 1.5, 0.1, (-1.5,), members=("mlp-0000", "linear-0001"), blend=blend
    )
    alone = LeaderboardRow("mlp-0000", "mlp", TRIAL, COMPLETED, 1.75, 0.1, (-1.75,), members=("mlp-0000",))
    return Leaderboard((pair, alone), RMSE, Task("regression", ()), selection_penalty=0.125)


def trial(name: str) -> Trial:
    return Trial(name, name.partition("-")[0], {"alpha": 0.5, "depth": 3})


def result(name: str, status: str, score: float = -2.0, error: str | None = None) -> TrialResult:
    ours = trial(name)
    scores = (score,) * 3 if status == COMPLETED else ()
    return TrialResult(name, ours.family, dict(ours.config), "asha", status, 3, 3, (score,), scores, error=error)


STEPS = (
    lambda log: log.add(trial("mlp-0000")),
    lambda log: log.progressed("mlp-0000", Progress(1, 3, -4.0, 5, 0.5, state="/s/mlp-0000-1-0a1b2c")),
    lambda log: log.add(trial("mlp-0001")),
    lambda log: log.progressed("mlp-0001", Progress(1, 3, -9.0, 5, 0.5)),
    lambda log: log.took_up(
        "mlp-0001", Trial("mlp-0001", "mlp", {"alpha": 0.4, "depth": 3}, resume=Resume("/s/mlp-0000-1-0a1b2c", 1, ()))
    ),
    lambda log: log.ended(result("mlp-0000", COMPLETED)),
    lambda log: log.ended(log.entry("mlp-0001").cut_short(None), "2 of 3 were better"),
    lambda log: log.add(trial("linear-0002")),
    lambda log: log.ended(result("linear-0002", FAILED, math.nan, "ValueError: no\nand more")),
    lambda log: log.set_aside("linear", "all its trials failed"),
)


class Session:
    """A process at work on the run's folder, which may end at any step."""

    def __init__(self, folder: Path, is_first: bool):
        self.places = RunFolder(folder)
        self.journal = Journal(self.places.journal, lambda: 7.0, pytest.fail)
        self.events = EventFile(self.places.events, lambda: 7.0, RMSE, pytest.fail)
        self.events.catch_up(self.places.journal)
        self.log = SearchLog(SearchNews(self.events, folder), self.journal)
        self.log.restore(replay(read_journal(self.places.journal), self.places.trials))
        if is_first:
            self.events.decided(DecisionRecord(BEGAN, "table", None, {"run": "a"}))
        else:
            self.events.decided(DecisionRecord(WENT_ON, "", None, {"n_trials": 1}))

    def end(self) -> None:
        self.journal.close()
        self.events.__exit__(None, None, None)


def told(folder: Path) -> list[tuple]:
    """Every line but those of sessions, without what another session changes."""
    lines = [line for line in read_lines(RunFolder(folder).events) if line["event"] not in (BEGAN, WENT_ON)]
    return [
        tuple(sorted((k, json.dumps(v)) for k, v in line.items() if k not in ("elapsed_s", "fit_s", "why")))
        for line in lines
    ]


@pytest.fixture
def whole(tmp_path) -> Path:
    """The folder of a run that nothing cut off."""
    folder = tmp_path / "whole"
    folder.mkdir()
    session = Session(folder, is_first=True)
    for step in STEPS:
        step(session.log)
    session.end()
    return folder


def test_scores_are_as_people_read_them_and_the_file_is_strict_json(whole):
    lines = (whole / "events.jsonl").read_text().splitlines()
    events = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [event["event"] for event in events] == [
        *("began", "asked", "rung", "asked", "rung", "exploited", "completed", "stopped", "asked", "failed"),
        "set aside",
    ]
    assert [event.get("score") for event in events[2:8]] == [4.0, None, 9.0, None, 2.0, 9.0]
    assert events[5] | {"elapsed_s": 0} == {
        **{"event": "exploited", "elapsed_s": 0, "of": "mlp-0001", "donor": "mlp-0000", "rung": 1},
        "config": {"alpha": 0.4, "depth": 3},
    }
    assert (events[7]["why"], events[9]["why"]) == ("2 of 3 were better", "ValueError: no\nand more")


@pytest.mark.parametrize("n_done", range(len(STEPS) + 1))
@pytest.mark.parametrize("is_told", [True, False])
def test_a_run_killed_after_any_step_tells_each_decision_once(whole, tmp_path, n_done, is_told):
    """Killed between the journal's line and the event's, or after both; then what was under way is done anew."""
    folder = tmp_path / "cut"
    folder.mkdir()
    session = Session(folder, is_first=True)
    for step in STEPS[:n_done]:
        step(session.log)
    session.end()
    path = folder / "events.jsonl"
    if not is_told and 0 < n_done < len(STEPS):  # the journal knows nothing of the last step's family
        path.write_text("\n".join(path.read_text().splitlines()[:-1]) + '\n{"event": "as')
    session = Session(folder, is_first=False)
    again = 3 if n_done == 4 else n_done  # a trial whose process is gone reaches its rung again
    for step in STEPS[again:]:
        step(session.log)
    session.end()
    assert sorted(told(folder)) == sorted(told(whole))


def test_a_folder_of_a_version_that_wrote_no_events_gets_them_from_its_journal(whole):
    before = [line for line in told(whole) if ("event", '"set aside"') not in line]
    (whole / "events.jsonl").unlink()
    Session(whole, is_first=False).end()
    assert told(whole) == before


def test_a_leader_is_told_again_only_where_a_trial_came_since(tmp_path):
    records = [*conclusions(board()), registration(LeaderRecord(tmp_path, "houses", 3, alias="leader"))]
    for is_first in (True, False):
        session = Session(tmp_path, is_first)
        for _ in range(2):
            for one in records:
                session.events.decided(one)
        session.end()
    session = Session(tmp_path, is_first=False)
    session.log.add(trial("mlp-0009"))
    session.events.decided(records[1])
    session.end()
    events = [event for event in events_of(tmp_path) if event["event"] not in (BEGAN, WENT_ON)]
    assert [event["event"] for event in events] == [
        *("ensemble built", "leader chosen", "registered", "asked", "leader chosen")
    ]
    assert (events[0]["score"], events[0]["members"]) == (1.5, {"mlp-0000": 0.75, "linear-0001": 0.25})
    assert events[1]["why"] == (
        "mlp-0000, the best trial, has 1.7500; "
        "scores of trials are raised by 0.1250 first, as the best of many flatters"
    )


def test_secrets_in_what_is_noted_are_not_written(tmp_path):
    session = Session(tmp_path, is_first=True)
    session.events.note("the store postgresql://ann:s3cr3t@host/db is away")
    session.end()
    assert "s3cr3t" not in (tmp_path / "events.jsonl").read_text()


def test_what_ended_a_session_is_told(tmp_path):
    with pytest.raises(ConfigError), EventFile(tmp_path / "events.jsonl", lambda: 1.0, RMSE, pytest.fail):
        raise ConfigError("the disk is gone.")
    (event,) = events_of(tmp_path)
    assert (event["event"], event["why"]) == ("broke off", "the disk is gone.")


def test_the_story_fits_80_columns_and_nothing_in_it_steers_a_terminal(whole):
    with (whole / "events.jsonl").open("a") as file:
        for odd in (
            {"event": "registered", "elapsed_s": 4000.0, "of": "houses", "version": None, "why": "away " * 60},
            {"event": "note", "elapsed_s": 1.0, "text": "\x1b[2J" + "long" * 50},
            {"event": "asked", "elapsed_s": 1.0, "of": "nas-0000", "config": {"layers": list(range(200))}},
            {"event": "of another version", "elapsed_s": 2.0, "new": 3},
            {"event": "rung", "elapsed_s": 2.0, "of": "without its fields"},
        ):
            file.write(json.dumps(odd) + "\n")
        file.write("{broken\n")
    said: list[str] = []
    tell(whole, False, said.append)
    assert max(map(len, said)) <= 80
    assert "\x1b" not in "".join(said)
    text = "\n".join(said)
    for line in (
        "    0:07  stopped         mlp-0001 at rung 1 of 3: 9.0000; 2 of 3 were better",
        "    0:07  failed          linear-0002 at rung 3 of 3; ValueError: no",
        "    0:07  exploited       mlp-0001 goes on from mlp-0000 at rung 1: alpha 0.4,",
        " 1:06:40  registered      not: away away",
        "    0:02  of another version  new 3",
        "1 line of events.jsonl cannot be read; the first is line 17",
    ):
        assert line in text, text


def test_as_json_the_lines_are_passed_on(whole):
    said: list[str] = []
    tell(whole, True, said.append)
    assert said == (whole / "events.jsonl").read_text().splitlines()


def test_a_folder_without_events_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no events\.jsonl: name the folder of a run"):
        tell(tmp_path, False, pytest.fail)


def test_a_line_that_has_no_words_is_still_a_line():
    assert list(retold([{"event": "note", "elapsed_s": 0.0, "text": ""}])) == ["    0:00  note            ·"]


def test_what_a_source_learns_is_kept_once(tmp_path):
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        with EventFile(path, lambda: 7.0, RMSE, pytest.fail) as events:
            for step in range(3):
                events.event(Event("controller", {"reward": step / 4}, step))
    lines = list(read_lines(path, lambda line: True))
    assert [line["values"] for line in lines] == [{"reward": 0.0}, {"reward": 0.25}, {"reward": 0.5}]
    assert "controller at 2: reward 0.5" in list(retold(lines))[-1]
