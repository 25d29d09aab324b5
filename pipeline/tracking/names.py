"""Names a run's experiment, model and parent run.

Tables of one name are told apart: half of the world's are called `train.parquet`.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from stacktune.data.dataset import Dataset
from stacktune.settings.problem import DEMO, IN_MEMORY
from stacktune.storage.digests import digest_of

# What a table is called that says nothing of what is in it; its folder is named before it.
_SAYS_NOTHING = re.compile(
    r"(train(ing)?|learn(ing)?|all|full|raw|clean(ed)?|data(set|frame)?|df|table|tables?|input|file|export|rows|part|"
    r"version|v|xy|x|\d|[-_. ])+",
    re.IGNORECASE,
)
# So that a version's name, with what users and servers add, stays below the registry's 256 characters.
MAX_CHARS = 120


def usual_name(dataset: Dataset) -> str:
    """Return the name of the experiment and the model.

    It is "table-target", or "folder-table-target" where the table's own name says nothing ("train", "data", "part-0");
    of a table in memory it is the target. It is the same wherever the command is typed, and valid in MLflow's registry.
    """
    name = "-".join(filter(None, map(_plain, _parts(dataset)))) or "leader"
    return name if len(name) <= MAX_CHARS else f"{name[:MAX_CHARS]}-{digest_of(name)[:8]}"


def run_name(dataset: Dataset, began: datetime) -> str:
    """Return the name of the parent run.

    It is the table's, the target's and when the run began.
    """
    return f"{' '.join(_parts(dataset))[:MAX_CHARS]} {began:%Y-%m-%d %H:%M}"


def _parts(dataset: Dataset) -> list[str]:
    if dataset.source == IN_MEMORY:
        return [dataset.target_name]
    parts = [dataset.name, dataset.target_name]
    if dataset.source == DEMO or not _SAYS_NOTHING.fullmatch(dataset.name):
        return parts
    return [*filter(None, [_folder_of(dataset.source)]), *parts]


def _folder_of(source: str) -> str:
    """Return the name of what a table lies in."""
    place = source.partition("?")[0] if "://" in source else str(Path(source).absolute())
    return place.replace("\\", "/").rstrip("/").rpartition("/")[0].rpartition("/")[2]


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")
