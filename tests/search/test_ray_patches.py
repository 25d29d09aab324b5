"""What of Ray and scikit-learn is used or changed although it is theirs to change: a test that names what is gone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

import stacktune
from stacktune.search.ray_patches import patching
from stacktune.search.ray_patches.oom import kills_end_trials
from stacktune.search.ray_patches.parameters import parameters_let_go
from stacktune.search.ray_patches.patching import patched
from stacktune.search.ray_patches.startup import (
    in_waiting_processes,
    lean_start,
    no_working_folder,
    on_loopback,
    patient_start,
)

PATCHES = [
    in_waiting_processes,
    lean_start,
    no_working_folder,
    on_loopback,
    patient_start,
    kills_end_trials,
    parameters_let_go,
]


@pytest.mark.parametrize("patch", PATCHES)
def test_the_ray_that_is_installed_has_every_name_that_is_patched(patch, monkeypatch):
    monkeypatch.setattr(patching, "missing", set())
    with patch():
        assert patching.missing == set()


def private_imports() -> Iterator[tuple[str, str]]:
    """Yield each name that our code imports from a private module of Ray's or scikit-learn's."""
    for path in Path(stacktune.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in ("ray", "sklearn"):
                is_private = any(part.startswith("_") for part in node.module.split("."))
                yield from ((node.module, one.name) for one in node.names if is_private or one.name.startswith("_"))


def test_what_we_import_from_private_modules_is_there():
    used = set(private_imports())
    assert ("ray._private.node", "Node") in used
    gone = []
    for module, name in used:
        found = import_module(module)
        if not hasattr(found, name):
            try:
                import_module(f"{module}.{name}")
            except ImportError:
                gone.append(f"{module}.{name}")
    assert gone == []


class Base:
    inherited = 1


class Owner(Base):
    own = 2

    @staticmethod
    def call() -> int:
        return 3


def test_a_patch_is_undone_whatever_it_changed(monkeypatch):
    monkeypatch.setattr(patching, "missing", set())
    before = dict(vars(Owner))
    changes = {"inherited": 10, "own": 20, "call": staticmethod(lambda: 30), "gone": 4}
    with suppress(LookupError), patched(Owner, changes):
        assert (Owner.inherited, Owner.own, Owner.call()) == (10, 20, 30)
        assert not hasattr(Owner, "gone")
        raise LookupError
    assert dict(vars(Owner)) == before
    assert (Owner.inherited, Owner.own, Owner().call()) == (1, 2, 3)
    assert patching.missing == {"Owner.gone"}
