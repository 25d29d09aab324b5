"""Tell whether out-of-fold scores say what comes: random folds beside folds by time and by group.

    python tests/benchmarks/splits.py DATA_FOLDER --work /tmp/splits [--tables beijing_time,…] [--parts 5] [--trials 6]

Of each table the last fifth of the time, or a fifth of the groups, is set aside. Two models learn from the rest, one in
random folds and one in ours; a line says what each scored out of fold (± its standard error), and then on what was set
aside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SHARE = 0.2
FAMILIES = "lightgbm,xgboost,linear"


@dataclass(frozen=True)
class Case:
    """A table, and the option that says how its rows belong together.

    read: takes the folder of tables. flag, column: the option, e.g. --time Time. gap: of time.
    """

    read: Callable[[Path], pd.DataFrame]
    target: str
    flag: str
    column: str
    metric: str
    gap: str | None = None


def beijing(folder: Path) -> pd.DataFrame:
    """Return the hourly air of twelve stations, with its moment as one column."""
    frame = pd.read_parquet(folder / "beijing_air_pm25.parquet").dropna(subset=["PM2.5"])
    parts = frame[["year", "month", "day", "hour"]].astype(int)
    return frame.assign(moment=pd.to_datetime(parts))


def beijing_of_two(folder: Path) -> pd.DataFrame:
    frame = beijing(folder)
    return frame[frame["station"].isin(["Aotizhongxin", "Wanliu"])].drop(columns=["year", "month", "day", "hour"])


def beijing_each_morning(folder: Path) -> pd.DataFrame:
    return beijing(folder).query("hour == 8").drop(columns="moment")


CASES = {
    "beijing_time": Case(beijing_of_two, "PM2.5", "--time", "moment", "rmse", "1d"),
    "creditcard_time": Case(
        lambda folder: pd.read_parquet(folder / "creditcard.parquet"), "Class", "--time", "Time", "roc_auc"
    ),
    "beijing_station": Case(beijing_each_morning, "PM2.5", "--group", "station", "rmse"),
    "amazon_manager": Case(
        lambda folder: pd.read_parquet(folder / "amazon_employee_access.parquet"),
        "ACTION",
        "--group",
        "MGR_ID",
        "roc_auc",
    ),
}


def parted(frame: pd.DataFrame, case: Case, part: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from, and those set aside.

    part: of groups, which fifth of them is set aside; of time it is always the last.
    """
    if case.flag == "--time":
        ordered = frame.sort_values(case.column, kind="stable")
        cut = round(len(ordered) * (1 - SHARE))
        return ordered.iloc[:cut].sample(frac=1, random_state=0), ordered.iloc[cut:]
    values = np.sort(frame[case.column].unique().astype(str))
    aside = np.random.default_rng(0).permutation(values)[part :: round(1 / SHARE)]
    is_aside = frame[case.column].astype(str).isin(aside)
    return frame[~is_aside], frame[is_aside]


def searched(case: Case, ours: bool, work: Path, n_trials: int) -> tuple[float, float, float]:
    """Return a run's leader's score out of fold, its standard error, and its score on what was set aside."""
    folder = work / ("ours" if ours else "random")
    how = [case.flag, case.column, *(["--gap", case.gap] if case.gap else [])] if ours else []
    words = ["run", str(work / "train.parquet"), "--target", case.target, "--test-data", str(work / "later.parquet")]
    words += ["--metric", case.metric, "--families", FAMILIES, "--max-trials", str(n_trials), "--seed", "0"]
    words += ["--output", str(folder), "--tracking-uri", f"sqlite:///{folder}.db", *how]
    subprocess.run([sys.executable, "-m", "stacktune", *words], check=True, stdout=subprocess.DEVNULL)
    facts = json.loads((folder / "run.json").read_text())
    board = pd.read_parquet(folder / "leaderboard.parquet").set_index("name")
    return facts["cv_score"], float(board.loc[facts["leader"], "score_se"]), facts["test_score"]


def fitted(case: Case, ours: bool, work: Path) -> tuple[float, float, float]:
    """Return the same of one LightGBM, which is fitted in this process."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from in_process import fit

    folder = work / ("ours" if ours else "random")
    folder.mkdir()
    how = {case.flag.removeprefix("--"): case.column} | ({"gap": case.gap} if case.gap else {}) if ours else {}
    settings = {"metric": case.metric, "test_data": str(work / "later.parquet"), **how}
    row = fit(work / "train.parquet", case.target, folder, ("lightgbm",), **settings).board.leader
    return row.score, row.score_se, row.test[case.metric]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tables", default=",".join(CASES))
    parser.add_argument("--trials", type=int, help="of a whole run; without it, one LightGBM is fitted")
    parser.add_argument("--parts", type=int, default=1, help="of five, that are set aside in turn; means are shown")
    args = parser.parse_args()
    print("| table (rows to learn from), metric | folds | out of fold | set aside | difference |")
    print("|---|---|---|---|---|")
    for name in args.tables.split(","):
        case, found = CASES[name], {False: [], True: []}
        frame = case.read(args.data)
        for part in range(args.parts):
            work = args.work / f"{name}-{part}"
            work.mkdir(parents=True)
            train, later = parted(frame, case, part)
            train.to_parquet(work / "train.parquet", index=False)
            later.to_parquet(work / "later.parquet", index=False)
            for ours, rows in found.items():
                rows.append(searched(case, ours, work, args.trials) if args.trials else fitted(case, ours, work))
        for ours, rows in found.items():
            score, error, truth = np.mean(rows, axis=0)
            how = f"{case.flag} {case.column}" if ours else "random"
            spread = f" ± {np.std([row[2] for row in rows], ddof=1) / len(rows) ** 0.5:.4f}" if len(rows) > 1 else ""
            label = f"{name} ({len(train):,}), {case.metric}"
            print(
                f"| {label} | {how} | {score:.4f} ± {error:.4f} | {truth:.4f}{spread} | {truth - score:+.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
