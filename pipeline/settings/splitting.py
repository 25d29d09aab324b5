"""Refuses settings of validation that exclude each other."""

from __future__ import annotations

from stacktune.errors import ConfigError
from stacktune.settings.groups import Settings

# Each says by itself which rows are judged.
SPLITS = ("group", "time", "fold_column", "validation_data")


def check_split(settings: Settings) -> None:
    """Refuse splits that contradict each other, or other settings."""
    given = [name for name in SPLITS if getattr(settings, name) is not None]
    if len(given) > 1:
        flags = " and ".join(_flag(name) for name in given)
        raise ConfigError(f"{flags} exclude each other, as each says which rows models are judged on: give one.")
    for name in SPLITS[:3]:
        column = getattr(settings, name)
        for role in ("target", "weight"):
            if column is not None and column == getattr(settings, role):
                raise ConfigError(f"{_flag(name)} and --{role} must be two columns, but both are {column!r}.")
    if settings.gap is not None and settings.time is None:
        raise ConfigError(f"--gap {settings.gap} lies between rows in the order of time: name its column with --time.")
    if settings.stratify and given and given != ["group"]:
        raise ConfigError(f"--stratify deals rows at random, which {_flag(given[0])} does not: leave it out.")
    if settings.validation_data is not None and settings.n_folds not in (None, 1):
        raise ConfigError(
            f"--validation-data and --folds {settings.n_folds} exclude each other: models are judged on the rows "
            "given, or in folds."
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
