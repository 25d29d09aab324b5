from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from stacktune.tracking.updates import Point, Update, as_text, in_batches


@given(st.integers(0, 2000), st.integers(0, 350), st.integers(0, 350))
def test_batches_hold_everything_once_and_keep_to_the_limits(n_metrics: int, n_params: int, n_tags: int):
    given_lists = [list(range(count)) for count in (n_metrics, n_params, n_tags)]
    batches = list(in_batches(*given_lists))
    for place, items in enumerate(given_lists):
        assert list(chain.from_iterable(batch[place] for batch in batches)) == items
    for metrics, params, tags in batches:
        assert max(len(params), len(tags)) <= 100
        assert 0 < len(metrics) + len(params) + len(tags) <= 1000


def test_later_news_adds_to_earlier_and_only_a_param_keeps_its_first_value():
    point = Point("auc", 0.5, 1)
    first = Update("a", params={"x": "1"}, tags={"status": "running"}, points=(point,), started_ms=5)
    last = Update(
        "a", params={"x": "2", "y": "3"}, tags={"status": "done"}, status="FINISHED", ended_ms=9, started_ms=8
    )
    both = first.then(last)
    assert both.params == {"x": "1", "y": "3"}
    assert both.tags == {"status": "done"}
    assert both.points == (point,)
    assert (both.started_ms, both.ended_ms, both.status) == (5, 9, "FINISHED")


def test_settings_are_logged_as_people_read_them():
    assert [as_text(value) for value in (0.1 + 0.2, 1e-7, 31, None, "all")] == ["0.3", "1e-07", "31", "None", "all"]
