"""A finished run's folder, made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

TRIALS = [f"{family}-{i:04}" for i, family in enumerate(["lightgbm", "random_forest", "linear", "mlp"] * 3)]
ENSEMBLES = ["greedy_best_of_family", "greedy_all"]
NAMES = [*ENSEMBLES, *TRIALS]
N_COMPLETED = 11


def leaderboard(scale: float = 1.0) -> pd.DataFrame:
    """14 rows: 2 ensembles, 9 completed, 2 stopped and 1 failed trial; `scale` multiplies the scores."""
    rows = [
        {
            "rank": i + 1,
            "name": name,
            "family": "ensemble" if i < 2 else name.rpartition("-")[0],
            "kind": "ensemble" if i < 2 else "trial",
            "status": "completed" if i < N_COMPLETED else "stopped" if i < 13 else "failed",
            "score": (0.95 - i / 100) * scale if i < 13 else None,
            "score_se": 0.0012 * scale if i < N_COMPLETED else None,
            "log_loss": 0.2 + (i * 7 % 14) / 100 if i < N_COMPLETED else None,
            "threshold": 0.312 if i < N_COMPLETED else None,
            "fit_s": 100.0 - i,
            "predict_us": 1.5 * i,
            "scheduler": "pbt" if name.startswith("mlp") else "asha",
            "rungs": "3/3" if i < N_COMPLETED else "1/3",
            "test_score": (0.94 - i / 100) * scale if i < N_COMPLETED else None,
            "error": "ValueError: no" if i == 13 else None,
        }
        for i, name in enumerate(NAMES)
    ]
    return pd.DataFrame(rows)


def facts(**changed: object) -> dict:
    """What run.json holds."""
    return {
        "task": "binary",
        "target": "income",
        "metric": "roc_auc",
        "positive": ">50K",
        "threshold": 0.312,
        "leader": NAMES[0],
        "cv_score": 0.95,
        "test_score": 0.94,
        "n_completed": 9,
        "n_stopped": 2,
        "n_failed": 1,
        "wall_s": 117.9,
        "budget_s": 120.0,
        "model_uri": "models:/adult@leader",
        "registered_name": "adult",
        "registered_version": 3,
        **changed,
    }


def write_run(folder: Path, frame: pd.DataFrame | None = None, **changed: object) -> Path:
    """Write a finished run into `folder` and return it."""
    model = folder / "leader" / "data" / "leader"
    model.mkdir(parents=True)
    (frame if frame is not None else leaderboard()).to_parquet(folder / "leaderboard.parquet", index=False)
    (folder / "run.json").write_text(json.dumps(facts(**changed)))
    members = [{"trial_id": TRIALS[2]}, {"trial_id": TRIALS[0]}]
    stored = {"members": members, "blend": {"kind": "average", "weights": [0.2, 0.8], "bias": []}}
    (model / "leader.json").write_text(json.dumps(stored))
    return folder
