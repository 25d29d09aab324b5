"""What MLflow calls to load a leader: `mlflow.pyfunc.load_model` imports this module from the model's own code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.ensemble.leader import Leader

if TYPE_CHECKING:
    import pandas as pd


class Served:
    """A leader in the shape that MLflow expects."""

    def __init__(self, leader: Leader):
        self.leader = leader

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return `Leader.predict(model_input)`, with the input's index. There are no params."""
        return self.leader.predict(model_input)


def _load_pyfunc(path: str) -> Served:
    return Served(Leader.load(Path(path)))
