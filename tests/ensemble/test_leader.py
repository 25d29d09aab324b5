"""The leader, on real trials: it says what its members say, after a save and a load too, and for single rows."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import ThreadpoolController

from pipeline.config import RunConfig
from pipeline.data.dataset import load_dataset
from pipeline.data.folds import make_folds
from pipeline.data.write import write_frame
from pipeline.ensemble.digests import digest_of
from pipeline.ensemble.leader import Leader, build_leader, score_rows
from pipeline.ensemble.leaderboard import build_leaderboard
from pipeline.ensemble.member import load_member, predict_members
from pipeline.errors import DataError
from pipeline.metrics import get_metric
from pipeline.trials.climb import Arena, Means, climb
from pipeline.trials.result import load_oof
from pipeline.trials.trial import Trial

KINDS = ("binary", "multiclass", "regression")


def _raw(kind, n=240):
    random = np.random.default_rng(0)
    colour = random.choice(["red", "green", None], n)
    size = np.where(random.random(n) < 0.1, np.nan, random.normal(size=n))
    signal = np.nan_to_num(size) + (colour == "red") + 0.3 * random.normal(size=n)
    truth = {
        "binary": np.where(signal > 0.5, "yes", "no"),
        "multiclass": np.array(["low", "mid", "top"])[np.digitize(signal, [0, 1])],
        "regression": signal,
    }[kind]
    return pd.DataFrame({"size": size, "colour": colour, "day": pd.date_range("2024-01-01", periods=n), "truth": truth})


def _climbed(arena, family, folder):
    trial = Trial(f"{family}-0001", family, import_module(f"search_spaces.{family}").PORTFOLIO[0])
    life = climb(trial, arena, Means(folder / trial.trial_id, folder / "states"))
    while True:
        try:
            next(life)
        except StopIteration as end:
            return end.value


class Run:
    """A finished search of two families on a small mixed table, with its leader."""

    def __init__(self, kind, folder, metric=None):
        self.raw = _raw(kind)
        write_frame(self.raw, str(folder / "train.parquet"))
        config = RunConfig(str(folder / "train.parquet"), "truth", test_size=0.25, n_folds=3)
        self.dataset, self.test = load_dataset(config)
        task = self.dataset.task
        self.metric = get_metric(metric, kind)
        folds = make_folds(self.dataset.table, task, 3, 0)
        arena = Arena(self.dataset.table, task, folds, self.metric, 0)
        self.results = [_climbed(arena, family, folder) for family in ("lightgbm", "linear")]
        self.oof = {result.trial_id: load_oof(result) for result in self.results}
        table = self.dataset.table
        self.board = build_leaderboard(self.results, self.oof, table.target, None, folds, task, self.metric)
        self.leader = build_leader(self.board, self.results, self.dataset, self.metric, folder / "leader")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {kind: Run(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_it_predicts_a_row_per_row_in_named_columns(runs, kind):
    run = runs[kind]
    predicted = run.leader.predict(run.raw)
    names = {"binary": ["no", "yes"], "multiclass": ["low", "mid", "top"], "regression": ["prediction"]}[kind]
    assert predicted.columns.tolist() == names
    assert predicted.index.equals(pd.RangeIndex(len(run.raw)))
    assert np.isfinite(predicted.to_numpy()).all()
    if kind != "regression":
        assert predicted.sum(axis=1).to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_blend_of_the_mean_of_fold_models(runs, kind):
    run = runs[kind]
    leader, table = run.leader, run.dataset.schema.encode(run.raw)
    means = [
        np.mean([predictor.predict(table) for predictor in member.predictors], axis=0) for member in leader.members
    ]
    assert [len(member.predictors) for member in leader.members] == [len(folds) for folds in run.board.leader.folds]
    assert leader.predict(run.raw).to_numpy() == pytest.approx(leader.blend.combine(means))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_predicts_the_same_without_the_trials(runs, kind, tmp_path):
    run = runs[kind]
    run.leader.save(tmp_path / "kept")
    loaded = Leader.load(tmp_path / "kept")
    pd.testing.assert_frame_equal(loaded.predict(run.raw), run.leader.predict(run.raw))
    assert (loaded.labels(run.raw) == run.leader.labels(run.raw)).all()
    assert (loaded.threshold, loaded.blend, loaded.task) == (run.leader.threshold, run.leader.blend, run.leader.task)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_predicted_alone_as_in_company(runs, kind):
    run = runs[kind]
    together = run.leader.predict(run.raw).to_numpy()
    for position in (0, 17):
        alone = run.leader.predict(run.raw.iloc[[position]]).to_numpy()
        assert alone == pytest.approx(together[[position]], abs=1e-6)


def test_columns_in_any_order_extra_ones_and_unseen_values(runs):
    run = runs["binary"]
    turned = run.raw[["truth", "day", "colour", "size"]].assign(extra=1).set_index(np.arange(240) + 7)
    pd.testing.assert_frame_equal(run.leader.predict(turned), run.leader.predict(run.raw))
    odd = pd.DataFrame({"size": [np.nan, np.inf], "colour": ["never seen", None], "day": [None, "2031-05-01"]})
    assert np.isfinite(run.leader.predict(odd).to_numpy()).all()
    with pytest.raises(DataError, match="colour"):
        run.leader.predict(run.raw.drop(columns="colour"))


def test_many_rows_are_predicted_block_by_block_as_at_once(runs, monkeypatch):
    run = runs["multiclass"]
    at_once = run.leader.predict(run.raw)
    monkeypatch.setattr("pipeline.ensemble.member._BLOCK_ROWS", 100)
    assert run.leader.predict(run.raw).to_numpy() == pytest.approx(at_once.to_numpy())


def test_threads_that_predict_at_once_do_not_disturb_each_other(runs):
    """LightGBM's booster remembers which of its trees are asked, whoever asks."""
    run = runs["binary"]
    alone, few = run.leader.predict(run.raw).to_numpy(), run.raw.iloc[:3]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda step: run.leader.predict(few if step % 2 else run.raw).to_numpy(), range(40)))
    for step, answer in enumerate(answers):
        assert answer == pytest.approx(alone[:3] if step % 2 else alone, abs=1e-12)


