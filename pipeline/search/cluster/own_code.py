"""Carries our own code to Ray's workers.

They import the driver's code, and nothing from the folder that the command stands in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from stacktune.package import SHIM, copy_package

# Inside a job Ray has a working directory for workers already, the submitted one, and refuses another without this.
OVERRIDE = "RAY_OVERRIDE_JOB_RUNTIME_ENV"


def path_to_own_code() -> str:
    """Return the PYTHONPATH of workers on this machine."""
    return os.pathsep.join([str(SHIM), *filter(None, [os.environ.get("PYTHONPATH")])])


@contextmanager
def own_code_carried() -> Iterator[dict[str, Any]]:
    """Yield an environment that carries our code.

    Workers of a cluster that is joined meanwhile work in a copy of it.

    Ray hands the copy to each node once, and puts it before all other paths of its workers: a node may have another
    version, or none. It replaces the folder that a job was submitted with, which holds files of the user's.
    """
    with TemporaryDirectory(prefix="stacktune-code-") as folder:
        copy_package(Path(folder))
        yield {"working_dir": folder}


@contextmanager
def carried_by_value(module: ModuleType | None) -> Iterator[None]:
    """Carry a user's module inside what Ray gets.

    Workers get its functions whole, as they cannot import it from the user's folder.
    """
    if module is None:
        yield
        return
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)
