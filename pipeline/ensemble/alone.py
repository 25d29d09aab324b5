"""Makes a leader of another row.

All but its models is what the run's own leader has: columns, classes, target.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from stacktune.ensemble.blend import SINGLE, Blend
from stacktune.ensemble.digests import digests_of, refuse_links
from stacktune.ensemble.leader import MEMBERS, Leader, read_manifest, write_manifest
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import TrialResult


@dataclass(frozen=True)
class Other:
    """A row of a finished run, with its models.

    members: completed trials, in whose folders the models are. models: of each member, the folders of those that are
    asked. blend: of the members.
    """

    name: str
    members: tuple[TrialResult, ...]
    models: tuple[tuple[Path, ...], ...]
    blend: Blend


def trial_alone(result: TrialResult) -> Other:
    """Return a trial by all of its models.

    They are asked whatever a run's prediction budget was.
    """
    models = tuple(TrialFolder(result.place).models())
    return Other(result.trial_id, (result,), (models,), Blend(SINGLE, (1.0,)))


def build_other(leader: Path, other: Other, threshold: float | None, folder: Path) -> Leader:
    """Write a leader of another row; load it.

    Intervals and a temperature, which were learnt for the run's own leader, are left off.

    leader: the folder of the run's leader. threshold: on the second class's probability, for two classes. folder: is
        made, and is to be empty.
    """
    manifest = read_manifest(leader)
    for result, models in zip(other.members, other.models, strict=True):
        for model in models:
            refuse_links(model)
            shutil.copytree(model, folder / MEMBERS / result.trial_id / model.name)
    manifest.pop("interval", None)
    manifest |= {
        "name": other.name,
        "threshold": 0.5 if threshold is None else threshold,
        "blend": other.blend.to_dict(),
        "members": [{"trial_id": one.trial_id, "family": one.family, "config": one.config} for one in other.members],
        "files": digests_of(folder / MEMBERS),
    }
    return write_manifest(manifest, folder)
