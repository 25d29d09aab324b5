"""A run kept in an object store: a real S3 API on loopback, which fails as stores do."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pandas as pd
import psutil
import pytest
from commands import begun, stacktune
from moto.server import ThreadedMotoServer
from whole_runs import mixed_table

from stacktune.errors import ConfigError
from stacktune.runs import mirror
from stacktune.runs.copy_place import claim_place
from stacktune.runs.mirror import Mirror, downloaded, fetch_run
from stacktune.search.journal import ASKED
from stacktune.storage import lease as lease_room
from stacktune.storage.lease import LEASE, Held, write_held
from stacktune.storage.remote import join, names_in, publish_file
from stacktune.storage.run_folder import JOURNAL, LOG, STATE, TRIALS

BUCKET = "runs"


class FlakyStore:
    """Moto's server, behind a switch. share: of the requests that are answered with status 500. asked: each request."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        _, port = self._server.get_host_and_port()
        self.endpoint = f"127.0.0.1:{port}"
        # Its buckets outlive it in this process.
        urllib.request.urlopen(f"http://{self.endpoint}/moto-api/reset", data=b"").close()
        self.share, self._chance, self._lock = 0.0, random.Random(0), threading.Lock()
        self.asked: list[str] = []
        answer = self._server._server.app

        def flaky(environ, start_response):
            with self._lock:
                fails = self._chance.random() < self.share
                self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            if fails:
                start_response("500 Internal Server Error", [("Content-Length", "0")])
                return [b""]
            return answer(environ, start_response)

        self._server._server.app = flaky

    def close(self) -> None:
        self._server.stop()


@pytest.fixture
def store(monkeypatch) -> Iterator[FlakyStore]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = FlakyStore()
    boto3.client("s3", endpoint_url=f"http://{store.endpoint}").create_bucket(Bucket=BUCKET)
    yield store
    store.close()


def uri_of(store: FlakyStore, *names: str) -> str:
    return f"s3://{'/'.join([BUCKET, *names])}?endpoint_override={store.endpoint}&scheme=http"


