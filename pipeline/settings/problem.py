"""Declares settings of the table, judging and models.

See groups.py, which declares the others and says how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from stacktune.settings.kinds import (
    CLASS,
    GAP,
    NAMES,
    SHARE,
    TABLE,
    TEXT,
    TRUTH,
    auto_or,
    one_of,
    whole,
)
from stacktune.settings.objective import LOSS, METRIC
from stacktune.settings.pairs import NAME_GROUPS, numbers_by_name
from stacktune.settings.setting import Resume, Spec

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
            missing="no table is given: name a Parquet file or folder; `stacktune demo` brings one of its own.",
            is_argument=True,
            may_hold_secret=True,
            resume=FREE,  # tables may be moved: their content is compared
        ),
    ]
    target: Annotated[
        str,
        Spec(
            TEXT,
            "COLUMN",
            "The column to predict.",
            missing="--target is missing: name a column; `stacktune describe TABLE` shows them.",
        ),
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
            METRIC,
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

    refit: Annotated[
        bool, Spec(TRUTH, "", "Fit each trial once more, on all rows, and predict by that model instead of the folds'.")
    ] = False
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
