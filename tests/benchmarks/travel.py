"""Take a leader elsewhere, as an ONNX graph and as one taught model, and print what of it arrives.

    python tests/benchmarks/travel.py adult.parquet:income satimage.parquet:class --work /tmp/travel --trials 5

A fifth of the rows (seed 0) is set aside. difference: the largest between the graph's predictions of these rows and the
leader's (probabilities, or values as a share of the target's standard deviation). rows/s: of 10,000 rows in memory,
raw columns in, all cores; the graph's without what makes columns of a frame. kept: the share of the leader's lead over
the best single trial that the taught model has, on the same rows; – for none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stacktune.ensemble.leader import Leader
from stacktune.export.onnx.check import compared, opened
from stacktune.export.onnx.leader import output_names
from stacktune.export.onnx.probe import feeds
from stacktune.runs.distil import distil
from stacktune.runs.export import export
from stacktune.storage.run_folder import find_leader

N_TIMED = 10_000


def split(table: Path, work: Path) -> tuple[Path, Path]:
    """Write four fifths of a table, and the last."""
    frame = pd.read_parquet(table)
    order = np.random.default_rng(0).permutation(len(frame))
    paths = work / f"{table.stem}-train.parquet", work / f"{table.stem}-test.parquet"
    for path, rows in zip(paths, np.split(order, [round(0.8 * len(frame))]), strict=True):
        frame.iloc[np.sort(rows)].to_parquet(path)
    return paths


def per_s(ask, n_rows: int) -> float:
    """Return rows a second, the best of five."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return n_rows / min(took)


def measure(table: Path, target: str, work: Path, n_trials: int, exclude: str) -> str:
    """Return a line of the table."""
    train, test = split(table, work)
    run, graph, small = work / table.stem, work / f"{table.stem}.onnx", work / f"{table.stem}-small"
    command = [sys.executable, "-m", "stacktune", "run", train, "--target", target, "--output", run]
    options = ["--max-trials", str(n_trials), "--exclude", exclude] if exclude else ["--max-trials", str(n_trials)]
    subprocess.run([*map(str, command), *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    export(str(run), "onnx", graph, None, print)
    found = distil(str(run), str(train), small, "lightgbm", str(test), print)
    leader, pupil = Leader.load(find_leader(run)), Leader.load(small)
    rows = pd.read_parquet(test)
    size = 1.0 if leader.task.is_classification else float(rows[target].std())
    gap = compared(leader, graph, rows).difference / size
    some = pd.concat([rows] * (1 + N_TIMED // len(rows)), ignore_index=True).head(N_TIMED)
    session, asked, names = opened(graph), feeds(leader.schema, some), output_names(leader)
    speeds = [per_s(partial(model.predict, some), len(some)) for model in (leader, pupil)]
    speeds.insert(1, per_s(lambda: session.run(names, asked), len(some)))
    judged, kept = found.judged[-1], found.judged[-1].kept(found.metric.greater_is_better)
    scores = [f"{score:.5g}" for score in (judged.leader, judged.single, judged.pupil)]
    sizes = [f"{n_bytes / 1e6:.1f}" for n_bytes in (found.n_bytes[0], graph.stat().st_size, found.n_bytes[1])]
    cells = [
        f"{table.stem}, {found.metric.name}",
        *scores,
        "–" if kept is None or kept <= 0 else f"{kept:.0%}",
        f"{gap:.1g}",
        " / ".join(f"{speed:,.0f}" for speed in speeds),
        " / ".join(sizes),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure each table, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="TABLE.parquet:TARGET")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--exclude", default="", help="families, as for the command")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    lines = []
    for given in args.tables:
        path, _, target = given.rpartition(":")
        lines.append(measure(Path(path), target, args.work, args.trials, args.exclude))
    print(
        "| table, metric | leader | best single | taught | kept | difference | rows/s: leader / graph / taught | MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
