"""Which family is asked next."""

from __future__ import annotations

from collections import Counter

from stacktune.search.allocator import FLOOR_SHARE, Allocator
from stacktune.trials.result import COMPLETED, STOPPED, TrialResult


def result(family: str, score: float, fit_s: float = 1.0, status: str = COMPLETED) -> TrialResult:
    scores = (score,) if status == COMPLETED else ()
    return TrialResult("t", family, {}, "asha", status, 3, 3, (score,), fold_scores=scores, fit_s=fit_s)


def test_every_family_is_asked_once_in_the_given_order():
    allocator = Allocator(["b", "a", "c"], uses_cost=True)
    assert [allocator.choose(["a", "b", "c"]) for _ in range(3)] == ["b", "a", "c"]


def test_only_open_families_are_asked():
    allocator = Allocator(["b", "a"], uses_cost=True)
    assert [allocator.choose(["a"]) for _ in range(3)] == ["a", "a", "a"]


def play(allocator: Allocator, scores: dict[str, float], costs: dict[str, float], n_trials: int) -> Counter:
    asked = Counter()
    for place in range(n_trials):
        family = allocator.choose(list(scores))
        asked[family] += 1
        allocator.tell(result(family, scores[family] + 0.001 * (place % 3), costs[family]))
    return asked


def test_the_better_family_is_asked_more_and_none_is_forgotten():
    asked = play(Allocator(["a", "b", "c"], True), {"a": 0.9, "b": 0.7, "c": 0.5}, dict.fromkeys("abc", 1.0), 100)
    assert asked["a"] > 60
    assert min(asked.values()) >= FLOOR_SHARE * 100 - 1


def test_of_equal_families_the_cheaper_is_asked_more_where_seconds_count():
    asked = play(Allocator(["a", "b"], True), {"a": 0.9, "b": 0.9}, {"a": 50.0, "b": 1.0}, 60)
    assert asked["b"] > asked["a"]


def test_where_they_do_not_count_cost_changes_nothing():
    cheap, dear = ({"a": cost, "b": 1.0} for cost in (0.1, 90.0))
    scores = {"a": 0.9, "b": 0.8}
    assert play(Allocator(["a", "b"], False), scores, cheap, 40) == play(Allocator(["a", "b"], False), scores, dear, 40)


def test_a_family_that_never_completes_is_not_promising():
    allocator = Allocator(["a", "b"], True)
    for _ in range(30):
        family = allocator.choose(["a", "b"])
        allocator.tell(result(family, 0.9 if family == "a" else 0.99, status=COMPLETED if family == "a" else STOPPED))
    asked = Counter(allocator.choose(["a", "b"]) for _ in range(20))
    assert asked["a"] > 15


def test_a_family_whose_first_trial_is_under_way_is_not_asked_again_before_it_is_known():
    """Nothing known was taken for everything hoped: CatBoost was asked three times before its first trial ended."""
    allocator = Allocator(["a", "b", "c"], True)
    for _ in range(3):
        allocator.choose(["a", "b", "c"])
    allocator.tell(result("a", 0.9))
    assert [allocator.choose(["a", "b", "c"]) for _ in range(3)] == ["a", "a", "a"]


def test_the_cheapest_trial_is_what_says_whether_another_fits():
    allocator = Allocator(["a"], True)
    assert allocator.cheapest_s("a") == 0.0
    allocator.tell(result("a", 0.5, 4.0))
    allocator.tell(result("a", 0.5, 2.0))
    assert allocator.cheapest_s("a") == 2.0
