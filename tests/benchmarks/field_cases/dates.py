"""Dates as they come: written in other ways than ISO, far dates as counts, years and days for dates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from in_process import auc, fit

from field_cases import Case
from stacktune.data.values import seconds_of
from stacktune.errors import UserError

_N = 1_000
_FORMATS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M", "%Y%m%d %H:%M"),
)


def _events() -> pd.DataFrame:
    """Return 2 n dates of some years, and a target that changes with the season and the year."""
    random = np.random.default_rng(0)
    dates = pd.Timestamp("2016-01-01") + pd.to_timedelta(random.integers(0, 8 * 365 * 1440, 2 * _N), unit="min")
    day = seconds_of(pd.Series(dates)) / 86_400
    score = np.sin(day / 365.25 * 2 * np.pi) + (day - day.mean()) / 800 + 0.4 * random.normal(size=2 * _N)
    return pd.DataFrame({"d": dates, "x": random.normal(size=2 * _N), "y": score > np.median(score)})


def _auc_on_new_rows(frame: pd.DataFrame, folder: Path) -> tuple[float, int]:
    """Return the AUC on the second half of the rows, and how many notes speak of dates."""
    folder.mkdir()
    fitted = fit(frame[:_N].reset_index(drop=True), "y", folder)
    n_notes = sum("of text as dates" in note for note in fitted.dataset.notes)
    return auc(frame["y"][_N:], fitted.leader.predict(frame[_N:].drop(columns="y"))["True"]), n_notes


def _written_dates(folder: Path) -> tuple[str, bool]:
    frame = _events()
    right, _ = _auc_on_new_rows(frame, folder / "dates")
    found = [
        _auc_on_new_rows(frame.assign(d=frame["d"].dt.strftime(form)), folder / str(place))
        for place, form in enumerate(_FORMATS)
    ]
    least, n_said = min(score for score, _ in found), sum(n_notes for _, n_notes in found)
    said = f"AUC {least:.3f} or more in {len(found)} formats, as dates {right:.3f}; {n_said} notes"
    return said, right - least < 0.01 and n_said == len(found)


def _far_dates(folder: Path) -> tuple[str, bool]:
    frame = _events()
    # From 1984 on, so that 1978 is near.
    frame["d"] = (frame["d"] - (frame["d"].max() - frame["d"]) * 4).astype("datetime64[us]")
    never = np.random.default_rng(1).random(2 * _N) < 0.2
    frame.loc[never, "d"], frame.loc[never, "y"] = pd.Timestamp("9999-12-31"), True
    leader = fit(frame, "y", folder).leader
    rows = frame[never].head(1).drop(columns="y")
    right = leader.predict(rows)["True"].iloc[0]
    beside = pd.concat([rows, frame[~never].head(3).drop(columns="y")])
    got = []
    for some in (rows, beside):
        answers = leader.predict(some.assign(d=(seconds_of(some["d"]) * 1000).astype(np.int64)))
        got.append(answers["True"].iloc[0])
    return f"alone {got[0]:.3f}, beside others {got[1]:.3f}, as a date {right:.3f}", got == [right, right]


def _other_counts(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    births = pd.Series(pd.Timestamp("1940-01-01") + pd.to_timedelta(random.integers(0, 24_000, 2 * _N), unit="D"))
    frame = pd.DataFrame({"d": births, "y": births > births.median()})
    leader = fit(frame, "y", folder).leader
    counts = {
        "days": (seconds_of(births) / 86_400).astype(int),
        "years": births.dt.year,
        "digits": births.dt.strftime("%Y%m%d").astype(int),
    }
    taken = []
    for name, values in counts.items():
        for rows in (values, values[:1]):
            try:
                leader.predict(pd.DataFrame({"d": np.asarray(rows)}))
            except UserError:
                continue
            taken.append(f"{name} of {len(rows):,}")
    return f"{2 * len(counts) - len(taken)} of {2 * len(counts)} tables refused; taken: {taken}", not taken


CASES = [
    Case("17 dates that are not ISO", "AUC .51 to .57, no note", "the AUC of dates, and a note", _written_dates),
    Case("18 far dates as milliseconds", ".110 alone, a date of 1978", "the answer to the date", _far_dates),
    Case("18 years and days for dates", "44 % wrong, no word", "refused", _other_counts),
]
