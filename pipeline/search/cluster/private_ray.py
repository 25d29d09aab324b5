"""Starts a Ray of this run alone.

It listens to this machine only, asks for a token of its own, and leaves no file behind.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from stacktune.errors import SearchError
from stacktune.search.cluster.own_code import path_to_own_code
from stacktune.search.cluster.own_folder import own_folder, parents_for_files, parents_for_sockets
from stacktune.search.ray_patches.startup import lean_start, no_working_folder, on_loopback, patient_start

_logger = logging.getLogger(__name__)
# Processes get ready for the first trials while Tune does, where there are not many of them.
MAX_WARMED = 8
# As many as Ray's own token has.
TOKEN_BYTES = 32


@contextmanager
def private_ray(n_cpus: int, n_gpus: int | None, n_bytes: int, object_store_bytes: int) -> Iterator[None]:
    """Start Ray here, in the environment of `private_variables`.

    It must have ended when this does.

    n_bytes: what trials may take, beside the store of shared objects.

    Raises:
        SearchError: Ray does not come up.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder(parents_for_sockets(os.environ)))
        spills = _folder_for_spills(stack, folder)
        read_token_again()
        with on_loopback(), patient_start(), no_working_folder(), lean_start():
            _init(
                address="local",  # or Ray joins whatever cluster last ran on this machine
                num_cpus=n_cpus,
                num_gpus=n_gpus,
                include_dashboard=False,
                object_store_memory=object_store_bytes,
                _memory=n_bytes,
                _temp_dir=str(folder),
                object_spilling_directory=spills,
            )
        yield


def private_variables(n_cpus: int) -> dict[str, str | None]:
    """Return the environment variables of a private Ray.

    They hold a token of its own, the path to our code, and what its processes import early.
    """
    return {
        # A user's own token is for clusters, and their files are left as they are.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(TOKEN_BYTES),
        "RAY_AUTH_TOKEN_PATH": None,
        # What is an error to a user's own code ends Ray's processes, and resources are given in other ways here.
        "PYTHONWARNINGS": None,
        "RAY_OVERRIDE_RESOURCES": None,
        "PYTHONPATH": path_to_own_code(),
        "RAY_preload_python_modules": "stacktune.search.cluster.warm" if n_cpus <= MAX_WARMED else None,
    }


def read_token_again() -> None:
    """Let Ray read its token once more.

    It reads tokens once in a process.
    """
    # Ray's stub of its compiled part lacks them.
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _folder_for_spills(stack: ExitStack, folder: Path) -> str | None:
    """Return where objects go if memory is short.

    It is where files are wanted, if sockets cannot be there.
    """
    parents = parents_for_files(os.environ)
    if folder.is_relative_to(parents[0]) or not os.access(parents[0], os.W_OK | os.X_OK):
        return None
    return str(stack.enter_context(own_folder(parents, holds_sockets=False)))


def _init(**settings: Any) -> None:
    import ray

    with _Starting():
        ray.init(log_to_driver=False, logging_level=logging.INFO, **settings)


class _Starting:
    """Says in one line why Ray fails to start.

    Ray raises a plain Exception where its processes take longer than it waits, and ends a process that it cannot serve.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        if kind is Exception or isinstance(error, OSError | SystemExit):
            told = f"it gave up with status {error}" if isinstance(error, SystemExit) else str(error)
            _logger.error("Ray did not start: %s", told)
            reason = (told.strip().splitlines() or ["it does not say why"])[0]
            raise SearchError(
                f"Ray does not start on this machine ({reason.rstrip('.')}). Try again when less else is at work, or "
                "join a cluster with --address."
            ) from error
