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
from in_process import fit
from threadpoolctl import ThreadpoolController

from stacktune.data.dataset import load_dataset
from stacktune.data.folds import make_folds
from stacktune.data.write import write_frame
from stacktune.ensemble.leader import Leader, build_leader, score_rows
from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.member import load_member, predict_members
from stacktune.errors import DataError, DataWarning
from stacktune.metrics import get_metric
from stacktune.settings.groups import Settings
from stacktune.storage.digests import digest_of
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.result import load_oof
from stacktune.trials.trial import Trial

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


def _climbed(problem, family, folder):
    trial = Trial(f"{family}-0001", family, import_module(f"stacktune.search_spaces.{family}").PORTFOLIO[0])
    life = climb(trial, problem, TrialResources(folder / trial.trial_id, folder / "states"))
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
        config = Settings(str(folder / "train.parquet"), "truth", test_size=0.25, n_folds=3)
        self.dataset, self.test = load_dataset(config)
        task = self.dataset.task
        self.metric = get_metric(metric, kind)
        folds = make_folds(self.dataset.table, task, 3, 0)
        problem = Problem(self.dataset.table, task, folds, self.metric, 0)
        self.results = [_climbed(problem, family, folder) for family in ("lightgbm", "linear")]
        self.oof = {result.trial_id: load_oof(result) for result in self.results}
        table = self.dataset.table
        self.board = build_leaderboard(self.results, self.oof, table.target, None, folds, task, self.metric)
        self.leader = build_leader(self.board, self.results, self.dataset, self.metric, folder / "leader")


def _numbers(leader, frame):
    """Return the probabilities or values of a prediction, without the decided classes."""
    predicted = leader.predict(frame)
    return predicted[list(leader.task.classes) or ["prediction"]].to_numpy()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {kind: Run(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_it_predicts_a_row_per_row_in_named_columns(runs, kind):
    run = runs[kind]
    predicted = run.leader.predict(run.raw)
    names = {"binary": ["no", "yes"], "multiclass": ["low", "mid", "top"], "regression": []}[kind]
    assert predicted.columns.tolist() == ["prediction", *names]
    assert predicted.index.equals(pd.RangeIndex(len(run.raw)))
    if kind == "regression":
        assert np.isfinite(predicted["prediction"]).all()
    else:
        assert predicted["prediction"].isin(names).all()
        assert predicted[names].sum(axis=1).to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_blend_of_the_mean_of_fold_models(runs, kind):
    run = runs[kind]
    leader, table = run.leader, run.dataset.schema.encode(run.raw)
    means = [
        np.mean([predictor.predict(table) for predictor in member.predictors], axis=0) for member in leader.members
    ]
    assert [len(member.predictors) for member in leader.members] == [len(folds) for folds in run.board.leader.folds]
    assert _numbers(leader, run.raw) == pytest.approx(leader.blend.combine(means))


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
    together = _numbers(run.leader, run.raw)
    for position in (0, 17):
        alone = _numbers(run.leader, run.raw.iloc[[position]])
        assert alone == pytest.approx(together[[position]], abs=1e-6)


def test_columns_in_any_order_extra_ones_and_unseen_values(runs):
    run = runs["binary"]
    turned = run.raw[["truth", "day", "colour", "size"]].assign(extra=1)
    pd.testing.assert_frame_equal(run.leader.predict(turned), run.leader.predict(run.raw))
    odd = pd.DataFrame({"size": [np.nan, np.inf], "colour": ["never seen", None], "day": [None, "2031-05-01"]})
    assert np.isfinite(_numbers(run.leader, odd)).all()
    with pytest.raises(DataError, match="day"):
        run.leader.predict(run.raw.drop(columns="day"))


def test_a_column_with_gaps_in_training_may_be_left_out_and_is_missing_then(runs):
    run = runs["binary"]
    with pytest.warns(DataWarning, match=r"leaves out colour \(1 of 3 columns\)"):
        without = run.leader.predict(run.raw.drop(columns="colour"))
    pd.testing.assert_frame_equal(without, run.leader.predict(run.raw.assign(colour=None)))


def test_many_rows_are_predicted_block_by_block_as_at_once(runs, monkeypatch):
    run = runs["multiclass"]
    at_once = _numbers(run.leader, run.raw)
    monkeypatch.setattr("stacktune.ensemble.member._BLOCK_ROWS", 100)
    assert _numbers(run.leader, run.raw) == pytest.approx(at_once)


def test_threads_that_predict_at_once_do_not_disturb_each_other(runs):
    """LightGBM's booster remembers which of its trees are asked, whoever asks."""
    run = runs["binary"]
    alone, few = _numbers(run.leader, run.raw), run.raw.iloc[:3]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda step: _numbers(run.leader, few if step % 2 else run.raw), range(40)))
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
    assert runs["binary"].leader.predict(run.raw.iloc[:0]).shape == (0, 3)


INDICES = {
    "shuffled": lambda n: np.random.default_rng(1).permutation(n),
    "duplicated": lambda n: np.arange(n) % 7,
    "text": lambda n: [f"row {place % 50}" for place in range(n)],
    "times": lambda n: pd.date_range("2024-01-01", periods=n, name="when")[::-1],
    "levels": lambda n: pd.MultiIndex.from_arrays([np.arange(n) % 5, np.arange(n)], names=["shop", "day"]),
}


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_have_the_index_of_the_rows(runs, kind, index):
    """`frame["p"] = model.predict(frame)["yes"]` gave a shuffled frame's rows each other's predictions."""
    run = runs[kind]
    frame = run.raw.set_index(pd.Index(INDICES[index](len(run.raw))))
    predicted = run.leader.predict(frame)
    pd.testing.assert_index_equal(predicted.index, frame.index)
    pd.testing.assert_frame_equal(predicted.reset_index(drop=True), run.leader.predict(run.raw))
    pd.testing.assert_series_equal(run.leader.labels(frame), predicted["prediction"])
    frame["p"] = predicted["prediction"]
    assert frame["p"].tolist() == predicted["prediction"].tolist()


