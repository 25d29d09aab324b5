"""Keeps most settings of a resumed run.

Some are declared free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.settings.groups import SETTINGS, Settings
from stacktune.settings.setting import Resume, Setting
from stacktune.storage.run_folder import RunFolder
from stacktune.storage.uris import is_masked, masked_uri


def kept_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a resumed run keeps.

    They are plain values without passwords, by name.
    """
    return {one.name: _plain(getattr(settings, one.name)) for one in SETTINGS if one.spec.resume is Resume.KEPT}


def resumed(
    asked: Settings, flags: Mapping[str, Any], folder: Path, kept: Mapping[str, Any], found: Mapping[str, Any]
) -> Settings:
    """Return the settings that a run goes on with.

    asked: what its folder says, overridden by the flags. kept: what `kept_settings` returned when it began; of a
    setting that has come since, the default is taken. found: those of `Resume.FOUND`, by name.

    Raises:
        ConfigError: one was changed that may not change, or a password is missing that was not kept.
    """
    typed = {key for key, value in flags.items() if value is not None}
    for setting in SETTINGS:
        if setting.spec.resume is Resume.KEPT:
            before = kept.get(setting.name, _plain(setting.default))
        elif setting.spec.resume is Resume.FOUND and getattr(asked, setting.name) is not None:
            before = found[setting.name]
        else:
            continue
        _refuse_change(setting, before, getattr(asked, setting.name), folder, setting.key in typed)
    for setting in reversed(SETTINGS):  # the table, which is typed anew most readily, is asked for last
        if setting.spec.may_hold_secret:
            check_whole(setting, getattr(asked, setting.name), folder)
    if "output" in typed and Path(flags["output"]).absolute() != folder:
        raise ConfigError(f"a resumed run writes into its own folder: leave --output {flags['output']!r} out.")
    untyped = [one for one in SETTINGS if one.spec.resume is Resume.TYPED and one.key not in typed]
    return replace(asked, output=str(folder), **found, **{one.name: one.default for one in untyped})


def check_whole(setting: Setting, value: str | None, folder: Path) -> None:
    """Raise ConfigError where a password is missing.

    It was left out where a setting was written into a run's folder.
    """
    if value is not None and is_masked(value):
        raise ConfigError(f"the password of {value!r} was not kept in {str(folder)!r}: give {setting.flag} again.")


def _refuse_change(setting: Setting, before: Any, after: Any, folder: Path, is_typed: bool) -> None:
    if before == _plain(after):
        return
    where = "" if is_typed else f" in {str(RunFolder(folder).config)!r}"
    raise ConfigError(
        f"a resumed run keeps its settings, but {setting.flag} is {_shown(after)}{where} and was {_shown(before)}. "
        f"{'Leave it out' if is_typed else 'Put it back'}, or begin a new run."
    )


def _plain(value: Any) -> Any:
    """Return a setting as it is kept.

    It is a list for names, and text without passwords.
    """
    if isinstance(value, tuple):
        return list(value)
    return masked_uri(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    if value is None:
        return "left out"
    return repr(_plain(",".join(map(str, value)) if isinstance(value, tuple | list) else value))
