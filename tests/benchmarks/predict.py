"""Time a leader's predictions as its users call it, through `mlflow.pyfunc`, and print one line of JSON.

    python tests/benchmarks/predict.py RUN_FOLDER TABLE.parquet [--out PREDICTIONS.parquet] [--times 5]

rows_per_s: rows of the table, read and in memory, over the median time of predicting them all at once; first_s: the
same, the first time, with the loading of the model before it. one_row_ms: the median over 50 rows, each alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

N_ALONE = 50


def took_s(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    import mlflow

    table = pd.read_parquet(args.table)
    started = time.perf_counter()
    model = mlflow.pyfunc.load_model(str(args.run / "leader"))
    predictions = model.predict(table)
    first_s = time.perf_counter() - started
    if args.out:
        predictions.to_parquet(args.out)
    whole_s = statistics.median(took_s(lambda: model.predict(table)) for _ in range(args.times))
    rows = [table.iloc[[index]] for index in range(min(N_ALONE, len(table)))]
    alone_s = statistics.median(took_s(lambda row=row: model.predict(row)) for row in rows)
    figures = {"rows": len(table), "rows_per_s": round(len(table) / whole_s), "one_row_ms": round(1e3 * alone_s, 2)}
    print(json.dumps(figures | {"first_s": round(first_s, 2)}))


if __name__ == "__main__":
    main()
