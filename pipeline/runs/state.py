"""Keeps a run's beginning beside its settings.

So it can be told whether it is the same run that goes on.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stacktune.data.dataset import Dataset
from stacktune.data.table import Table
from stacktune.ensemble.leader import MODEL_FORMAT
from stacktune.errors import ConfigError, DataError
from stacktune.metrics import Metric
from stacktune.search.plan.plan import SizePlan
from stacktune.settings.groups import Settings, TrackingSettings
from stacktune.settings.resuming import kept_settings
from stacktune.storage.digests import digest_of, digest_of_arrays
from stacktune.storage.lines import write_whole
from stacktune.storage.run_folder import STATE, RunFolder, model_hint
from stacktune.tracking.names import usual_name
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance

STATE_FORMAT = 2


@dataclass(frozen=True)
class RunState:
    """The beginnings of a run, beside its settings.

    run: a random id. name: of its folder, under which its copy is kept.
    place: the folder in which the command was typed, for paths that are relative to it.
    digest, n_rows, columns, classes: of the table that is learnt from. test_digest: of the test rows, or None.
    settings: those that may not change. made_of: the digest of all that scores depend on.
    experiment, model_name: under which MLflow keeps the runs and the leader.
    families, n_folds, is_large, opening: see SizePlan. model_format: of the trials' models.
    metric_version: see Metric.
    """

    run: str
    name: str
    place: str
    digest: str
    n_rows: int
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    test_digest: str | None
    settings: Mapping[str, Any]
    made_of: str
    experiment: str
    model_name: str
    families: tuple[str, ...]
    n_folds: int
    is_large: bool
    opening: tuple[str, ...]
    model_format: int = MODEL_FORMAT
    state_format: int = STATE_FORMAT
    metric_version: str = ""

    @property
    def found(self) -> dict[str, str]:
        """Return the settings left out, as found.

        The run found them: see `Resume.FOUND`.
        """
        return {"experiment": self.experiment, "register": self.model_name}

    @property
    def size(self) -> SizePlan:
        return SizePlan(self.n_folds, self.is_large, opening=self.opening)

    @property
    def made_by(self) -> Provenance:
        """Return what all this run's trials' files bear."""
        return Provenance(self.run, self.made_of)

    def check(self, dataset: Dataset, test: Table | None) -> None:
        """Raise DataError unless the run began with these.

        It names what differs.
        """
        now = _columns(dataset)
        for what, before, after in (
            ("rows to learn from", f"{self.n_rows:,}", f"{dataset.table.n_rows:,}"),
            ("columns", _listed(self.columns, but=now), _listed(now, but=self.columns)),
            ("classes", list(self.classes), list(map(str, dataset.task.classes))),
            ("values", self.digest, dataset.digest),
            ("test rows", self.test_digest, _digest_of_table(test)),
        ):
            if before != after:
                raise DataError(
                    f"--resume needs the table that the run began with, but its {what} differ: {before} before, "
                    f"{after} now. Give that table as DATA, or begin a new run."
                )

    def check_metric(self, metric: Metric) -> None:
        """Raise ConfigError unless the metric is the run's.

        A function of the user's may have been changed.
        """
        if metric.version != self.metric_version:
            raise ConfigError(
                f"--resume needs the metric that the run began with, but what {metric.name} is made of has changed, so "
                "that trials could not be compared. Put its module back as it was, or begin a new run."
            )

    def check_folds(self, dataset: Dataset, problem: Problem) -> None:
        """Raise DataError unless the folds are the run's.

        The same table and settings should give them.
        """
        if _made_of(self.settings, dataset, problem) != self.made_of:
            raise DataError(
                "the same table and settings give other folds than when the run began: another version of stacktune, "
                "numpy or scikit-learn is at work, or state.json was changed. Go on with what it began with, or begin "
                "a new run."
            )


def new_run() -> str:
    """Return the id of a new run.

    It is random, so that no other has it, and none can be prepared for it.
    """
    return secrets.token_hex(16)


def provenance_of(run: str, config: Settings, dataset: Dataset, problem: Problem) -> Provenance:
    """Return what the files of a run's trials bear."""
    return Provenance(run, _made_of(kept_settings(config), dataset, problem))


