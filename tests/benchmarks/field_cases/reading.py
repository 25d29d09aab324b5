"""Tables as they come: CSV of all kinds, old dates, odd types, superseded files, samples of rare classes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from in_process import auc, fit

from field_cases import Case
from stacktune.data.dataset import load_dataset
from stacktune.data.read import read_for, read_frame, read_source
from stacktune.data.schema import infer_schema
from stacktune.errors import DataError
from stacktune.settings.groups import Settings


def _base_rate_of_a_sample(folder: Path) -> tuple[str, bool]:
    n_rows, n_positive = 300_000, 9
    y = np.where(np.arange(n_rows) % (n_rows // n_positive) == 7, "fraud", "legit")
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n_rows), "y": y})
    frame.to_parquet(folder / "t.parquet")
    dataset, _ = load_dataset(Settings(str(folder / "t.parquet"), "y", sample_rows=9_000, n_folds=2))
    weight = np.ones(dataset.table.n_rows) if dataset.table.weight is None else dataset.table.weight
    rate = np.average(dataset.table.target == dataset.task.classes.index("fraud"), weights=weight)
    return f"{rate:.6f}", bool(abs(rate - n_positive / n_rows) < 1e-6)


def _zip_codes(seed: int, n_rows: int, digits_only: bool) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    codes = np.array([f"{place:03}" for place in range(30)] + ([] if digits_only else ["A5", "B7"]))
    effect = np.random.default_rng(99).normal(size=32) * 2
    place = random.integers(0, len(codes), n_rows)
    y = np.where(random.random(n_rows) < 1 / (1 + np.exp(-effect[place])), "yes", "no")
    return pd.DataFrame({"zip": codes[place], "x": random.normal(size=n_rows), "y": y})


def _digits_only(folder: Path) -> tuple[str, bool]:
    _zip_codes(0, 2_000, digits_only=False).to_csv(folder / "train.csv", index=False)
    fitted = fit(folder / "train.csv", "y", folder / "run")
    fresh = _zip_codes(1, 2_000, digits_only=True)
    fresh.drop(columns="y").to_csv(folder / "new.csv", index=False)
    score = {}
    for name, frame in {"CSV": read_for(fitted.leader.schema, str(folder / "new.csv")), "frame": fresh}.items():
        score[name] = auc(fresh["y"] == "yes", fitted.leader.predict(frame)["yes"])
    return f"AUC {score['CSV']:.3f}, of the frame {score['frame']:.3f}", score["CSV"] == score["frame"] > 0.8


def _zeros_in_training(folder: Path) -> tuple[str, bool]:
    (folder / "t.csv").write_text("zip,y\n007,1\n012,2\n100,3\n")
    source = read_source(str(folder / "t.csv"))
    said = [note for note in source.notes if "begin with a zero" in note]
    return f"{source.frame['zip'].tolist()[:2]}, notes: {len(said)}", source.frame["zip"][0] == "007" and len(said) == 1


def _files_that_differ(folder: Path) -> tuple[str, bool]:
    (folder / "1.csv").write_text("zip,y\n7,1\n")
    (folder / "2.csv").write_text("zip,y\n012,2\n")
    values = read_frame(str(folder))["zip"].tolist()
    return str(values), values == ["7", "012"]


def _european_csv(folder: Path) -> tuple[str, bool]:
    (folder / "t.csv").write_text("preis, brutto;menge\n1.234,50;3\n2,25;4\n")
    source = read_source(str(folder / "t.csv"))
    values = source.frame.iloc[:, 0].tolist()
    return f"{values}, {source.frame.shape[1]} columns", values == [1234.5, 2.25] and len(source.notes) == 2


def _row_numbers_of_pandas(folder: Path) -> tuple[str, bool]:
    frame = pd.DataFrame({"x": [1.5, 2.5, 3.5], "y": ["a", "b", "a"]})
    frame.to_csv(folder / "t.csv")
    (folder / "empty.csv").write_text("a,,c\n1,2,3\n")
    named = list(read_frame(str(folder / "empty.csv")))
    names = list(read_frame(str(folder / "t.csv")))
    return f"{names}, {named}", names == ["x", "y"] and named == ["a", "Unnamed: 1", "c"]


def _names_of_frames(folder: Path) -> tuple[str, bool]:
    values = np.random.default_rng(0).normal(size=(50, 2))
    labels = ([0, 1], [0.5, 1.5], [("a", "x"), ("b", "y")], pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), ["x", 3])
    good = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for place, columns in enumerate(labels):
            path = folder / f"{place}.parquet"
            frame = pd.DataFrame(values, index=pd.Index(np.random.default_rng(1).permutation(50), name="id"))
            frame.columns = columns
            frame.to_parquet(path)
            schema, _ = infer_schema(read_frame(str(path)), set())
            try:
                good += schema.encode(pd.read_parquet(path)).features.shape[0] == 50
            except DataError:
                continue
    return f"{good} of {len(labels)} frames", good == len(labels)


def _old_dates(folder: Path) -> tuple[str, bool]:
    table = pa.table({"day": pa.array(["9999-12-31", "2020-01-01"]).cast(pa.timestamp("us")), "x": [1, 2]})
    pq.write_table(table, folder / "t.parquet", use_deprecated_int96_timestamps=True)
    day = str(read_frame(str(folder / "t.parquet"))["day"][0].date())
    return day, day == "9999-12-31"


def _odd_types(folder: Path) -> tuple[str, bool]:
    stored = {
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, b"b" * 16], pa.binary(16))),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2"])),
        "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1], pa.int8())),
        "uint64": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.uint64()), pa.array(["a", "b"])),
        "zone": pa.array([0, 1], pa.timestamp("us", "Mars/Olympus")),
    }
    failed = []
    for name, values in stored.items():
        pq.write_table(pa.table({"x": values, "y": [1, 2]}), folder / f"{name}.parquet")
        try:
            read_frame(str(folder / f"{name}.parquet"))["x"].tolist()
        except (KeyError, pa.ArrowException, DataError) as error:
            failed.append(f"{name}: {type(error).__name__}")
    return ", ".join(failed) or f"{len(stored)} types are read", not failed


def _superseded_files(folder: Path) -> tuple[str, bool]:
    logs = {"delta": "_delta_log/0.json", "iceberg": "metadata/v1.metadata.json", "hudi": ".hoodie/x"}
    for kind, log in logs.items():
        (folder / kind / log).parent.mkdir(parents=True)
        (folder / kind / log).write_text(json.dumps({}))
        for part in range(2):
            pd.DataFrame({"x": range(1_200)}).to_parquet(folder / kind / f"{part}.parquet")
    said = []
    for kind in logs:
        try:
            said.append(f"{kind}: {len(read_frame(str(folder / kind))):,} rows")
        except DataError:
            said.append(f"{kind}: refused")
    return ", ".join(said), all("refused" in one for one in said)


CASES = [
    Case("7 base rate of a sample", "0.000999", "0.000030", _base_rate_of_a_sample),
    Case("11 CSV to predict with digits only", "AUC 0.519, of the frame 0.819", "the AUC of the frame", _digits_only),
    Case("11 zeros before digits in training", "[7, 12], notes: 0", "['007', '012'], notes: 1", _zeros_in_training),
    Case("11 files of a folder that differ", "[7, 12]", "['7', '012']", _files_that_differ),
    Case("13 European CSV", "[1.234, 2.0], 2 columns", "[1234.5, 2.25], 2 columns", _european_csv),
    Case("14 columns without a name", "['', 'x', 'y'], ['a', '', 'c']", "['x', 'y'], named", _row_numbers_of_pandas),
    Case("16 names of pandas' columns", "0 of 5 frames", "5 of 5 frames", _names_of_frames),
    Case("17 dates of INT96", "1816-03-29", "9999-12-31", _old_dates),
    Case("20 types of Parquet", "uuid, json, bool8: KeyError, …", "5 types are read", _odd_types),
    Case("20 folders with superseded files", "2,400 rows each", "refused, or the live rows", _superseded_files),
]
