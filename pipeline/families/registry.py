"""The families, found by walking this folder.

A family is every module that has no leading underscore and defines FAMILY.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec

import numpy as np

import stacktune.families as package
from stacktune.errors import ConfigError, nearest
from stacktune.families._class_weights import with_class_weights
from stacktune.families._unseen import with_unseen
from stacktune.families.base import Family
from stacktune.families.losses import unit_of
from stacktune.families.suitability import SearchConditions, Unsuited
from stacktune.metrics import Metric
from stacktune.objectives import ABSOLUTE, PERCENTAGE, SQUARED_LOG

LOSS_NOTES = {
    ABSOLUTE: "models and ensembles fit absolute errors",
    PERCENTAGE: "models fit squared errors of logarithms, weighed by 1 / |target|, and ensembles shares of the target",
    SQUARED_LOG: "models and ensembles fit squared errors of log(1 + target)",
}


@cache
def all_families() -> dict[str, Family]:
    """Return the families whose libraries are installed, by name.

    They are in alphabetical order.
    """
    return {name: family for name, family in known_families().items() if _is_installed(family)}


@cache
def known_families() -> dict[str, Family]:
    """Return every family by name, installed or not."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("_") or module.ispkg:
            continue
        family = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "FAMILY", None)
        if family is None:
            continue
        if family.name != module.name:
            raise ValueError(f"a family is named after its file, but {module.name}.py defines {family.name!r}")
        found[family.name] = with_unseen(with_class_weights(family))
    return found


def _is_installed(family: Family) -> bool:
    return family.requires is None or find_spec(family.requires) is not None


def get_family(name: str) -> Family:
    """Return the family called `name`.

    Raises ConfigError with the nearest name, or with what is to be installed.
    """
    families, known = all_families(), known_families()
    if name not in known:
        raise ConfigError(f"there is no model family {name!r}.{nearest(name, families)}")
    if name not in families:
        library = known[name].requires
        raise ConfigError(
            f"the model family {name!r} needs the library {library!r}, which is not installed; "
            f'install it with: pip install "stacktune[{name}]"'
        )
    return families[name]


def unsuited_families(conditions: SearchConditions) -> dict[str, Unsuited]:
    """Return families unsuited to a search, by name."""
    answers = {name: family.suits(conditions) for name, family in all_families().items()}
    return {name: answer for name, answer in answers.items() if answer is not None}


def in_order(has_many_classes: bool = False) -> tuple[str, ...]:
    """Return the families' names in the order of trying.

    All families are named, installed or not, in the order in which they are first tried.
    """
    turns = {name: family.turn for name, family in known_families().items()}
    place = {name: turn.many_classes if has_many_classes else turn.usual for name, turn in turns.items()}
    return tuple(sorted(place, key=lambda name: (place[name], name)))


def loss_notes(metric: Metric, names: Iterable[str], target: np.ndarray) -> list[str]:
    """Return notes on the losses that families fit.

    There are none where the losses are squared errors as ever.

    target: (n_rows,) values.
    """
    if metric.loss not in LOSS_NOTES:
        return []
    others = sorted(name for name in names if metric.loss not in get_family(name).losses)
    note = f"for --metric {metric.name}, {LOSS_NOTES[metric.loss]}"
    if others:
        note += f"; squared errors by {' and '.join(others)}, which cannot"
    unit = unit_of(target, metric.loss)
    n_small = int((np.abs(target) < unit).sum()) if metric.loss == PERCENTAGE else 0
    if n_small:
        are = "target is" if n_small == 1 else "targets are"
        note += f"; {n_small:,} {are} nearer to zero than {unit:.3g} and weighed as if that far from it"
    return [note]
