"""The command line in its own process: instant help, one message for a mistake, and status codes to build on."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from stacktune.cli import app
from stacktune.help import GROUPS
from stacktune.process import USUAL_COMMAND_START_S

ROOT = Path(__file__).parent.parent
STACKTUNE = str(Path(sys.executable).with_name("stacktune"))
COMMANDS = [
    *("demo", "run", "presets", "describe", "explain", "leaderboard", "report", "events", "ui", "predict", "export"),
    *("distil", "register", "doctor", "completion", "convert", "sync"),
]
RUN_FLAGS = [
    *("target", "task", "positive", "weight", "keep", "sample-rows"),
    *("metric", "cost", "folds", "group", "time", "gap", "fold-column", "validation-data", "repeats", "stratify"),
    *("test-data", "test-size", "loss"),
    *("refit", "balance", "class-weights", "monotone", "interactions"),
    *("preset", "time-budget", "max-trials", "max-seconds-per-trial", "stop-after", "stop-tolerance", "max-failures"),
    *("families", "exclude", "search-space", "start-from", "search", "axes", "plan"),
    *("predict-budget", "max-model-size", "controller", "seed"),
    *("output", "storage", "input-example", "interval", "calibrate", "no-report"),
    *("tracking-uri", "tracking-optional", "experiment", "register", "register-always", "no-code"),
    *("cpus", "gpus", "max-memory", "address", "config", "resume", "verbose"),
]

sys.path.insert(0, str(Path(__file__).parent / "report"))
from finished_run import TRIALS, write_run  # noqa: E402 — beside the tests of the page that it fills


def stacktune(*words: str, cwd: Path | None = None, command: tuple[str, ...] = (STACKTUNE,)):
    env = {**os.environ, "COLUMNS": "80"}
    return subprocess.run([*command, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


def message_of(result: subprocess.CompletedProcess) -> str:
    """The one line of a user's mistake."""
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_help_lists_the_commands_of_both_spellings():
    short, long = stacktune("--help"), stacktune("--help", cwd=ROOT, command=(sys.executable, "-m", "pipeline"))
    for result in (short, long):
        assert result.returncode == 0
        sections = result.stdout.partition("Search:")[2].partition("Options:")[0]
        assert sorted(re.findall(r"^  ([a-z]+) ", sections, re.M)) == sorted(COMMANDS)
        assert re.findall(r"^(\S.*):$", result.stdout, re.M) == [*GROUPS, "Options", "Examples"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_group_and_an_example(name):
    """`command(GROUP, "an example")` of commands/app.py gives both."""
    command = get_command(app).commands[name]
    assert command.rich_help_panel in GROUPS, "say in which group of the help it stands"
    examples = (command.epilog or "").splitlines()
    assert examples, "show what to type"
    for line in examples:
        assert f"stacktune {name}" in line
        assert len(line) <= 78, "an example is one line of 80 columns"
        words = shlex.split(re.split(r"[>)]", line[line.index("stacktune") :])[0])[2:]
        command.make_context(name, words)  # raises where an option is none


def test_commands_are_those_of_the_program():
    assert sorted(get_command(app).commands) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_fits_into_80_columns_and_ends_with_examples(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        get_command(app)([name, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"stacktune {name}" in lines[lines.index("Examples:") + 1]


def test_the_demos_help_says_its_own_default():
    """It said that of `run`: ten minutes."""
    assert "30s unless --max-trials" in " ".join(stacktune("demo", "--help").stdout.split())


def test_help_fits_into_80_columns_and_lists_every_flag():
    shown = stacktune("run", "--help").stdout
    assert re.findall(r"^  --([a-z-]+) ", shown, re.M) == RUN_FLAGS
    assert max(map(len, shown.splitlines())) <= 80


def test_help_imports_nothing_heavy():
    """Importing pandas alone takes half a second, Ray and torch several."""
    code = "import sys, stacktune.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in loaded
    heavy = {
        "numpy",
        "pandas",
        "pyarrow",
        "sklearn",
        "scipy",
        "ray",
        "mlflow",
        "torch",
        "xgboost",
        "lightgbm",
        "optuna",
    }
    assert not heavy & set(loaded)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["run", "x.parquet", "--timebudget", "3"], "--time-budget"),
        (["run", "x.parquet", "--max-trial", "3"], "--max-trials"),
        (["leaderbord", "x"], "leaderboard"),
    ],
)
def test_an_unknown_word_is_answered_with_the_nearest(words, answer):
    result = stacktune(*words)
    assert result.returncode == 2
    assert answer in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


MISTAKES = {
    "no table": (["run"], "no table is given"),
    "no target": (["run", "table.csv"], "--target is missing"),
    "budget of zero": (["run", "table.csv", "--target", "y", "--time-budget", "0"], "duration above zero, not '0'"),
    "nonsense budget": (["run", "table.csv", "--target", "y", "--time-budget", "soon"], "not 'soon'"),
    "two splits": (["run", "table.csv", "--target", "y", "--group", "x", "--time", "x"], "--group and --time exclude"),
    "settings file": (["run", "--config", "nowhere.yaml"], "'nowhere.yaml' cannot be read"),
    "setting": (["run", "--config", "typo.yaml"], "no setting in 'typo.yaml' called 'metrc'. Did you mean 'metric'?"),
    "model": (["predict", "nowhere", "table.csv"], "no model in 'nowhere'"),
    "ending": (["predict", "nowhere", "table.csv", "--output", "p.xls"], "ends in .parquet or .csv, but got 'p.xls'"),
    "nothing to sync": (["sync", "nowhere"], "'nowhere' is not the folder of a run (it holds no state.json)"),
    "no run": (["leaderboard", "nowhere"], "'nowhere' is not the folder of a finished run"),
    "no store": (["ui", "nowhere"], "no folder"),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message_and_status_2(tmp_path, words, message):
    (tmp_path / "table.csv").write_text("x,y\n1,a\n2,b\n")
    (tmp_path / "typo.yaml").write_text(yaml.safe_dump({"data": "table.csv", "target": "y", "metrc": "f1"}))
    before = sorted(tmp_path.rglob("*"))
    assert message in message_of(stacktune(*words, cwd=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before, "a stray file"


def test_a_message_is_wrapped_to_the_terminal_between_words(tmp_path):
    """What a terminal of 40 columns shows for a long message."""
    controller, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": "40"}
    words = [STACKTUNE, "leaderboard", str(tmp_path / "a-folder-that-is-not-there")]
    process = subprocess.Popen(words, stderr=terminal, stdout=subprocess.DEVNULL, env=env)
    assert process.wait(timeout=60) == 2
    assert select.select([controller], [], [], 5)[0]
    lines = os.read(controller, 4096).decode().split("\r\n")
    os.close(terminal)
    os.close(controller)
    assert len(lines) > 3
    assert all(len(line) <= 40 for line in lines if str(tmp_path) not in line)


def test_ctrl_c_is_one_line_and_status_130():
    code = "\n".join(
        [
            "import stacktune.cli as cli",
            "@cli.app.command()",
            "def wait():",
            "    raise KeyboardInterrupt",
            "cli.main()",
        ]
    )
    result = stacktune("wait", command=(sys.executable, "-c", code))
    assert (result.returncode, result.stderr) == (130, "Stopped by Ctrl-C.\n")


def test_our_own_mistakes_keep_their_traceback():
    code = "\n".join(["import stacktune.cli as cli", "@cli.app.command()", "def fail():", "    1 / 0", "cli.main()"])
    result = stacktune("fail", command=(sys.executable, "-c", code))
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback")


def test_the_budget_counts_from_the_start_of_the_process():
    code = "import time; time.sleep(0.7); from stacktune.process import process_age_s; print(process_age_s())"
    began = time.monotonic()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    took = time.monotonic() - began
    assert 0.7 <= float(printed) <= took + 0.02


def test_a_shell_that_becomes_the_command_does_not_use_up_its_budget():
    """bash -c "a && b" executes b in its own process, whose age the README's first command once paid for."""
    code = "from stacktune import cli, process; import time; print(time.monotonic() - process.STARTED_AT)"
    script = f'sleep 2.5; date +%s.%N; exec {sys.executable} -c "{code}"'
    printed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    ended_at = time.time()
    began_at, counted = map(float, printed.split())
    assert 0 < counted <= USUAL_COMMAND_START_S + ended_at - began_at


def test_the_leaderboard_shows_and_sorts_and_cuts(tmp_path):
    folder = str(write_run(tmp_path / "run"))
    whole = stacktune("leaderboard", folder).stdout.splitlines()
    assert len(whole) == 1 + 14
    assert "roc_auc" in whole[0]
    top = stacktune("leaderboard", folder, "--sort", "fit_s", "--top", "2").stdout.splitlines()
    assert len(top) == 1 + 2
    assert TRIALS[-1] in top[1], "the quickest to fit comes first"


def test_the_leaderboard_says_on_a_terminal_alone_what_to_type_next(tmp_path):
    folder = write_run(tmp_path / "run")
    assert "next:" not in stacktune("leaderboard", str(folder)).stdout
    controller, terminal = pty.openpty()
    subprocess.run([STACKTUNE, "leaderboard", str(folder)], stdout=terminal, check=True)
    os.close(terminal)
    said = b""
    with suppress(OSError), os.fdopen(controller, "rb", buffering=0) as screen:  # Linux ends it so
        while part := screen.read(1 << 16):
            said += part
    assert said.decode().splitlines()[-1] == f"next: stacktune report {folder}"


def test_the_leaderboard_offers_the_nearest_column(tmp_path):
    folder = str(write_run(tmp_path / "run"))
    assert "Did you mean 'fit_s'?" in message_of(stacktune("leaderboard", folder, "--sort", "fits"))
