"""Columns that are not of the type that they seem to be: numbers as text, row numbers, far dates, odd scales."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from in_process import Fitted, auc, fit

from field_cases import Case
from stacktune.data.schema import infer_schema
from stacktune.errors import UserError

_N = 1_000


def _two_columns(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (2 n, 2) numbers and a target of truth values that both of their columns tell of."""
    random = np.random.default_rng(seed)
    x = random.gamma(2, 900, (2 * _N, 2)).round(2)
    score = np.log(x).sum(axis=1) + 0.3 * random.normal(size=2 * _N)
    return x, score > np.median(score)


def _auc_on_new_rows(frame: pd.DataFrame, folder: Path, family: str = "lightgbm") -> tuple[float, Fitted]:
    """Return the AUC on the second half of the rows of a family that learnt from the first."""
    fitted = fit(frame[:_N].reset_index(drop=True), "y", folder, (family,))
    new = frame[_N:].drop(columns="y")
    return auc(frame["y"][_N:], fitted.leader.predict(new)["True"]), fitted


def _against_plain(texts: pd.DataFrame, plain: pd.DataFrame, folder: Path) -> tuple[str, bool]:
    folders = [folder / name for name in ("text", "plain")]
    for one in folders:
        one.mkdir()
    got, fitted = _auc_on_new_rows(texts, folders[0])
    right, _ = _auc_on_new_rows(plain, folders[1])
    notes = [note for note in fitted.dataset.notes if "text" in note or "for missing" in note]
    return f"AUC {got:.4f}, as numbers {right:.4f}; {'; '.join(notes)}", abs(got - right) < 0.005


def _numbers_as_text(form: str, marks: dict[str, str], marker: str | None):
    def measure(folder: Path) -> tuple[str, bool]:
        x, y = _two_columns()
        holes = np.random.default_rng(1).random(2 * _N) < (0.1 if marker is not None else 0)
        plain = pd.DataFrame({"a": np.where(holes, np.nan, x[:, 0]), "b": x[:, 1], "y": y})
        a = [form.format(value).translate(str.maketrans(marks)) for value in x[:, 0]]
        return _against_plain(plain.assign(a=np.where(holes, marker, a)), plain, folder)

    return measure


def _whole_numbers(folder: Path) -> tuple[str, bool]:
    x, y = _two_columns()
    plain = pd.DataFrame({"a": (x[:, 0] * 100).astype(int), "b": (x[:, 1] * 100).astype(int), "y": y})
    return _against_plain(plain.astype({"a": str}), plain, folder)


def _row_numbers(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(2 * _N), "x": random.normal(size=2 * _N), "y": random.random(2 * _N) < 0.5})
    frame.loc[: _N - 1, "y"] = np.arange(_N) >= _N // 2
    on_new, fitted = _auc_on_new_rows(frame, folder)
    inside = fitted.board.leader.score
    said = [note for note in fitted.dataset.notes if "row numbers" in note]
    return f"cross-validated {inside:.4f}, on new rows {on_new:.3f}, {len(said)} note", abs(inside - 0.5) < 0.1


