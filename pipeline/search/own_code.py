"""What Ray's workers import: the driver's own code, and nothing from the folder that the command stands in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stacktune.package import SHIM, copy_package
from stacktune.search.lean_ray import patched

# Inside a job Ray has a working directory for workers already, the submitted one, and refuses another without this.
OVERRIDE = "RAY_OVERRIDE_JOB_RUNTIME_ENV"


@contextmanager
def own_code_here() -> Iterator[None]:
    """Let the workers of a Ray that is started meanwhile import the code that runs here, whatever else they could.

    They have this process's environment, with `path_to_own_code`. Ray would put the folder that the command stands in
    before all other paths of theirs, where a `csv.py` of the user's is imported as Python's own; it does not where it
    is told of another.
    """
    from ray.job_config import JobConfig

    with patched(JobConfig, {"_runtime_env_has_working_dir": lambda _: True}):
        yield


def path_to_own_code() -> str:
    """Return the PYTHONPATH of workers on this machine."""
    return os.pathsep.join([str(SHIM), *filter(None, [os.environ.get("PYTHONPATH")])])


@contextmanager
def own_code_carried() -> Iterator[dict[str, Any]]:
    """Yield the environment of workers of a cluster that is joined meanwhile: they work in a copy of the code.

    Ray hands the copy to each node once, and puts it before all other paths of its workers: a node may have another
    version, or none. It replaces the folder that a job was submitted with, which holds files of the user's.
    """
    with TemporaryDirectory(prefix="stacktune-code-") as folder:
        copy_package(Path(folder))
        yield {"working_dir": folder}