LABELS = {
    "whole numbers": ([0, 1], "int64"),
    "numbers beside nulls": ([1.0, 2.0], "int64"),
    "fractions": (np.array([0.1, 0.2], np.float32), "float64"),
    "truth values": ([False, True], "bool"),
    "text of digits": (["0", "1"], "str"),
    "text": (["no", "yes"], "str"),
    "a dictionary of numbers": (pd.Categorical([3, 5]), "int64"),
}


@pytest.mark.parametrize("case", LABELS)
def test_decided_classes_are_values_of_the_targets_own_kind(case, tmp_path):
    """Decided classes came as text: compared with a target of 0 and 1, every one of them was wrong."""
    values, dtype = LABELS[case]
    signal = np.random.default_rng(2).normal(size=200)
    target = pd.Series(values).take((signal > 0).astype(int)).reset_index(drop=True)
    frame = pd.DataFrame({"signal": signal, "target": target})
    leader = fit(frame, "target", tmp_path, families=("linear",)).leader
    predicted = leader.predict(frame)["prediction"]
    assert str(predicted.dtype) == dtype
    assert (predicted == frame["target"].astype(frame["target"].to_list()[0].__class__)).mean() > 0.95
    pd.testing.assert_series_equal(Leader.load(leader.folder).predict(frame)["prediction"], predicted)


def test_a_class_called_prediction_has_its_own_column(tmp_path):
    signal = np.random.default_rng(3).normal(size=200)
    frame = pd.DataFrame({"signal": signal, "kind": np.where(signal > 0, "prediction", "guess")})
    fitted = fit(frame, "kind", tmp_path, families=("linear",))
    predicted = fitted.leader.predict(frame)
    assert set(predicted.columns) == {"prediction_", "guess", "prediction"}
    assert (predicted["prediction_"] == frame["kind"]).mean() > 0.95
    assert any("'prediction_'" in note for note in fitted.dataset.notes)


def test_labels_are_decided_at_the_threshold_learnt_for_the_metric(tmp_path):
    run = Run("binary", tmp_path, metric="mcc")
    assert run.leader.threshold == run.board.leader.thresholds["mcc"]
    chance = run.leader.predict(run.raw)["yes"].to_numpy()
    assert run.leader.labels(run.raw).tolist() == np.where(chance >= run.leader.threshold, "yes", "no").tolist()


def _rare(n, seed):
    random = np.random.default_rng(seed)
    signal = random.normal(size=n)
    odds = np.exp(1.5 * signal - 4.9)
    return pd.DataFrame({"signal": signal, "kind": np.where(random.random(n) < odds / (1 + odds), "fraud", "legit")})


def test_decided_classes_of_fresh_rows_score_what_was_cross_validated(tmp_path):
    """F1 was .23 at a threshold that nobody was told, and .00 at the .5 that everybody took."""
    fitted = fit(_rare(6000, 0), "kind", tmp_path, families=("linear",), metric="f1")
    fresh, row = _rare(50_000, 1), fitted.board.leader
    predicted, is_fraud = fitted.leader.predict(fresh), (fresh["kind"] == "fraud").to_numpy().astype(int)
    f1 = get_metric("f1", "binary")
    chances = predicted[["legit", "fraud"]].to_numpy()
    decided = np.column_stack([predicted["prediction"] == name for name in ("legit", "fraud")]).astype(float)
    assert f1.score(is_fraud, decided) == f1.score(is_fraud, chances, None, fitted.board.threshold(row))
    assert f1.score(is_fraud, decided) > row.score - 2 * row.score_se
    assert f1.score(is_fraud, chances, None, 0.5) < row.score / 4


def test_labels_are_the_likeliest_class_or_the_value(runs):
    run = runs["multiclass"]
    predicted = run.leader.predict(run.raw)
    assert run.leader.labels(run.raw).tolist() == predicted.drop(columns="prediction").idxmax(axis=1).tolist()
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
    scored = score_rows(run.board, run.results, run.test, remaining_s=lambda: 0.0)
    assert scored.leader.test is not None
    assert all(row.test is None for row in scored.rows[1:])


def test_loading_and_predicting_need_neither_ray_nor_mlflow(runs, tmp_path):
    run = runs["binary"]
    write_frame(run.raw, str(tmp_path / "raw.parquet"))
    program = (
        "import sys; from pathlib import Path; import pandas as pd; from stacktune.ensemble.leader import Leader\n"
        f"Leader.load(Path({str(run.leader.folder)!r})).predict(pd.read_parquet({str(tmp_path / 'raw.parquet')!r}))\n"
        "assert not {'ray', 'mlflow', 'search_spaces'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_nothing_in_it_is_pickled(runs):
    endings = {file.suffix for file in runs["binary"].leader.folder.rglob("*") if file.is_file()}
    assert endings <= {".json", ".txt", ".npz", ".ubj", ".safetensors", ".skops"}
    said = json.loads((runs["binary"].leader.folder / "leader.json").read_text())
    assert said["members"][0].keys() == {"trial_id", "family", "config"}


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
