"""Scores that mean what they seem to: undefined ones, copies of rows, memory, and children that cost too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from in_process import Fitted, auc, fit

from field_cases import Case
from stacktune.data.dataset import load_dataset
from stacktune.errors import ConfigError
from stacktune.families.base import FitSize
from stacktune.families.registry import all_families, get_family
from stacktune.search.nas.settings import ChildLimits, ControllerTopology
from stacktune.search.nas.source import ControllerSource, is_feasible
from stacktune.search.plan.memory import Node
from stacktune.search.plan.plan import ClusterSize, SourceOptions, make_plan
from stacktune.search.space import load_space
from stacktune.settings.groups import Settings
from stacktune.trials.result import COMPLETED, TrialResult


def rare_events(n_rows: int, n_positive: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    y = np.arange(n_rows) < n_positive
    noise = {f"noise{place}": random.normal(size=n_rows) for place in range(3)}
    return pd.DataFrame({**noise, "signal": random.normal(size=n_rows) + 4 * y, "y": np.where(y, "yes", "no")})


def auc_on(fitted: Fitted, new: pd.DataFrame) -> float:
    return auc(new["y"] == "yes", fitted.leader.predict(new)["yes"])


def twenty_positives(folder: Path) -> tuple[str, bool]:
    fitted = fit(rare_events(100_000, 20), "y", folder, ("lightgbm", "linear"), n_folds=1)
    fresh = auc_on(fitted, rare_events(20_000, 2_000, seed=1))
    n_scored = sum(row.is_scored for row in fitted.board.rows)
    gives = f"{n_scored} of {len(fitted.board.rows)} rows scored; the leader has {fresh:.2f} on new rows"
    return gives, n_scored == len(fitted.board.rows) and fresh > 0.95


def ratios(least: float) -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=400)
    return pd.DataFrame({"x": x, "z": random.normal(size=400), "y": np.maximum(least, np.expm1(0.4 * x))})


def rmsle_below_zero(folder: Path) -> tuple[str, bool]:
    score = fit(ratios(-0.9), "y", folder, metric="rmsle", n_folds=3).board.leader.score
    return f"rmsle {score:.3f}", bool(np.isfinite(score))


def refused(metric: str, least: float, folder: Path) -> tuple[str, bool]:
    frame = ratios(least)
    frame.loc[:9, "y"] = least
    try:
        score = fit(frame, "y", folder, metric=metric, n_folds=3).board.leader.score
    except ConfigError as error:
        return str(error).partition(", of")[0], True
    return f"{metric} {score:.3g}", False


def kinds(n_rows: int, seed: int) -> pd.DataFrame:
    chance = np.random.default_rng(9).random((20, 20))
    random = np.random.default_rng(seed)
    a, b = random.integers(20, size=(2, n_rows))
    y = np.where(random.random(n_rows) < chance[a, b], "yes", "no")
    return pd.DataFrame({"a": [f"a{value}" for value in a], "b": [f"b{value}" for value in b], "y": y})


def repeated_by_nature(folder: Path) -> tuple[str, bool]:
    fitted = fit(kinds(4_000, 0), "y", folder)
    cv, fresh = float(np.mean(fitted.results[0].fold_scores)), auc_on(fitted, kinds(10_000, 1))
    return f"cross-validated AUC {cv:.3f}, {fresh:.3f} on new rows", abs(cv - fresh) < 0.05


def twice(folder: Path) -> tuple[str, bool]:
    frame = pd.concat([rare_events(1_000, 500)] * 2, ignore_index=True).assign(id=np.arange(2_000))
    frame.to_parquet(folder / "table.parquet")
    dataset, test = load_dataset(Settings(str(folder / "table.parquet"), "y", test_size=0.2))
    place = dataset.table.names.index("signal")
    share = float(np.isin(test.features[:, place], dataset.table.features[:, place]).mean())
    return f"{share:.0%} of test rows have their copy in training", share == 0


def little_memory(folder: Path) -> tuple[str, bool]:
    fit_size, families = FitSize(5_000_000, 100, 2), tuple(all_families())
    shares, slots = [], []
    for gigabytes in (8, 64):
        cluster = ClusterSize(8, 0, False, (Node(8, gigabytes * 10**9),))
        plan = make_plan(families, cluster, 0, 5, None, 0.0, options=SourceOptions(fit_size))
        shares.append(min(plan.memory.rows_share(name, load_space(name).portfolio[0]) for name in families))
        slots.append(plan.n_slots)
    gives = f"8 GB: {shares[0]:g} of the rows, {slots[0]} at once; 64 GB: {shares[1]:g}, {slots[1]} at once"
    return gives, shares == [1, 1]


def dear_children(folder: Path) -> tuple[str, bool]:
    family, limits = get_family("nas"), ChildLimits(FitSize(1_000, 10, 2), 12_000)
    source = ControllerSource(family, load_space("nas"), 0, ControllerTopology(), limits, lambda event: None)
    dear = []
    for place in range(12):
        config = source.ask(f"nas-{place}")
        dear.append(not is_feasible(family.n_multiplications, limits, config))
        source.tell(TrialResult(f"nas-{place}", "nas", config, "asha", COMPLETED, 1, 1, (0.5,), (0.5,)))
    return f"{sum(dear)} of {len(dear)} children cost more than they may", not any(dear)


CASES = [
    Case(
        "3 twenty positives of 100,000 rows, a holdout",
        "no row had a score; the leader was the first by name, true AUC .60",
        "every row has a score, and the leader tells the classes apart",
        twenty_positives,
    ),
    Case("3 rmsle of targets in (-1, 0)", "all scores NaN, exit 0", "a score", rmsle_below_zero),
    Case("3 rmsle of targets at -1", "refused", "refused, with the count", lambda folder: refused("rmsle", -1, folder)),
    Case(
        "3 mape of targets at zero",
        "mape 2.5e13",
        "refused, with the count",
        lambda folder: refused("mape", 0, folder),
    ),
    Case(
        "3 rows of a kind repeat by nature",
        "cross-validated AUC .325, .694 on new rows",
        "the same on both, within .05",
        repeated_by_nature,
    ),
    Case("6 each row twice, --test-size", "80% of test rows have their copy in training", "none", twice),
    Case(
        "8 a reproducible run on 8 GB and on 64 GB",
        "0.5 (of the issue: 0.125) and 1 of the rows",
        "all rows on both",
        little_memory,
    ),
    Case(
        "9 children beyond the prediction budget",
        "11 of 12 children cost more than they may",
        "none is trained",
        dear_children,
    ),
]