def test_the_callers_own_threads_are_as_many_as_before(runs):
    pools = ThreadpoolController()
    before = [pool["num_threads"] for pool in pools.info()]
    for rows in (runs["binary"].raw, runs["binary"].raw.iloc[:1]):
        runs["binary"].leader.predict(rows)
        assert [pool["num_threads"] for pool in pools.info()] == before


def test_no_rows_are_no_predictions(runs):
    run = runs["regression"]
    assert run.leader.predict(run.raw.iloc[:0]).shape == (0, 1)


def test_labels_are_decided_at_the_threshold_learnt_for_the_metric(tmp_path):
    run = Run("binary", tmp_path, metric="mcc")
    assert run.leader.threshold == run.board.leader.thresholds["mcc"]
    chance = run.leader.predict(run.raw)["yes"].to_numpy()
    assert run.leader.labels(run.raw).tolist() == np.where(chance >= run.leader.threshold, "yes", "no").tolist()


def test_labels_are_the_likeliest_class_or_the_value(runs):
    run = runs["multiclass"]
    predicted = run.leader.predict(run.raw)
    assert run.leader.labels(run.raw).tolist() == predicted.idxmax(axis=1).tolist()
    run = runs["regression"]
    assert run.leader.labels(run.raw).tolist() == run.leader.predict(run.raw)["prediction"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_scored_on_the_test_table_as_the_leader_would_be(runs, kind):
    run = runs[kind]
    scored = score_rows(run.board, run.results, run.test)
    assert [row.name for row in scored.rows] == [row.name for row in run.board.rows]
    expected = run.metric.score(run.test.target, run.leader.predict_table(run.test))
    assert scored.leader.test[run.metric.name] == pytest.approx(run.metric.shown(expected))
    assert np.isfinite(scored.to_frame()["test_score"]).all()
    trial = next(row for row in scored.rows if row.name == "linear-0001")
    member = load_member(Path(run.results[1].folder), "linear-0001", "linear")
    assert trial.test[run.metric.name] == pytest.approx(
        run.metric.shown(run.metric.score(run.test.target, predict_members([member], run.test)[0]))
    )


def test_rows_whose_models_have_all_been_asked_ask_none(runs):
    """On more rows than one thread predicts, asking no model at all was an error."""
    run = runs["binary"]
    many = run.test.take(np.arange(200) % run.test.n_rows)
    scored = score_rows(run.board, run.results, many)
    assert len(scored.rows) > len(run.results)
    assert np.isfinite(scored.to_frame()["test_score"]).all()


def test_out_of_time_only_the_leader_is_tested(runs):
    run = runs["binary"]
    scored = score_rows(run.board, run.results, run.test, time_left=lambda: 0.0)
    assert scored.leader.test is not None
    assert all(row.test is None for row in scored.rows[1:])


def test_loading_and_predicting_need_neither_ray_nor_mlflow(runs, tmp_path):
    run = runs["binary"]
    write_frame(run.raw, str(tmp_path / "raw.parquet"))
    program = (
        "import sys; from pathlib import Path; import pandas as pd; from pipeline.ensemble.leader import Leader\n"
        f"Leader.load(Path({str(run.leader.folder)!r})).predict(pd.read_parquet({str(tmp_path / 'raw.parquet')!r}))\n"
        "assert not {'ray', 'mlflow', 'search_spaces'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_nothing_in_it_is_pickled(runs):
    endings = {file.suffix for file in runs["binary"].leader.folder.rglob("*") if file.is_file()}
    assert endings <= {".json", ".txt", ".npz", ".ubj", ".safetensors", ".skops"}
    said = json.loads((runs["binary"].leader.folder / "leader.json").read_text())
    assert said["members"][0].keys() == {"trial_id", "family"}


def test_a_folder_that_is_no_leader_is_refused(tmp_path, runs):
    with pytest.raises(DataError, match=r"is no leader: it has no leader\.json"):
        Leader.load(tmp_path)


def _change(folder: Path) -> str:
    file = next(folder.glob("members/lightgbm-0001/fold0/*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return rf"members/lightgbm-0001/fold0/{file.name} was changed"


def _lose(folder: Path) -> str:
    shutil.rmtree(folder / "members" / "linear-0001" / "fold1")
    return r"members/linear-0001/fold1/\S+ is missing"


def _add(folder: Path) -> str:
    shutil.copytree(folder / "members" / "linear-0001" / "fold1", folder / "members" / "linear-0001" / "fold9")
    return r"members/linear-0001/fold9/\S+ was added"


def _rewrite(folder: Path) -> str:
    manifest = folder / "leader.json"
    manifest.write_text(manifest.read_text().replace('"truth"', '"tooth"'))
    return r"leader\.json was changed"


def _spoil(folder: Path) -> str:
    (folder / "leader.json").write_text("[1, 2]")
    return r"leader\.json was changed"


@pytest.mark.parametrize("tamper", [_change, _lose, _add, _rewrite, _spoil])
def test_a_leader_that_is_not_as_it_was_written_is_refused_by_the_files_name(tmp_path, runs, tamper):
    runs["binary"].leader.save(tmp_path)
    assert Leader.load(tmp_path).members
    with pytest.raises(DataError, match=tamper(tmp_path)):
        Leader.load(tmp_path)


def test_a_leader_of_an_older_format_is_refused_by_name(tmp_path, runs):
    """One of the first mlp models gave a traceback: KeyError 'layers'."""
    runs["binary"].leader.save(tmp_path)
    said = json.loads((tmp_path / "leader.json").read_text()) | {"format": 2}
    del said["digest"]
    (tmp_path / "leader.json").write_text(json.dumps(said | {"digest": digest_of(said)}))
    with pytest.raises(DataError, match=r"has format 2, and this stacktune reads 4: predict with the version"):
        Leader.load(tmp_path)
