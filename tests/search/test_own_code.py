"""What the workers of a private Ray import, whatever lies around the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ray
from neighbours import LIBRARIES, OURS, STANDARD, set_traps, sprung

from stacktune.package import SHIM
from stacktune.search.cluster.start import start_ray, stop_ray

ROOT = Path(__file__).parents[2]


def test_workers_import_our_code_first_and_nothing_of_the_folder_that_the_command_stands_in(tmp_path, monkeypatch):
    """Ray put the folder before all other paths, so that every trial ran a `csv.py` or `pipeline.py` in it."""

    def imported() -> tuple[str, str, list[str]]:
        """Return where a worker has our code and the spaces from, and its paths."""
        import mlflow  # noqa: F401
        import pandas  # noqa: F401

        import stacktune.search.tune.trainable
        import stacktune.search_spaces.mlp

        return stacktune.search.tune.trainable.__file__, stacktune.search_spaces.mlp.__file__, sys.path

    users = str(set_traps(tmp_path / "users", "stacktune", *OURS))
    monkeypatch.chdir(set_traps(tmp_path / "desk", "stacktune", *OURS, *STANDARD, *LIBRARIES))
    monkeypatch.setenv("PYTHONPATH", users)
    start_ray(None, 1, 0)
    try:
        code, spaces, paths = ray.get(ray.remote(imported).remote())
    finally:
        stop_ray()
    assert (Path(code), Path(spaces)) == (ROOT / "pipeline/search/tune/trainable.py", ROOT / "search_spaces/mlp.py")
    assert str(tmp_path / "desk") not in paths
    assert paths.index(str(SHIM)) < paths.index(users), "what users put into PYTHONPATH stays, after ours"
    assert os.environ["PYTHONPATH"] == users
    assert sprung(tmp_path) == []
