"""Declares every setting of a run, once.

The command line, files, refusals, help and resuming are made from this.

To add one, add a field here, or in problem.py, which holds the first groups: its type, its default, and a `Spec` that
says the rest. Nothing else needs to change but what reads it. A field is read as `settings.NAME`, whatever its group:
`Settings` extends the groups, so that a function that needs one group alone names it in its signature, is handed the
settings as they are, and is held to that by a type checker. So no two groups may have fields of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from stacktune.settings.kinds import (
    DURATION,
    NAMES,
    NOT_NEGATIVE,
    SHARE,
    SIZE,
    TEXT,
    TRUTH,
    above_zero,
    counts,
    one_of,
    whole,
)
from stacktune.settings.nested import SPACES, START, STEPS
from stacktune.settings.presets import PRESETS
from stacktune.settings.problem import DataSettings, ModelSettings, ValidationSettings
from stacktune.settings.setting import Resume, Spec, declared_in

FREE, FOUND, TYPED = Resume.FREE, Resume.FOUND, Resume.TYPED


@dataclass(frozen=True)
class SearchSettings:
    """Settings of what is tried, and how long.

    predict_budget_us: trials are timed, so even a reproducible search may then choose another leader among the same
        trials. families: in the order given; empty means all. start_from: as typed, or what was found there once the
        run has begun, see runs/starting_point.py.
    """

    preset: Annotated[
        str | None,
        Spec(one_of(*PRESETS), "NAME", "fast, balanced, best or deploy: see stacktune presets.", without="none"),
    ] = None
    time_budget_s: Annotated[
        float | None,
        Spec(
            DURATION,
            "TIME",
            "Wall clock of the whole run: 90, 90s, 10m, 2h.",
            without="10m unless --max-trials",
            key="time_budget",
            resume=FREE,
        ),
    ] = None
    max_trials: Annotated[
        int | None,
        Spec(
            whole(1),
            "N",
            "Trials at most. Without --time-budget the run is reproducible: a seed, a result.",
            resume=FREE,
        ),
    ] = None
    max_trial_s: Annotated[
        float | None,
        Spec(
            above_zero("seconds"),
            "S",
            "Seconds after which a trial hurries to its end; then no run is reproducible.",
            without="35 % of the search",
            key="max_seconds_per_trial",
            resume=FREE,
        ),
    ] = None
    stop_after: Annotated[
        int | None,
        Spec(whole(1), "N", "End the search after so many trials without a gain.", without="never", resume=FREE),
    ] = None
    stop_tolerance: Annotated[
        float | None,
        Spec(
            NOT_NEGATIVE, "SHARE", "What counts as a gain, as a share of the best score.", without="0.001", resume=FREE
        ),
    ] = None
    max_failures: Annotated[
        int, Spec(whole(0), "N", "How often a trial may lose its process before it has failed.", resume=FREE)
    ] = 3
    families: Annotated[
        tuple[str, ...],
        Spec(
            NAMES,
            "NAME,…",
            "Model families to try, e.g. lightgbm,xgboost; with --resume, more of them.",
            without="all",
            resume=FREE,
        ),
    ] = ()
    exclude: Annotated[
        tuple[str, ...], Spec(NAMES, "NAME,…", "Model families not to try, e.g. mlp,nas.", without="none")
    ] = ()
    search_space: Annotated[
        Mapping[str, Mapping[str, Any]] | None,
        Spec(SPACES, "FILE.yaml", "Values, lists or ranges for parameters of families.", without="search_spaces/"),
    ] = None
    start_from: Annotated[
        str | Mapping[str, Any] | None,
        Spec(START, "RUN|TRIAL|MODEL", "Search around the best configuration of a run or a model.", without="none"),
    ] = None
    search_by: Annotated[
        str,
        Spec(one_of("bayesian", "grid"), "bayesian|grid", "How to search around --start-from.", key="search"),
    ] = "bayesian"
    axes: Annotated[
        tuple[str, ...],
        Spec(NAMES, "NAME,…", "The parameters that --search grid varies; the others stay.", without="none"),
    ] = ()
    plan: Annotated[
        tuple[Mapping[str, Any], ...],
        Spec(STEPS, "FILE.yaml", "A modelling plan: families, their first entries, shares.", without="none"),
    ] = ()
    predict_budget_us: Annotated[
        float | None,
        Spec(
            above_zero("microseconds"),
            "US",
            "Microseconds of one core that the leader may take for a row.",
            without="any",
            key="predict_budget",
        ),
    ] = None
    max_model_mb: Annotated[
        float | None,
        Spec(
            above_zero("MB"),
            "MB",
            "Megabytes of disk that the leader's models may take.",
            without="any",
            key="max_model_size",
        ),
    ] = None
    controller: Annotated[
        tuple[int, int, int] | None,
        Spec(
            counts("shards", "replicas", "children a batch"),
            "S,K,M",
            "Shards, replicas and children a batch of an architecture search.",
            without="by cores",
        ),
    ] = None
    seed: Annotated[int, Spec(whole(0), "N", "Root of every random choice.")] = 0

    @property
    def reproducible(self) -> bool:
        """Return whether no decision may depend on timing.

        It is so where a number of trials is set and a budget is not.
        """
        return self.max_trials is not None and self.time_budget_s is None


@dataclass(frozen=True)
class OutputSettings:
    """Settings of results, and the rows with them.

    input_example: rows that are made up have the table's types; real ones are five of the table's.
    """

    output: Annotated[
        str | None,
        Spec(TEXT, "FOLDER", "Where results go.", without="stacktune-runs/<time>-<data name>", resume=FREE),
    ] = None
    storage: Annotated[
        str | None,
        Spec(
            TEXT,
            "URI",
            "Keep a copy of the folder below it (s3://, gs://, a shared disk).",
            may_hold_secret=True,
            resume=FREE,
        ),
    ] = None
    input_example: Annotated[
        str, Spec(one_of("made-up", "real"), "made-up|real", "Rows that travel with the model.")
    ] = "made-up"
    interval: Annotated[
        float | None,
        Spec(SHARE, "SHARE", "For regression, predict intervals, too, that hold this share of new rows, e.g. 0.9."),
    ] = None
    calibrate: Annotated[
        bool, Spec(TRUTH, "", "Bring the leader's probabilities to the temperature of least log loss, where it pays.")
    ] = False
    no_report: Annotated[
        bool, Spec(TRUTH, "", "Neither explain the leader nor write report.html at the end.", resume=FREE)
    ] = False


@dataclass(frozen=True)
class TrackingSettings:
    """Settings of what MLflow is told, and where."""

    tracking_uri: Annotated[
        str | None,
        Spec(
            TEXT,
            "URI",
            "MLflow store.",
            without="sqlite:///…/mlflow.db beside the output",
            may_hold_secret=True,
        ),
    ] = None
    tracking_optional: Annotated[
        bool, Spec(TRUTH, "", "Go on where the store cannot be used, and keep what it misses.", resume=FREE)
    ] = False
    experiment: Annotated[
        str | None, Spec(TEXT, "NAME", "MLflow experiment.", without="table-target", resume=FOUND)
    ] = None
    register: Annotated[
        str | None, Spec(TEXT, "NAME", "Name of the registered model.", without="table-target", resume=FOUND)
    ] = None
    register_always: Annotated[
        bool, Spec(TRUTH, "", "Let the new version lead, also where nothing shows that it is no worse.", resume=FREE)
    ] = False
    no_code: Annotated[
        bool, Spec(TRUTH, "", "Leave our code out of the model: only for servers with stacktune installed.")
    ] = False


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of which machines may be used.

    They say what of these may be used, too.
    """

    n_cpus: Annotated[int | None, Spec(whole(1), "N", "CPU cores to use.", without="all", key="cpus", resume=FREE)] = (
        None
    )
    n_gpus: Annotated[int | None, Spec(whole(0), "N", "GPUs to use.", without="all", key="gpus", resume=FREE)] = None
    max_memory_bytes: Annotated[
        float | None,
        Spec(
            SIZE,
            "SIZE",
            "Memory of a machine that trials may plan with: 500MB, 4GB.",
            without="what is free",
            key="max_memory",
            resume=FREE,
        ),
    ] = None
    address: Annotated[
        str | None,
        Spec(
            TEXT,
            "auto|local|HOST:PORT",
            "A running Ray cluster.",
            without="RAY_ADDRESS, or this machine alone",
            resume=TYPED,
        ),
    ] = None


# Dataclasses take their fields from the last base first: those of the table come first.
@dataclass(frozen=True)
class Settings(
    ClusterSettings, TrackingSettings, OutputSettings, SearchSettings, ModelSettings, ValidationSettings, DataSettings
):
    """One run's settings.

    They are parsed once from flags and a YAML file, checked, and never changed afterwards.
    """


# The groups in the order of the help, by their titles there.
GROUPS = {
    "Data": DataSettings,
    "Validation": ValidationSettings,
    "Models": ModelSettings,
    "Search": SearchSettings,
    "Output": OutputSettings,
    "Tracking": TrackingSettings,
    "Cluster": ClusterSettings,
}
SETTINGS = tuple(setting for title, group in GROUPS.items() for setting in declared_in(group, title))
BY_KEY = {setting.key: setting for setting in SETTINGS}
# Those that may hold a user, a password or a token, which are written nowhere.
URIS = tuple(setting.name for setting in SETTINGS if setting.spec.may_hold_secret)
