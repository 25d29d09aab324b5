"""Files of any kind reach MLflow: when it was away, after a kill, and from a run folder that was moved."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from stacktune.tracking.spool import forget_store
from stacktune.tracking.tracker import Tracker

BINARY = bytes(range(256)) * 4
# Logs a file and a folder to a store that cannot be used yet, and is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
from stacktune.tracking.tracker import Tracker

uri, folder = sys.argv[1:]
tracker = Tracker(uri, "files", None, "a run", spool=Path(folder, "tracking.jsonl"), is_optional=True)
tracker.log_artifact(Path(folder, "report.html"))
tracker.log_artifact(Path(folder, "plots"), "explanation")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with a page, a binary file and a folder in a folder."""
    folder = tmp_path / "run"
    (folder / "plots" / "deep").mkdir(parents=True)
    (folder / "report.html").write_text("<p>Grüße", encoding="utf-8")
    (folder / "importance.parquet").write_bytes(BINARY)
    (folder / "plots" / "roc.svg").write_text("<svg/>")
    (folder / "plots" / "deep" / "pr.svg").write_bytes(BINARY)
    return folder


def artifacts(uri: str, tracker: Tracker, to: Path) -> dict[str, bytes]:
    """Return what MLflow keeps with the parent run, by its path there."""
    kept = Path(MlflowClient(uri).download_artifacts(tracker.ids()[1], "", str(to)))
    return {file.relative_to(kept).as_posix(): file.read_bytes() for file in kept.rglob("*") if file.is_file()}


WHOLE = {"report.html": "<p>Grüße".encode(), "explanation/plots/roc.svg": b"<svg/>"}
WHOLE |= {"explanation/plots/deep/pr.svg": BINARY}


def test_files_of_any_kind_and_folders_are_kept_under_their_names(folder, sqlite_uri, tmp_path):
    tracker = Tracker(sqlite_uri, "files", (tmp_path / "artifacts").as_uri(), "a run")
    tracker.start()
    tracker.log_artifact(folder / "report.html")
    tracker.log_artifact(folder / "plots", "explanation")
    tracker.log_artifact(folder / "importance.parquet", "explanation/tables")
    assert tracker.finish("FINISHED", {}, {})
    wanted = WHOLE | {"explanation/tables/importance.parquet": BINARY}
    (tmp_path / "to").mkdir()
    assert artifacts(sqlite_uri, tracker, tmp_path / "to") == wanted


def test_what_was_logged_while_the_server_was_away_is_sent_as_it_is_when_it_is_back(folder, proxy, tmp_path):
    said: list[str] = []
    tracker = Tracker(proxy.uri, "files away", None, "a run", said.append, folder / "tracking.jsonl")
    tracker.start()
    tracker.ids()
    proxy.mode = "drop"
    tracker.log_artifact(folder / "report.html")
    tracker.log_artifact(folder / "plots", "explanation")
    tracker.log_artifact(folder / "importance.parquet")
    assert not tracker.flush(timeout_s=2)
    (folder / "report.html").write_text("written again")
    (folder / "importance.parquet").unlink()
    proxy.mode = "open"
    assert tracker.finish("FINISHED", {}, {}, timeout_s=60)
    (tmp_path / "to").mkdir()
    assert artifacts(proxy.uri, tracker, tmp_path / "to") == WHOLE | {"report.html": b"written again"}
    assert "MLflow has no copy of importance.parquet: it was gone before it could be sent." in said


def test_a_kill_and_a_move_of_the_run_cost_no_file(folder, sqlite_uri, tmp_path):
    """The spool keeps the place of a file, and that of one in the run's folder wherever this goes."""
    assert subprocess.run([sys.executable, "-c", KILLED, sqlite_uri, str(folder)]).returncode == -9
    assert "Grüße" not in (folder / "tracking.jsonl").read_text()
    moved = shutil.move(folder, tmp_path / "moved")
    for _ in range(2):  # and once more to a store that has lost the run
        artifact_folder = (tmp_path / "artifacts").as_uri()
        tracker = Tracker(sqlite_uri, "killed", artifact_folder, "a run", spool=moved / "tracking.jsonl")
        tracker.start()
        assert tracker.finish("FINISHED", {}, {}, timeout_s=60)
        shutil.rmtree(tmp_path / "to", ignore_errors=True)
        (tmp_path / "to").mkdir()
        assert artifacts(sqlite_uri, tracker, tmp_path / "to") == WHOLE
        forget_store(moved / "tracking.jsonl")
