"""Child nets: every kind of layer learns, and what a child inherits is what its parent had in the same place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from stacktune.families.base import FitSize
from stacktune.families.nas import FAMILY
from stacktune.search_spaces.nas import ARCHITECTURE
from stacktune.testing.learners import CLOSE, assert_is_prediction, grown, make_job
from stacktune.testing.subject import subject_of
from stacktune.testing.tables import N_ROWS, make_table

NAS = subject_of("nas")
CHILD = NAS.default
FRONT = {**CHILD, "architecture": "glu-64-silu-layer-0.1(x) dense-64-relu-none-0(1)"}
OTHER_END = {**CHILD, "architecture": "glu-64-silu-layer-0.1(x) cross-192-relu-none-0(x,1)"}
UNLIKE = {**CHILD, "architecture": "attention-192-relu-none-0(x)", "k": 1}


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "weights.safetensors")


def saved(config: dict[str, Any], folder: Path, units: int = 3) -> Any:
    folder.mkdir()
    learner = grown(NAS, make_job("binary"), config, units=units)
    learner.save(folder)
    return learner


def warm_started(config: dict[str, Any], *folders: Path) -> Any:
    learner = FAMILY.start(make_job("binary"), config)
    learner.warm_start(folders)
    return learner


@pytest.mark.parametrize("norm", ARCHITECTURE["norm"])
@pytest.mark.parametrize("kind", ARCHITECTURE["kind"])
def test_every_kind_of_layer_learns(kind, norm):
    job = make_job("binary")
    line = f"{kind}-64-silu-{norm}-0.1(x) {kind}-128-relu-{norm}-0(x,1) {kind}-64-selu-{norm}-0(2)"
    learner = grown(NAS, job, {**CHILD, "architecture": line}, units=4)
    assert_is_prediction(learner.predict(job.table), N_ROWS, job.task)
    true = job.table.target[job.valid]
    share = true.mean()
    constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert -np.log(learner.predict_valid()[np.arange(len(true)), true]).mean() < 0.8 * constant


def test_a_child_that_inherits_from_itself_begins_where_its_parent_ended(tmp_path):
    parent = saved(FRONT, tmp_path / "parent")
    child = warm_started(FRONT, tmp_path / "parent")
    np.testing.assert_allclose(child.predict_valid(), parent.predict_valid(), **CLOSE)
    child.advance(2)
    assert child.n_units == 2
    assert not np.array_equal(child.predict_valid(), parent.predict_valid())


def test_an_heir_grows_on_from_what_it_inherits_with_an_optimiser_that_remembers_nothing(tmp_path):
    saved(FRONT, tmp_path / "parent")
    (tmp_path / "state").mkdir()
    warm_started(FRONT, tmp_path / "parent").save_state(tmp_path / "state")
    parent, state = weights_of(tmp_path / "parent"), load_file(tmp_path / "state" / "state.safetensors")
    assert state.keys() == {f"{part}/{name}" for part in ("weights", "average") for name in parent}
    for place, weight in state.items():
        np.testing.assert_array_equal(weight, parent[place.split("/")[1]], err_msg=place)


def test_a_child_inherits_what_does_the_same_in_the_same_place(tmp_path):
    saved(FRONT, tmp_path / "parent")
    (tmp_path / "child").mkdir()
    (tmp_path / "scratch").mkdir()
    warm_started(OTHER_END, tmp_path / "parent").save(tmp_path / "child")
    FAMILY.start(make_job("binary"), OTHER_END).save(tmp_path / "scratch")
    parent, child, scratch = (weights_of(tmp_path / name) for name in ("parent", "child", "scratch"))
    same = {name for name in child if name in parent and parent[name].shape == child[name].shape}
    assert any("layer0.glu" in name for name in same)
    assert not any("layer1" in name or name == "head.weight" for name in same)
    for name, weight in child.items():
        np.testing.assert_array_equal(weight, parent[name] if name in same else scratch[name], err_msg=name)


def test_the_first_parent_that_has_a_weight_gives_it(tmp_path):
    saved(FRONT, tmp_path / "first", units=1)
    saved(FRONT, tmp_path / "second", units=4)
    saved(UNLIKE, tmp_path / "unlike")
    (tmp_path / "child").mkdir()
    warm_started(FRONT, tmp_path / "unlike", tmp_path / "first", tmp_path / "second").save(tmp_path / "child")
    child, first, unlike = (weights_of(tmp_path / name) for name in ("child", "first", "unlike"))
    for name, weight in child.items():
        giver = unlike if name in unlike and unlike[name].shape == weight.shape else first
        np.testing.assert_array_equal(weight, giver[name], err_msg=name)


@pytest.mark.parametrize("k", [1, 4])
def test_multiplications_are_those_of_the_matrices_that_a_row_goes_through(tmp_path, k):
    table = make_table("binary")
    # Without gaps there are no flags of them, which only the rows tell of: the count is exact.
    full = replace(table, features=np.nan_to_num(table.features)).sealed()
    config = {**OTHER_END, "k": k}
    grown(NAS, make_job("binary", full), config, units=1).save(tmp_path)
    layers = [weight for name, weight in weights_of(tmp_path).items() if name.startswith("layer")]
    matrices = sum(weight.size for weight in layers if weight.ndim == 2)
    assert FAMILY.n_multiplications(config, FitSize.of(table, make_job("binary").task)) == k * matrices
