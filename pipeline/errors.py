"""Names what a user can do wrong.

Each mistake gets one message, with the rule, the value, the remedy and the nearest valid name.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that its user can mend.

    The command prints the message and exits with status 2.
    """


class ConfigError(UserError, ValueError):
    """A setting cannot be used.

    It is unknown, malformed, out of range, or does not go with another.
    """


class DataError(UserError, ValueError):
    """The table cannot be used as it is.

    The cause may lie in its target or its weights.
    """


class SearchError(UserError):
    """The search could not start or found nothing.

    It cannot be started where it was asked to run, or it ended with no model.
    """


class DataWarning(UserWarning):
    """Says what to know of a predicted table.

    It is for a prediction's user. Nothing is wrong enough to refuse the table.
    """


# What keeps a file from being written and is no fault of the program.
_DISK_TROUBLES = {
    errno.ENOSPC: "no room is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "files may not grow so large here (ulimit -f)",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk reports an error",
}


# As SQLite says it.
_SQLITE_FULL = "database or disk is full"


def disk_cause(error: Exception) -> str | None:
    """Return why a disk refuses writing.

    It is None for any other error. Libraries put the system's error into their own text, and copying a folder makes one
    of many.
    """
    found = re.search(r"\[errno (\d+)\]", str(error), re.IGNORECASE)
    number = getattr(error, "errno", None) or (int(found.group(1)) if found else None)
    names = {os.strerror(known): known for known in _DISK_TROUBLES} | {_SQLITE_FULL: errno.ENOSPC}
    number = number if number in _DISK_TROUBLES else next((names[name] for name in names if name in str(error)), None)
    return None if number is None else _DISK_TROUBLES[number]


def disk_trouble(error: OSError) -> str | None:
    """Return a message for a disk that refuses writing.

    It is None for any other error.
    """
    cause = disk_cause(error)
    if cause is None:
        return None
    what = repr(os.fspath(error.filename)) if error.filename else "a file"
    return f"{what} cannot be written: {cause}. Make room, or name another --output, and try again."


# What a place itself explains; a file that is not there may be our own fault.
_REFUSALS = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def place_trouble(error: OSError) -> str | None:
    """Return a message for a place that refuses.

    It is None of errors that a place does not explain, as a missing file. It is for what no check has foreseen.
    """
    if error.errno not in _REFUSALS or not error.filename or not error.strerror:
        return None
    return f"{os.fspath(error.filename)!r}: {error.strerror}. Mend it, or name another place, and try again."


# All settings are shown, and of a wide table's columns what a screen holds.
MAX_NAMES = 40


def nearest_column(name: str, columns: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for a column.

    Where none of the table's columns is like it, they are listed, as what the table has.
    """
    return nearest(name, columns, "It has")


def nearest(name: str, valid: Iterable[str], listed: str = "Valid names") -> str:
    """Return " Did you mean 'x'?" for `name`.

    The valid name x is most like it; where none is, a list of the valid names is returned.

    listed: what stands before that list.
    """
    names = sorted(valid)
    if not names:
        return ""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        folded = {candidate.lower(): candidate for candidate in names}
        close = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)]
    if close:
        return f" Did you mean {close[0]!r}?"
    shown = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    return f" {listed}: {shown}."
