"""Read, check and write the settings of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, replace
from typing import Any

import yaml

from stacktune.errors import ConfigError, nearest
from stacktune.settings.groups import BY_KEY, SETTINGS, URIS, Settings
from stacktune.settings.kinds import MisfitError
from stacktune.settings.presets import sets, with_preset
from stacktune.settings.problem import DEMO, DEMO_TARGET
from stacktune.settings.setting import Setting
from stacktune.settings.splitting import SPLITS, check_split
from stacktune.settings.yaml_file import read_yaml
from stacktune.storage.uris import keep_secret, masked, masked_uri

DEFAULT_BUDGET_S = 600.0
# Of a value that is refused; a program may hand over a whole table.
MAX_SHOWN_CHARS = 600
# A flag for one of a group takes the place of what a file says of the others.
_EXCLUSIVE = (("test_data", "test_size"), SPLITS)


def load_settings(flags: Mapping[str, Any], file: str | None = None) -> Settings:
    """Return a file's settings, overridden by flags.

    flags: values by key, as typed or as a program gives them.

    Raises:
        ConfigError: the file cannot be read, a key does not exist, or a value is out of its range.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    written = _read(file) if file else {}
    _refuse_unknown(given, "option")
    for name in URIS:
        for source in (written, given):
            keep_secret(str(source[name]) if name in source else None)
    for exclusive in _EXCLUSIVE:
        if any(key in given for key in exclusive):
            written = {key: value for key, value in written.items() if key not in exclusive}
    settings = _checked(_with_defaults(with_preset({**written, **given})))
    check_together(settings)
    return settings


def without_secrets_in(settings: Settings) -> Settings:
    """Return the settings as they may be written.

    They have stars for the secrets in URIs.
    """
    given = {name: value for name in URIS if (value := getattr(settings, name)) is not None}
    changes: dict[str, Any] = {name: masked_uri(value) for name, value in given.items()}
    return replace(settings, **changes)


def to_yaml(settings: Settings) -> str:
    """Return the resolved settings as YAML.

    `load_settings` reads it back to the same.
    """
    values = {setting.key: getattr(settings, setting.name) for setting in SETTINGS}
    # An empty list that takes the place of a preset's has to be there.
    is_said = {key: value != () or sets(settings.preset, key) for key, value in values.items()}
    given = {key: value for key, value in values.items() if value is not None and is_said[key]}
    lists = {key: list(value) for key, value in given.items() if isinstance(value, tuple)}
    return yaml.safe_dump({**given, **lists}, sort_keys=False, allow_unicode=True)


def _read(file: str) -> dict[str, Any]:
    written = read_yaml(file, "the settings file")
    if written is None:
        return {}
    if not isinstance(written, dict):
        raise ConfigError(f"the settings file {file!r} must hold `key: value` lines, not {masked(repr(written)):.60}.")
    _refuse_unknown(written, f"setting in {file!r}")
    return {key: value for key, value in written.items() if value is not None}


def _refuse_unknown(keys: Iterable[str], what: str) -> None:
    for key in keys:
        if key not in BY_KEY:
            raise ConfigError(f"there is no {what} called {str(key)!r}.{nearest(str(key), BY_KEY)}")


def _with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given with defaults.

    These depend on other settings.
    """
    if given.get("data") == DEMO:
        given = {"target": DEMO_TARGET, **given}
    if "time_budget" not in given and "max_trials" not in given:
        given = {**given, "time_budget": DEFAULT_BUDGET_S}
    return given


def _checked(given: Mapping[str, Any]) -> Settings:
    for setting in SETTINGS:
        if setting.default is MISSING and setting.key not in given:
            raise ConfigError(setting.spec.missing)
    return Settings(**{one.name: _value_of(one, given[one.key]) for one in SETTINGS if one.key in given})


def _value_of(setting: Setting, value: object) -> Any:
    try:
        return setting.spec.kind.read(value)
    except MisfitError as misfit:
        what = "the table" if setting.spec.is_argument else setting.flag
        raise ConfigError(f"{what} must be {setting.spec.kind.rule}, not {masked(_brief(misfit.value))}.") from None


def _brief(value: object) -> str:
    """Return a value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


def check_together(settings: Settings) -> None:
    """Refuse values that exclude each other."""
    if settings.test_data is not None and settings.test_size is not None:
        raise ConfigError(
            f"--test-data {masked_uri(settings.test_data)!r} and --test-size {settings.test_size:g} exclude each "
            "other: give one."
        )
    if settings.plan and (settings.families or settings.exclude):
        other = "--families" if settings.families else "--exclude"
        raise ConfigError(f"--plan and {other} exclude each other: the plan names the families. Leave {other} out.")
    if settings.stop_tolerance is not None and settings.stop_after is None:
        raise ConfigError(
            f"--stop-tolerance {settings.stop_tolerance:g} says what counts as a gain; --stop-after says after how "
            "many trials without one the search ends: give that, too."
        )
    _check_start(settings)
    if settings.weight == settings.target:
        raise ConfigError(f"--weight and --target must be two columns, but both are {settings.target!r}.")
    check_split(settings)
    if settings.controller is not None and settings.controller[:2] != (1, 1) and settings.reproducible:
        n_shards, n_replicas, n_children = settings.controller
        raise ConfigError(
            f"--controller {n_shards},{n_replicas},{n_children} learns asynchronously, but --max-trials without "
            f"--time-budget promises the same result each time: give --controller 1,1,{n_children}, or a --time-budget."
        )


def _check_start(settings: Settings) -> None:
    """Refuse settings of a start that contradict each other."""
    if settings.start_from is None and (settings.search_by != "bayesian" or settings.axes):
        given = f"--axes {','.join(settings.axes)}" if settings.axes else f"--search {settings.search_by}"
        raise ConfigError(f"{given} says how to search around a start: name a run, a trial or a model by --start-from.")
    if settings.start_from is not None and settings.plan:
        raise ConfigError("--plan and --start-from exclude each other, as each says what is tried first: give one.")
    if settings.search_by == "grid" and not settings.axes:
        raise ConfigError(
            "--search grid varies the parameters that --axes names, as in --axes learning_rate,max_depth."
        )
    if settings.search_by != "grid" and settings.axes:
        raise ConfigError(f"--axes {','.join(settings.axes)} are those of a grid: give --search grid, too.")
