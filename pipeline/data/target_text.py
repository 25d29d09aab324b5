"""Reads targets whose values were written as text.

They are numbers, dates or durations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stacktune.data.dates import iso_dates
from stacktune.data.notes import missing_note
from stacktune.data.number_text import DECIMAL_COMMA, Spelling, is_missing, read_numbers, spelled_numbers
from stacktune.data.table import REGRESSION, Task
from stacktune.data.target import MAX_SPELLED_CLASSES
from stacktune.data.values import TEXT, are_durations, coded_text, content_of, numbers_of, seconds_of

_NUMBERS, _DATES, _DURATIONS = "numbers", "dates, in seconds since 1970", "times or durations, in seconds"
_N_EXAMPLES = 3


@dataclass(frozen=True)
class Writing:
    """The way a target is written.

    Its text is numbers in a spelling, ISO dates, or durations.
    """

    what: str
    spelling: Spelling | None = None

    def values(self, target: pd.Series) -> np.ndarray:
        """Return (n,) float64, NaN where there is none.

        The target may also have come as numbers or dates.
        """
        if self.spelling is not None:
            return spelled_numbers(target, self.spelling)
        return seconds_of(target) if self.what == _DATES else numbers_of(target)

    @property
    def description(self) -> str:
        """Return what the text is read as.

        It says so in words, and in which convention.
        """
        return self.what + (self.spelling.description if self.spelling else "")


COMMA_NUMBERS = Writing(_NUMBERS, DECIMAL_COMMA)


def with_numbers(frame: pd.DataFrame, name: str, asked: str) -> tuple[pd.DataFrame, Writing | None, list[str]]:
    """Return the table with a numeric target.

    It has numbers where text spells these; how it does, and notes, are returned too.

    asked: the task, as in the settings.
    """
    target = frame[name]
    if asked not in ("auto", REGRESSION) or content_of(target) != TEXT:
        return frame, None, []
    rows, texts, counts = _counted_text(target)
    found = find_writing(texts, counts, asked)
    if found is None:
        return frame, None, []
    writing, values = found
    lost = [place for place in np.argsort(-counts, kind="stable") if np.isnan(values[place])]
    examples = [texts[place] for place in lost[:_N_EXAMPLES]]
    notes = [
        f"read the text of {name} as {writing.description}",
        *missing_note(name, examples, int(counts[lost].sum())),
    ]
    return frame.assign(**{name: np.append(values, np.nan)[rows]}), writing, notes


def with_same_numbers(
    frame: pd.DataFrame, name: str, task: Task, writing: Writing | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return a test table, its target as numbers.

    It is read as that of training was. Notes come with it.

    writing: of the training target; where that came as numbers, text of the test table is read for itself.
    """
    if writing is None:
        read, _, notes = (frame, None, []) if task.is_classification else with_numbers(frame, name, REGRESSION)
        return read, notes
    values, known = writing.values(frame[name]), frame[name].notna().to_numpy()
    if not np.isfinite(values).any():
        return frame, []  # who looks at the classes or numbers next says what there is instead
    lost = frame[name][known & np.isnan(values)]
    examples = list(dict.fromkeys(map(str, lost)))[:_N_EXAMPLES]
    return frame.assign(**{name: values}), list(missing_note(name, examples, len(lost)))


def _counted_text(target: pd.Series) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return codes, distinct texts, and their counts.

    The codes are a place for each row among the distinct texts that rows hold, -1 where null.
    """
    codes, texts = coded_text(target)
    spelled = np.array([*texts, None], dtype=object)[codes]
    rows, distinct = pd.factorize(spelled, use_na_sentinel=True)
    return rows, list(distinct), np.bincount(rows[rows >= 0], minlength=len(distinct))


def find_writing(texts: Sequence[str], counts: np.ndarray, asked: str) -> tuple[Writing, np.ndarray] | None:
    """Return how texts spell numbers, and these.

    The texts are the distinct ones of a target. It is None where they are classes.

    counts: (n_texts,) how many rows hold each. asked: the task. Nearly all rows, those without a value aside, must be
    written alike; and unless regression is asked for, few levels are more likely classes.
    """
    known = [text for text in texts if not is_missing(text)]
    if asked not in ("auto", REGRESSION) or (asked == "auto" and len(known) <= MAX_SPELLED_CLASSES):
        return None
    is_date = iso_dates(texts, counts)
    if is_date is not None:
        return Writing(_DATES), np.where(is_date, seconds_of(pd.Series(texts, dtype=object)), np.nan)
    if known and are_durations(known):
        return Writing(_DURATIONS), numbers_of(pd.Series(texts, dtype=object))
    reading = read_numbers(texts, counts)
    return None if reading is None else (Writing(_NUMBERS, reading.spelling), reading.values)
