"""Going on with a run: what its folder must tell, and what may not have changed since."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from stacktune.config import DEMO, URIS, RunConfig, load_config, parse_duration, to_yaml, without_secrets_in
from stacktune.data.dataset import Dataset
from stacktune.data.lines import unread_lines, write_whole
from stacktune.ensemble.leader import MODEL_FORMAT
from stacktune.errors import ConfigError, DataError
from stacktune.places import expanded
from stacktune.report.outputs import read_facts
from stacktune.report.text import count
from stacktune.search.journal import elapsed_in, is_event, read_journal
from stacktune.search.plan import SizePlan
from stacktune.search.replay import replay
from stacktune.tracking.spool import is_noted
from stacktune.tracking.store import absolute
from stacktune.uris import is_masked, masked_uri

CONFIG, STATE, JOURNAL, SPOOL, TRIALS = "config.yaml", "state.json", "journal.jsonl", "tracking.jsonl", "trials"
# What a resumed run may be given anew; everything else is as it was, or trials could not be compared.
FREE = frozenset(
    {
        "data",
        "time_budget_s",
        "max_trials",
        "max_failures",
        "tracking_optional",
        "n_cpus",
        "n_gpus",
        "address",
        "output",
    }
)
# With less left of its budget, a run that has its leader is not gone on with.
LEAST_LEFT_S = 5.0


@dataclass(frozen=True)
class RunState:
    """What a run began with, beside its settings.

    place: the folder in which the command was typed, for paths that are relative to it.
    digest, n_rows, columns, classes: of the table that is learnt from.
    experiment, model_name: under which MLflow keeps the runs and the leader.
    families, n_folds, is_large, opening: see SizePlan. model_format: of the trials' models.
    """

    place: str
    digest: str
    n_rows: int
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    experiment: str
    model_name: str
    families: tuple[str, ...]
    n_folds: int
    is_large: bool
    opening: tuple[str, ...]
    model_format: int

    @property
    def size(self) -> SizePlan:
        return SizePlan(self.n_folds, self.is_large, opening=self.opening)

    def check(self, dataset: Dataset) -> None:
        """Raise DataError, naming what differs, unless `dataset` is what the run began with."""
        now = _columns(dataset)
        for what, before, after in (
            ("rows to learn from", f"{self.n_rows:,}", f"{dataset.table.n_rows:,}"),
            ("columns", _listed(self.columns, but=now), _listed(now, but=self.columns)),
            ("classes", list(self.classes), list(map(str, dataset.task.classes))),
            ("values", self.digest, dataset.digest),
        ):
            if before != after:
                raise DataError(
                    f"--resume needs the table that the run began with, but its {what} differ: {before} before, "
                    f"{after} now. Give that table as DATA, or begin a new run."
                )


def _columns(dataset: Dataset) -> tuple[str, ...]:
    return tuple(map(str, dataset.schema.column_names))


def _listed(columns: tuple[str, ...], but: tuple[str, ...]) -> list[str]:
    return [name for name in columns if name not in but]


@dataclass(frozen=True)
class Past:
    """An earlier session of a run. elapsed_s: what the run has taken by now. notes: what is to be said of its files."""

    folder: Path
    state: RunState
    elapsed_s: float
    notes: tuple[str, ...] = ()


def write_state(folder: Path, config: RunConfig, dataset: Dataset, families: list[str], size: SizePlan) -> None:
    """Write what `--resume` reads beside the settings; from then on the run can be gone on with."""
    state = RunState(
        place=str(Path.cwd()),
        digest=dataset.digest,
        n_rows=dataset.table.n_rows,
        columns=_columns(dataset),
        classes=tuple(map(str, dataset.task.classes)),
        experiment=config.experiment or dataset.name,
        model_name=model_name(config, dataset),
        families=tuple(families),
        n_folds=config.n_folds,
        is_large=size.is_large,
        opening=size.opening,
        model_format=MODEL_FORMAT,
    )
    write_whole(folder / STATE, json.dumps(asdict(state), indent=2) + "\n")


def model_name(config: RunConfig, dataset: Dataset) -> str:
    """Return the registered model's name: what was asked for, else the data's."""
    return config.register or re.sub(r"[^\w.-]+", "-", dataset.name) or "leader"


def write_config(folder: Path, config: RunConfig) -> None:
    """Write the settings, without the secrets in URIs."""
    write_whole(folder / CONFIG, to_yaml(without_secrets_in(config)))


def read_state(folder: Path) -> RunState:
    """Return what a run's folder tells of its beginning; ConfigError where it tells nothing."""
    if not (folder / STATE).is_file():
        raise ConfigError(
            f"there is no run to go on with in {str(folder)!r} (it holds no {STATE}). "
            "Name the --output folder of a run, or leave --resume out."
        )
    try:
        stored = json.loads((folder / STATE).read_text())
        if stored.get("model_format") != MODEL_FORMAT:
            raise ConfigError(
                f"the run in {str(folder)!r} was begun by another version of stacktune, whose models this one cannot "
                "read: go on with that version, or begin a new run."
            )
        lists = {name: tuple(stored[name]) for name in ("columns", "classes", "families", "opening")}
        return _checked(RunState(**{**stored, **lists}))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{str(folder / STATE)!r} is not what a run wrote: the run cannot be gone on with.") from None


