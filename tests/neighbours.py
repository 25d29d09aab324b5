"""Files of a user's that have unlucky names, and a Python that has our libraries but no stacktune."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# Those of this repository, of Python's own modules, and of libraries that a run imports.
OURS = ("pipeline", "search_spaces", "conftest", "package", "cli", "config", "driver")
STANDARD = ("types", "csv", "random", "logging", "json", "queue", "copy", "string", "statistics", "inspect", "tempfile")
LIBRARIES = ("numpy", "pandas", "ray", "mlflow", "lightgbm", "sklearn", "psutil", "yaml", "typer", "rich", "torch")
# What `python -m` itself imports from the folder that it is called in, before any code of ours.
OF_PYTHON_ITSELF = {"types"}
# Leaves a mark and fails, as importing another module in its place would, only sooner.
TRAP = """
from builtins import open
open(__file__ + ".sprung", "w").close()
raise ImportError(__file__ + " is a file of the user's")
"""


def set_traps(folder: Path, *names: str) -> Path:
    """Write a module of each name into `folder`, and a package `search_spaces`, that must not be imported."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(TRAP)
    package = folder / "search_spaces"
    if not package.exists():
        package.mkdir()
        (package / "__init__.py").write_text(TRAP)
    return folder


def sprung(*folders: Path) -> list[Path]:
    """Return the marks of the traps that were imported."""
    return [mark for folder in folders for mark in folder.rglob("*.sprung")]


def python_without_stacktune(folder: Path) -> Path:
    """Make a virtual environment with the libraries of this one, but without stacktune; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Files of paths and of finders, such as an editable stacktune's, are read in the environment's own folder only.
    (packages / "libraries.pth").write_text("\n".join(_libraries()))
    python = folder / "bin" / "python"
    found = subprocess.run([python, "-c", "import stacktune"], cwd="/", capture_output=True, text=True, timeout=60)
    assert "No module named 'stacktune'" in found.stderr, found
    return python


def _libraries() -> Iterable[str]:
    return (entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages"))
