"""Names a few settings that go together.

A preset is a page of settings, each with its reason. It says nothing that could not be typed: what is given, by a flag
or in a file, takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stacktune.errors import ConfigError, nearest


@dataclass(frozen=True)
class Choice:
    """One setting of a preset, as typed."""

    value: Any
    why: str


@dataclass(frozen=True)
class Preset:
    """A page of settings; about: when to take it."""

    about: str
    choices: Mapping[str, Choice]


_NO_NETS = ["mlp", "nas"]
PRESETS: Mapping[str, Preset] = {
    "fast": Preset(
        "An answer in a minute: is there anything in this table?",
        {
            "time_budget": Choice("1m", "a minute, reading and registering included"),
            "folds": Choice(3, "fewer fits a configuration, so that more are tried"),
            "exclude": Choice(_NO_NETS, "nets take longest until they are as good as trees"),
        },
    ),
    "balanced": Preset(
        "What holds without a preset.",
        {"time_budget": Choice("10m", "the usual budget")},
    ),
    "best": Preset(
        "The best score; a large table wants more time yet.",
        {
            "time_budget": Choice("2h", "twelve times the usual budget"),
            "folds": Choice(8, "each model learns from 7/8 of the rows"),
        },
    ),
    "deploy": Preset(
        "A leader that is small, quick to ask and easy to install.",
        {
            "time_budget": Choice("10m", "as balanced"),
            "exclude": Choice(_NO_NETS, "they need torch where the leader is served"),
            "predict_budget": Choice(100, "microseconds: 10,000 rows a second on a core"),
            "max_model_size": Choice(20, "MB, which any server fetches in seconds"),
        },
    ),
}
# Whoever gives one of them has said what the others are to be: a number of trials stays reproducible.
_TOGETHER = (("time_budget", "max_trials"), ("families", "exclude", "plan"))


def with_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by key, with those of their preset.

    One that is no preset is left to the check of settings.
    """
    preset = PRESETS.get(str(given.get("preset")))
    if preset is None:
        return dict(given)
    replaced = {key for keys in _TOGETHER if any(key in given for key in keys) for key in keys}
    choices = {key: choice.value for key, choice in preset.choices.items() if key not in replaced}
    return {**choices, **given}


def sets(name: str | None, key: str) -> bool:
    """Return whether a preset says something of a setting."""
    return name is not None and key in PRESETS[name].choices


def show_presets(name: str | None, say: Callable[[str], None]) -> None:
    """Say one preset's page, or all.

    Raises:
        ConfigError: there is no preset of that name.
    """
    if name is not None and name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}.{nearest(name, PRESETS)}")
    for line in pages(name):
        say(line)


def pages(name: str | None = None) -> Iterator[str]:
    """Yield the lines of presets' pages.

    Each page can be saved, changed and given as `--config`.
    """
    for one, preset in PRESETS.items():
        if name in (None, one):
            yield f"# --preset {one}: {preset.about}"
            for key, choice in preset.choices.items():
                value = f"[{', '.join(choice.value)}]" if isinstance(choice.value, list) else choice.value
                yield f"{f'{key}: {value}':<20}  # {choice.why}"
            yield ""
