"""An explanation is read as it was written, whole or not at all."""

from __future__ import annotations

import pandas as pd
import pytest

from stacktune.errors import ConfigError
from stacktune.explain import explanation as module
from stacktune.explain.explanation import Explanation, read, write


def found(notes: tuple[str, ...] = ("a note",)) -> Explanation:
    importance = pd.DataFrame({"column": ["a"], "importance": [0.5], "n_repeats": [3]})
    return Explanation("rmse", importance, out_of_fold=True, n_rows=3, n_rows_in_all=5, seconds=0.25, notes=notes)


def test_what_was_written_is_read(tmp_path):
    place = write(found(), tmp_path / "explanation")
    back = read(place)
    assert sorted(path.name for path in place.iterdir()) == ["explanation.json", "importance.parquet"]
    pd.testing.assert_frame_equal(back.importance, found().importance)
    assert back.worst.empty
    assert (back.metric, back.out_of_fold, back.n_rows, back.n_rows_in_all) == ("rmse", True, 3, 5)
    assert back.notes == ("a note",)


def test_its_one_line_names_the_foremost_columns_and_where_the_rest_is():
    """It was two hundred lines of frames."""
    importance = pd.DataFrame({"column": list("abcde"), "importance": [0.5, 0.25, 0.1, 0.0, 0.0]})
    one = Explanation("rmse", importance, worst=pd.DataFrame({"row": [1]}), n_rows=1_234)
    lost = "rmse lost without: a 0.5000, b 0.2500, c 0.1000 and 2 more"
    assert repr(one) == f"Explanation({lost}; 1,234 rows; see .importance, .worst)"
    assert repr(Explanation("rmse", pd.DataFrame())) == "Explanation(rmse; 0 rows; see .notes)"


def test_where_there_is_none_there_is_none(tmp_path):
    assert read(tmp_path / "explanation") is None


def test_a_new_one_takes_the_place_of_the_old(tmp_path):
    write(found(), tmp_path / "explanation")
    write(found(("another",)), tmp_path / "explanation")
    assert read(tmp_path / "explanation").notes == ("another",)
    assert [path.name for path in tmp_path.iterdir()] == ["explanation"]


def test_of_a_writer_that_is_killed_nothing_is_left_by_the_next_one(tmp_path, monkeypatch):
    """It dies between two tables: no half folder has the name, and what lies beside it goes."""

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_facts_of", die)
    monkeypatch.setattr("stacktune.storage.atomic.remove", lambda path: None)  # a killed process removes nothing
    with pytest.raises(KeyboardInterrupt):
        write(found(), tmp_path / "explanation")
    assert read(tmp_path / "explanation") is None
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    write(found(), tmp_path / "explanation")
    assert [path.name for path in tmp_path.iterdir()] == ["explanation"]


@pytest.mark.parametrize("text", ["", "[]", '{"metric": 1', '{"notes": 1}'])
def test_a_broken_one_is_named(tmp_path, text):
    place = write(found(), tmp_path / "explanation")
    (place / "explanation.json").write_text(text)
    with pytest.raises(ConfigError, match=r"the explanation in '.*explanation' is not as it was written"):
        read(place)
