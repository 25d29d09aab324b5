"""One Ray for the tests of a module, and tables small enough to search in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from stacktune.data.folds import make_folds
from stacktune.data.table import Table, Task
from stacktune.host import Cores
from stacktune.metrics import get_metric
from stacktune.search.cluster import private_ray
from stacktune.search.cluster import start as cluster_room
from stacktune.search.cluster.private_ray import MAX_WARMED
from stacktune.search.cluster.start import start_ray, stop_ray
from stacktune.search.plan.plan import ClusterSize
from stacktune.trials.climb import Problem


@contextmanager
def ray_of_two_cores(max_warmed: int = MAX_WARMED) -> Iterator[ClusterSize]:
    """A Ray of two cores; a machine of one shares it between them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_room, "cores_here", lambda: Cores(2, 2))
        patch.setattr(private_ray, "MAX_WARMED", max_warmed)
        size = start_ray(None, 2, 0)
    yield size
    stop_ray()


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterSize]:
    """A Ray of two cores, ended with the module."""
    with ray_of_two_cores() as size:
        yield size


@pytest.fixture(scope="module")
def cold_cluster() -> Iterator[ClusterSize]:
    """The same, whose processes do not import beforehand what trials need: for those that are none."""
    with ray_of_two_cores(max_warmed=0) as size:
        yield size


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Breast cancer, three folds."""
    features, target = load_breast_cancer(return_X_y=True)
    names = tuple(f"x{place}" for place in range(features.shape[1]))
    table = Table(np.ascontiguousarray(features, dtype=np.float32), names, target=target.astype(np.int32)).sealed()
    task = Task("binary", ("malignant", "benign"))
    return Problem(table, task, make_folds(table, task, 3, 0), get_metric("roc_auc", "binary"), seed=0)
