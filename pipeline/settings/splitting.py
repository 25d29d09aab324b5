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
    _check_columns(settings)
    if settings.gap is not None and settings.time is None:
        raise ConfigError(f"--gap {settings.gap} lies between rows in the order of time: name its column with --time.")
    if given and given != ["group"]:
        _check_not_dealt(settings, given[0])
    elif settings.repeats > 1 and settings.n_folds == 1:
        raise ConfigError(
            f"--repeats {settings.repeats} deals folds anew, but --folds 1 makes none: give more --folds."
        )


def _check_columns(settings: Settings) -> None:
    """Refuse the target's or the weight's column."""
    for name in SPLITS[:3]:
        column = getattr(settings, name)
        for role in ("target", "weight"):
            if column is not None and column == getattr(settings, role):
                raise ConfigError(f"{_flag(name)} and --{role} must be two columns, but both are {column!r}.")


def _check_not_dealt(settings: Settings, split: str) -> None:
    """Refuse dealing where no rows are dealt."""
    if settings.stratify:
        raise ConfigError(f"--stratify deals rows at random, which {_flag(split)} does not: leave it out.")
    if settings.repeats > 1:
        raise ConfigError(
            f"--repeats {settings.repeats} deals rows anew, but {_flag(split)} leaves one way to: leave it out."
        )
    if split == "validation_data" and settings.n_folds not in (None, 1):
        raise ConfigError(
            f"--validation-data and --folds {settings.n_folds} exclude each other: models are judged on the rows "
            "given, or in folds."
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
