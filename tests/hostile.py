"""Tables that nobody would wish for, drawn from a seed: the columns, names, targets and sizes that break tools."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

NAMES = (
    *("index", "__index_level_0__", "prediction", "target", "trial", "weight", "0", "1", "False", "None", "nan", " "),
    *('quo"te', "apo'strophe", "[brackets]", "{braces}", "a:b,c", "back\\slash", "new\nline", "tab\there", "<less>"),
    *("emoji 🦄", "Ünïcödé", "名前", "a" * 300, "a=b", "a.b", "a/b", "%s %d {}", "$x", "#1", "A", "a", "lightgbm"),
)


def _holes(values: np.ndarray, random: np.random.Generator, share: float = 0.2) -> np.ndarray:
    return np.where(random.random(len(values)) < share, None, values)


def _objects(values: list) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


Maker = Callable[[int, np.random.Generator], object]
COLUMNS: dict[str, Maker] = {
    "normal": lambda n, random: random.normal(size=n),
    "infinite": lambda n, random: random.choice([np.inf, -np.inf, np.nan, 0.0, 1.0], n),
    "all missing": lambda n, random: np.full(n, np.nan),
    "no value": lambda n, random: _objects([None] * n),
    "constant": lambda n, random: np.full(n, 3.0),
    "huge": lambda n, random: random.choice([1e308, -1e308, 1e-308, 5e-324, 0.0], n),
    "int64": lambda n, random: random.integers(-(2**63), 2**63 - 1, n),
    "uint64": lambda n, random: random.integers(0, 2**64 - 1, n, dtype=np.uint64),
    "near 2^53": lambda n, random: 2**53 + random.integers(0, 9, n),
    "decimals": lambda n, random: _objects([decimal.Decimal(int(x)).scaleb(-3) for x in random.integers(0, 9**9, n)]),
    "booleans": lambda n, random: random.random(n) < 0.5,
    "booleans with nulls": lambda n, random: _holes(random.random(n) < 0.5, random),
    "dates": lambda n, random: pd.Timestamp("1677-10-01") + pd.to_timedelta(random.integers(0, 200_000, n), unit="D"),
    "zoned": lambda n, random: pd.to_datetime(random.integers(0, 2**31, n), unit="s", utc=True).tz_convert(
        "Asia/Kolkata"
    ),
    "days": lambda n, random: _objects([datetime.date(1, 1, 1 + int(x)) for x in random.integers(0, 28, n)]),
    "times": lambda n, random: _objects([datetime.time(int(x)) for x in random.integers(0, 24, n)]),
    "durations": lambda n, random: pd.to_timedelta(random.integers(0, 10**6, n), unit="s"),
    "lists": lambda n, random: _objects([[1, 2]] * n),
    "records": lambda n, random: _objects([{"a": 1}] * n),
    "bytes": lambda n, random: _objects([bytes([x]) for x in random.integers(0, 256, n).tolist()]),
    "empty text": lambda n, random: random.choice(["", " ", "\t", "\0"], n),
    "numbers as text": lambda n, random: random.choice(["1", "1.0", "1e3", "NaN", "inf", "-", "1,5"], n),
    "emoji": lambda n, random: random.choice(["🦄", "🦄🦄", "\u202e", "é", "e\u0301", "ﬀ"], n),
    "quotes": lambda n, random: random.choice(['"', "'", "\\", "[]", "{}", ":", ",", "\n", "NULL", "nan"], n),
    "identifiers": lambda n, random: _objects([f"id-{x}" for x in random.permutation(n)]),
    "long text": lambda n, random: _objects(["x" * int(size) for size in random.integers(0, 5000, n)]),
    "many categories": lambda n, random: _objects([f"c{x}" for x in random.integers(0, max(1, n // 2), n)]),
    "dictionary": lambda n, random: pd.Categorical.from_codes(random.integers(-1, 3, n), ["a", "b", "never", "more"]),
    "number dictionary": lambda n, random: pd.Categorical(random.integers(0, 3, n)),
    "holes": lambda n, random: _holes(random.normal(size=n), random, 0.95),
}
TARGETS: dict[str, Maker] = {
    "two": lambda n, random: random.choice(["yes", "no"], n),
    "booleans with nulls": COLUMNS["booleans with nulls"],
    "rare": lambda n, random: np.where(np.arange(n) < max(2, n // 50), "rare", "usual"),
    "zero and one": lambda n, random: random.integers(0, 2, n),
    "three": lambda n, random: random.choice(["a", "b", "c"], n),
    "odd names": lambda n, random: random.choice(["", " ", "nan", "None", "🦄", '"', "prediction", "[1]"], n),
    "classes of one row": lambda n, random: np.where(
        np.arange(n) < 3, [f"one {x}" for x in range(n)], TARGETS["two"](n, random)
    ),
    "many classes": lambda n, random: _objects([f"class {x % max(2, n // 4)}" for x in range(n)]),
    "grades": lambda n, random: random.integers(1, 6, n),
    "dictionary": lambda n, random: pd.Categorical.from_codes(random.integers(0, 2, n), ["a", "b", "never"]),
    "normal": lambda n, random: random.normal(size=n),
    "huge": lambda n, random: random.normal(size=n) * 1e300,
    "tiny": lambda n, random: random.normal(size=n) * 1e-300,
    "far from zero": lambda n, random: 1e15 + random.normal(size=n),
    "infinite": lambda n, random: np.where(random.random(n) < 0.1, np.inf, random.normal(size=n)),
    "skewed": lambda n, random: np.exp(random.normal(size=n) * 20),
    "all equal": lambda n, random: np.full(n, "same"),
    "dates": COLUMNS["zoned"],
}


@dataclass(frozen=True)
class Hostile:
    """One table. what: its target, size and columns, to be read in a failure."""

    frame: pd.DataFrame
    target: str
    what: str


def hostile_table(target: str, columns: list[str], n_rows: int, seed: int) -> Hostile:
    """Return a table with a target and columns of these kinds; names are drawn too, and some rows are there twice."""
    random = np.random.default_rng(seed)
    names = random.permutation(np.array(NAMES, dtype=object))[: len(columns) + 1]
    data = {names[-1]: TARGETS[target](n_rows, random)}
    data |= {name: COLUMNS[kind](n_rows, random) for name, kind in zip(names, columns, strict=False)}
    frame = pd.DataFrame(data)
    if seed % 3 == 0:
        frame = pd.concat([frame, frame.head(n_rows // 3)], ignore_index=True)
    return Hostile(frame[random.permutation(frame.columns)], str(names[-1]), f"{target}, {n_rows} rows, {columns}")


def drawn_table(seed: int) -> Hostile:
    """Return the hostile table of a seed."""
    random = np.random.default_rng(seed)
    kinds = random.choice(list(COLUMNS), random.integers(1, 12)).tolist()
    n_rows = int(random.choice([1, 2, 5, 20, 60, 200, 1_000]))
    return hostile_table(str(random.choice(list(TARGETS))), kinds, n_rows, seed)


def spoilt(frame: pd.DataFrame, how: str) -> pd.DataFrame:
    """Return the rows as another program may hand them in when predictions are asked for."""
    if how == "text":
        return frame.astype(object).map(str)
    if how == "missing":
        return pd.DataFrame({name: [None] * len(frame) for name in frame}, columns=frame.columns, dtype=object)
    if how == "reversed":
        return frame[frame.columns[::-1]].iloc[::-1]
    return frame
