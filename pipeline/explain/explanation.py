"""Keeps what is known of a leader's predictions.

A folder has a Parquet file for each table that is not empty, and facts as JSON. It appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from stacktune.data.write import write_frame
from stacktune.errors import ConfigError
from stacktune.storage.atomic import remove_asides, replacing
from stacktune.text import count, number

FACTS = "explanation.json"
# What `read` needs of the facts; other tables than these may come with later versions.
_TABLES = ("importance", "dependence", "ice", "worst", "members", "rows", "segments", "gaps")

# Columns that an explanation's one line names.
N_FOREMOST = 3


@dataclass(frozen=True)
class Explanation:
    """What a leader predicts by.

    metric: of importance and segments. importance: a row a column or group of columns, see `Importance`.
    dependence: of the foremost columns, a row a value: column, kind (see `Column`), value (as text: a level, a date, a
        number), number (NaN for levels; of dates, seconds since 1970), prediction (the mean over rows), low, high (its
        10th and 90th percentile), share (of rows near the value).
    ice: single rows' own lines: row, column, value, number, prediction.
    worst: the rows that were predicted worst, with their losses.
    members: what trees say of themselves: member, column, mean_abs_contribution, in raw scores.
    rows: Shapley values of single rows, see `shapley`.
    segments: scores by segment, see segments.py; gaps: between groups: column, measure, value
        (NaN where it is undefined), why (it is, or which segments are not in it).
    looked_at: the class whose probability dependence is of; None for values.
    out_of_fold: whether each row was predicted by models of the run that had not learnt from it, and not by the leader.
    n_rows, n_rows_in_all: that importance is of, and that there were. n_repeats: the most shuffles of a column.
    seconds: that it took. notes: sentences on what was sampled or left out.
    """

    metric: str
    importance: pd.DataFrame
    dependence: pd.DataFrame = field(default_factory=pd.DataFrame)
    ice: pd.DataFrame = field(default_factory=pd.DataFrame)
    worst: pd.DataFrame = field(default_factory=pd.DataFrame)
    members: pd.DataFrame = field(default_factory=pd.DataFrame)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    segments: pd.DataFrame = field(default_factory=pd.DataFrame)
    gaps: pd.DataFrame = field(default_factory=pd.DataFrame)
    looked_at: str | None = None
    out_of_fold: bool = False
    n_rows: int = 0
    n_rows_in_all: int = 0
    n_repeats: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what counts most, and where the rest is."""
        top = self.importance.head(N_FOREMOST).to_dict("records")
        foremost = ", ".join(f"{row['column']} {number(row['importance'])}" for row in top)
        n_more = len(self.importance) - len(top)
        foremost += f" and {n_more:,} more" if n_more else ""
        held = ", ".join(f".{name}" for name in (*_TABLES, "notes") if len(getattr(self, name)))
        said = f"{self.metric} lost without: {foremost}" if foremost else self.metric
        return f"Explanation({said}; {count(self.n_rows, 'row')}; see {held or '.notes'})"


def write(found: Explanation, folder: Path) -> Path:
    """Write an explanation into `folder`, and return it.

    What was there is replaced, as soon as the new one is whole. Nobody else may be writing it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_asides(folder)
    with replacing(folder) as aside:
        aside.mkdir()
        for name in _TABLES:
            if len(frame := getattr(found, name)):
                write_frame(frame, str(aside / f"{name}.parquet"))
        text = json.dumps(_facts_of(found), indent=2, ensure_ascii=False) + "\n"
        (aside / FACTS).write_text(text, encoding="utf-8")
    return folder


def _facts_of(found: Explanation) -> dict[str, Any]:
    return {one.name: getattr(found, one.name) for one in fields(found) if one.name not in _TABLES}


def read(folder: Path) -> Explanation | None:
    """Return what `write` wrote.

    It is None where nothing is there.

    Raises:
        ConfigError: something is there that was not written so.
    """
    if not (folder / FACTS).is_file():
        return None
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        known = {one.name: facts[one.name] for one in fields(Explanation) if one.name in facts}
        known["notes"] = tuple(known.get("notes", ()))
        return Explanation(**known, **{name: _table(folder / f"{name}.parquet") for name in _TABLES})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"the explanation in {str(folder)!r} is not as it was written ({error}).") from None


def _table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.is_file() else pd.DataFrame()


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames one below another, if any."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
