"""Model files whose numbers cannot be what was written: refused before compiled code follows them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.ensemble.member import load_member
from stacktune.errors import DataError

FAMILIES = ("extra_trees", "linear", "mlp")


def rows(n_rows: int = 300) -> pd.DataFrame:
    """Numbers with gaps, a column of few levels and one of many."""
    random = np.random.default_rng(0)
    amount = random.normal(size=n_rows)
    return pd.DataFrame(
        {
            "amount": amount,
            "gaps": np.where(random.random(n_rows) < 0.1, np.nan, random.normal(size=n_rows)),
            "few": random.choice(list("abc"), n_rows),
            "many": random.choice([f"level {index}" for index in range(40)], n_rows),
            "y": np.where(amount + random.normal(size=n_rows) > 0, "up", "down"),
        }
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    return fit(rows(), "y", tmp_path_factory.mktemp("forged"), FAMILIES, n_folds=2)


@pytest.fixture
def member(fitted, tmp_path):
    """Return a function that copies a family's fold model and returns its folder."""

    def copy(family: str) -> Path:
        source = Path(fitted.results[FAMILIES.index(family)].folder) / "fold0"
        return Path(shutil.copytree(source, tmp_path / "fold0"))

    return copy


def forge(path: Path, **changed: object) -> None:
    """Rewrite arrays of an .npz; a function makes the new one of the old."""
    with np.load(path) as stored:
        arrays = dict(stored)
    for name, change in changed.items():
        key = name.replace("__", ".")
        arrays[key] = change(arrays[key].copy())
    np.savez(path, **arrays)


def put(value: object, place: int = 0):
    def change(array: np.ndarray) -> np.ndarray:
        array.flat[place] = value
        return array

    return change


def among_inner(value: int):
    """Put a value where the first tree has its root, which is an inner node."""
    return put(value, 0)


FORGED = {
    "a child beyond its tree": ({"trees__left": among_inner(30_000)}, "child that is none of its tree's"),
    "a child that is its own parent": ({"trees__left": among_inner(0)}, "child that is none of its tree's"),
    "one child alone": ({"trees__right": among_inner(-1)}, "child that is none of its tree's"),
    "a leaf that scikit-learn takes for a node": ({"trees__left": lambda left: np.where(left < 0, -2, left)}, "child"),
    "a feature that is not there": ({"trees__feature": put(1_000_000)}, r"none of its \d+\."),
    "a negative feature": ({"trees__feature": put(-1)}, r"none of its \d+\."),
    "a tree of no nodes": ({"trees__sizes": put(0)}, "do not add up to its trees"),
    "a tree longer than all nodes": ({"trees__sizes": put(1_000_000)}, "do not add up to its trees"),
    "no trees": ({"trees__sizes": lambda sizes: sizes[:0]}, "do not add up to its trees"),
    "fewer leaves": ({"trees__values": lambda values: values[:-1]}, "leaves have no values"),
    "leaves of other classes": ({"trees__values": lambda values: values[:, :1]}, "1 values instead of 2"),
    "fewer splits": ({"trees__threshold": lambda threshold: threshold[:-1]}, "do not split on a feature each"),
    "fractions of children": ({"trees__left": lambda left: left.astype(float)}, "not made of whole numbers"),
    "a class that is none": ({"outline__classes": put(7)}, "a class is none of its 2"),
    "a level of another column": ({"encoding__cardinalities": put(1_000)}, "no mean and count for each"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_forest_is_refused(case, member):
    """It ended the process of whoever predicted with it (SIGSEGV)."""
    changed, fault = FORGED[case]
    folder = member("extra_trees")
    forge(folder / "forest.npz", **changed)
    with pytest.raises(DataError, match=rf"forest\.npz' is not as it was written: .*{fault}"):
        load_member(folder.parent, "forged", "extra_trees", (0,))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"one_hot__indicators": put(-5)}, "an indicator is none of a column's"),
        ({"one_hot__indicators": put(10**12)}, "an indicator is none of a column's"),
        ({"scaling__gappy": put(99)}, "missing values is of no column"),
        ({"weights__seen": lambda seen: seen[:1]}, "weights are not those of its classes"),
        ({"crossing__strides": lambda strides: np.append(strides, 3)}, "pairs of columns do not go together"),
    ],
)
def test_a_forged_linear_model_is_refused(changed, fault, member):
    folder = member("linear")
    forge(folder / "linear.npz", **changed)
    with pytest.raises(DataError, match=rf"linear\.npz' is not as it was written: .*{fault}"):
        load_member(folder.parent, "forged", "linear", (0,))