def _ordering_column(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    y = random.random(_N) < 0.3
    frame = pd.DataFrame({"outcome_code": random.normal(size=_N) + 8 * y, "x": random.normal(size=_N), "y": y})
    frame.loc[3, "outcome_code"] = 4.0
    notes = [note for note in fit(frame, "y", folder).dataset.notes if "outcome_code" in note]
    return "; ".join(notes) or "no note", len(notes) == 1


def _far_dates(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    minutes = random.integers(0, 60, 2 * _N)
    date = (pd.Timestamp("2024-02-01") + pd.to_timedelta(minutes, unit="min")).astype("datetime64[us]")
    frame = pd.DataFrame({"d": pd.Series(date), "y": minutes > 30})
    frame.loc[::50, "d"] = pd.Timestamp("0001-01-01")
    score, fitted = _auc_on_new_rows(frame, folder)
    said = [note for note in fitted.dataset.notes if "far from the others" in note]
    return f"AUC {score:.3f}, {len(said)} note", score > 0.97 and len(said) == 1


def _epoch_dates(folder: Path) -> tuple[str, bool]:
    dates = pd.Series(pd.date_range("2023-01-01", periods=2 * _N, freq="7h"))
    frame = pd.DataFrame({"d": dates.sample(frac=1, random_state=0, ignore_index=True)})
    frame["y"] = frame["d"] > dates[_N]
    leader = fit(frame, "y", folder).leader
    expected = leader.predict(frame)["True"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        rows = pd.DataFrame(json.loads(frame.to_json(orient="records", date_format="epoch", date_unit="ms")))
    off = float(np.abs(leader.predict(rows)["True"] - expected).max())
    try:
        refusal = f"{len(leader.predict(frame.assign(d=range(2 * _N))))} answers to row numbers for dates"
    except UserError as error:
        refusal = str(error)
    return f"milliseconds {off:.3f} off; {refusal}", off == 0 and "held dates from" in refusal


def _odd_scales(scale: float, family: str = "lightgbm"):
    def measure(folder: Path) -> tuple[str, bool]:
        x, y = _two_columns()
        frame = pd.DataFrame({"a": x[:, 0] * scale, "b": x[:, 1] * scale, "y": y})
        score, _ = _auc_on_new_rows(frame, folder, family)
        return f"AUC {score:.3f}", score > 0.9

    return measure


def _p_values(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    power = random.uniform(-300, 0, 2 * _N)
    frame = pd.DataFrame({"p": 10.0**power, "y": power + 20 * random.normal(size=2 * _N) > -150})
    score, _ = _auc_on_new_rows(frame, folder)
    return f"AUC {score:.3f}", score > 0.95


def _lost_column(folder: Path) -> tuple[str, bool]:
    frame = pd.DataFrame({"code": [f"{place % 40:03}" for place in range(_N)], "x": np.arange(_N) % 7})
    schema, _ = infer_schema(frame, set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        schema.encode(frame.assign(code="A" + frame["code"]))  # 7 alone is known for 007 by now
    said = "; ".join(str(one.message) for one in caught)
    return said or "nothing is said", "code (100 % were never seen" in said


_AS_NUMBERS, _DROPPED = "as if they were numbers", "AUC .809 for .978, 'carries nothing'"

CASES = [
    Case("13 numbers with blanks", "AUC .809 for .969", _AS_NUMBERS, _numbers_as_text("{:.2f}", {}, " ")),
    Case("13 numbers with ?", "AUC .809 for .969", _AS_NUMBERS, _numbers_as_text("{:.2f}", {}, "?")),
    Case("13 decimal commas", _DROPPED, _AS_NUMBERS, _numbers_as_text("{:.2f}", {".": ","}, None)),
    Case("13 spaces between thousands", _DROPPED, _AS_NUMBERS, _numbers_as_text("{:,.1f}", {",": " "}, None)),
    Case("13 per cent", _DROPPED, _AS_NUMBERS, _numbers_as_text("{:.2f}%", {}, None)),
    Case("13 dollars", "AUC .809 for .969", _AS_NUMBERS, _numbers_as_text("${:,.2f}", {}, "N/A")),
    Case("13 whole numbers as text", _DROPPED, _AS_NUMBERS, _whole_numbers),
    Case("15 an id 1 … n, rows sorted by class", "cv .999, new rows .500, no note", "left out and said", _row_numbers),
    Case("15 a column that orders the target", "no note", "named", _ordering_column),
    Case("17 a date of the year 1", "AUC .623, no note", "AUC 1, and a note", _far_dates),
    Case("18 dates as milliseconds", ".641 off; counts are dates", "the same answers, or refused", _epoch_dates),
    Case("19 features at 1e-49", "AUC .500", "as at 1", _odd_scales(1e-49)),
    Case("19 features at 1e-12, forests", "AUC .500", "as at 1", _odd_scales(1e-15, "extra_trees")),
    Case("19 features at 1e300", "AUC .500", "as at 1", _odd_scales(1e300)),
    Case("19 p-values from 1e-300", "AUC .623", "all told apart", _p_values),
    Case("11 a column that is lost", "nothing is said", "named, with its share", _lost_column),
]
