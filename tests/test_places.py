"""At home anywhere: users whom the system does not know, homes and folders that cannot be written or are gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_runs import STACKTUNE, mixed_table

from stacktune.errors import ConfigError, place_trouble
from stacktune.places import check_place, check_working_folder, expanded, lend_home
from stacktune.storage.filesystem import resolve

# Of no entry in passwd, here or anywhere.
STRANGER = 54321
# It may read what root installed in root's home, as tests may run from there, and write nothing but its own.
AS_STRANGER = [
    *("setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody reaches: for results, for temporary files with a long name, and one that is read-only."""
    folder = Path(tempfile.mkdtemp(prefix="test-places-", dir="/tmp"))
    folder.chmod(0o755)
    for name in ("results", "long" * 30):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    (folder / "readonly").mkdir(mode=0o555)
    mixed_table().to_parquet(folder / "t.parquet")
    yield folder
    shutil.rmtree(folder)


def as_stranger(words: list[object], cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command as a user whom nobody knows, with nothing in the environment but what is given."""
    return subprocess.run(
        list(map(str, [*AS_STRANGER, *words])),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        umask=0o077,
        capture_output=True,
        text=True,
        timeout=600,
    )


@needs_root
def test_a_user_without_a_name_a_home_and_a_short_folder_for_temporary_files_has_a_leader(place):
    """Each was a traceback: Ray wrote a token into the home, sockets into TMPDIR, and asked for a home on import.

    Variables that end Ray's processes, or make libraries' warnings errors, were waited for in vain for three minutes.
    """
    before = {path.name for path in Path("/tmp").iterdir()}
    results = place / "results" / "run"
    words = ["run", place / "t.parquet", "--target", "diagnosis", "--max-trials", 1, "--families", "linear"]
    ended = as_stranger(
        [*STACKTUNE, *words, "--folds", 2, "--cpus", 1, "--output", results],
        cwd=place / "readonly",
        TMPDIR=str(place / ("long" * 30)),
        PYTHONWARNINGS="error",
        RAY_OVERRIDE_RESOURCES="x",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert (results / "run.json").is_file()
    assert results.stat().st_uid == STRANGER
    assert (results / "run.json").stat().st_mode & 0o077 == 0
    assert list((place / ("long" * 30)).iterdir()) == []
    left = {path for path in Path("/tmp").iterdir() if path.name not in before}
    assert {path for path in left if path.stat().st_uid == STRANGER and any(path.rglob("*"))} == set()
    predict = ["predict", results, place / "t.parquet", "--output", place / "results" / "p.csv"]
    predicted = as_stranger([*STACKTUNE, *predict], cwd=place / "readonly", HOME="/nonexistent")
    assert predicted.returncode == 0, predicted.stderr
    assert (place / "results" / "p.csv").is_file()


@needs_root
def test_a_working_folder_that_cannot_be_written_is_one_line_with_a_remedy(place):
    refused = as_stranger([*STACKTUNE, "demo", "--max-trials", 1], cwd=place / "readonly", HOME="/")
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line]
    assert "the folder for the results, 'stacktune-runs/" in line
    assert (
        f"{str(place / 'readonly')!r} cannot be written (Permission denied). Name one that can with --output." in line
    )


WRITERS = {
    "convert": ["convert", "t.csv", "readonly/t.parquet"],
    "predict": ["predict", "run", "t.parquet", "--output", "readonly/p.parquet"],
    "explain": ["explain", "run", "t.parquet", "--output", "readonly/why"],
    "graph": ["export", "run", "--format", "onnx", "--output", "readonly/a.onnx"],
    "container": ["export", "run", "--format", "container", "--output", "readonly/scoring"],
    "distil": ["distil", "run", "t.parquet", "--output", "readonly/small"],
    "report": ["report", "readonly"],
}


@needs_root
@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_a_place_that_cannot_be_written_is_one_line_before_any_work(place, words):
    """Each was a traceback, of most when all was done; there is no model here that work could be done with."""
    (place / "t.csv").write_text("a,b\n1,2\n")
    refused = as_stranger([*STACKTUNE, *words], cwd=place, HOME="/")
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert "cannot be made: " in line
    assert "cannot be written (Permission denied). " in line


@pytest.mark.parametrize("output", ["/proc/runs/x", "/sys/x", "/proc/runs/x/p.parquet"])
def test_a_place_where_not_even_root_can_write_is_refused(output):
    with pytest.raises(ConfigError, match=r"the file, '/.*', cannot be made: '/(proc|sys)' cannot be written \(.+\)\."):
        check_place(Path(output), "the file")


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    check_place(tmp_path / "new" / "newer", "the file")
    check_place(tmp_path, "the folder")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("mine")
    check_place(tmp_path / "file", "the file")
    with pytest.raises(ConfigError, match=r"file' cannot be written \(Not a directory\)"):
        check_place(tmp_path / "file" / "below", "the file")


def test_an_error_of_a_path_that_nothing_foresaw_is_one_line(tmp_path):
    """Of a table's folder that may not be looked into, a name that is too long, and the like."""
    name = "x" * 300
    refused = subprocess.run(
        [*STACKTUNE, "events", name], cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"HOME": "/"}
    )
    assert refused.returncode == 2, refused.stderr
    assert (
        refused.stderr
        == f"Error: '{name}/events.jsonl': File name too long. Mend it, or name another place, and try again.\n"
    )
    assert place_trouble(OSError("[Errno 111] Connection refused")) is None


def test_a_working_folder_that_is_gone_is_one_line(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd '{gone}' && rmdir '{gone}' && exec '{sys.executable}' -m stacktune demo --max-trials 1"
    refused = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr == (
        "Error: the folder in which this command was typed is not there any more. Change to one that is (`cd ~`).\n"
    )


def test_a_working_folder_that_is_there_is_passed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_working_folder()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError, match="not there any more"):
        check_working_folder()
    os.chdir(tmp_path)


def test_a_process_without_a_home_is_lent_one_that_nobody_can_plant_settings_in(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    lend_home()
    assert os.environ["HOME"] == "/somewhere"
    monkeypatch.setenv("HOME", "/somewhere")  # so that it is put back
    monkeypatch.delenv("HOME")
    lend_home()
    assert "HOME" not in os.environ or Path(os.environ["HOME"]) == Path("/")  # root and the like have one in passwd
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    lend_home()
    assert os.environ["HOME"] == "/"


def test_the_home_of_nobody_is_a_name_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/t.parquet") == tmp_path / "t.parquet"
    assert expanded("~no-such-user/t.parquet") == Path("~no-such-user/t.parquet")
    assert resolve("~no-such-user/t.parquet")[1].endswith("/~no-such-user/t.parquet")
