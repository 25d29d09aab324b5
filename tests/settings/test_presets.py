"""Presets are pages of settings: valid, printed as they hold, and replaced by what is given."""

from __future__ import annotations

import pytest

from stacktune.errors import ConfigError
from stacktune.settings.groups import BY_KEY
from stacktune.settings.presets import PRESETS, pages, show_presets
from stacktune.settings.read import load_settings, to_yaml
from stacktune.settings.resuming import kept_settings, resumed

TABLE = {"data": "t.parquet", "target": "y"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_printed_page_given_as_a_file_is_the_preset(tmp_path, name):
    lines = list(pages(name))
    assert max(map(len, lines)) <= 80
    (tmp_path / "page.yaml").write_text("\n".join(lines))
    page = load_settings(TABLE, str(tmp_path / "page.yaml"))
    preset = load_settings({**TABLE, "preset": name})
    for key in PRESETS[name].choices:
        field = BY_KEY[key].name
        assert getattr(page, field) == getattr(preset, field) not in (None, ())


def test_every_preset_is_printed_and_a_misspelt_one_is_refused():
    said: list[str] = []
    show_presets(None, said.append)
    assert [line.split()[2] for line in said if line.startswith("#")] == [f"{name}:" for name in PRESETS]
    with pytest.raises(ConfigError, match=r"there is no preset 'beste'\. Did you mean 'best'\?"):
        show_presets("beste", said.append)
    with pytest.raises(ConfigError, match=r"--preset must be fast, balanced, best or deploy, not 'quick'\."):
        load_settings({**TABLE, "preset": "quick"})


def test_flags_and_files_win_over_the_preset(tmp_path):
    (tmp_path / "run.yaml").write_text("preset: fast\nfolds: 4\n")
    config = load_settings({**TABLE, "time_budget": "3m"}, str(tmp_path / "run.yaml"))
    assert (config.time_budget_s, config.n_folds, config.exclude) == (180, 4, ("mlp", "nas"))
    assert load_settings({**TABLE, "preset": "best"}, str(tmp_path / "run.yaml")).time_budget_s == 7200


def test_a_number_of_trials_takes_the_place_of_a_presets_time_and_stays_reproducible():
    config = load_settings({**TABLE, "preset": "fast", "max_trials": 12})
    assert config.reproducible
    assert config.n_folds == 3


def test_families_that_are_asked_for_are_not_excluded_by_the_preset():
    assert load_settings({**TABLE, "preset": "deploy", "families": "mlp,linear"}).exclude == ()


@pytest.mark.parametrize("given", [{}, {"exclude": ""}, {"families": "mlp"}, {"max_trials": 9}])
@pytest.mark.parametrize("name", PRESETS)
def test_config_yaml_has_the_resolved_settings_and_a_resumed_run_keeps_them(tmp_path, name, given):
    """An empty list in the place of the preset's was left out of the file, and the preset came back."""
    config = load_settings({**TABLE, "preset": name, **given})
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_settings({}, str(path)) == config
    found = {"experiment": "e", "register": "m"}
    assert resumed(config, {}, tmp_path, kept_settings(config), found).preset == name
    other = load_settings({"preset": "fast" if name == "best" else "best"}, str(path))
    with pytest.raises(ConfigError, match=r"a resumed run keeps its settings, but --"):
        resumed(other, {"preset": other.preset}, tmp_path, kept_settings(config), found)
