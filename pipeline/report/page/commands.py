"""Tells how to do it again, and more."""

from __future__ import annotations

from collections.abc import Iterator

from stacktune.report.page.panel import Commands, Grid, Panel, Part
from stacktune.report.page.story import Story
from stacktune.settings.problem import IN_MEMORY
from stacktune.storage.run_folder import CONFIG
from stacktune.text import in_a_shell


def commands(story: Story) -> Panel:
    """Return the last panel."""
    versions = story.facts.get("versions") or {}
    parts: list[Part] = [Commands(list(_lines(story)))]
    if versions:
        rows = [[name, version] for name, version in versions.items()]
        parts.append(Grid("Made with", ["library", "version"], rows, is_wide=False))
    lead = ["The same seed, data, settings and versions give the same leaderboard on any machine."]
    if story.facts.get("budget_s"):
        lead = [
            "With --max-trials instead of a time budget, the same seed, data and versions give the same leaderboard on "
            "any machine."
        ]
    numbers = {"commands": dict(_lines(story)), "versions": dict(versions), "config": dict(story.config)}
    return Panel("next", "Do it again, and what to type next", lead, parts, numbers)


def _lines(story: Story) -> Iterator[tuple[str, str]]:
    folder = in_a_shell(str(story.folder))
    data = str(story.config.get("data") or "")
    yield "predict a table", f"stacktune predict {folder} TABLE.parquet --output predictions.parquet"
    if uri := story.facts.get("model_uri"):
        yield "load it in Python", f'mlflow.pyfunc.load_model("{uri}").predict(frame)'
    if promote := story.facts.get("promote"):
        yield "let it lead", promote
    yield "score newer rows", f"stacktune leaderboard {folder} --on NEWER.parquet"
    yield "explain newer rows", f"stacktune explain {folder} NEWER.parquet"
    if data and data != IN_MEMORY:
        yield "run it again", f"stacktune run --config {in_a_shell(str(story.folder / CONFIG))} --output ANOTHER"
    yield "give it half an hour more", f"stacktune run --resume {folder} --time-budget 30m"
    yield "see every trial", f"stacktune ui {folder}"
