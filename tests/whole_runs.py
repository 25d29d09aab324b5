"""The command, as a user runs it, and a table for it."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.datasets import load_breast_cancer

from stacktune.search.cluster.private_ray import read_token_again
from stacktune.search.ray_patches.startup import patient_start

# As a user starts it.
STACKTUNE = [sys.executable, "-m", "stacktune"]


def mixed_table() -> pd.DataFrame:
    """Breast cancer with a text column, missing values, a weight and classes as text."""
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.copy()
    frame["size"] = pd.cut(frame["mean radius"], 4, labels=["s", "m", "l", "x{}[]"]).astype(object)
    frame.loc[frame.index[::7], "mean texture"] = np.nan
    frame["weight"] = 1.0 + (frame.index % 3)
    frame["diagnosis"] = np.where(bunch.target == 1, "benign", "malignant")
    return frame


# What a process of these tests starts has it, and no other test's, nor any other Ray of the machine.
MARK = "STACKTUNE_TESTS"
os.environ.setdefault(MARK, uuid.uuid4().hex)


def rays() -> set[int]:
    """Return the processes of every Ray that this process or one that it started has begun."""
    found = set()
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error):  # it has ended, or is another user's
            is_ray = process.info["name"] in ("raylet", "gcs_server")
            if is_ray and process.environ().get(MARK) == os.environ[MARK]:
                found.add(process.pid)
    return found


@contextmanager
def programs_ray(n_cpus: int) -> Iterator[None]:
    """A Ray that a program has beside its runs, which makes no token in anybody's home."""
    import ray

    folder = TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    with folder as place, patient_start(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        read_token_again()
        ray.init(num_cpus=n_cpus, include_dashboard=False, log_to_driver=False, _temp_dir=place)
        yield
        ray.shutdown()
    read_token_again()


@cache
def _empty_store() -> bytes:
    from mlflow.tracking import MlflowClient

    with TemporaryDirectory() as folder:
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return (Path(folder) / "mlflow.db").read_bytes()


def lend_store(words: Sequence[object], cwd: Path) -> None:
    """Let a run with these words find MLflow's store, as if there had been others: to make one takes a second."""
    if "--output" in words:
        store = (cwd / str(words[words.index("--output") + 1])).with_name("mlflow.db")
        if not store.exists():
            store.parent.mkdir(parents=True, exist_ok=True)
            store.write_bytes(_empty_store())