@pytest.fixture
def folder(tmp_path) -> Path:
    """What a run looks like on disk."""
    folder = tmp_path / "run"
    for number in range(4):
        (folder / TRIALS / f"linear-{number:04}" / "fold0").mkdir(parents=True)
        (folder / TRIALS / f"linear-{number:04}" / "fold0" / "model.npz").write_bytes(bytes([number]) * 70_000)
    (folder / TRIALS / ".unfinished").mkdir()
    (folder / STATE).write_text('{"run": "ours"}')
    (folder / JOURNAL).write_text("one\n")
    (folder / LOG).write_text("what happened\n")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_whole_in_the_store_although_every_third_request_fails(store, folder, tmp_path):
    said: list[str] = []
    store.share = 0.3
    copies = Mirror(folder, uri_of(store, "run"), said.append)
    while not copies.close():
        pass
    store.share = 0.0
    fetch_run(uri_of(store, "run"), tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(folder)


def test_a_trial_is_one_request_each_way(store, folder, tmp_path):
    """A trial took 44 requests and a leader 915, by which runs of 30 s ended 16 s late."""
    assert Mirror(folder, uri_of(store, "run"), lambda text: None).close()
    expected = [f"PUT /{BUCKET}/run/{TRIALS}/linear-{number:04}.tar" for number in range(4)]
    assert sorted(one for one in store.asked if f"/{TRIALS}/" in one) == expected
    store.asked.clear()
    fetch_run(uri_of(store, "run"), tmp_path / "back")
    read = [one for one in store.asked if one.startswith("GET") and f"/{TRIALS}/" in one]
    assert sorted(read) == [one.replace("PUT", "GET") for one in expected]


def test_what_changes_is_copied_again_and_nothing_else(store, folder, tmp_path):
    copies = Mirror(folder, uri_of(store, "run"), lambda text: None)
    assert copies.close()
    with (folder / JOURNAL).open("a") as journal:
        journal.write("two\n")
    shutil.rmtree(folder / TRIALS / "linear-0001" / "fold0")
    assert copies.close()
    fetch_run(uri_of(store, "run"), tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(folder)


def test_a_store_that_is_away_is_said_once(store, folder):
    said: list[str] = []
    store.share = 1.0
    copies = Mirror(folder, uri_of(store, "run"), said.append)
    assert not copies.close()
    assert not copies.close()
    assert len(said) == 1
    assert said[0].startswith("the storage cannot be written (")


def test_no_run_and_a_folder_that_is_there_are_refused(store, folder):
    with pytest.raises(ConfigError, match=r"no run to go on with at 's3://runs/none' \(it holds no state\.json"):
        fetch_run(uri_of(store, "none"), folder.with_name("new"))
    assert not folder.with_name("new").exists()
    with pytest.raises(ConfigError, match="is there already: resume it"):
        fetch_run(uri_of(store, "none"), folder)


@pytest.fixture(params=["s3", "file", "path"])
def storage(request, store, tmp_path) -> str:
    """Each kind of place below which copies are kept."""
    place = tmp_path / "shared disk"
    return {"s3": uri_of(store), "file": place.as_uri(), "path": str(place)}[request.param]


def deaf(text: str) -> None: ...


def claim(storage: str, folder: Path, run: str) -> None:
    """Keep a whole copy of the folder for a run."""
    with claim_place(storage, "run", folder, run, deaf) as place:
        assert Mirror(folder, place.uri, deaf, place.lease.may_write).close()


def test_the_copy_of_another_run_is_refused_and_left_as_it_is(storage, folder, tmp_path):
    """It was overwritten, and trials of both were mixed."""
    claim(storage, folder, "ours")
    other = shutil.copytree(folder, tmp_path / "other" / "run")
    (other / JOURNAL).write_text("of another\n")
    with pytest.raises(ConfigError, match=r"holds the copy of another run, or other files: give another --output"):
        claim(storage, other, "another")
    fetch_run(join(storage, "run"), tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(folder)


def test_the_same_run_goes_on_with_its_copy(storage, folder, tmp_path):
    claim(storage, folder, "ours")
    with (folder / JOURNAL).open("a") as journal:
        journal.write("two\n")
    claim(storage, folder, "ours")
    fetch_run(join(storage, "run"), tmp_path / "back")
    assert files_of(tmp_path / "back") == files_of(folder)


def test_a_copy_with_what_the_folder_lacks_is_not_overwritten(storage, folder):
    """The machine was taken for lost, the run went on elsewhere, and the machine came back."""
    with (folder / JOURNAL).open("a") as journal:
        journal.write("two\n")
    claim(storage, folder, "ours")
    (folder / JOURNAL).write_text("one\nbeg")
    with pytest.raises(ConfigError, match=r"the run went on elsewhere, and its copy at .* has trials that .* lacks"):
        claim(storage, folder, "ours")


def test_a_copy_that_is_itself_resumed_is_not_copied_onto_itself(folder):
    before = files_of(folder)
    with claim_place(str(folder.parent), folder.name, folder, "ours", deaf) as place:
        assert place is None
    assert files_of(folder) == before


def test_other_files_at_the_place_are_refused(storage, folder):
    publish_file(folder / STATE, join(storage, "run", "notes.txt"))
    with pytest.raises(ConfigError, match="holds the copy of another run, or other files"):
        claim(storage, folder, "ours")


@pytest.mark.parametrize("is_started", [False, True])
def test_a_run_that_leaves_no_folder_leaves_no_copy(storage, folder, tmp_path, is_started):
    with claim_place(storage, "run", folder if is_started else tmp_path / "none", "ours", deaf) as place:
        if is_started:
            assert Mirror(folder, place.uri, deaf).close()
            shutil.rmtree(folder)
    assert names_in(join(storage, "run")) == []
    with claim_place(storage, "run", tmp_path, "another", deaf):
        pass


def test_two_at_once_on_one_copy_are_refused_by_name(storage, folder, tmp_path):
    """Of a run at work, and of a copy of its folder, and of the copy itself."""
    with claim_place(storage, "run", folder, "ours", deaf) as place:
        assert Mirror(folder, place.uri, deaf).close()
        with pytest.raises(ConfigError, match=rf"a run is at work on .*: process {os.getpid()} on "):
            claim(storage, folder, "ours")
        if "://" in storage:
            with pytest.raises(ConfigError, match=rf"a run is at work on .*: process {os.getpid()} on "):
                downloaded(join(storage, "run"), str(tmp_path / "back"), deaf)
            assert not (tmp_path / "back").exists()
    claim(storage, folder, "ours")


def test_a_run_at_work_on_another_machine_is_refused_once_it_gives_a_sign_of_life(storage, folder, monkeypatch):
    monkeypatch.setattr(lease_room, "this_process", lambda: {"host": "elsewhere", "pid": 7, "boot": "b"})
    monkeypatch.setattr(lease_room, "RENEW_S", 0.05)
    monkeypatch.setattr(lease_room, "MIN_WATCHED", 10_000.0)
    with (
        claim_place(storage, "run", folder, "ours", deaf),
        pytest.raises(ConfigError, match=r"a run is at work on .*: process 7 on elsewhere\. Wait for it"),
    ):
        claim(storage, folder, "ours")


def test_a_run_whose_machine_is_dead_is_brought_here_after_a_watch_that_is_said(store, folder, tmp_path):
    place, said = uri_of(store, "run"), []
    claim(uri_of(store), folder, "ours")
    write_held(place, Held("ours", "b", {"host": "lost", "pid": 7, "boot": "b"}, renew_s=0.05))
    back, waited_s = downloaded(place, str(tmp_path / "back"), said.append)
    assert files_of(back) == files_of(folder)
    assert waited_s >= 3.5 * 0.05
    assert [one[:26] for one in said] == ["process 7 on lost was at w"]
    with claim_place(uri_of(store), "run", back, "ours", deaf) as held:
        assert held.waited_s == 0


@pytest.mark.parametrize("storage", ["s3://", "gs:///", "s3://?region=x"])
def test_storage_without_a_place_is_refused(storage, folder):
    """Of s3:// a local folder called s3: was made."""
    with (
        pytest.raises(ConfigError, match=r"--storage 's3://.*' names no place|--storage 'gs:///' names no place"),
        claim_place(storage, "run", folder, "ours", deaf),
    ):
        pass


def test_a_lease_is_of_the_place_and_not_of_the_run(store, folder, tmp_path):
    claim(uri_of(store), folder, "ours")
    fetch_run(uri_of(store, "run"), tmp_path / "back")
    assert LEASE not in files_of(tmp_path / "back")


def test_a_mirror_whose_lease_is_lost_writes_nothing_more(store, folder):
    said: list[str] = []
    copies = Mirror(folder, uri_of(store, "run"), said.append, lambda: False)
    assert not copies.close()
    assert not [one for one in store.asked if one.startswith(f"PUT /{BUCKET}/run")]
    assert said == [
        "the storage cannot be written (another process may write the copy by now). The run goes on; it is tried again."
    ]


def lose_machine(command: psutil.Process) -> None:
    """Kill a run with all of its Ray: a process that is left would still write into the folder that goes."""
    processes = [command, *command.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def copy_soon() -> None:
    """Let what is new be copied each second, not every tenth."""
    mirror.EVERY_S = 1.0


def test_a_run_whose_machine_is_lost_goes_on_on_another(store, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    mixed_table().to_parquet(tmp_path / "tumours.parquet")
    words = ["run", str(tmp_path / "tumours.parquet"), "--target", "diagnosis", "--families", "linear,lightgbm"]
    words += ["--time-budget", "10m", "--folds", "3", "--cpus", "1", "--output", "run", "--storage", uri_of(store)]
    with begun(*words, cwd=here, prepare=copy_soon) as command:
        client, seen = boto3.client("s3", endpoint_url=f"http://{store.endpoint}"), []
        while not any(name.endswith(JOURNAL) for name in seen) and command.poll() is None:
            time.sleep(0.3)
            seen = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        assert command.poll() is None
        lose_machine(psutil.Process(command.pid))
    shutil.rmtree(here)
    journal = client.get_object(Bucket=BUCKET, Key=f"run/{JOURNAL}")["Body"].read().splitlines()
    n_asked = sum(json.loads(line)["event"] == ASKED for line in journal)
    words = [
        "--resume",
        uri_of(store, "run"),
        "--output",
        "run",
        "--max-trials",
        n_asked + 2,
        "--cpus",
        1,
        "--no-report",
    ]
    ended = stacktune("run", *words, cwd=there)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    facts = json.loads((there / "run" / "run.json").read_text())
    assert facts["n_completed"] + facts["n_stopped"] == n_asked + 2
    brought = {Path(one).stem for one in seen if f"/{TRIALS}/" in one}
    assert brought
    assert brought <= set(pd.read_parquet(there / "run" / "leaderboard.parquet")["name"])
    kept = client.get_object(Bucket=BUCKET, Key="run/run.json")["Body"].read()
    assert json.loads(kept) == facts
    assert not any(b"very-secret" in content for content in files_of(there).values())


def test_a_long_copy_at_the_end_says_how_far_it_is(store, folder, monkeypatch):
    """It showed nothing but the time."""
    said: list[str] = []
    monkeypatch.setattr(mirror, "SAY_EVERY_S", 0.0)
    assert Mirror(folder, uri_of(store, "run"), said.append).close()
    n_all = len(list((folder / TRIALS).glob("[!.]*"))) + len(
        [name for name in ("leader", "explanation", "plots") if (folder / name).is_dir()]
    )
    assert said == [f"copied {n} of {n_all} folders to the storage" for n in range(1, n_all)]
