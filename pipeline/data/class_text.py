"""Matches classes that two tables spell differently.

Such pairs are 1 and True, 1 and 1.0, yes and YES.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stacktune.data.values import truth_of

_TRUTHS = {"True", "False"}


def is_number(text: str) -> bool:
    """Return whether a text is a finite number.

    Python must read it as one.
    """
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def respelled(texts: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Return the class of each respelled text.

    The text is no class as it is written, but equals one as a number, truth value or word.

    Case and space around words do not count. What equals several classes is none of them.
    """
    known = set(classes)
    odd = {text for text in texts if text not in known}
    found: dict[str, str] = {}
    are_pair = {_truth(name) for name in classes} == _TRUTHS
    for key in (_number, _truth if are_pair else _truth_of_word, _word):
        keys = {name: key(name) for name in classes}
        n_times = Counter(keys.values())
        class_of = {value: name for name, value in keys.items() if value is not None and n_times[value] == 1}
        keyed = {text: key(text) for text in odd - found.keys()}
        found |= {text: class_of[value] for text, value in keyed.items() if value is not None and value in class_of}
    return found


def _number(text: str) -> float | None:
    return float(text) if is_number(text) else None


def _truth(text: str) -> str | None:
    truth = truth_of(text if not is_number(text) else f"{float(text):g}")
    return truth if truth in _TRUTHS else None


def _truth_of_word(text: str) -> str | None:
    """Return the truth value that a word means.

    A 1, t or y may be one of other classes too, so that single characters are none.
    """
    return _truth(text) if len(text.strip()) > 1 and not is_number(text) else None


def _word(text: str) -> str:
    return text.strip().casefold()
