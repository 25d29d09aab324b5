"""Tell what a search around the best configuration of a run gains, and what it costs.

    python tests/benchmarks/starts.py DATA/adult.parquet:class DATA/diamonds.parquet:price … --work /tmp/starts

Of each table a quarter of the rows (10,000 at most) tests, and as many as --rows are learnt from. A first run tries
some configurations of two families; then searches go on from its best one, by Optuna and on a grid of two axes. A line
each says the gain on the same folds, that where the other folds choose the trial, the score on the test rows before and
after, and the seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

FAMILIES = "lightgbm,xgboost"
# The two that matter most of each.
AXES = {"lightgbm": "learning_rate,num_leaves", "xgboost": "learning_rate,max_depth"}


def split(path: Path, work: Path, n_rows: int) -> int:
    """Write the rows to learn from and to test on; return how many the former are."""
    frame = pd.read_parquet(path).sample(frac=1, random_state=0)
    n_test = min(10_000, len(frame) // 4)
    frame[:n_test].to_parquet(work / "test.parquet", index=False)
    train = frame[n_test:][:n_rows]
    train.to_parquet(work / "train.parquet", index=False)
    return len(train)


def run(work: Path, target: str, name: str, *words: str) -> dict[str, Any]:
    """Run the command; return what run.json says."""
    folder = work / name
    command = ["run", str(work / "train.parquet"), "--target", target, "--test-data", str(work / "test.parquet")]
    command += ["--output", str(folder), "--tracking-uri", f"sqlite:///{work}/{name}.db", "--seed", "0", *words]
    subprocess.run([sys.executable, "-m", "stacktune", *command], check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / "run.json").read_text())


def test_score(work: Path, name: str, trial: str) -> float:
    board = pd.read_parquet(work / name / "leaderboard.parquet").set_index("name")
    return float(board.loc[trial, "test_score"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="TABLE.parquet:TARGET")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--trials", type=int, default=12, help="of the first run, and of each search around its best")
    args = parser.parse_args()
    print("| table (rows), metric | search | start → best | by other folds | test: start → best | seconds |")
    print("|---|---|---|---|---|---|")
    for table in args.tables:
        path, _, target = table.rpartition(":")
        work = args.work / Path(path).stem
        work.mkdir(parents=True)
        n_rows, n = split(Path(path), work, args.rows), str(args.trials)
        first = run(work, target, "first", "--families", FAMILIES, "--max-trials", n)
        label = f"{Path(path).stem} ({n_rows:,}), {first['metric']}"
        print(f"| {label} | first run | | | leader {first['test_score']:.5g} | {first['wall_s']:.0f} |", flush=True)
        around = ["--start-from", str(work / "first"), "--max-trials", n]
        facts = run(work, target, "bayesian", *around)
        family = facts["gain"]["start"].partition("-")[0]
        grid = [*around, "--search", "grid", "--axes", AXES[family]]
        for how, outcome in (("bayesian", facts), ("grid", run(work, target, "grid", *grid))):
            gain = outcome["gain"]
            tests = " → ".join(f"{test_score(work, how, gain[one]):.5g}" for one in ("start", "best"))
            scores = f"{gain['start_score']:.5g} → {gain['best_score']:.5g}"
            honest = f"{gain['honest']:.2g} ± {gain['error']:.2g}"
            print(f"| {family} | {how} | {scores} | {honest} | {tests} | {outcome['wall_s']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
