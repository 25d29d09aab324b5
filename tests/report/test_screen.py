"""The screen fits into 80 columns, tells the news and nothing twice."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from stacktune.metrics import get_metric
from stacktune.observers import FamilyCount, Snapshot
from stacktune.report.progress import snapshot_of
from stacktune.report.screen import WIDTH, PlainLines, Screen, plain_line, view
from stacktune.search.log import Entry
from stacktune.settings.groups import Settings
from stacktune.trials.trial import Progress, Trial

FAMILIES = tuple(
    FamilyCount(name, n_running=1, n_completed=1234 - i, n_stopped=i, n_failed=i // 5, best=0.9312 - i / 100)
    for i, name in enumerate(["lightgbm", "xgboost", "random_forest", "extra_trees", "linear", "mlp"])
)
SNAPSHOT = Snapshot(
    elapsed_s=47.2,
    phase="searching",
    budget_s=120.0,
    families=FAMILIES,
    best=0.9312,
    best_name="lightgbm-0007",
    metric_name="balanced_accuracy",
)


def console_of(width: int = WIDTH, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def rendered(snapshot: Snapshot) -> str:
    console = console_of()
    console.print(view(snapshot))
    return console.file.getvalue()


def test_the_view_says_where_the_run_is():
    shown = rendered(SNAPSHOT)
    assert "0:47 of 2:00" in shown
    assert "7,389 done, 6 running, 15 stopped, 1 failed" in shown
    assert "0.9312 balanced_accuracy  lightgbm-0007" in shown
    (mlp,) = [line.split() for line in shown.splitlines() if "mlp" in line]
    assert mlp == ["mlp", "1", "1,229", "5", "1", "0.8812"]


@pytest.mark.parametrize(
    "snapshot",
    [
        SNAPSHOT,
        Snapshot(elapsed_s=0.0, phase="starting"),
        replace(SNAPSHOT, elapsed_s=86399.0, budget_s=86400.0),
        replace(SNAPSHOT, best=-1.234e12, best_name="greedy_best_of_family" * 4),
        replace(SNAPSHOT, budget_s=None, max_trials=20000),
        replace(SNAPSHOT, families=(FamilyCount("a_family_with_a_name_of_forty_characters"),)),
    ],
)
def test_the_view_keeps_to_80_columns_and_does_not_wrap(snapshot):
    lines = rendered(snapshot).splitlines()
    assert max(map(len, lines)) <= WIDTH
    n_facts = (snapshot.n_ended + snapshot.n_running > 0) + (snapshot.best is not None)
    n_table = len(snapshot.families) + 2 if snapshot.families else 0
    assert len(lines) <= 3 + n_facts + n_table


def test_the_bar_never_overflows():
    over = rendered(replace(SNAPSHOT, elapsed_s=500.0)).splitlines()[1]
    full = rendered(replace(SNAPSHOT, elapsed_s=120.0)).splitlines()[1]
    assert over.count("━") == full.count("━") > 30


def test_a_trial_without_a_score_that_was_interrupted_is_counted_no_more_than_at_the_end():
    """The progress line said "16 stopped", and the closing page 15."""
    entries = [Entry(place, Trial(f"linear-{place:04}", "linear", {})) for place in range(3)]
    for entry in entries[1:]:
        entry.reached(Progress(1, 3, 0.5, 10, fit_s=1.0))
    for entry in entries:
        entry.result = entry.cut_short("the time was up")
    metric = get_metric("roc_auc", "binary")
    told = snapshot_of(entries, ["linear"], metric, Settings(data="t", target="y"), 1.0, "stacking")
    assert told.n_stopped == told.n_ended == sum(entry.result.is_listed for entry in entries) == 2
    assert plain_line(told).endswith("stacking: 0 done, 0 running, 2 stopped")


def test_without_a_time_budget_the_bar_counts_trials():
    half = replace(SNAPSHOT, budget_s=None, max_trials=2 * SNAPSHOT.n_ended)
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="standard")
    console.print(view(half))
    done, _, rest = console.file.getvalue().splitlines()[1].partition("\x1b[90m")
    assert abs(done.count("━") - rest.count("━")) <= 1 < done.count("━")


def test_plain_lines_tell_each_phase_once():
    lines = PlainLines()
    told = [lines.news(Snapshot(t / 10, "loading" if t < 20 else "searching")) for t in range(50)]
    assert [line for news in told for line in news] == ["   0:00  loading", "   0:02  searching"]


def test_plain_lines_tell_a_better_score_every_five_seconds_at_most():
    lines = PlainLines()
    told = {t: lines.news(replace(SNAPSHOT, elapsed_s=float(t), best=min(t, 12) / 100)) for t in range(40)}
    assert [t for t, news in told.items() if news] == [0, 5, 10, 15], (
        "a best that came early is told when its time comes"
    )
    assert "best balanced_accuracy 0.1200 by lightgbm-0007" in told[15][0]


def test_plain_lines_give_a_sign_of_life_each_minute():
    lines = PlainLines()
    told = [t for t in range(200) if lines.news(replace(SNAPSHOT, elapsed_s=float(t)))]
    assert told == [0, 60, 120, 180]


def test_a_pipe_gets_plain_lines_and_no_control_characters():
    console = console_of()
    with Screen(console, live=False) as screen:
        screen.snapshot(SNAPSHOT)
        screen.note("No GPU: [torch] runs on the CPU. " + "x" * 100)
    first, second = console.file.getvalue().splitlines()
    assert first.startswith("   0:47  searching: 7,389 done")
    assert second.startswith("No GPU: [torch] runs"), "square brackets are text, not markup"
    assert len(second) > WIDTH, "lines are left whole, for grep"


def test_a_terminal_gets_the_view_and_the_clock_goes_on_by_itself():
    times = iter([100.0, 100.0, *[130.0] * 50])
    console = console_of(terminal=True)
    with Screen(console, live=True, now=lambda: next(times)) as screen:
        screen.snapshot(replace(SNAPSHOT, elapsed_s=1.0))
        screen.note("a line above")
    shown = console.file.getvalue()
    assert "a line above" in shown
    assert "0:30 of 2:00" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1, "the cursor is hidden, and given back"


def test_the_terminal_is_given_back_when_the_run_fails():
    console = console_of(terminal=True)
    with pytest.raises(KeyboardInterrupt), Screen(console, live=True):
        raise KeyboardInterrupt
    assert console.file.getvalue().rstrip().endswith("\x1b[?25h")
