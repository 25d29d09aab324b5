"""How a model's numbers become a prediction, and targets and weights what a model trains on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.data.table import BINARY, REGRESSION, Task
from pipeline.families.base import Job


@dataclass(frozen=True)
class Output:
    """How a model's numbers become a prediction.

    Most models keep labels and sums in float32 and regularise in units of the target, so they are given regression
    targets less `mean` and over `spread`, and what they predict is turned back in float64.
    """

    kind: str
    n_outputs: int
    mean: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, task: Task, target: np.ndarray, weight: np.ndarray | None) -> Output:
        """Return the output of a model trained on `target` (n_rows,) under `weight` (n_rows,) or None."""
        if task.kind != REGRESSION:
            return cls(task.kind, task.n_outputs)
        mean = float(np.average(target, weights=weight))
        spread = float(np.sqrt(np.average(np.square(target - mean), weights=weight)))
        return cls(task.kind, 1, mean, spread if spread > 0 else 1.0)

    def label(self, target: np.ndarray) -> np.ndarray:
        """Return (n_rows,) float32: class codes, or values in units of the spread."""
        return ((target - self.mean) / self.spread).astype(np.float32)

    def prediction(self, said: np.ndarray) -> np.ndarray:
        """Return (n_rows, n_outputs) float64 for what the model said: P(class 1), softmax rows, or scaled values."""
        said = np.asarray(said, dtype=np.float64)
        if self.kind == REGRESSION:
            return (said * self.spread + self.mean).reshape(-1, 1)
        if self.kind == BINARY:
            return np.column_stack([1.0 - said, said])
        said = said.reshape(-1, self.n_outputs)
        return said / said.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """Write output.json."""
        (folder / "output.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Output:
        """Read output.json."""
        return cls(**json.loads((folder / "output.json").read_text(encoding="utf-8")))


def output_of(job: Job) -> Output:
    """Return the output of a model trained on the job's rows."""
    return Output.of(job.task, job.table.target[job.rows], weight_of(job))


def weight_of(job: Job) -> np.ndarray | None:
    """Return (n_rows,) float32 weights of the job's rows, one on average as penalties are in units of rows, or None."""
    if job.table.weight is None:
        return None
    weight = job.table.weight[job.rows].astype(np.float64)
    return (weight / weight.mean()).astype(np.float32)
