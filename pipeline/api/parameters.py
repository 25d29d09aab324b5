"""Makes an estimator's parameters from the settings.

A setting is declared once, and scikit-learn reads an estimator's parameters off the signature of `__init__`. So that is
made: each setting is a parameter of its name in files, None where it is not given, and those that only a command can
mean are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from stacktune.errors import nearest
from stacktune.settings.groups import SETTINGS

# The table is handed to `fit`, and the class says the task.
NOT_GIVEN = ("data", "task")
NAMES = tuple(setting.key for setting in SETTINGS if setting.key not in NOT_GIVEN)
# Of the estimator itself.
VERBOSE = "verbose"


def takes_settings(init: Callable[..., None]) -> Callable[..., None]:
    """Give an `__init__` the signature of all settings."""
    first = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    given = [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in (*NAMES, VERBOSE)]
    init.__signature__ = Signature([first, *given])  # type: ignore[attr-defined]
    init.__doc__ = f"Take settings by keyword; nothing is checked before `fit`.\n\n{help_of_settings()}"
    return init


def help_of_settings() -> str:
    """Return a line of help for each setting."""
    lines = [f"{setting.key}: {setting.help}" for setting in SETTINGS if setting.key in NAMES]
    return "\n".join([*lines, f"{VERBOSE}: True shows what happens, False nothing, None a display in notebooks."])


def refuse_unknown(given: dict[str, Any], cls: str) -> None:
    """Raise TypeError for a parameter that there is not."""
    for name in given:
        if name not in (*NAMES, VERBOSE):
            raise TypeError(f"{cls} has no parameter {name!r}.{nearest(name, (*NAMES, VERBOSE))}")


def settings_of(params: dict[str, Any], task: str) -> dict[str, Any]:
    """Return the given settings as `run` takes them."""
    given = {name: value for name, value in params.items() if name in NAMES and value is not None}
    return {**given, "task": task}