def begin_state(
    made_by: Provenance,
    name: str,
    config: Settings,
    dataset: Dataset,
    test: Table | None,
    families: list[str],
    size: SizePlan,
    metric_version: str = "",
) -> RunState:
    """Return what a new run begins with.

    made_by: see `provenance_of`. name: of its folder and its copy. metric_version: see Metric.
    """
    return RunState(
        run=made_by.run,
        name=name,
        place=str(Path.cwd()),
        digest=dataset.digest,
        n_rows=dataset.table.n_rows,
        columns=_columns(dataset),
        classes=tuple(map(str, dataset.task.classes)),
        test_digest=_digest_of_table(test),
        settings=kept_settings(config),
        made_of=made_by.digest,
        experiment=experiment_name(config, dataset),
        model_name=model_name(config, dataset),
        families=tuple(families),
        n_folds=config.n_folds or size.n_folds,
        is_large=size.is_large,
        opening=size.opening,
        metric_version=metric_version,
    )


def write_state(folder: Path, state: RunState) -> None:
    """Write what `--resume` reads beside the settings.

    From then on the run can be gone on with.
    """
    write_whole(RunFolder(folder).state, json.dumps(asdict(state), indent=2) + "\n")


def read_state(folder: Path) -> RunState:
    """Return a run's beginning from its folder.

    Raises ConfigError where nothing tells of it.
    """
    file = RunFolder(folder).state
    if not file.is_file():
        raise ConfigError(
            f"there is no run to go on with in {str(folder)!r} (it holds no {STATE}). "
            f"Name the --output folder of a run, or leave --resume out.{model_hint(folder)}"
        )
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        is_of_this_version = (stored.get("model_format"), stored.get("state_format")) == (MODEL_FORMAT, STATE_FORMAT)
        state = _state_of(stored) if is_of_this_version else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{str(file)!r} is not what a run wrote: the run cannot be gone on with.") from None
    if state is None:
        raise ConfigError(
            f"the run in {str(folder)!r} was begun by another version of stacktune, whose trials this one cannot "
            "go on from: go on with that version, or begin a new run."
        )
    return state


def _state_of(stored: dict[str, Any]) -> RunState:
    lists = {name: tuple(stored[name]) for name in ("columns", "classes", "families", "opening")}
    return _checked(RunState(**{**stored, **lists}))


def _checked(state: RunState) -> RunState:
    """Return the state if its values are whole.

    Raises TypeError where one is of another kind than a run writes.
    """
    texts = (state.run, state.name, state.place, state.digest, state.made_of, state.experiment, state.model_name)
    lists = (*state.columns, *state.classes, *state.families, *state.opening)
    is_whole = all(isinstance(value, int) for value in (state.n_rows, state.n_folds)) and all(
        isinstance(one, str) for one in (*texts, *lists)
    )
    if not is_whole or not isinstance(state.settings, dict):
        raise TypeError
    return state


def experiment_name(config: TrackingSettings, dataset: Dataset) -> str:
    """Return the experiment's name, asked for or usual."""
    return config.experiment or usual_name(dataset)


def model_name(config: TrackingSettings, dataset: Dataset) -> str:
    """Return the registered model's name, asked for or usual.

    A run that goes on keeps the name that it began with, which an earlier stacktune made of the table's alone.
    """
    return config.register or usual_name(dataset)


def _columns(dataset: Dataset) -> tuple[str, ...]:
    return tuple(map(str, dataset.schema.column_names))


def _listed(columns: tuple[str, ...], but: tuple[str, ...]) -> list[str]:
    return [name for name in columns if name not in but]


def _made_of(settings: Mapping[str, Any], dataset: Dataset, problem: Problem) -> str:
    return digest_of([dict(settings), dataset.digest, problem.folds.digest, problem.metric.name, MODEL_FORMAT])


def _digest_of_table(table: Table | None) -> str | None:
    return None if table is None else digest_of_arrays(table.features, table.target, table.weight)
