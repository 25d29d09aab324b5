"""A family whose library is optional is there where its library is."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from stacktune.errors import ConfigError
from stacktune.families import registry

ROOT = Path(__file__).parents[2]
OPTIONAL = sorted(name for name, family in registry.known_families().items() if family.requires)


@pytest.fixture
def without_optional_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    libraries = {registry.known_families()[name].requires for name in OPTIONAL}
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name in libraries else find_spec(name))
    registry.all_families.cache_clear()
    yield
    registry.all_families.cache_clear()


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_family_has_an_extra_of_its_name_that_the_tests_install(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [need.startswith(registry.known_families()[name].requires) for need in extras[name]] == [True]
    assert f"stacktune[{name}]" in extras["test"]


@pytest.mark.usefixtures("without_optional_libraries")
@pytest.mark.parametrize("name", OPTIONAL)
def test_without_its_library_a_family_is_not_listed_and_asking_for_it_says_what_to_install(name: str) -> None:
    assert name not in registry.all_families()
    assert "lightgbm" in registry.all_families()
    with pytest.raises(ConfigError, match=rf'{name}.* needs the library .* pip install "stacktune\[{name}\]"'):
        registry.get_family(name)


@pytest.mark.usefixtures("without_optional_libraries")
def test_a_misspelt_name_is_answered_with_families_that_are_there() -> None:
    with pytest.raises(ConfigError, match=r"there is no model family 'lightgmb'\. Did you mean 'lightgbm'"):
        registry.get_family("lightgmb")
    with pytest.raises(ConfigError, match="Valid names: extra_trees, lightgbm"):
        registry.get_family("?")