def test_levels_that_are_not_there_are_never_drawn(member):
    folder = member("linear")
    forge(folder / "unseen.npz", levels__drawn=put(1e6))
    with pytest.raises(DataError, match=r"unseen\.npz' is not as it was written: a level to draw is none"):
        load_member(folder.parent, "forged", "linear", (0,))


def test_a_net_whose_parts_are_of_different_nets_is_refused(member):
    folder = member("mlp")
    described = (folder / "net.json").read_text()
    (folder / "net.json").write_text(described.replace('"n_outputs": 2', '"n_outputs": 3'))
    with pytest.raises(DataError, match=r"is not as it was written: head\.weight has the shape"):
        load_member(folder.parent, "forged", "mlp", (0,))
    (folder / "net.json").write_text(described.replace('"n_levels": ', '"n_levels": 9'))
    with pytest.raises(DataError, match=r"is not as it was written: n_levels is 9\d+ of the net"):
        load_member(folder.parent, "forged", "mlp", (0,))


@pytest.mark.parametrize("family", FAMILIES)
def test_files_that_were_cut_or_are_none_are_refused(family, fitted, member):
    folder = member(family)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for part in (b"", whole[: len(whole) // 2], b"\x00" * 64):
            path.write_bytes(part)
            with pytest.raises(DataError, match="is not as it was written: it cannot be read"):
                load_member(folder.parent, "cut", family, (0,))
        path.write_bytes(whole)
    assert load_member(folder.parent, "whole", family, (0,)).predictors


# In a process of its own, as what is missed ends it.
CHAOS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import numpy as np
from stacktune.ensemble.member import load_member
from stacktune.errors import DataError
from stacktune.data.table import Table
folder, family = Path(sys.argv[1]), sys.argv[2]
with np.load(folder / "table.npz") as stored:
    table = Table(stored["features"], tuple(map(str, stored["names"])), tuple(map(int, stored["cardinalities"])))
(path,) = (folder / "fold0").glob("[fl]*.npz")
with np.load(path) as stored:
    arrays = dict(stored)
random, n_refused = np.random.default_rng(0), 0
whole = [name for name in arrays if arrays[name].dtype.kind in "iu" and arrays[name].size]
for _ in range(300):
    forged = dict(arrays)
    for name in random.choice(whole, random.integers(1, 3)):
        array = forged[name] = forged[name].copy()
        limits = np.iinfo(array.dtype)
        value = random.choice([limits.min, -2, -1, 0, 1, 5, array.max() + 1, limits.max])
        array.flat[random.integers(array.size)] = np.clip(value, limits.min, limits.max)
    np.savez(path, **forged)
    try:
        load_member(folder, "forged", family, (0,)).predictors[0].predict(table)
    except DataError:
        n_refused += 1
    except (IndexError, ValueError):  # NumPy's own, of a number that this table has no place for
        pass
print(n_refused)
"""


@pytest.mark.parametrize("family", ["extra_trees", "linear"])
def test_no_forged_number_ends_the_process(family, fitted, member):
    folder = member(family)
    table = fitted.dataset.schema.encode(rows(40))
    arrays = {"features": table.features, "names": np.array(table.names), "cardinalities": table.cardinalities}
    np.savez(folder.parent / "table.npz", **arrays)
    command = [sys.executable, "-c", CHAOS, str(folder.parent), family, str(Path(__file__).parent.parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
