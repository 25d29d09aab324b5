"""Reads a user's YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stacktune.errors import ConfigError


def read_yaml(file: str, what: str) -> Any:
    """Return what a file holds, None if empty.

    what: the file's role, as in "the settings file".

    Raises:
        ConfigError: it cannot be read, is not YAML, or says something twice.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        document, value = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {file!r} cannot be read: {_reason(error)}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{what} {file!r}{where} is not YAML. Write one `key: value` a line.") from None
    except (ValueError, RecursionError) as error:  # a date that is none, a number of 5,000 digits, 1,000 brackets
        raise ConfigError(f"{what} {file!r} holds a value that is none: {error}.") from None
    _refuse_twice(document, f"{what} {file!r}")
    return value


def _refuse_twice(document: yaml.Node | None, what: str) -> None:
    """Refuse a key given twice, at any depth.

    YAML would keep the last of them in silence.
    """
    nodes, known = [document], set()
    while nodes:
        node = nodes.pop()
        if id(node) in known:  # an alias, which may stand inside what it stands for
            continue
        known.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            _refuse_twice_in(node, what)
            nodes += [value for _, value in node.value]


def _refuse_twice_in(mapping: yaml.MappingNode, what: str) -> None:
    seen = set()
    for key, _ in mapping.value:
        if str(key.value) in seen:
            raise ConfigError(
                f"{what} has {key.value!r} twice, the second time in line {key.start_mark.line + 1}. Keep one of them."
            )
        seen.add(str(key.value))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (getattr(error, "strerror", None) or str(error)).lower()
