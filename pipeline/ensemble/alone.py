"""Makes a leader of one finished trial.

All but its models is what the run's own leader has: columns, classes, target.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from stacktune.ensemble.blend import SINGLE, Blend
from stacktune.ensemble.digests import digests_of, refuse_links
from stacktune.ensemble.leader import MEMBERS, Leader, read_manifest, write_manifest
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import TrialResult


def build_alone(leader: Path, result: TrialResult, threshold: float | None, folder: Path) -> Leader:
    """Write a leader of one trial; load it.

    All models of the trial are asked, whatever a run's prediction budget was. Intervals and a temperature, which were
    learnt for another model, are left off.

    leader: the folder of the run's leader. result: of a completed trial, in whose folder its models are. threshold:
        on the second class's probability, for two classes. folder: is made, and is to be empty.
    """
    manifest = read_manifest(leader)
    for model in TrialFolder(result.place).models():
        refuse_links(model)
        shutil.copytree(model, folder / MEMBERS / result.trial_id / model.name)
    manifest.pop("interval", None)
    manifest |= {
        "name": result.trial_id,
        "threshold": 0.5 if threshold is None else threshold,
        "blend": Blend(SINGLE, (1.0,)).to_dict(),
        "members": [{"trial_id": result.trial_id, "family": result.family, "config": result.config}],
        "files": digests_of(folder / MEMBERS),
    }
    return write_manifest(manifest, folder)
