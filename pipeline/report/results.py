"""Reads what a finished run left in its folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stacktune.data.read import read_frame
from stacktune.errors import ConfigError, DataError, nearest
from stacktune.storage.run_folder import BOARD, SUMMARY, RunFolder, model_hint
from stacktune.text import in_a_shell

COLUMNS = ("rank", "name", "score")


@dataclass(frozen=True)
class Results:
    """A finished run's folder, read.

    facts: run.json. leaderboard: one row a trial or ensemble, best first. members: (trial, weight), heaviest first.
    n_folds: 1 where rows were held out instead. is_later: whether models are judged on later rows.
    """

    folder: Path
    facts: dict[str, Any]
    leaderboard: pd.DataFrame
    members: tuple[tuple[str, float], ...] = ()
    n_folds: int | None = None
    is_later: bool = False

    @property
    def metric(self) -> str:
        return self.facts["metric"]


def read_results(folder: Path) -> Results:
    """Read a run's folder; ConfigError if it is none."""
    places = RunFolder(folder)
    if not places.summary.is_file():
        near = [path.parent.name for path in folder.parent.glob(f"*/{SUMMARY}")] if folder.parent.is_dir() else []
        hint = nearest(folder.name, near) if near else ""
        if places.state.exists():
            hint = f" It has not ended: stacktune run --resume {in_a_shell(str(folder))} goes on with it."
        hint = model_hint(folder) or hint
        raise ConfigError(f"{str(folder)!r} is not the folder of a finished run (it holds no {SUMMARY}).{hint}")
    config = places.read_config() or {}
    return Results(
        folder=folder,
        facts=places.read_summary(),
        leaderboard=read_board(places),
        members=read_members(places.leader),
        n_folds=config.get("folds"),
        is_later=config.get("time") is not None,
    )


def read_members(model: Path) -> tuple[tuple[str, float], ...]:
    """Return the leader's (trial, weight) pairs.

    They come from an MLflow model folder. Raises ConfigError where it is damaged.
    """
    for description in model.glob("data/*/leader.json"):
        try:
            stored = json.loads(description.read_text(encoding="utf-8"))
            weights = [float(weight) for weight in stored["blend"]["weights"]]
            pairs = [(member["trial_id"], weight) for member, weight in zip(stored["members"], weights, strict=True)]
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigError(f"{str(description)!r} is not what a run wrote: the model there is damaged.") from None
        return tuple(sorted(pairs, key=lambda pair: -pair[1]))
    return ()


def read_board(places: RunFolder) -> pd.DataFrame:
    """Return a finished run's leaderboard.

    Raises ConfigError where the file is gone, or not what a run wrote; DataError where it may not be read.
    """
    path = places.board
    if not path.exists():
        raise ConfigError(f"the run in {str(places.path)!r} has lost its {BOARD}; {_remedy(places)}")
    try:
        frame = read_frame(str(path))
    except DataError as error:
        if not os.access(path, os.R_OK):
            raise
        why = str(error).removeprefix(f"{str(path)!r} ").partition(". ")[0].removesuffix(".")
        raise _damaged(places, why) from None
    missing = set(COLUMNS).difference(frame)
    if missing:
        raise _damaged(places, f"has no column {min(missing)!r}")
    return frame


def _damaged(places: RunFolder, why: str) -> ConfigError:
    """Return the error of a damaged file."""
    return ConfigError(
        f"{str(places.board)!r} is not what a run wrote, as after a full disk: it {why}. Remove it; {_remedy(places)}"
    )


def _remedy(places: RunFolder) -> str:
    """Say how the file comes back."""
    if not places.state.is_file():
        return "the folder has no state to make it from, so take it from where the folder came from."
    return f"stacktune run --resume {in_a_shell(str(places.path))} writes it anew, from the trials that are kept."
