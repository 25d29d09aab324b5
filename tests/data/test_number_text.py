"""Numbers written as text are numbers, in one convention a column; codes and words stay what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.number_text import PLAIN, Spelling, is_missing, read_numbers
from stacktune.data.schema import infer_schema

AMOUNTS = np.random.default_rng(0).gamma(2, 900, 300).round(2)
CONVENTIONS = {
    "plain": ("{:.2f}", PLAIN),
    "exponents": ("{:.6e}", PLAIN),
    "blanks": (" {:.2f}\t", PLAIN),
    "decimal comma": ("{:.2f}", Spelling(",")),
    "commas between thousands": ("{:,.2f}", Spelling(".", ",")),
    "points between thousands": ("{:,.2f}", Spelling(",", ".")),
    "spaces between thousands": ("{:,.2f}", Spelling(",", " ")),
    "apostrophes between thousands": ("{:,.2f}", Spelling(".", "'")),
    "per cent": ("{:.2f}%", Spelling(unit="%")),
    "per cent after a space": ("{:.2f} %", Spelling(unit="%")),
    "dollars": ("${:,.2f}", Spelling(".", ",", "$")),
    "euros": ("{:.2f} €", Spelling(",", unit="€")),
    "currency codes": ("EUR {:.2f}", Spelling(unit="EUR")),
}


def written(values, name, space=" "):
    """Return the texts of numbers in a convention."""
    form, spelling = CONVENTIONS[name]
    marks = str.maketrans({".": spelling.decimal, ",": spelling.group.replace(" ", space)})
    return [form.format(value).translate(marks) for value in values]


def infer(values):
    return infer_schema(pd.DataFrame({"c": values}), set())


def encoded(schema, values):
    return schema.encode(pd.DataFrame({"c": values})).features[:, 0]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_each_convention_is_read_and_remembered(name):
    schema, notes = infer(written(AMOUNTS, name))
    assert schema.columns[0].kind == "numeric"
    assert schema.columns[0].spelling == CONVENTIONS[name][1]
    assert notes == [f"read 1 column of text as numbers{CONVENTIONS[name][1].description}: c"]
    for again in (written(AMOUNTS, name), AMOUNTS, AMOUNTS.astype(object), [f"{value:.2f}" for value in AMOUNTS]):
        np.testing.assert_allclose(encoded(schema, again), AMOUNTS, rtol=1e-5)
        np.testing.assert_allclose(encoded(schema, again[:3]), AMOUNTS[:3], rtol=1e-5)


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2009"])
def test_spaces_of_every_width_stand_between_thousands(space):
    schema, _ = infer(written(AMOUNTS, "spaces between thousands", space))
    np.testing.assert_allclose(encoded(schema, written(AMOUNTS, "spaces between thousands")), AMOUNTS, rtol=1e-5)


@pytest.mark.parametrize("marker", ["", " ", "?", "N/A", "NA", "n/a", "null", "None", "-", "--", "nan", "#DIV/0!"])
@pytest.mark.parametrize("every", [2, 7])
def test_a_marker_of_missing_makes_no_categories_of_numbers(marker, every):
    texts = np.array(written(AMOUNTS, "plain"), dtype=object)
    texts[::every] = marker
    schema, notes = infer(texts)
    n_missing = len(texts[::every])
    assert notes[1] == f"took {n_missing} values of c for missing, such as {marker!r}"
    values = encoded(schema, texts)
    assert np.isnan(values[::every]).all()
    assert np.isfinite(np.delete(values, np.s_[::every])).all()


def test_a_few_words_among_numbers_are_missing_and_shown():
    texts = np.array(written(AMOUNTS, "euros"), dtype=object)
    texts[:9] = ["gratis"] * 6 + ["auf Anfrage"] * 3
    schema, notes = infer(texts)
    assert schema.columns[0].kind == "numeric"
    assert notes[1] == "took 9 values of c for missing, such as 'gratis', 'auf Anfrage'"
    texts[:20] = "gratis"
    assert infer(texts)[0].columns[0].kind == "categorical"


@pytest.mark.parametrize(
    ("texts", "spelling"),
    [
        (["1,234", "12,345", "999"], Spelling(".", ",")),
        (["1,234", "12,345", "9999"], Spelling(",")),
        (["1,234", "0,345", "2,5"], Spelling(",")),
        (["1.234", "12.345", "999"], PLAIN),
        (["1.234", "12.345.678", "999"], Spelling(",", ".")),
        (["12,34,567", "1,00,000"], Spelling(".", ",")),
        (["(5.5)", "−3.25", "4-", "+1"], PLAIN),
    ],
)
def test_thousands_are_told_from_fractions(texts, spelling):
    assert read_numbers(texts, np.ones(len(texts), dtype=int)).spelling == spelling


@pytest.mark.parametrize(
    "texts",
    [
        ["007", "012", "?"],
        ["low", "0", "high"],
        ["$1", "€2", "£3"],
        ["12%", "13", "14"],
        ["555 1234", "555 9876"],
        ["id-1", "id-2"],
        ["2020-01-01", "2020-01-02"],
        ["3", "3", "?"],
        ["?", "-", ""],
        ["10.0.0.1", "10.0.0.22"],
        ["1,2,3", "2,3,4"],
        ["5", "7", "12"],
        ["10115", "80331", "?"],
    ],
)
def test_what_is_no_amount_stays_categorical(texts):
    schema, notes = infer(texts)
    assert schema.columns[0].kind in ("categorical", "datetime")
    assert schema.columns[0].spelling is None
    assert not [note for note in notes if "numbers" in note]


def test_whole_numbers_that_differ_in_nearly_every_row_are_amounts_unless_zeros_lead():
    places = np.random.default_rng(0).permutation(300)
    schema, notes = infer([str(place) for place in places])
    assert schema.columns[0].kind == "numeric"
    assert notes == ["read 1 column of text as numbers: c"]
    _, notes = infer([f"{place:05}" for place in places])
    assert notes == ["dropped 1 column whose text differs in nearly every row, taken for an identifier "
                     "(--keep keeps it): c"]  # fmt: skip


def test_a_dictionary_of_numbers_that_all_differ_is_tried_as_numbers():
    assert infer(pd.Categorical([f"{value:.3f}" for value in AMOUNTS]))[0].columns[0].kind == "numeric"
    assert infer(pd.Categorical(AMOUNTS))[0].columns[0].kind == "numeric"
    assert infer(pd.Categorical(AMOUNTS[np.arange(300) % 9]))[0].columns[0].kind == "categorical"


def test_numbers_in_a_column_of_decimal_commas_are_what_they_are():
    schema, _ = infer(written(AMOUNTS, "points between thousands"))
    mixed = pd.Series([1.125, "1,125", "1.125", None, 7, "x"], dtype=object)
    np.testing.assert_array_equal(encoded(schema, mixed), np.float32([1.125, 1.125, 1125, np.nan, 7, np.nan]))
    np.testing.assert_array_equal(encoded(schema, pd.Categorical([1.125, 2.5])), np.float32([1.125, 2.5]))


def test_another_currency_is_no_number_of_the_column():
    schema, _ = infer(written(AMOUNTS, "dollars"))
    np.testing.assert_array_equal(encoded(schema, ["$3.50", "3.50", "€3.50"]), np.float32([3.5, 3.5, np.nan]))


def test_dates_with_markers_of_missing_are_dates():
    texts = [f"2020-01-{day:02}" if day % 7 else "n/a" for day in range(1, 29)]
    schema, notes = infer(texts)
    assert schema.columns[0].kind == "datetime"
    assert notes == ["read 1 column of text as dates: c", "took 4 values of c for missing, such as 'n/a'"]
    assert np.isnan(encoded(schema, texts)).sum() == 4


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_none_and_in_bulk_as_alone(text):
    for spelling in (PLAIN, Spelling(",", ".", "€")):
        alone = spelling.number(text)
        assert not np.isinf(alone)
        np.testing.assert_array_equal(spelling.numbers([text] * 70), np.full(70, alone))
    assert not is_missing(text) or np.isnan(PLAIN.number(text))


@given(st.lists(st.integers(1, 10**11), min_size=2, max_size=30), st.sampled_from(sorted(CONVENTIONS)))
def test_what_a_convention_writes_its_spelling_reads(cents, name):
    values = np.array(cents) / 100
    read = CONVENTIONS[name][1].numbers(written(values, name), strict=True)
    np.testing.assert_allclose(read, values, rtol=1e-6)
