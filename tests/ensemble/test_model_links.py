"""What a model's folder may hold: its own files, and nothing that leads elsewhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.ensemble.leader import Leader, build_leader
from stacktune.errors import DataError
from stacktune.storage.digests import digest_of


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=200), "z": random.normal(size=200)})
    frame["y"] = np.where(frame["x"] + random.normal(size=200) > 0, "up", "down")
    return fit(frame, "y", tmp_path_factory.mktemp("linked"), ("linear",), n_folds=2)


@pytest.mark.parametrize("place", ["members/linear-0000/fold0/linear.npz", "members/linear-0000", "leader.json"])
def test_a_symbolic_link_in_a_model_is_refused_when_it_is_read_and_when_it_is_copied(place, tmp_path, fitted):
    """A link was followed: what it leads to was read, and copied to wherever the model went."""
    leader = fitted.leader
    leader.save(tmp_path / "model")
    real = (tmp_path / "model" / place).rename(tmp_path / "elsewhere")
    (tmp_path / "model" / place).symlink_to(real)
    with pytest.raises(DataError, match=rf"holds a symbolic link, '{place}', which no model has"):
        Leader.load(tmp_path / "model")
    with pytest.raises(DataError, match="holds a symbolic link"):
        replace(leader, folder=tmp_path / "model").save(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_symbolic_link_among_a_trials_models_does_not_get_into_a_leader(fitted, tmp_path):
    for result in fitted.results:
        shutil.copytree(result.folder, tmp_path / result.trial_id)
    results = [replace(result, folder=str(tmp_path / result.trial_id)) for result in fitted.results]
    for path in tmp_path.glob("*/fold*/output.json"):
        path.rename(tmp_path / "output.json")
        path.symlink_to(tmp_path / "output.json")
    with pytest.raises(DataError, match=r"holds a symbolic link, 'output\.json'"):
        build_leader(fitted.board, results, fitted.dataset, fitted.problem.metric, tmp_path / "leader")


def test_a_folder_of_models_may_itself_be_reached_through_a_link(tmp_path, fitted):
    fitted.leader.save(tmp_path / "model")
    (tmp_path / "latest").symlink_to(tmp_path / "model")
    assert Leader.load(tmp_path / "latest").members


def test_a_member_outside_of_the_model_is_refused(tmp_path, fitted):
    fitted.leader.save(tmp_path)
    said = json.loads((tmp_path / "leader.json").read_text())
    del said["digest"]
    said["members"][0]["trial_id"] = "../../elsewhere"
    (tmp_path / "leader.json").write_text(json.dumps(said | {"digest": digest_of(said)}))
    with pytest.raises(DataError, match=r"names a member '\.\./\.\./elsewhere', which is no folder in it"):
        Leader.load(tmp_path)
