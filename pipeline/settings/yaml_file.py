"""Reads a YAML file of a user's, or says in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stacktune.errors import ConfigError


def read_yaml(file: str, what: str) -> Any:
    """Return what a file holds; None for an empty one.

    what: the file's role, as in "the settings file".

    Raises:
        ConfigError: it cannot be read, is not YAML, or says something twice.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        document, value = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
        _refuse_twice(document, f"{what} {file!r}")
        return value
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {file!r} cannot be read: {_reason(error)}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{what} {file!r}{where} is not YAML. Write one `key: value` a line.") from None
    except (ValueError, RecursionError) as error:  # a date that is none, a number of 5,000 digits, 1,000 brackets
        raise ConfigError(f"{what} {file!r} holds a value that is none: {error}.") from None


def _refuse_twice(node: yaml.Node | None, what: str) -> None:
    """Refuse a key that is given twice, at any depth.

    YAML would keep the last of them in silence.
    """
    seen = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if str(key.value) in seen:
            raise ConfigError(
                f"{what} has {key.value!r} twice, the second time in line {key.start_mark.line + 1}. Keep one of them."
            )
        seen.add(str(key.value))
        _refuse_twice(value, what)
    for one in node.value if isinstance(node, yaml.SequenceNode) else ():
        _refuse_twice(one, what)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (getattr(error, "strerror", None) or str(error)).lower()
