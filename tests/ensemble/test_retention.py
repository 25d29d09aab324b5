"""Which models are dropped while a search goes on."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.ensemble.retention import N_KEPT, drop_models, has_models, prunable
from stacktune.trials.result import COMPLETED, STOPPED, TrialResult

FAMILIES = ("lightgbm", "linear", "mlp")


def result(number: int, family: str, score: float, status: str = COMPLETED, folder: str | None = None) -> TrialResult:
    scores = (score, score) if status == COMPLETED else ()
    name = f"{family}-{number:04}"
    return TrialResult(name, family, {}, "asha", status, 3, 3, fold_scores=scores, folder=folder)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FAMILIES), st.floats(0, 1)), max_size=120), st.integers(0, 120))
def test_who_has_lost_has_lost_for_good_and_the_best_never_do(drawn, n_first):
    results = [result(number, family, score) for number, (family, score) in enumerate(drawn)]
    lost = {one.trial_id for one in prunable(results)}
    assert {one.trial_id for one in prunable(results[:n_first])} <= lost
    ranked = sorted(results, key=lambda one: (-one.score, one.trial_id))
    assert not lost & {one.trial_id for one in ranked[:N_KEPT]}
    for family in FAMILIES:
        own = [one for one in ranked if one.family == family]
        assert not lost & {one.trial_id for one in own[:3]}
    assert len(results) - len(lost) <= N_KEPT + 3 * len(FAMILIES)


def test_models_are_deleted_and_what_they_predicted_stays(tmp_path):
    results = []
    for number in range(N_KEPT + 10):
        folder = tmp_path / f"linear-{number:04}"
        (folder / "fold0").mkdir(parents=True)
        np.save(folder / "oof.npy", np.zeros(3))
        results.append(result(number, "linear", 1 / (1 + number), folder=str(folder)))
    results.append(result(99, "linear", 0.0, STOPPED))
    drop_models(results)
    assert [has_models(one) for one in results] == [*[True] * N_KEPT, *[False] * 11]
    assert len(list(tmp_path.glob("*/oof.npy"))) == N_KEPT + 10
