"""Reads a run's leaderboard, or says what helps."""

from __future__ import annotations

import os

import pandas as pd

from stacktune.data.read import read_frame
from stacktune.errors import ConfigError, DataError
from stacktune.storage.run_folder import BOARD, RunFolder
from stacktune.text import in_a_shell

COLUMNS = ("rank", "name", "score")


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
