"""Knows where a process stands.

It has a home folder, which not every user has, and a working folder, which may be gone.
"""

from __future__ import annotations

import os
from pathlib import Path

from stacktune.errors import ConfigError

# What containers give a user that they do not know. A folder for temporary files would not do: whoever may write there
# could leave settings in it, which libraries then read.
NO_HOME = "/"


def lend_home() -> None:
    """Give a process without a home folder one.

    Ray and MLflow cannot even be imported without.
    """
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = NO_HOME


def check_working_folder() -> None:
    """Raise ConfigError where the working folder is gone.

    No process can be started from one that has been removed.
    """
    try:
        os.getcwd()
    except OSError:
        raise ConfigError(
            "the folder in which this command was typed is not there any more. Change to one that is (`cd ~`)."
        ) from None


def expanded(path: str) -> Path:
    """Return the path with `~` replaced.

    It stays as it is where nobody knows whose home is meant.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
