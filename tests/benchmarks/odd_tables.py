"""Run stacktune on tables that nobody would wish for, and count failures and how the budget was kept.

    python tests/benchmarks/odd_tables.py --work DIR [--tables 200] [--seconds 20] [--first 0]

The tables are those of tests/hostile.py, by seed. A run has failed when it ends with neither a leader that predicts
all of its rows nor one message and status 2; which of these it was is counted, and messages are printed for reading.
Each run appends a line to DIR/odd.jsonl, and is not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import drawn_table
from whole_runs import STACKTUNE

LEADER, REFUSED, FAILED = "leader", "refused", "failed"


def stacktune(words: list[object], folder: Path) -> subprocess.CompletedProcess:
    """Run the command."""
    return subprocess.run([*STACKTUNE, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=600)


def tried(seed: int, seconds: int, work: Path) -> dict[str, object]:
    """Return what became of the table of a seed."""
    table, folder = drawn_table(seed), work / f"table-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    table.frame.to_parquet(folder / "table.parquet", index=False)
    began = time.monotonic()
    ran = stacktune(
        ["run", "table.parquet", f"--target={table.target}", "--time-budget", seconds, "--output", "run"], folder
    )
    wall_s = time.monotonic() - began
    outcome, said = FAILED, (ran.stderr.strip().splitlines() or [""])[-1]
    if ran.returncode == 2 and "Traceback" not in ran.stderr and len(ran.stderr.strip().splitlines()) == 1:
        outcome = REFUSED
    elif ran.returncode == 0 and not ran.stderr:
        predicted = stacktune(["predict", "run", "table.parquet", "--output", "out.parquet"], folder)
        said = predicted.stderr.strip()
        if predicted.returncode == 0:
            values = pd.read_parquet(folder / "out.parquet")
            is_finite = np.isfinite(values.select_dtypes("number")).all(axis=None)
            outcome = LEADER if len(values) == len(table.frame) and is_finite else FAILED
    return {"seed": seed, "what": table.what, "outcome": outcome, "said": said, "wall_s": round(wall_s, 2)}


def main() -> None:
    """Try tables, and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    results = args.work / "odd.jsonl"
    done = {json.loads(line)["seed"] for line in results.read_text().splitlines()} if results.exists() else set()
    for seed in range(args.first, args.first + args.tables):
        if seed not in done:
            outcome = tried(seed, args.seconds, args.work)
            with results.open("a") as file:
                file.write(json.dumps(outcome) + "\n")
            if outcome["outcome"] != LEADER:
                print(outcome, flush=True)
    frame = pd.read_json(results, lines=True)
    print(frame["outcome"].value_counts().to_string())
    shares = frame.loc[frame["outcome"] == LEADER, "wall_s"] / args.seconds
    print("wall clock / budget of those with a leader:", shares.quantile([0.5, 0.95, 0.99, 1]).round(2).to_dict())


if __name__ == "__main__":
    main()
