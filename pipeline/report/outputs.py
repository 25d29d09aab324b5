"""Makes a run's folder, and writes its summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from shutil import rmtree
from time import strftime
from typing import Any

from stacktune.data.write import write_frame
from stacktune.ensemble.rows import Leaderboard
from stacktune.errors import ConfigError
from stacktune.places import check_place
from stacktune.search.decisions import plain
from stacktune.settings.groups import OutputSettings, Settings
from stacktune.settings.problem import IN_MEMORY, DataSettings
from stacktune.storage.run_folder import DEFAULT_PARENT, RunFolder
from stacktune.storage.uris import without_secrets
from stacktune.streams import visible

VERSIONED = ("stacktune", "ray", "xgboost", "lightgbm", "scikit-learn", "torch", "mlflow", "pandas", "numpy", "pyarrow")


@dataclass(frozen=True)
class RunSummary:
    """The record of a run in `run.json`.

    Scores are as people read them, durations in seconds of wall clock.

    phase_began_s: when each phase began, in seconds since the command did.
    fit_cpu_s: processor seconds that all trials spent fitting and scoring, whatever became of them; of a process that
        was ended between rungs, the seconds since its last one.
    selection_penalty: what single trials' scores were lowered by to rank them beside ensembles.
    predict_us: microseconds that the leader takes for a raw row, encoding included.
    predict_budget_us: what it was to take at most, or None;
        n_too_dear: trials and ensembles that take more and rank below it.
    model_mb, max_model_mb, n_too_large: the same of the megabytes of its models on the disk, None where not limited.
    positive: of two classes, the one that is decided for from `threshold` on; both None for other tasks. thresholds:
        the best for each metric of decisions, at which the leaderboard has it. decided_by: the metric that
        `threshold` is chosen for; None where none is.
    greater_is_better: of `metric`.
    interval, calibration: what --interval and --calibrate came to, see runs/leader_options.py; None without them. gain:
        over --start-from, see runs/starting_point.py.
    test_score: None without test data. The ids of MLflow, model_uri, registered_* and alias: None where the store was
        away. alias: "leader", or "challenger" with the command that promotes it; evidence: by what it was compared, see
        tracking/promotion.py.
    """

    folder: Path
    task: str
    target: str
    metric: str
    positive: str | None
    threshold: float | None
    thresholds: Mapping[str, float]
    leader: str
    cv_score: float
    selection_penalty: float
    predict_us: float
    predict_budget_us: float | None
    n_too_dear: int
    model_mb: float | None
    max_model_mb: float | None
    n_too_large: int
    test_score: float | None
    n_completed: int
    n_stopped: int
    n_failed: int
    wall_s: float
    budget_s: float | None
    phase_began_s: Mapping[str, float]
    fit_cpu_s: float
    experiment_id: str | None
    parent_run_id: str | None
    model_uri: str | None
    registered_name: str | None
    registered_version: int | None
    alias: str | None
    alias_reason: str | None
    promote: str | None
    evidence: Mapping[str, Any]
    versions: Mapping[str, str]
    greater_is_better: bool = True
    decided_by: str | None = None
    interval: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    gain: Mapping[str, Any] | None = None


def output_folder(config: Settings) -> Path:
    """Return the run's folder, not made yet.

    Raises:
        ConfigError: it exists and holds something, or cannot be made where it is asked for.
    """
    folder = Path(config.output) if config.output else _unused(_default_folder(config))
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output {str(folder)!r} is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"--output {str(folder)!r} is not empty; name a new folder, so that no run is overwritten.")
    check_place(folder, "the folder for the results")
    return folder.absolute()


def _default_folder(config: DataSettings) -> Path:
    data = without_secrets(config.data).rstrip("/")
    name = config.target if data == IN_MEMORY else Path(data).name.split(".")[0]
    name = re.sub(r"[^\w.-]+", "-", name).strip("-") or "table"
    return Path(DEFAULT_PARENT) / f"{strftime('%Y%m%d-%H%M%S')}-{name}"


def _unused(folder: Path) -> Path:
    """Return the folder, or a free numbered one.

    It is the first with a number behind its name that is not there.
    """
    return next(place for place in _names(folder) if not place.exists())


def _names(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))


def make_folder(folder: Path, config: OutputSettings) -> Path:
    """Make the run's folder and return it.

    It is made under another name where it was not named, and another run was faster.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    places = _names(folder)
    while True:
        place = next(places)
        try:
            place.mkdir(exist_ok=config.output is not None)
        except FileExistsError:
            continue
        return place


def drop_folder(folder: Path) -> None:
    """Remove a run's folder.

    The default one around it goes, too, where nothing else is in that.
    """
    rmtree(folder, ignore_errors=True)
    if folder.parent.name == DEFAULT_PARENT:
        with suppress(OSError):  # another run's is there
            folder.parent.rmdir()


def library_versions() -> dict[str, str]:
    """Return the versions that models were made with."""
    return {name: version(name) for name in VERSIONED}


def write_leaderboard(board: Leaderboard, folder: Path) -> Path:
    """Write `leaderboard.parquet` and `leaderboard.csv`; return the latter's path."""
    frame = board.to_frame()
    places = RunFolder(folder)
    write_frame(frame, str(places.board))
    told = frame.assign(error=frame["error"].map(visible, na_action="ignore"))  # for a terminal, too
    write_frame(told, str(places.board_as_text))
    return places.board_as_text


def write_summary(summary: RunSummary) -> Path:
    """Write `run.json`; return its path.

    It marks the folder as that of a finished run.
    """
    facts = {name: plain(value) for name, value in asdict(summary).items() if name != "folder"}
    return RunFolder(summary.folder).write_summary(facts)
