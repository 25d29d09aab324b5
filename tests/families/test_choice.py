"""Families by name: those to try, and those not to."""

from __future__ import annotations

import pytest

from stacktune.errors import ConfigError
from stacktune.families.choice import chosen_families, exclusion_note
from stacktune.families.registry import all_families


def test_what_is_excluded_is_left_out_of_all_and_of_those_that_were_asked_for():
    assert chosen_families((), ("mlp", "nas")) == [name for name in all_families() if name not in ("mlp", "nas")]
    assert chosen_families(("xgboost", "mlp", "linear"), ("mlp",)) == ["xgboost", "linear"]
    assert chosen_families(("xgboost", "linear"), ()) == ["xgboost", "linear"]


@pytest.mark.parametrize(
    ("wanted", "exclude", "said"),
    [
        ((), ("lihgtgbm",), r"there is no model family 'lihgtgbm' to exclude\. Did you mean 'lightgbm'\?"),
        (("linaer",), ("mlp",), r"there is no model family 'linaer'\. Did you mean 'linear'\?"),
        (("linear",), ("mlp", "linear"), r"--exclude mlp,linear leaves no model family of linear: leave one out\."),
        ((), tuple(all_families()), r"leaves no model family of catboost, "),
    ],
)
def test_a_misspelt_name_and_a_choice_of_nothing_are_refused(wanted, exclude, said):
    with pytest.raises(ConfigError, match=said):
        chosen_families(wanted, exclude)


def test_only_what_would_have_been_tried_is_said_to_be_left_out():
    assert exclusion_note(("linear", "mlp"), ("mlp", "nas")) == "without mlp, as --exclude says"
    assert exclusion_note((), ("nas", "mlp")) == "without mlp and nas, as --exclude says"
    assert exclusion_note(("linear",), ("nas",)) is None
