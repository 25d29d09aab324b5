"""Values that no training row has."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from in_process import fit

from field_cases import Case

FAMILIES = ("catboost", "extra_trees", "lightgbm", "linear", "mlp", "random_forest", "xgboost")


def cities(n_cities: int, n_rows: int = 1500) -> pd.DataFrame:
    """Return rows of which a quarter are "yes" where a city is known, and all where it is missing."""
    rng = np.random.default_rng(0)
    city = rng.integers(n_cities, size=n_rows)
    missing = rng.random(n_rows) < 0.1
    names = pd.Series(np.where(missing, None, np.array([f"city {place:03}" for place in city])), dtype=object)
    target = np.where(missing | (rng.random(n_rows) < 0.25), "yes", "no")
    return pd.DataFrame({"city": names, "size": rng.normal(size=n_rows), "y": target})


def _never_seen(n_cities: int, folder: Path) -> tuple[str, bool]:
    """Predict rows with a new city, by each family alone."""
    frame, said = cities(n_cities), {}
    asked = frame.head(200).assign(city="Atlantis")
    for family in FAMILIES:
        (folder / family).mkdir()
        fitted = fit(frame, "y", folder / family, (family,), seed=0)
        said[family] = fitted.leader.predict(asked)["yes"].mean()
    text = ", ".join(f"{family} {probability:.2f}" for family, probability in said.items())
    return text, all(0.15 < probability < 0.4 for probability in said.values())


CASES = [
    Case(
        "12 a city never seen, of 6, where missing means yes",
        "catboost .99, extra_trees 1.00, lightgbm .91, linear .97, mlp .90, random_forest .99, xgboost .81",
        "near .25, what known cities have",
        partial(_never_seen, 6),
    ),
    Case(
        "12 a city never seen, of 120, where missing means yes",
        "catboost .99, extra_trees 1.00, lightgbm .40, linear .87, mlp .97, random_forest .99, xgboost .78",
        "near .25, what known cities have",
        partial(_never_seen, 120),
    ),
]