def _checked(state: RunState) -> RunState:
    """Return the state, or raise TypeError where a value is of another kind than a run writes."""
    numbers, texts = (state.n_rows, state.n_folds), (state.place, state.digest, state.experiment, state.model_name)
    lists = (*state.columns, *state.classes, *state.families, *state.opening)
    if not all(isinstance(value, int) for value in numbers) or not all(
        isinstance(one, str) for one in (*texts, *lists)
    ):
        raise TypeError
    return state


def resume_config(folder: Path, flags: Mapping[str, Any]) -> tuple[RunConfig, Past]:
    """Return the settings of a run that goes on in `folder`, and what it left there.

    flags: those that were typed. A time budget among them is time on top of what the run has taken.

    Raises:
        ConfigError: there is no run; a flag says something else than the run began with; nothing is left to do.
    """
    folder = folder.absolute()
    past = Past(folder, read_state(folder), _elapsed_s(folder), tuple(damage_notes(folder)))
    if flags.get("tracking_uri"):
        flags = {**flags, "tracking_uri": absolute(flags["tracking_uri"])}
    saved = saved_config(folder)
    asked = load_config(flags, str(folder / CONFIG))
    _refuse_changes(folder, saved, asked, flags)
    given = {name for name, value in flags.items() if value is not None}
    config = replace(asked, output=str(folder), experiment=past.state.experiment, register=past.state.model_name)
    if "time_budget" in given:
        total_s = past.elapsed_s + parse_duration(flags["time_budget"])
        config = replace(config, time_budget_s=total_s, max_trials=asked.max_trials if "max_trials" in given else None)
    config = replace(config, data=_located(config.data, str(Path.cwd()) if "data" in given else past.state.place))
    if config.test_data is not None:
        config = replace(config, test_data=_located(config.test_data, past.state.place))
    _refuse_idle(config, past)
    return config, past


def saved_config(folder: Path) -> RunConfig:
    """Return the settings that a run wrote; ConfigError where its file is broken or gone."""
    path = str(folder / CONFIG)
    try:
        return load_config({}, path)
    except ConfigError as error:
        if path in str(error):
            raise
        raise ConfigError(f"{path!r} is not what a run wrote: {error}") from None


def damage_notes(folder: Path) -> list[str]:
    """Return what is to be said of the lines that are passed over."""
    notes = []
    for name, is_one, what in (
        (JOURNAL, is_event, "what they tell of trials is lost, and done anew where it must be"),
        (SPOOL, is_noted, "MLflow may miss what they hold"),
    ):
        numbers = unread_lines(folder / name, is_one)
        if numbers:
            lines = f"{count(len(numbers), 'line')} of {str(folder / name)!r} cannot be read"
            notes.append(f"{lines} (the first is line {numbers[0]:,}): {what}")
    return notes


def _elapsed_s(folder: Path) -> float:
    summary = folder / "run.json"
    in_summary = read_facts(folder)["wall_s"] if summary.exists() else 0.0
    return max(in_summary, elapsed_in(folder / JOURNAL))


def _refuse_changes(folder: Path, saved: RunConfig, asked: RunConfig, flags: Mapping[str, Any]) -> None:
    for field in fields(RunConfig):
        before, after = getattr(saved, field.name), getattr(asked, field.name)
        if field.name not in FREE and before != after and before != _hidden(field.name, after):
            flag = field.name.removeprefix("n_").removesuffix("_us").replace("_", "-")
            raise ConfigError(
                f"a resumed run keeps its settings, but --{flag} is {_said(field.name, after)} and was "
                f"{_said(field.name, before)}. Leave it out, or begin a new run."
            )
    for name in URIS:
        check_whole(folder, name, getattr(asked, name))
    if flags.get("output") is not None and Path(flags["output"]).absolute() != folder:
        raise ConfigError(f"a resumed run writes into its own folder: leave --output {flags['output']!r} out.")


def check_whole(folder: Path, name: str, value: str | None) -> None:
    """Raise ConfigError where secrets of a setting, which was read from a run's folder, were left out there."""
    if value is not None and is_masked(value):
        flag = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
        raise ConfigError(f"the password of {value!r} was not kept in {str(folder)!r}: give {flag} again.")


def _hidden(name: str, value: Any) -> Any:
    return masked_uri(value) if name in URIS and value is not None else value


def _said(name: str, value: Any) -> str:
    return repr(",".join(value) if isinstance(value, tuple) else _hidden(name, value))


def _located(path: str, place: str) -> str:
    return path if path == DEMO or "://" in path else str(Path(place, expanded(path)))


def _refuse_idle(config: RunConfig, past: Past) -> None:
    """Raise ConfigError where the run has its leader and no time or trials left."""
    if not (past.folder / "run.json").exists():
        return
    if config.time_budget_s is not None and config.time_budget_s - past.elapsed_s < LEAST_LEFT_S:
        raise ConfigError(
            f"the run in {str(past.folder)!r} has ended, and its {config.time_budget_s:g} s are used; "
            "--time-budget 10m gives it ten minutes more."
        )
    entries = replay(read_journal(past.folder / JOURNAL), past.folder / TRIALS)
    is_done = config.max_trials is not None and len(entries) >= config.max_trials
    if is_done and all(entry.result is not None for entry in entries):
        raise ConfigError(
            f"the run in {str(past.folder)!r} has ended with its {len(entries)} trials; "
            f"a --max-trials above that lets it go on."
        )
