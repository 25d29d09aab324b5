"""Run stacktune on a large made table and print the peak of memory over all its processes, by process.

    python tests/benchmarks/memory.py [--rows 1000000] [--columns 50] [--seconds 60] [--cpus 2]

Shared pages count once (proportional set size). The table in float32 is rows x columns x 4 bytes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from watch import Memory


def write_table(path: Path, n_rows: int, n_columns: int) -> None:
    """Write float32 columns and a target of two classes that some of them explain."""
    random = np.random.default_rng(0)
    columns = {f"x{index}": random.standard_normal(n_rows, dtype=np.float32) for index in range(n_columns)}
    signal = columns["x0"] * columns["x1"] + np.sin(3 * columns["x2"]) + columns["x3"]
    columns["y"] = (signal + random.standard_normal(n_rows) > 0).astype(np.int8)
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--cpus", type=int, default=2)
    args = parser.parse_args()
    memory = Memory()
    with tempfile.TemporaryDirectory() as folder:
        table, output = Path(folder) / "table.parquet", Path(folder) / "run"
        write_table(table, args.rows, args.columns)
        command = [sys.executable, "-m", "stacktune", "run", table, "--target", "y", "--output", output]
        limits = ["--time-budget", args.seconds, "--cpus", args.cpus]
        process = subprocess.Popen(list(map(str, [*command, *limits])), stdout=subprocess.DEVNULL)
        with process, memory.watching(process.pid):
            process.wait()
        facts = json.loads((output / "run.json").read_text())
    table_mb = args.rows * args.columns * 4 / 2**20
    allowed_mb = 2.5 * table_mb + 300 * args.cpus
    print(
        f"table {table_mb:,.0f} MB in float32; peak {memory.peak_bytes / 2**20:,.0f} MB of {allowed_mb:,.0f} MB allowed"
    )
    for name, held in memory.at_peak.items():
        print(f"  {held / 2**20:8,.0f} MB  {name}")
    print(f"{facts['leader']} {facts['cv_score']:.4f}, {facts['n_completed']} trials, {facts['wall_s']:.1f} s")


if __name__ == "__main__":
    main()
