"""Run stacktune and other AutoML systems on the same splits, cores and seconds, and print one table.

    python tests/benchmarks/compare.py DATA --peers PEERS --work DIR [--systems stacktune,h2o,flaml,autogluon]
        [--python h2o=PATH] … [--tables adult,diamonds] [--seconds 120] [--cpus 2] [--seeds 0] [--known FILE.jsonl]
        [--table-only]

DATA is a folder of Parquet tables with an INDEX.md, whose table has the columns name, task, target and metric. PEERS
holds three scripts: split.py (DATA.parquet --target --out --seed) writes train.parquet and test.parquet, run_peer.py
(SYSTEM FOLDER --target --task --metric --seconds --cpus --seed) prints one JSON line with scores, and score.py scores
predictions. `--python` names the interpreter of each peer's own virtual environment.

The systems `stacktune+nas` and `stacktune-nas` are stacktune with every family, and with every other family.

Every run appends one line to DIR/results.jsonl and is not repeated, so what was cut off goes on where it stopped.
`--known` counts the lines of another such file as done. The wall clock is that of stacktune's whole command, and for
peers that of their fit call alone. Memory is the peak over all processes, each page once (proportional set size).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from watch import Memory

from stacktune.families.registry import all_families

OURS = "stacktune"
# Every metric's name with the peers, and whether more is better.
PEER_METRICS = {"roc_auc": "auc"}
MORE_IS_BETTER = {"auc", "average_precision", "accuracy", "r2", "f1_at_half"}
# What the index says of a table's task begins with one of these.
TASKS = ("binary", "regression")
# A system that is still running after this many budgets, and as long again to load and end, has failed.
PATIENCE, MIN_PATIENCE_S = 4.0, 240.0
TIE = 1e-4  # relative


@dataclass(frozen=True)
class Case:
    """One table of the index; metric as the peers call it."""

    name: str
    task: str
    target: str
    metric: str


def read_index(path: Path) -> list[Case]:
    """Return the tables that the index gives a target."""
    rows = [line.strip().strip("|").split("|") for line in path.read_text().splitlines() if line.startswith("|")]
    header, *body = [[cell.strip() for cell in row] for row in rows]
    cases = []
    for row in body:
        facts = dict(zip(header, row, strict=True))
        if facts.get("target") and not set(facts["name"]) <= set("-: "):
            task = next((task for task in TASKS if facts["task"].startswith(task)), "multiclass")
            metric = facts["metric"]
            cases.append(Case(facts["name"], task, facts["target"], PEER_METRICS.get(metric, metric)))
    return cases


def split(case: Case, seed: int, args: argparse.Namespace) -> Path:
    """Return the folder with the case's train.parquet and test.parquet, made if it is not there."""
    folder = args.work / "splits" / f"{case.name}-{seed}"
    if not (folder / "test.parquet").exists():
        command = [args.peers / "split.py", args.data / f"{case.name}.parquet", "--target", case.target]
        _run([sys.executable, *command, "--out", folder, "--seed", seed], MIN_PATIENCE_S, Memory())
    return folder


def run_ours(
    system: str, case: Case, folder: Path, seed: int, args: argparse.Namespace, memory: Memory
) -> dict[str, object]:
    """Run stacktune as a user would, and score what its leader predicts in a process of its own."""
    metric = {theirs: ours for ours, theirs in PEER_METRICS.items()}.get(case.metric, case.metric)
    with tempfile.TemporaryDirectory(dir=args.work) as name:
        output = Path(name) / "run"
        command = ["-m", "stacktune", "run", folder / "train.parquet", "--target", case.target, "--metric", metric]
        limits = ["--time-budget", args.seconds, "--cpus", args.cpus, "--seed", seed, "--output", output]
        limits += _families(system)
        started = time.monotonic()
        _run([sys.executable, *command, *limits], _patience_s(args.seconds), memory)
        wall_s = time.monotonic() - started
        facts = json.loads((output / "run.json").read_text())
        predictions = Path(name) / "predictions.parquet"
        speed = _json_of([Path(__file__).parent / "predict.py", output, folder / "test.parquet", "--out", predictions])
        scores = _json_of([args.peers / "score.py", folder / "test.parquet", case.target, predictions])
    return {
        "fit_s": round(wall_s, 1),
        "models": facts["n_completed"],
        "best": facts["leader"],
        "rows_per_s": speed["rows_per_s"],
        "cores_busy": round(facts["fit_cpu_s"] / facts["wall_s"] / args.cpus, 2),
        **scores,
    }


