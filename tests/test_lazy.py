"""What `from stacktune import …` offers: imported when it is asked for, and known to type checkers."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import stacktune
from stacktune import _HOMES

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", _HOMES)
def test_each_name_is_what_its_module_calls_so(name):
    assert getattr(stacktune, name) is getattr(importlib.import_module(f"stacktune.{_HOMES[name]}"), name)
    assert name in dir(stacktune)


def test_no_name_is_that_of_a_room_which_python_would_put_in_its_place():
    """`stacktune.run` was a folder once: whoever had imported from it got that, and not the function."""
    rooms = {path.stem for path in (ROOT / "pipeline").iterdir()} | {"search_spaces"}
    assert not rooms & set(_HOMES)


def test_a_name_that_is_not_there_is_refused_as_python_refuses_it():
    with pytest.raises(ImportError, match="cannot import name 'Sttings' from 'stacktune'"):
        from stacktune import Sttings  # noqa: F401
    assert not hasattr(stacktune, "AutoML")


def test_type_checkers_are_told_the_same_names():
    stub = ast.parse((ROOT / "pipeline" / "__init__.pyi").read_text())
    told = {
        (alias.asname, node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == {(name, f"stacktune.{home}") for name, home in _HOMES.items()}


def test_the_package_alone_imports_none_of_its_rooms():
    code = "import sys, stacktune; print(*sorted(name for name in sys.modules if name.startswith('stacktune')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"stacktune", "stacktune.lazy"} == {name for name in loaded if "finder" not in name}
