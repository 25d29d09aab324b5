"""Holds a graph against its leader."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stacktune.ensemble.leader import Leader
from stacktune.errors import ConfigError
from stacktune.export.onnx.leader import label_array, output_names
from stacktune.export.onnx.probe import feeds
from stacktune.metrics import decide

# How far probabilities may differ, and values as a share of their size or of their spread, whichever is larger. Sums
# of float32 in another order differ by a tenth of it; a row that goes another way in a tree by much more.
TOLERANCE = 1e-5
_MIN_TIMED_S = 0.1


@dataclass(frozen=True)
class Agreement:
    """How near a graph is to its leader.

    difference: the largest, of probabilities or of values. worst: the largest as a share of what is allowed. n_decided:
    rows whose decided class is another though neither probability is near the threshold. share: of values, the
    difference as a share of their standard deviation. The rest are rows a second.
    """

    n_rows: int
    difference: float
    worst: float
    n_decided: int
    graph_per_s: float
    leader_per_s: float
    share: float | None = None

    @property
    def holds(self) -> bool:
        return self.worst <= 1 and self.n_decided == 0


def compared(leader: Leader, path: Path, frame: pd.DataFrame) -> Agreement:
    """Ask a graph and its leader about a table.

    Raises ConfigError where the runtime refuses the graph.
    """
    session = opened(path)
    expected, table_s = _timed(lambda: leader.predict_table(leader.schema.encode(frame)))
    asked = feeds(leader.schema, frame)
    answers, graph_s = _timed(lambda: session.run(output_names(leader), asked))
    if leader.task.is_classification:
        given, allowed = answers[1], np.full(expected.shape, TOLERANCE)
        n_decided = _n_decided(leader, answers[0], expected)
    else:
        given, n_decided = _values_of(answers), 0
        expected = _with_ends(leader, expected)
        allowed = TOLERANCE * (np.abs(expected) + expected[:, :1].std())
    gap = np.abs(given - expected)
    worst = float((gap / np.maximum(allowed, np.finfo(np.float64).tiny)).max(initial=0))
    n_rows = len(frame)
    difference = float(gap.max(initial=0))
    if not np.isfinite(given).all():
        worst = difference = float("inf")
    spread = 0.0 if leader.task.is_classification else float(expected[:, 0].std())
    share = difference / spread if spread > 0 else None
    return Agreement(n_rows, difference, worst, n_decided, n_rows / graph_s, n_rows / table_s, share)


def opened(path: Path) -> Any:
    """Return a session of onnxruntime.

    Raises ConfigError where the runtime refuses the graph.
    """
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, NotImplemented

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, NotImplemented) as error:
        raise ConfigError(
            f"onnxruntime {onnxruntime.__version__} does not take the graph ({error}); it needs 1.20 or newer."
        ) from None


def _values_of(answers: list[np.ndarray]) -> np.ndarray:
    return np.column_stack(answers)


def _with_ends(leader: Leader, expected: np.ndarray) -> np.ndarray:
    if leader.interval is None:
        return expected
    return np.column_stack([expected[:, 0], *leader.interval.ends(expected[:, 0])])


def _n_decided(leader: Leader, decided: np.ndarray, expected: np.ndarray) -> int:
    """Count rows that are decided otherwise.

    Those that are so by a hair do not count.
    """
    labels = label_array(leader)[0]
    differs = decided != labels[decide(expected, leader.threshold)]
    if expected.shape[1] == 2:
        margin = np.abs(expected[:, 1] - leader.threshold)
    else:
        risen = np.sort(expected, axis=1)
        margin = risen[:, -1] - risen[:, -2]
    return int((differs & (margin > 2 * TOLERANCE)).sum())


def _timed(ask: Callable[[], Any]) -> tuple[Any, float]:
    """Return an answer and the seconds that it takes.

    They are the fewest of some tries.
    """
    answer = ask()
    took: list[float] = []
    ends_at = time.monotonic() + _MIN_TIMED_S
    while not took or (time.monotonic() < ends_at and len(took) < 5):
        began_at = time.monotonic()
        ask()
        took.append(time.monotonic() - began_at)
    return answer, max(min(took), 1e-9)
