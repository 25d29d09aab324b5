"""What a user can do wrong: one message each, with the rule, the value, the remedy and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that its user can mend; the command prints the message and exits with status 2."""


class ConfigError(UserError):
    """A setting is unknown, malformed, out of range, or does not go with another."""


class DataError(UserError):
    """The table, its target or its weights cannot be used as they are."""


class SearchError(UserError):
    """The search cannot start where it was asked to run, or ended with no model."""


class DataWarning(UserWarning):
    """Says what a prediction's user should know of the table: nothing is wrong enough to refuse it."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the valid name most like `name`, or a list of the valid names."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        folded = {candidate.lower(): candidate for candidate in names}
        close = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)]
    if close:
        return f" Did you mean {close[0]!r}?"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f" Valid names: {shown}."
