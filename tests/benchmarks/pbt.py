"""Run the nets of `mlp` alone, once as a population (PBT) and once under successive halving, for equal seconds.

    python tests/benchmarks/pbt.py TRAIN.parquet TEST.parquet --target COLUMN [--metric NAME] [--seconds 60]
                                   [--seeds 0,1] [--cpus 2]

Prints the leader's cross-validated and test scores of each, and how many trials were completed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

# Nothing but the scheduler differs, and it is decided in the driver's process alone.
RUN = {
    "pbt": "from stacktune.cli import main; main()",
    "asha": "from stacktune.search.plan.plan import SearchPlan; SearchPlan.uses_pbt = lambda self, family: False; "
    "from stacktune.cli import main; main()",
}


def measure(scheduler: str, seed: str, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return one row of the printed table."""
    output = folder / f"{scheduler}-{seed}"
    command = [
        *(sys.executable, "-c", RUN[scheduler], "run", args.train, "--test-data", args.test, "--target", args.target),
        *("--families", "mlp", "--time-budget", args.seconds, "--cpus", args.cpus, "--seed", seed, "--output", output),
        *(("--metric", args.metric) if args.metric else ()),
    ]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    facts = json.loads((output / "run.json").read_text())
    board = pd.read_parquet(output / "leaderboard.parquet")
    best = board[(board["kind"] == "trial") & (board["status"] == "completed")].iloc[0]
    return {
        "scheduler": scheduler,
        "seed": seed,
        "leader cv": facts["cv_score"],
        "leader test": facts["test_score"],
        "best trial cv": best["score"],
        "best trial test": best["test_score"],
        "completed": facts["n_completed"],
        "stopped": facts["n_stopped"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--metric")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", default="0,1", help="with commas between them")
    parser.add_argument("--cpus", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = [(scheduler, seed) for seed in args.seeds.split(",") for scheduler in RUN]
        rows = [measure(scheduler, seed, args, Path(name)) for scheduler, seed in runs]
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
