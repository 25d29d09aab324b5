"""What every declaration of a setting must be, so that all that is made from them holds together."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, fields
from typing import get_type_hints

import pytest
import yaml

from stacktune.errors import ConfigError
from stacktune.runs.state import RunState
from stacktune.settings.groups import BY_KEY, GROUPS, SETTINGS, Settings
from stacktune.settings.kinds import MisfitError, above_zero, counts, one_of, whole
from stacktune.settings.problem import DataSettings
from stacktune.settings.read import load_settings
from stacktune.settings.setting import Resume, declared_in

# Values that no setting is meant to take.
NOWHERE_VALID = (3.5j, {"a": [1]}, ["a", 1], object())


def test_no_two_settings_share_a_name_or_a_key_and_none_is_left_out():
    """A field of two groups would silently be one; one of a group that is not listed would have no flag."""
    assert len({one.name for one in SETTINGS}) == len(SETTINGS) == len(BY_KEY)
    assert {one.name for one in SETTINGS} == {field.name for field in fields(Settings)}
    assert set(Settings.__mro__[1:-1]) == set(GROUPS.values())


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.key)
def test_a_default_is_valid_and_without_one_it_is_said_what_to_give(setting):
    if setting.default is MISSING:
        assert setting.spec.missing.endswith(".")
    elif setting.default is not None:
        assert setting.spec.kind.read(setting.default) == setting.default


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.key)
def test_a_value_that_breaks_the_rule_is_refused_by_flag_rule_and_value(setting):
    for value in NOWHERE_VALID:
        with pytest.raises(ConfigError) as refused:
            load_settings({"data": "x.parquet", "target": "y", setting.key: value})
        said = str(refused.value)
        named = {"data": "the table", "time_budget": "a time budget"}.get(setting.key, setting.flag)
        assert said.startswith(f"{named} must be a duration" if setting.key == "time_budget" else f"{named} must be ")
        assert setting.key == "time_budget" or setting.spec.kind.rule in said


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.key)
def test_the_help_is_a_sentence_and_says_what_holds_without_it(setting):
    assert setting.spec.help[-1] == "."
    assert bool(setting.spec.metavar) != setting.is_switch
    if setting.default not in (MISSING, None, ()) and not setting.is_switch:
        assert setting.help.endswith(f"[default: {setting.default}]")


def test_what_a_run_finds_of_its_settings_is_in_its_state():
    found = {one.name for one in SETTINGS if one.spec.resume is Resume.FOUND}
    kept = {"experiment": "e", "model_name": "m"}
    blank = {field.name: kept.get(field.name, "") for field in fields(RunState)}
    assert RunState(**blank).found.keys() == found


def test_a_field_that_says_nothing_of_its_setting_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Silent:
        patience: int = 3

    with pytest.raises(TypeError, match=r"Silent\.patience says nothing of its setting"):
        list(declared_in(Silent, "Search"))


def test_a_type_checker_sees_plain_fields():
    hints = get_type_hints(DataSettings)
    assert (hints["data"], hints["sample_rows"]) == (str, int | None)


@pytest.mark.parametrize(
    ("value", "number"),
    [(4, 4), ("4", 4), (" 4 ", 4), (4.0, 4), ("4.0", 4), ("1_0", 10), (10, 10)],
)
def test_a_whole_number_is_read_however_it_is_written(value, number):
    read = whole(4, 10).read(value)
    assert (read, type(read)) == (number, int)


@pytest.mark.parametrize(
    "value", [3, 11, "3", 4.5, "4.5", True, "", "x", float("nan"), float("inf"), "nan", "1e400", None, [4]]
)
def test_what_is_no_whole_number_within_bounds_is_a_misfit(value):
    with pytest.raises(MisfitError):
        whole(4, 10).read(value)


def test_words_and_checks_of_a_rule_come_from_the_same_bounds():
    assert whole(4).rule == "a whole number of at least 4"
    assert whole(4, 10).rule == "a whole number from 4 to 10"
    assert above_zero("hours").rule == "a number of hours above 0"
    assert one_of("a", "b", "c").rule == "a, b or c"
    assert counts("rows", "columns").rule == "two whole numbers of at least 1 with commas between them (rows, columns)"
    assert counts("rows", "columns").read("3,4") == (3, 4)
    with pytest.raises(MisfitError):
        counts("rows", "columns").read("3,4,5")


@pytest.mark.parametrize(("written", "column"), [("2024", "2024"), ("1.5", "1.5"), ("'yes'", "yes")])
def test_a_column_that_a_file_writes_as_a_number_is_its_name(written, column):
    assert load_settings({"data": "x", **yaml.safe_load(f"target: {written}")}).target == column


def test_a_secret_is_not_shown_where_its_setting_is_refused():
    with pytest.raises(ConfigError, match=r"the table must be a path or a URI, not \['s3://\*\*\*@bucket'\]"):
        load_settings({"data": ["s3://key:very-secret@bucket"], "target": "y"})
