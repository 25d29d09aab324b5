"""What a run is asked to do: parsed once from flags and a YAML file, checked, and never changed afterwards."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from stacktune.errors import ConfigError, nearest
from stacktune.storage.uris import keep_secret, masked, masked_uri

DEMO = "demo"
DEMO_TARGET = "diagnosis"
DEFAULT_BUDGET_S = 600.0
# The settings that may hold a user, a password or a token, which are written nowhere.
URIS = ("tracking_uri", "storage", "test_data", "data")

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_DURATION = re.compile(rf"(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s?)?")


@dataclass(frozen=True)
class RunConfig:
    """One run's settings.

    data, test_data, output, tracking_uri: paths and URIs as typed; `data` may be "demo".
    families: names, in the order given; empty means all.
    max_failures: how often a trial's process may die before the trial has failed.
    n_folds: 1 for a holdout; None leaves it to the plan.
    predict_budget_us: microseconds of one core that the leader may take for a row; None is no limit. Trials are timed,
        so even a reproducible search may then choose another leader among the same trials.
    positive: of two classes, the one that F1, average precision and thresholds are about; None leaves it to the data.
    test_size: share of the rows, above 0 and below 1.
    keep: columns to learn from even if they look like row numbers or identifiers.
    sample_rows: how many rows are read at most, with the same share of each class; None reads all.
    storage: folder or URI below which the run's folder is copied as it grows.
    controller: shards, replicas and children a batch of the architecture search; None leaves them to the plan.
    tracking_optional: go on where the MLflow store cannot be used; what it missed is kept.
    no_code: leave our code out of the MLflow model, for servers that have stacktune installed.
    input_example: which rows travel with a model: "made-up" ones of the same types, or five "real" ones of the table.
    """

    data: str
    target: str
    task: str = "auto"
    metric: str | None = None
    positive: str | None = None
    time_budget_s: float | None = None
    max_trials: int | None = None
    max_failures: int = 3
    families: tuple[str, ...] = ()
    n_folds: int | None = None
    predict_budget_us: float | None = None
    controller: tuple[int, int, int] | None = None
    test_data: str | None = None
    test_size: float | None = None
    weight: str | None = None
    keep: tuple[str, ...] = ()
    sample_rows: int | None = None
    seed: int = 0
    output: str | None = None
    storage: str | None = None
    n_cpus: int | None = None
    n_gpus: int | None = None
    address: str | None = None
    tracking_uri: str | None = None
    tracking_optional: bool = False
    experiment: str | None = None
    register: str | None = None
    no_code: bool = False
    input_example: str = "made-up"

    @property
    def reproducible(self) -> bool:
        """Whether no decision may depend on timing: a number of trials is set and a budget is not."""
        return self.max_trials is not None and self.time_budget_s is None


def parse_duration(text: str | float) -> float:
    """Return the seconds that "90", "90s", "10m", "2h" or "1h30m" spell; ConfigError unless more than zero."""
    spelled = re.sub(r"\s+", "", str(text)).lower()
    match = _DURATION.fullmatch(spelled)
    seconds = sum(float(match[unit]) * _UNITS_S[unit] for unit in _UNITS_S if match[unit]) if match else math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(
            f"a time budget must be a duration above zero, not {str(text)!r}. Give e.g. 90, 90s, 10m, 2h or 1h30m."
        )
    return seconds


def _split_names(value: Any) -> Any:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError("not a list of names")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _split_counts(value: Any) -> Any:
    counts = value.split(",") if isinstance(value, str) else value
    is_three = isinstance(counts, list | tuple) and len(counts) == 3
    if not is_three or any(isinstance(count, bool | float) for count in counts):
        raise ValueError("not three counts")
    return tuple(counts)


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value is not a number")
    return value


def _spell_bool(value: Any) -> Any:
    """Take what YAML makes of `true` and `yes` for the text of a class."""
    return str(value) if isinstance(value, bool) else value


Text = Annotated[str, Field(min_length=1)]
PlainCount = Annotated[int, Field(ge=1)]
Count = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=1)]


class _Settings(BaseModel):
    """The keys of a settings file, spelled as the flags are, with underscores."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    data: Text
    target: Text
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto"
    metric: Text | None = None
    positive: Annotated[Text, BeforeValidator(_spell_bool)] | None = None
    time_budget: Annotated[float, BeforeValidator(parse_duration)] | None = None
    max_trials: Count | None = None
    max_failures: Annotated[int, BeforeValidator(_refuse_bool), Field(ge=0)] = 3
    families: Annotated[tuple[str, ...], BeforeValidator(_split_names)] = ()
    folds: Annotated[int, BeforeValidator(_refuse_bool), Field(ge=1, le=100)] | None = None
    predict_budget: Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, allow_inf_nan=False)] | None = None
    controller: Annotated[tuple[PlainCount, PlainCount, PlainCount], BeforeValidator(_split_counts)] | None = None
    test_data: Text | None = None
    test_size: Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, lt=1)] | None = None
    weight: Text | None = None
    keep: Annotated[tuple[str, ...], BeforeValidator(_split_names)] = ()
    sample_rows: Count | None = None
    seed: Annotated[int, BeforeValidator(_refuse_bool), Field(ge=0)] = 0
    output: Text | None = None
    storage: Text | None = None
    cpus: Count | None = None
    gpus: Annotated[int, BeforeValidator(_refuse_bool), Field(ge=0)] | None = None
    address: Text | None = None
    tracking_uri: Text | None = None
    tracking_optional: StrictBool = False
    experiment: Text | None = None
    register_as: Text | None = Field(default=None, alias="register")  # `register` is a method of pydantic's models
    no_code: StrictBool = False
    input_example: Literal["made-up", "real"] = "made-up"


