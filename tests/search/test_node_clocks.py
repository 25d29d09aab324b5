"""Seconds left mean the same on every node, whatever its clocks say."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from stacktune.search.cluster import trial_store as module
from stacktune.search.cluster.trial_store import TrialStore


def store_at(node: str, monkeypatch) -> TrialStore:
    """Return the store of a run whose driver's machine was started 500 s before this one, seen from `node`."""
    context = SimpleNamespace(get_node_id=lambda: node)
    monkeypatch.setattr(module.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(module.ray, "get", lambda answer: answer)
    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    remaining_s = SimpleNamespace(remote=lambda deadline: deadline - 600.0)
    return TrialStore("trials", "driver_node", "run", SimpleNamespace(remaining_s=remaining_s))


@pytest.mark.parametrize(("node", "deadline"), [("driver_node", 620.0), ("elsewhere", 120.0)])
def test_a_trial_ends_when_the_driver_means_it_to(node, deadline, monkeypatch):
    assert store_at(node, monkeypatch).deadline_here(620.0) == deadline


def test_without_a_budget_nobody_is_asked(monkeypatch):
    assert store_at("elsewhere", monkeypatch).deadline_here(math.inf) == math.inf
