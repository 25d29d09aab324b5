"""Chooses the positive one of two classes.

It is the one that F1, average precision and thresholds are about.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stacktune.data.class_text import is_number, respelled
from stacktune.data.table import BINARY, Task
from stacktune.errors import DataError, nearest

# Pairs of which the first affirms. Numbers need none: the larger is positive, as scikit-learn has it.
_PAIRS = (
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
    ("on", "off"),
    ("positive", "negative"),
    ("pos", "neg"),
    ("+", "-"),
)


def with_positive_class(
    task: Task, target: np.ndarray, asked: str | None, target_name: str, stands_for: np.ndarray | None = None
) -> tuple[Task, np.ndarray, list[str]]:
    """Return the task with the positive class last.

    Its codes come with it, and a sentence that says why it is that class.

    target: (n,) codes of `task`, of the training rows. asked: a class, or None for the affirmative, the larger of two
    numbers, or else the rarer. stands_for: (n,) how many rows each stands for, of a sample.
    Raises DataError where `asked` is no class, or there are not two.
    """
    if task.kind != BINARY:
        if asked is not None:
            raise DataError(
                f"--positive {asked!r} needs a target of two classes, but {target_name!r} is a {task.kind} target. "
                "Leave --positive out."
            )
        return task, target, []
    if asked is None:
        code, why = _default(task, np.bincount(target, stands_for, minlength=2))
        why += "; --positive overrides this"
    else:
        code, why = _code_of(asked, task, target_name), "as --positive asks"
    notes = [f"{task.classes[code]} is the positive class of {target_name}, {why}"]
    if code == 1:
        return task, target, notes
    turned = replace(task, classes=task.classes[::-1], labels=task.labels[::-1])
    return turned, (1 - target).astype(target.dtype), notes


def _default(task: Task, sizes: np.ndarray) -> tuple[int, str]:
    folded = [text.strip().lower() for text in task.classes]
    for affirmed, denied in _PAIRS:
        if set(folded) == {affirmed, denied}:
            return folded.index(affirmed), "as it affirms"
    if all(is_number(text) for text in task.classes):
        return int(np.argmax([float(text) for text in task.classes])), "the larger number"
    if sizes[0] == sizes[1]:
        return 1, "the last in order, as both have as many rows"
    rarer = int(np.argmin(sizes))
    return rarer, f"the rarer with {100 * sizes[rarer] / sizes.sum():.3g} % of the rows"


def _code_of(asked: str, task: Task, target_name: str) -> int:
    if asked in task.classes:
        return task.classes.index(asked)
    # A settings file turns yes, true and 1.0 into values, whose text differs.
    alike = respelled([asked], task.classes)
    if alike:
        return task.classes.index(alike[asked])
    raise DataError(f"--positive {asked!r} is no class of the target {target_name!r}.{nearest(asked, task.classes)}")
