"""Writes safely to a terminal.

Nothing in what is written may steer the terminal, or end the command where nobody reads.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
from typing import Any, TextIO

# C0 and C1 control characters but for the end of a line; what ends a line elsewhere; what turns the direction of
# writing (Unicode Standard Annex 9); halves of characters, from names of files that are no UTF-8.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_A_LINE, _IN_LINES = re.compile(f"[{_CONTROLS}]"), re.compile(f"(?![\n\t])[{_CONTROLS}]")
# What a terminal without Unicode shows instead; any other character as Python writes it.
_BLOCKS = dict(zip("▁▂▃▄▅▆▇█", "__..::##", strict=True))
_PLAIN = _BLOCKS | {
    "→": "->",
    "…": "...",
    "±": "+-",
    "µ": "u",
    "·": ".",
    "━": "-",
    "×": "x",
    "–": "-",
    "—": "-",
    "≥": ">=",
    "≤": "<=",
}


def visible(text: str) -> str:
    """Return `text` as one harmless line.

    It can do nothing to a terminal: control characters come as Python writes them.
    """
    return _IN_A_LINE.sub(_written, text)


def visible_lines(text: str) -> str:
    """Return `text` as `visible` does, with its lines."""
    return _IN_LINES.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


def steady_streams() -> None:
    """Make the standard streams never fail.

    They take any character, and go on where nobody reads them any more.
    """
    for number, mode in enumerate(("r", "w", "w")):
        _open_where_closed(number, mode)
    codecs.register_error("plain", _plain)
    sys.stdout = _steady(sys.stdout, AnyText)
    sys.stderr = _steady(sys.stderr, HarmlessText)


def drawing(stream: TextIO) -> TextIO:
    """Return a stream that draws where `stream` writes.

    What is drawn moves the cursor, so it must be made of harmless text.
    """
    if not isinstance(stream, HarmlessText):
        return stream
    raw = SteadyFile(stream.fileno(), "w", closefd=False)
    return AnyText(io.BufferedWriter(raw), encoding=stream.encoding, errors="plain", line_buffering=True)


def lost(stream: TextIO) -> str | None:
    """Return why something was not written.

    It is of a steady stream. It is None where all was written, or its reader went away.
    """
    raw = _raw(stream)
    return raw.trouble if isinstance(raw, SteadyFile) else None


def _raw(stream: TextIO) -> Any:
    """Return what a text stream writes to.

    It has no buffer where PYTHONUNBUFFERED is set.
    """
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


class SteadyFile(io.FileIO):
    """A file that takes what cannot be written.

    It cannot be written to a closed pipe or terminal, or to a full disk.

    trouble: why, unless the reader went away.
    """

    trouble: str | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:  # what a closed terminal gives
                self.trouble = error.strerror
        return memoryview(data).nbytes


class AnyText(io.TextIOWrapper):
    """Shows text somehow, also where encoding is ASCII."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has it as what can be set, which Python refuses
        """Return the encoding that libraries are told.

        One that sees ASCII writes past this stream, in an encoding of its own choice.
        """
        told = super().encoding
        return "utf-8" if codecs.lookup(told).name == "ascii" else told


class HarmlessText(AnyText):
    """Shows text for people, whoever wrote it.

    It is of libraries, tracebacks or warnings, and for people alone.
    """

    def write(self, text: str) -> int:
        super().write(visible_lines(text))
        return len(text)


def _open_where_closed(number: int, mode: str) -> None:
    """Open /dev/null at a closed stream's number.

    The next file would get that number, and with it what C libraries print.
    """
    try:
        os.fstat(number)
    except OSError:
        place = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
        if place != number:
            os.dup2(place, number)
            os.close(place)
        os.set_inheritable(number, True)
    name = ("stdin", "stdout", "stderr")[number]
    if getattr(sys, name) is None:
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 — open as long as the process


def _steady(stream: TextIO, kind: type[AnyText]) -> TextIO:
    """Return the stream anew, as steady.

    It stays as it is where it is none of the system's.
    """
    if not isinstance(stream, io.TextIOWrapper) or isinstance(_raw(stream), SteadyFile):
        return stream
    stream.flush()
    raw = SteadyFile(stream.fileno(), "w", closefd=False)
    return kind(
        io.BufferedWriter(raw) if _raw(stream) is not stream.buffer else raw,
        encoding=stream.encoding,
        errors="plain",
        line_buffering=stream.line_buffering or raw.isatty(),
        write_through=stream.write_through,
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = "".join(_PLAIN.get(one) or _encodable(one) for one in error.object[error.start : error.end])
    return shown, error.end


def _encodable(character: str) -> str:
    return character.encode("unicode_escape").decode()
