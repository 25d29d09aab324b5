"""Measure explanations against a known truth, and how sure Shapley values are: tables on the screen.

    python tests/benchmarks/explain.py planted [--seeds 6] [--rows 2000]
    python tests/benchmarks/explain.py shapley DATA/adult.parquet:income DATA/california_housing.parquet:TARGET

`planted` makes tables with known drivers (of falling strength), a twin of one of them, and columns of noise, fits the
first of each family's portfolio, and explains the leaderboard's first by rows that its models had not learnt from:
which drivers are found at p < .05, and how often noise is. `shapley` explains rows of a leader many times over, each
time with other background rows: the spread with and without what adjusted.py does, at the same number of predictions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "explain"))

from ended import ended_of
from in_process import Fitted, fit
from rich.console import Console
from rich.table import Table

from stacktune.explain.columns import raw_columns
from stacktune.explain.of_run import explain_run
from stacktune.explain.progress import silent
from stacktune.explain.shapley import N_BACKGROUND, N_CROWD, attributions, of_leader

FAMILIES = ("lightgbm", "linear", "extra_trees")
STRENGTHS, N_NOISE = {"strong": 2.0, "middling": 1.0, "weak": 0.5, "faint": 0.2}, 12
# Rows that are explained by `shapley`, and times that each is.
ROWS, N_TIMES = (3, 17, 40), 24


def planted(n_rows: int, seed: int, is_class: bool) -> pd.DataFrame:
    """Return drivers, two levels that act together with one of them, twins of the strong one, and noise."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({name: random.normal(size=n_rows) for name in STRENGTHS})
    signal = sum(strength * frame[name] for name, strength in STRENGTHS.items()) + random.normal(size=n_rows)
    frame["twin"] = frame["strong"] + 0.1 * random.normal(size=n_rows)
    frame["level"] = random.choice(["a", "b", "c"], n_rows)
    signal += np.where(frame["level"] == "c", 1.0, 0.0)
    for place in range(N_NOISE):
        frame[f"noise {place}"] = random.normal(size=n_rows) if place % 2 else random.choice(list("uvwxyz"), n_rows)
    return frame.assign(y=np.where(signal > 0, "yes", "no") if is_class else signal)


def of_planted(n_seeds: int, n_rows: int) -> Table:
    drivers = [*STRENGTHS, "twin", "level"]
    shown = Table("target", *drivers, "strong + twin", "noise at p < .05", "Shapley: most left over", title="found")
    for is_class in (False, True):
        found, residuals = [], []
        for seed in range(n_seeds):
            with TemporaryDirectory() as folder:
                fitted = fit(planted(n_rows, seed, is_class), "y", Path(folder), FAMILIES, n_folds=5)
                ended = ended_of(fitted, seed=seed)
                found.append(explain_run(ended, None).importance.set_index("column")["p_value"] < 0.05)
                residuals.append(_residual(fitted, planted(600, 1_000 + seed, is_class)))
        hits = pd.concat(found, axis=1).fillna(value=False).astype(bool)
        noise = hits[hits.index.str.startswith("noise")]
        together = hits[hits.index.str.contains("strong") & hits.index.str.contains(r"\+")]
        counts = [f"{int(hits.loc[name].sum())}/{n_seeds}" for name in drivers]
        alarms = f"{int(noise.to_numpy().sum())} of {noise.size}"
        shown.add_row(
            "classes" if is_class else "values", *counts, f"{int(together.any().sum())}/{n_seeds}", alarms,
            f"{max(residuals):.3f}",
        )  # fmt: skip
    return shown


def _residual(fitted: Fitted, fresh: pd.DataFrame) -> float:
    """Return the most that contributions leave over, as a share of the spread of outputs."""
    leader = fitted.leader
    table, columns = leader.schema.encode(fresh.drop(columns="y")), raw_columns(leader.schema)
    crowd = table.take(np.arange(N_CROWD))
    found = of_leader(leader, table, columns, list(range(N_CROWD, N_CROWD + 5)), crowd, 0, silent)
    return max(abs(one.residual) for one in found) / float(np.std([one.output for one in found]))


def of_shapley(tables: list[str]) -> Table:
    shown = Table("table", "row", "leader", "plain sd", "adjusted sd", "ratio", "adjusted, printed", title="spread")
    for path, _, target in (one.rpartition(":") for one in tables):
        frame = pd.read_parquet(path).sample(6_000, random_state=0).reset_index(drop=True)
        with TemporaryDirectory() as folder:
            fitted = fit(frame[:5_000], target, Path(folder), ("lightgbm", "xgboost", "linear"), n_folds=2)
            leader = fitted.leader
            table = leader.schema.encode(frame[5_000:].drop(columns=target))
            for row in ROWS:
                plain, adjusted, printed = _spreads(leader, table, row)
                of = "+".join(member.family for member in leader.members)
                figures = [f"{one:.4f}" for one in (plain, adjusted)]
                shown.add_row(Path(path).stem, str(row), of, *figures, f"{adjusted / plain:.2f}", f"{printed:.4f}")
    return shown


def _spreads(leader, table, row: int) -> tuple[float, float, float]:
    """Return root mean squares over columns: both standard deviations, and the printed error."""
    columns, crowd = raw_columns(leader.schema), table.take(np.arange(100, 100 + N_CROWD))
    plain, adjusted, errors = [], [], []
    for seed in range(N_TIMES):
        few = crowd.take(np.random.default_rng(seed).permutation(N_CROWD)[:N_BACKGROUND])
        asked = (leader.predict_table, table, leader.task, columns, [row], few, seed)
        plain.append(attributions(*asked)[0].values)
        (one,) = attributions(*asked, crowd)
        adjusted.append(one.values)
        errors.append(one.errors)
    size = [np.sqrt(np.square(np.std(one, axis=0, ddof=1)).mean()) for one in (plain, adjusted)]
    return float(size[0]), float(size[1]), float(np.sqrt(np.square(errors).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["planted", "shapley"])
    parser.add_argument("tables", nargs="*", metavar="PATH:TARGET")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--rows", type=int, default=2_000)
    asked = parser.parse_args()
    shown = of_planted(asked.seeds, asked.rows) if asked.what == "planted" else of_shapley(asked.tables)
    Console(width=120).print(shown)


if __name__ == "__main__":
    main()
