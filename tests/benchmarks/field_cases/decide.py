"""What is decided: the threshold, the positive class, and which row a prediction is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from in_process import fit

from field_cases import Case
from stacktune.metrics import get_metric


def rare_frame(n_rows: int, seed: int, rate: float = 0.02) -> pd.DataFrame:
    """Return rows of which about `rate` are `fraud`, with one column that tells, loosely."""
    random = np.random.default_rng(seed)
    signal, noise = random.normal(size=(2, n_rows))
    odds = np.exp(1.5 * signal + np.log(rate) - 1.0)
    kind = np.where(random.random(n_rows) < odds / (1 + odds), "fraud", "legit")
    return pd.DataFrame({"signal": signal, "noise": noise, "kind": kind})


def f1(truth: pd.Series, decided: pd.Series | np.ndarray) -> float:
    """Return F1 of fraud."""
    hits = ((truth == "fraud") & (decided == "fraud")).sum()
    return 2 * hits / ((truth == "fraud").sum() + (decided == "fraud").sum())


def _threshold(folder: Path) -> tuple[str, bool]:
    fitted = fit(rare_frame(6000, 0), "kind", folder, families=("linear", "lightgbm"), metric="f1")
    fresh = rare_frame(50_000, 1)
    predicted, row = fitted.leader.predict(fresh), fitted.board.leader
    decided = f1(fresh["kind"], predicted["prediction"])
    at_half = f1(fresh["kind"], predicted[["fraud", "legit"]].idxmax(axis=1))
    threshold = fitted.board.threshold(row)
    said = f"cv {row.score:.3f}, fresh {decided:.3f} from {threshold:.3f} on, {at_half:.3f} from .5 on"
    return said, decided > row.score - 2 * row.score_se


def _positive(folder: Path) -> tuple[str, bool]:
    fitted = fit(rare_frame(3000, 0), "kind", folder, families=("linear",))
    target, chance = fitted.dataset.table.target, np.random.default_rng(0).random(3000)
    score = get_metric("average_precision", "binary").score(target, np.column_stack([1 - chance, chance]))
    return f"{fitted.dataset.task.positive} is positive: {score:.3f}", score < 0.1


def _order(folder: Path) -> tuple[str, bool]:
    frame = rare_frame(5000, 0)
    leader = fit(frame, "kind", folder, families=("linear",)).leader
    shuffled = frame.sample(frac=0.25, random_state=0)
    shuffled["p"] = leader.predict(shuffled)["fraud"]
    alone = np.concatenate([leader.predict(shuffled.iloc[[place]])["fraud"] for place in range(0, 1250, 50)])
    n_wrong = int((np.abs(shuffled["p"].iloc[::50] - alone) > 1e-6).sum())
    n_nowhere = int(shuffled["p"].isna().sum())
    return f"{n_nowhere} of 1,250 nowhere, {n_wrong} of 25 wrong", n_nowhere == n_wrong == 0


CASES = [
    Case(
        "1 threshold for f1, 2 % positives",
        "cv F1 .23 to .34; fresh rows .00 to .10, from .5 on",
        "fresh rows as cross-validated, by the column `prediction`",
        _threshold,
    ),
    Case(
        "2 positive class of fraud/legit",
        "legit; average precision of random scores .98",
        "fraud; .02",
        _positive,
    ),
    Case(
        "10 rows keep their order",
        "617 of 1,250 predictions nowhere, others on wrong rows",
        "0 nowhere, 0 wrong",
        _order,
    ),
]