_RULES = {
    "task": "auto, binary, multiclass or regression",
    "max_trials": "a whole number of at least 1",
    "max_failures": "a whole number of at least 0",
    "families": "names with commas between them, or a list of names",
    "keep": "names with commas between them, or a list of names",
    "folds": "a whole number from 1 to 100",
    "predict_budget": "a number of microseconds above 0",
    "controller": "three whole numbers of at least 1 with commas between them (shards, replicas, children a batch)",
    "test_size": "a share above 0 and below 1",
    "sample_rows": "a whole number of at least 1",
    "seed": "a whole number of at least 0",
    "cpus": "a whole number of at least 1",
    "gpus": "a whole number of at least 0",
    "tracking_optional": "true or false",
    "no_code": "true or false",
    "input_example": "made-up or real",
}
_FIELD_OF_KEY = {
    "time_budget": "time_budget_s",
    "folds": "n_folds",
    "predict_budget": "predict_budget_us",
    "cpus": "n_cpus",
    "gpus": "n_gpus",
}
_KEYS = tuple(field.alias or name for name, field in _Settings.model_fields.items())
_EXCLUSIVE = ("test_data", "test_size")


def load_config(flags: Mapping[str, Any], config_file: str | None = None) -> RunConfig:
    """Return the settings of `config_file` overridden by the flags that are not None.

    Raises ConfigError for a file that cannot be read, a key that does not exist and a value out of its range.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    settings = _read_settings(config_file) if config_file else {}
    _refuse_unknown(given, "option")
    for name in URIS:
        for source in (settings, given):
            keep_secret(str(source[name]) if name in source else None)
    if any(key in given for key in _EXCLUSIVE):
        settings = {key: value for key, value in settings.items() if key not in _EXCLUSIVE}
    return _resolve({**settings, **given})


def _read_settings(config_file: str) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(Path(config_file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the settings file {config_file!r} cannot be read: {_reason(error)}.") from None
    except yaml.YAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        raise ConfigError(
            f"the settings file {config_file!r}{where} is not YAML. Write one `key: value` a line."
        ) from None
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(
            f"the settings file {config_file!r} must hold `key: value` lines, not {masked(repr(settings)):.60}."
        )
    _refuse_unknown(settings, f"setting in {config_file!r}")
    return {key: value for key, value in settings.items() if value is not None}


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (getattr(error, "strerror", None) or str(error)).lower()


def _refuse_unknown(settings: Mapping[str, Any], what: str) -> None:
    for key in settings:
        if key not in _KEYS:
            raise ConfigError(f"there is no {what} called {str(key)!r}.{nearest(str(key), _KEYS)}")


def _resolve(settings: dict[str, Any]) -> RunConfig:
    if settings.get("data") == DEMO:
        settings = {"target": DEMO_TARGET, **settings}
    if "time_budget" not in settings and "max_trials" not in settings:
        settings["time_budget"] = DEFAULT_BUDGET_S
    try:
        checked = _Settings(**settings)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None
    _check_together(checked)
    values = checked.model_dump(by_alias=True)
    config = RunConfig(**{_FIELD_OF_KEY.get(key, key): value for key, value in values.items()})
    _check_controller(config)
    return config


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    key, value = str(first["loc"][0]), first["input"]
    flag = key.replace("_", "-")
    if first["type"] == "missing":
        return (
            "no table is given: name a Parquet file or folder."
            if key == "data"
            else f"--{flag} is missing: name a column."
        )
    if key == "data":
        return f"the table must be a path or a URI, not {masked(value)!r}."
    return f"--{flag} must be {_RULES.get(key, 'text that is not empty (in a file, put it in quotes)')}, not {value!r}."


def _check_together(settings: _Settings) -> None:
    if settings.test_data is not None and settings.test_size is not None:
        raise ConfigError(
            f"--test-data {masked_uri(settings.test_data)!r} and --test-size {settings.test_size:g} exclude each "
            "other: give one."
        )
    if settings.weight == settings.target:
        raise ConfigError(f"--weight and --target must be two columns, but both are {settings.target!r}.")


def _check_controller(config: RunConfig) -> None:
    if config.controller is not None and config.controller[:2] != (1, 1) and config.reproducible:
        n_shards, n_replicas, n_children = config.controller
        raise ConfigError(
            f"--controller {n_shards},{n_replicas},{n_children} learns asynchronously, but --max-trials without "
            f"--time-budget promises the same result each time: give --controller 1,1,{n_children}, or a --time-budget."
        )


def without_secrets_in(config: RunConfig) -> RunConfig:
    """Return the settings as they may be written: with stars for the secrets in URIs."""
    given = {name: value for name in URIS if (value := getattr(config, name)) is not None}
    return replace(config, **{name: masked_uri(value) for name, value in given.items()})


def to_yaml(config: RunConfig) -> str:
    """Return the resolved settings as YAML that `load_config` reads back to the same RunConfig."""
    key_of_field = {field: key for key, field in _FIELD_OF_KEY.items()}
    settings = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value is not None and value != ():
            settings[key_of_field.get(field.name, field.name)] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