def _families(system: str) -> list[str]:
    """Return the option that names them, for `stacktune+nas` all, for `stacktune-nas` all but that; or none."""
    families = set(all_families())
    if "+" in system:
        families.add(system.partition("+")[2])
    elif "-" in system:
        families.remove(system.partition("-")[2])
    else:
        return []
    return ["--families", ",".join(sorted(families))]


def run_peer(
    system: str, case: Case, folder: Path, seed: int, args: argparse.Namespace, memory: Memory
) -> dict[str, object]:
    """Run a peer in its own virtual environment."""
    command = [args.pythons.get(system, sys.executable), args.peers / "run_peer.py", system, folder]
    what = ["--target", case.target, "--task", case.task, "--metric", case.metric]
    limits = ["--seconds", args.seconds, "--cpus", args.cpus, "--seed", seed]
    said = _run([*command, *what, *limits], _patience_s(args.seconds), memory)
    facts = json.loads(said.strip().splitlines()[-1])
    n_rows = len(pd.read_parquet(folder / "test.parquet", columns=[case.target]))
    return facts | {"rows_per_s": round(n_rows / max(facts["predict_s"], 0.01))}


def _patience_s(seconds: float) -> float:
    return PATIENCE * seconds + MIN_PATIENCE_S


def _json_of(command: list[object]) -> dict[str, float]:
    return json.loads(_run([sys.executable, *command], MIN_PATIENCE_S, Memory()).strip().splitlines()[-1])


def _run(command: list[object], patience_s: float, memory: Memory) -> str:
    """Return what the command printed; RuntimeError with the end of it where it failed or did not end in time."""
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, text=True) as process,
    ):
        with memory.watching(process.pid):
            try:
                code = process.wait(patience_s)
            except subprocess.TimeoutExpired:
                _kill(process.pid)
                code = f"none within {patience_s:g} s"
        out.seek(0)
        said = out.read()
    if code != 0:
        raise RuntimeError(f"exit status {code}: {said[-2000:]}")
    return said


def _kill(pid: int) -> None:
    parent = psutil.Process(pid)
    for process in [*parent.children(recursive=True), parent]:
        process.kill()


