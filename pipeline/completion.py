"""What a shell offers for what is typed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from pkgutil import iter_modules

from stacktune.errors import UserError
from stacktune.package import SEARCH_SPACES
from stacktune.settings.groups import SETTINGS
from stacktune.settings.options import Completer
from stacktune.settings.presets import PRESETS
from stacktune.storage.run_folder import RunFolder

PROGRAM = "stacktune"
# Set by a shell that asks for what can follow.
MARK = f"_{PROGRAM.upper()}_COMPLETE"


class Shell(StrEnum):
    """Shells that can be told how to complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def script_for(shell: Shell) -> str:
    """Return what a shell is to read once."""
    from typer.completion import get_completion_script

    return get_completion_script(prog_name=PROGRAM, complete_var=MARK, shell=shell.value)


def preset_names(incomplete: str) -> list[str]:
    """Return presets that begin so."""
    return _beginning(incomplete, PRESETS)


def run_folders(incomplete: str) -> list[str]:
    """Return folders of runs that begin so.

    They lie in the folder that is typed, or in one of those in it, such as `stacktune-runs`.
    """
    typed = Path(incomplete)
    parent = typed if incomplete.endswith("/") else typed.parent
    with suppress(OSError):
        found = [path for depth in ("*", "*/*") for path in sorted(parent.glob(depth)) if _is_run(path)]
        return _beginning(incomplete, map(str, found))
    return []


def models(incomplete: str) -> list[str]:
    """Return runs whose leader is there, that begin so."""
    return [path for path in run_folders(incomplete) if RunFolder(Path(path)).is_finished]


def _is_run(path: Path) -> bool:
    places = RunFolder(path)
    return places.config.is_file() or places.is_finished


def _family_names(incomplete: str) -> list[str]:
    names = [module.name for module in iter_modules([str(SEARCH_SPACES)]) if not module.name.startswith("_")]
    return _last_of_list(incomplete, names)


def _metric_names(incomplete: str) -> list[str]:
    from stacktune.metrics import METRICS

    return _beginning(incomplete, METRICS)


def _column(incomplete: str) -> list[str]:
    return _beginning(incomplete, _columns())


def _some_columns(incomplete: str) -> list[str]:
    return _last_of_list(incomplete, _columns())


def _columns() -> list[str]:
    """Return the typed table's columns.

    It is the first word that names a file or folder. What is in a store is not looked at, as a shell waits.
    """
    # With an option whose value is yet to come, nothing that stands before it is parsed.
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    table = next((word for word in typed.split()[2:] if Path(word).exists()), None)
    if table is None:
        return []
    from stacktune.data.read import column_names

    with suppress(UserError):
        return column_names(table)
    return []


def _one_of(values: tuple[str, ...]) -> Completer:
    def offered(incomplete: str) -> list[str]:
        return _beginning(incomplete, values)

    return offered


def _beginning(incomplete: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def _last_of_list(incomplete: str, values: Iterable[str]) -> list[str]:
    """Return lists whose last item is completed."""
    given, comma, last = incomplete.rpartition(",")
    taken = given.split(",")
    return [f"{given}{comma}{value}" for value in values if value.startswith(last) and value not in taken]


COMPLETERS: dict[str, Completer] = {
    **{one.key: _one_of(one.spec.kind.values) for one in SETTINGS if one.spec.kind.values},
    **dict.fromkeys(("target", "weight", "group", "time", "fold_column"), _column),
    **dict.fromkeys(("families", "exclude"), _family_names),
    "keep": _some_columns,
    "metric": _metric_names,
    "start_from": run_folders,
}
