"""Knows where a process stands.

It has a home folder, which not every user has, a working folder, which may be gone, and places for what it writes.
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


def check_place(place: Path, what: str, remedy: str = "Name one that can with --output.") -> None:
    """Raise ConfigError where `place` cannot be written.

    It is called before any work is done. A file without a name is made, and gone again, in the nearest folder that is
    there: no look at rights tells of /proc, or of a disk that is read-only.

    place: a file or folder, there or not. what: what is to be written. remedy: the sentence that says what to do.
    """
    import tempfile

    above = place if os.path.isdir(place) else next(one for one in place.absolute().parents if os.path.exists(one))
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise ConfigError(
            f"{what}, {str(place)!r}, cannot be made: {str(above)!r} cannot be written ({error.strerror}). {remedy}"
        ) from None


def expanded(path: str) -> Path:
    """Return the path with `~` replaced.

    It stays as it is where nobody knows whose home is meant.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
