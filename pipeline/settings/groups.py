"""Declares every setting of a run, once.

The command line, files, refusals, help and resuming are made from this.

To add one, add a field here: its type, its default, and a `Spec` that says the rest. Nothing else needs to change but
what reads it. A field is read as `settings.NAME`, whatever its group: `Settings` extends the groups, so that a function
that needs one group alone names it in its signature, is handed the settings as they are, and is held to that by a type
checker. So no two groups may have fields of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from stacktune.settings.kinds import (
    CLASS,
    DURATION,
    GAP,
    NAMES,
    NOT_NEGATIVE,
    SHARE,
    TABLE,
    TEXT,
    TRUTH,
    above_zero,
    auto_or,
    counts,
    one_of,
    whole,
)
from stacktune.settings.nested import SPACES, STEPS
from stacktune.settings.objective import LOSS
from stacktune.settings.pairs import NAME_GROUPS, numbers_by_name
from stacktune.settings.presets import PRESETS
from stacktune.settings.setting import Resume, Spec, declared_in

FREE, FOUND, TYPED = Resume.FREE, Resume.FOUND, Resume.TYPED
DEMO = "demo"
DEMO_TARGET = "diagnosis"
# What stands for a path where a program hands over the table itself.
IN_MEMORY = "in-memory"


@dataclass(frozen=True)
class DataSettings:
    """Settings of the table, and what is learnt from.

    data: may be "demo", a table that comes with stacktune, whose target is then known; or "in-memory", for a table that
        a program hands over.
    """

    data: Annotated[
        str,
        Spec(
            TABLE,
            "DATA",
            "A Parquet file, a folder of them, or a URI (s3://, gs://, file://). CSV is read too, but slower.",
            missing="no table is given: name a Parquet file or folder.",
            is_argument=True,
            may_hold_secret=True,
            resume=FREE,  # tables may be moved: their content is compared
        ),
    ]
    target: Annotated[
        str, Spec(TEXT, "COLUMN", "The column to predict.", missing="--target is missing: name a column.")
    ]
    task: Annotated[
        str,
        Spec(one_of("auto", "binary", "multiclass", "regression"), "TASK", "auto, binary, multiclass or regression."),
    ] = "auto"
    positive: Annotated[
        str | None,
        Spec(CLASS, "CLASS", "Of two classes, the one that f1 is about.", without="True, yes, the larger or the rarer"),
    ] = None
    weight: Annotated[str | None, Spec(TEXT, "COLUMN", "The column of sample weights.")] = None
    keep: Annotated[
        tuple[str, ...],
        Spec(NAMES, "COLUMN,…", "Learn from these even if they look like row numbers or identifiers."),
    ] = ()
    sample_rows: Annotated[
        int | None,
        Spec(whole(1), "N", "Read a sample of so many rows, with the share that each class has.", without="all"),
    ] = None


@dataclass(frozen=True)
class ValidationSettings:
    """Settings of how models are judged.

    n_folds: 1 for rows that are held out once; None leaves it to the plan. loss: see objectives.py.
    group, time, fold_column, validation_data: at most one of them splits the rows. gap: see kinds.py.
    """

    metric: Annotated[
        str | None,
        Spec(
            TEXT,
            "NAME",
            "What is optimised; also a function of yours, as in mymodule:score.",
            without="roc_auc, log_loss or rmse, by the task",
        ),
    ] = None
    cost: Annotated[
        tuple[str, ...],
        Spec(
            numbers_by_name("fn=10,fp=1"),
            "fn=N,fp=N",
            "Of two classes, what a wrong decision costs: the threshold, and the metric unless it is given, follow.",
        ),
    ] = ()
    n_folds: Annotated[
        int | None,
        Spec(auto_or(whole(1, 100)), "auto|N", "Folds; 1 holds rows out once.", without="auto, by size", key="folds"),
    ] = None
    group: Annotated[
        str | None,
        Spec(TEXT, "COLUMN", "Keep rows that share its value together, in one fold or the test rows. Not learnt from."),
    ] = None
    time: Annotated[
        str | None,
        Spec(TEXT, "COLUMN", "Judge on later rows than those learnt from, and refit on all. The last rows test."),
    ] = None
    gap: Annotated[
        str | None,
        Spec(
            GAP, "N|TIME", "With --time: learn from no row so shortly before those judged on, e.g. 100 (rows), 12h, 7d."
        ),
    ] = None
    fold_column: Annotated[
        str | None, Spec(TEXT, "COLUMN", "Folds of your own: each value of it is one. Not learnt from.")
    ] = None
    validation_data: Annotated[
        str | None,
        Spec(
            TABLE,
            "PATH",
            "Labelled rows that every model is judged on while searching, instead of folds.",
            may_hold_secret=True,
            resume=FREE,
        ),
    ] = None
    repeats: Annotated[
        int, Spec(whole(1, 20), "R", "Deal the folds so many times, and average each row's out-of-fold predictions.")
    ] = 1
    stratify: Annotated[
        bool, Spec(TRUTH, "", "Spread the target's values evenly over folds, for regression. Classes always are.")
    ] = False
    test_data: Annotated[
        str | None,
        Spec(
            TABLE,
            "PATH",
            "Labelled rows on which the finished models are judged, once.",
            may_hold_secret=True,
            resume=FREE,
        ),
    ] = None
    test_size: Annotated[
        float | None, Spec(SHARE, "SHARE", "Split this share of the rows off first and judge on it, e.g. 0.2.")
    ] = None
    loss: Annotated[
        str | None,
        Spec(
            LOSS,
            "LOSS",
            "For regression, what models fit: quantile:0.9, poisson, tweedie:1.5, mae, mape, huber, log or squared.",
            without="what suits the metric",
        ),
    ] = None


@dataclass(frozen=True)
class ModelSettings:
    """Settings of what every model is to keep to."""

    balance: Annotated[
        bool, Spec(TRUTH, "", "Learn as if all classes were as frequent; probabilities are corrected for it.")
    ] = False
    class_weights: Annotated[
        tuple[str, ...],
        Spec(
            numbers_by_name("fraud=10,ok=1"),
            "CLASS=N,…",
            "Learn as if a class were so many times as frequent; probabilities are corrected for it.",
        ),
    ] = ()
    monotone: Annotated[
        tuple[str, ...],
        Spec(numbers_by_name("age=+1,price=-1"), "COLUMN=±1,…", "Predictions rise (+1) or fall (-1) with them."),
    ] = ()
    interactions: Annotated[
        tuple[str, ...],
        Spec(NAME_GROUPS, "COLUMN,…;…", "Only columns of one group act on one another; those of none are a group."),
    ] = ()


@dataclass(frozen=True)
class SearchSettings:
    """Settings of what is tried, and how long.

    predict_budget_us: trials are timed, so even a reproducible search may then choose another leader among the same
        trials. families: in the order given; empty means all.
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
        tuple[str, ...], Spec(NAMES, "NAME,…", "Model families to try, e.g. lightgbm,xgboost.", without="all")
    ] = ()
    exclude: Annotated[
        tuple[str, ...], Spec(NAMES, "NAME,…", "Model families not to try, e.g. mlp,nas.", without="none")
    ] = ()
    search_space: Annotated[
        Mapping[str, Mapping[str, Any]] | None,
        Spec(SPACES, "FILE.yaml", "Values, lists or ranges for parameters of families.", without="search_spaces/"),
    ] = None
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
        str | None, Spec(TEXT, "NAME", "MLflow experiment.", without="the data's name", resume=FOUND)
    ] = None
    register: Annotated[
        str | None, Spec(TEXT, "NAME", "Name of the registered model.", without="the data's name", resume=FOUND)
    ] = None
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
