"""Run stacktune alone, beside a busy core, on one core, under a quota and in little memory; print what became of it.

    sudo python tests/benchmarks/hosts.py TABLE.parquet:TARGET … [--budget 20] [--only WORD] [--seed 0]

Each run is the whole command. wall/budget counts from its start to its exit. A quota and a limit of memory need root
and cgroups of version 1 or 2; where there are none, their rows say so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd

CGROUPS = Path("/sys/fs/cgroup")
GROUP = "stacktune-hosts"
GB = 1024**3
# What is written into the files of each version of cgroups.
HALF_A_CORE = {"cpu/cpu.cfs_period_us": "100000", "cpu/cpu.cfs_quota_us": "50000"}, {"cpu.max": "50000 100000"}
TWO_GB = {"memory/memory.limit_in_bytes": str(2 * GB)}, {"memory.max": str(2 * GB)}


@contextmanager
def busy_core() -> Iterator[list[str]]:
    """Keep one core busy meanwhile."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield []
        finally:
            process.kill()


@contextmanager
def limited(limits: tuple[dict[str, str], dict[str, str]]) -> Iterator[list[str]]:
    """Make a control group with the limits; yield what a command begins with to run in it."""
    is_v2 = (CGROUPS / "cgroup.controllers").exists()
    files = limits[is_v2]
    folders = {CGROUPS / GROUP if is_v2 else CGROUPS / name.partition("/")[0] / GROUP for name in files}
    for folder in folders:
        folder.mkdir(exist_ok=True)
    try:
        for name, text in files.items():
            path = CGROUPS / GROUP / name if is_v2 else CGROUPS / name.replace("/", f"/{GROUP}/")
            path.write_text(text)
        joining = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders)
        yield ["sh", "-c", f'{joining}exec "$@"', "sh"]
    finally:
        for folder in folders:
            _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(50):  # the last processes are still ending
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.2)
        else:
            return


HOSTS: dict[str, Callable] = {
    "alone": lambda: nullcontext([]),
    "beside one busy core": busy_core,
    "on one core": lambda: nullcontext(["taskset", "-c", "0"]),
    "a quota of half a core": lambda: limited(HALF_A_CORE),
    "in 2 GB": lambda: limited(TWO_GB),
}


def measure(table: Path, target: str, host: str, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return one row of the printed table."""
    row = {"table": table.stem, "host": host}
    output = folder / f"{table.stem}-{host.replace(' ', '-')}"
    words = ["run", table, "--target", target, "--time-budget", args.budget, "--seed", args.seed, "--output", output]
    try:
        with HOSTS[host]() as prefix:
            command = [*prefix, sys.executable, "-m", "stacktune", *map(str, words)]
            started = time.monotonic()
            ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "120"})
            wall_s = time.monotonic() - started
    except OSError as error:
        return {**row, "leader": f"not tried: {error}"}
    row |= {"status": ended.returncode, "wall/budget": round(wall_s / args.budget, 3)}
    if ended.returncode:
        return {**row, "leader": ended.stderr.strip().splitlines()[-1][:80]}
    facts = json.loads((output / "run.json").read_text())
    score = {facts["metric"]: round(facts["cv_score"], 4), "trials": facts["n_completed"]}
    return {**row, "leader": facts["leader"], "cross-validated": str(score)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="TABLE.parquet:TARGET")
    parser.add_argument("--budget", type=float, default=20.0)
    parser.add_argument("--only", default="", help="hosts with this word in their name")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for word in args.tables:
            table, _, target = word.rpartition(":")
            for host in HOSTS:
                if args.only in host:
                    rows.append(measure(Path(table), target, host, args, Path(folder)))
                    print(rows[-1], file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).fillna("").to_string(index=False))


if __name__ == "__main__":
    main()
