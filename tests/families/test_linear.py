"""What only the linear family does."""

import numpy as np
import pytest

from stacktune.data.table import Table, Task
from stacktune.families import linear
from stacktune.families.base import Job
from stacktune.search.space import load_space


@pytest.mark.parametrize("entry", range(2))
def test_of_very_many_rows_a_sample_is_solved_for(monkeypatch, entry):
    """A million rows of 50 columns took 4.7 GB, and most of the time that the first trials had."""
    random = np.random.default_rng(0)
    features = random.standard_normal((4000, 3)).astype(np.float32)
    target = (features[:, 0] + 0.5 * random.standard_normal(4000) > 0).astype(np.int32)
    table = Table(features, ("a", "b", "c"), target=target)
    job = Job(table, Task("binary", ("no", "yes")), np.arange(3000), np.arange(3000, 4000), "fold0")
    config = load_space("linear").portfolio[entry]
    monkeypatch.setattr(linear, "MAX_CELLS", 500 * 48)
    seen = []
    solve = linear._solve
    monkeypatch.setattr(
        linear, "_solve", lambda job, columns, *rest: (seen.append(len(columns)), solve(job, columns, *rest))[1]
    )
    learner = linear.LinearLearner(job, config)
    learner.advance(1)
    assert seen == [500 if config["scaling"] == "piecewise" else 3000]
    assert np.mean(learner.predict_valid().argmax(axis=1) == target[3000:]) > 0.8