def measure(system: str, case: Case, seed: int, args: argparse.Namespace) -> dict[str, object]:
    """Return the line of one run; a run that failed has an error and no score."""
    folder = split(case, seed, args)
    memory = Memory()
    run = {"system": system, "data": case.name, "metric": case.metric, "budget_s": args.seconds, "seed": seed}
    when = {"cpus": args.cpus, "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
    try:
        if system.startswith(OURS):
            facts = run_ours(system, case, folder, seed, args, memory)
        else:
            facts = run_peer(system, case, folder, seed, args, memory)
    except RuntimeError as error:
        facts = {"error": str(error)}
    return facts | run | when | {"peak_gb": round(memory.peak_bytes / 2**30, 2)}


def done(args: argparse.Namespace) -> list[dict[str, object]]:
    """Return the lines of earlier runs, this folder's before those that are known from elsewhere."""
    lines = []
    for path in filter(Path.exists, (args.work / "results.jsonl", *args.known)):
        lines += [{"seed": 0} | json.loads(line) for line in path.read_text().splitlines()]
    first: dict[tuple[object, ...], dict[str, object]] = {}
    for line in lines:
        first.setdefault(_key(line), line)
    return list(first.values())


def _key(line: dict[str, object]) -> tuple[object, ...]:
    return tuple(line[name] for name in ("system", "data", "metric", "budget_s", "seed"))


def print_tables(lines: list[dict[str, object]], cases: list[Case], systems: list[str]) -> None:
    """Print the score of each system on each table, and what they come to over all tables."""
    frame = pd.DataFrame(lines)
    scores = pd.DataFrame(
        {system: [_score(frame, system, case) for case in cases] for system in systems},
        index=[f"{case.name} {case.metric}" for case in cases],
    ).dropna(how="all")
    signs = np.array([1.0 if name.rsplit(" ", 1)[1] in MORE_IS_BETTER else -1.0 for name in scores.index])
    print(scores.to_string(float_format=lambda value: f"{value:.5g}"), end="\n\n")
    print(_summary(frame, scores.mul(signs, axis=0), systems).to_string(float_format=lambda value: f"{value:.3g}"))


def _score(frame: pd.DataFrame, system: str, case: Case) -> float:
    """Return the mean over seeds."""
    runs = frame[(frame["system"] == system) & (frame["data"] == case.name) & (frame["metric"] == case.metric)]
    return float(runs[case.metric].mean()) if len(runs) and case.metric in runs else float("nan")


def _summary(frame: pd.DataFrame, higher: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    """higher: scores, higher is better; a system that failed comes last."""
    shared = higher.dropna() if frame.get("error") is None else higher[higher[systems].notna().sum(axis=1) > 1]
    ranks = shared.rank(axis=1, ascending=False, na_option="bottom")
    best, worst = shared.max(axis=1), shared.min(axis=1)
    loss = shared.rsub(best, axis=0).div((best - worst).where(best > worst, 1.0), axis=0).fillna(1.0)
    rows = {}
    for system in systems:
        runs = frame[frame["system"] == system]
        over = runs["fit_s"] / runs["budget_s"]
        rows[system] = {
            "tables": len(shared),
            "mean rank": ranks[system].mean(),
            "normalised loss": loss[system].mean(),
            f"{systems[0]} wins-ties-losses": _duel(shared[systems[0]], shared[system]) if system != systems[0] else "",
            "wall/budget median": over.median(),
            "max": over.max(),
            "models": runs["models"].median(),
            "rows/s": runs["rows_per_s"].median() if "rows_per_s" in runs else float("nan"),
            "peak GB": runs["peak_gb"].max() if "peak_gb" in runs else float("nan"),
            "failed": int(runs["error"].notna().sum()) if "error" in runs else 0,
        }
    return pd.DataFrame(rows).T


def _duel(ours: pd.Series, theirs: pd.Series) -> str:
    margin = (ours - theirs).fillna(np.inf)
    is_tie = margin.abs() <= TIE * ours.abs()
    return f"{int(((margin > 0) & ~is_tie).sum())}-{int(is_tie.sum())}-{int(((margin < 0) & ~is_tie).sum())}"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--systems", default="stacktune,h2o,flaml,autogluon")
    parser.add_argument("--python", action="append", default=[], metavar="SYSTEM=PATH")
    parser.add_argument("--tables", help="names, with commas between them; all of the index without it")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--seeds", default="0", help="with commas between them")
    parser.add_argument("--known", type=Path, action="append", default=[])
    parser.add_argument("--table-only", action="store_true", help="print what is known, run nothing")
    args = parser.parse_args()
    args.pythons = dict(pair.split("=", 1) for pair in args.python)
    args.systems = args.systems.split(",")
    return args


def main() -> None:
    """Run what is not done yet, and print."""
    args = parse()
    args.work.mkdir(parents=True, exist_ok=True)
    cases = [
        case for case in read_index(args.data / "INDEX.md") if not args.tables or case.name in args.tables.split(",")
    ]
    seeds = [int(seed) for seed in args.seeds.split(",")]
    known = {_key(line) for line in done(args)}
    for case, seed, system in ((c, s, y) for c in cases for s in seeds for y in args.systems):
        if args.table_only or (system, case.name, case.metric, args.seconds, seed) in known:
            continue
        line = measure(system, case, seed, args)
        print(json.dumps(line), file=sys.stderr, flush=True)
        with (args.work / "results.jsonl").open("a") as results:
            results.write(json.dumps(line) + "\n")
    lines = [line for line in done(args) if line["budget_s"] == args.seconds and line["seed"] in seeds]
    print_tables(lines, cases, args.systems)


if __name__ == "__main__":
    main()
