"""Write the reports of finished runs anew, each in a process of its own, and print what they take.

    python tests/benchmarks/report.py stacktune-runs/adult stacktune-runs/credit_g

first s: with all imports and Vega's start, as `stacktune report` has it; again s: once more in the same process, about
what a run itself takes at its end. The page's size is that of the file, and of it gzipped.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

ONE = """
import json, sys, time
from pathlib import Path
began = time.monotonic()
from stacktune.report.page.page import write_report
path = write_report(Path(sys.argv[1]))
first, began = time.monotonic() - began, time.monotonic()
write_report(Path(sys.argv[1]))
print(json.dumps([str(path), first, time.monotonic() - began]))
"""


def main() -> None:
    print(
        f"{'run':<24} {'trials':>6} {'charts':>6} {'kB':>6} {'gzip kB':>8} {'json kB':>8} {'first s':>8} {'again s':>8}"
    )
    for run in sys.argv[1:]:
        said = subprocess.run([sys.executable, "-c", ONE, run], capture_output=True, text=True, check=True).stdout
        path, first, again = json.loads(said.splitlines()[-1])
        with open(path, "rb") as page:
            html = page.read()
        with open(path.replace(".html", ".json"), "rb") as page:
            numbers = page.read()
        n_trials = sum(row["rank"] is not None for row in json.loads(numbers)["leaderboard"]["rows"])
        sizes = [f"{len(one) / 1000:.0f}" for one in (html, gzip.compress(html), numbers)]
        figures = (n_trials, html.count(b"<svg"), *sizes, f"{first:.2f}", f"{again:.2f}")
        print(f"{run.rstrip('/').rpartition('/')[2]:<24} {' '.join(f'{figure:>8}' for figure in figures)}")


if __name__ == "__main__":
    main()
