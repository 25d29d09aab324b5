"""Libraries write into the run's log, not the screen.

Libraries write to the screen as they like: Ray and MLflow give their loggers a handler of their own when they are
imported, and Ray once more when it starts. To silence them would lose the one line that tells why a run went wrong.

So `hear` takes a library's handlers away and lets its records go up to the root logger, where a `RunLog` listens. It is
called wherever a library is loaded or started. When the last run's log is closed, all is put back as it was found: a
run inside a program leaves no handler behind.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from stacktune.errors import UserError
from stacktune.storage.log_file import LogFile
from stacktune.storage.uris import masked
from stacktune.streams import visible_lines

OURS = "stacktune"
_logger = logging.getLogger(__name__)
# Whoever uses this as a library decides whether its log is shown.
logging.getLogger(OURS).addHandler(logging.NullHandler())
# Libraries that are kept off the screen, and from which level on they are heard: what the last four say below it would
# be half of the log.
HEARD = {
    "ray": logging.INFO,
    "mlflow": logging.INFO,
    "optuna": logging.INFO,
    "catboost": logging.INFO,
    # It says of every trial that Tune kept no metrics, which is as it is meant to be.
    "ray.tune.analysis.experiment_analysis": logging.ERROR,
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "urllib3": logging.WARNING,
    "huey": logging.WARNING,
}
# What shows what is said to the user already, so that a verbose screen does not say it twice.
NOTES = "stacktune.observers"
# A traceback of Tune's has 10,000 characters; a library may put a whole table into a message.
MAX_CHARS = 20_000
# How much is kept of what is said before there is a folder to write it into.
MAX_EARLY = 1_000


@dataclass(frozen=True)
class _Found:
    """The state a library's logger was found in."""

    level: int
    propagate: bool
    handlers: tuple[logging.Handler, ...]


class _Mute(logging.NullHandler):
    """Marks a logger that lost its handlers.

    It also keeps Python's last resort from showing the logger's records.
    """


_found: dict[str, _Found] = {}
_open: list[RunLog] = []


def hear(*names: str) -> None:
    """Send these loggers' records to the runs' logs.

    They do not go to the screen then. It does not matter how often this is done.

    names: of loggers that belong to one of HEARD.
    """
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _Mute) for handler in logger.handlers):
            _found[name] = _Found(logger.level, logger.propagate, tuple(logger.handlers))
            logger.addHandler(_Mute())
        for handler in tuple(logger.handlers):
            if not isinstance(handler, _Mute):
                logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(HEARD.get(name, HEARD[name.partition(".")[0]]))


def put_back() -> None:
    """Undo what `hear` changed.

    Its loggers have what they had before the first time.
    """
    while _found:
        name, found = _found.popitem()
        logger = logging.getLogger(name)
        for handler in tuple(logger.handlers):
            if isinstance(handler, _Mute):
                logger.removeHandler(handler)
        for handler in found.handlers:
            logger.addHandler(handler)
        logger.setLevel(found.level)
        logger.propagate = found.propagate


class _Line(logging.Formatter):
    """Formats one record as a line of the log.

    It has time (UTC), level, trial, logger and text, without secrets, and nothing in it steers a terminal. Lines of a
    text after its first are indented, so that none can be taken for a record.
    """

    converter = staticmethod(time.gmtime)
    default_time_format, default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"

    def __init__(self, layout: str = "%(asctime)s %(levelname)-7s %(trial)s %(name)s: %(message)s"):
        super().__init__(layout, defaults={"trial": "-"})

    def format(self, record: logging.LogRecord) -> str:
        text = masked(super().format(record))
        if len(text) > MAX_CHARS:
            text = f"{text[:MAX_CHARS]} … ({len(text) - MAX_CHARS:,} characters more)"
        return visible_lines(text.strip()).replace("\n", "\n    ")


class _Writer(logging.StreamHandler[Any]):
    """Writes records as lines.

    What cannot be put together costs its own text alone.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (Python's name)
        """Write which record its library has spelled wrong.

        This takes the record's place.
        """
        self.stream.write(f"    a message of {record.name} ({record.filename}:{record.lineno}) could not be shown\n")


class _Lines:
    """A stream to a log file, which may follow.

    It keeps what it is told until there is one.
    """

    def __init__(self) -> None:
        self._early: deque[str] = deque(maxlen=MAX_EARLY)
        self._file: LogFile | None = None

    def write(self, text: str) -> None:
        """Write a line, or keep it."""
        if self._file is None:
            self._early.append(text)
        else:
            self._file.write(text)

    def flush(self) -> None:
        """Do nothing, as nothing is held back."""

    def go_to(self, file: LogFile) -> None:
        """Write kept and coming lines to a file."""
        self._file = file
        while self._early:
            file.write(self._early.popleft())

    def close(self) -> None:
        """Write nothing more."""
        if self._file is not None:
            self._file.close()


class RunLog:
    """Listens while its block runs.

    It writes once `open` has said where.

    say: hears, once, that the log cannot be written. The run goes on then.
    """

    def __init__(self, say: Callable[[str], None] = lambda text: None):
        self._say = say
        self._lines = _Lines()
        self._handler = _Writer(self._lines)
        self._handler.setFormatter(_Line())
        self._handler.addFilter(self._also_on_screen)
        self._usual_warning: Callable[..., None] = warnings.showwarning
        self._level = logging.NOTSET

    def __enter__(self) -> RunLog:
        self._has_root = not logging.root.handlers
        logging.root.addHandler(self._handler)
        ours = logging.getLogger(OURS)
        self._level = ours.level
        ours.setLevel(logging.INFO)
        self._usual_warning = warnings.showwarning
        warnings.showwarning = self._warned  # type: ignore[assignment]  # all that follows the line goes on as it came
        _open.append(self)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            has_trace = isinstance(error, Exception) and not isinstance(error, UserError)
            message = f"{type(error).__name__}: {error}"
            _logger.error("the run ended with %s", message, exc_info=error if has_trace else None)
        if warnings.showwarning == self._warned:
            warnings.showwarning = self._usual_warning
        logging.root.removeHandler(self._handler)
        _open.remove(self)
        if not _open:
            logging.getLogger(OURS).setLevel(self._level)
            put_back()
        self._lines.close()

    def open(self, path: Path, older: Path) -> None:
        """Write to `path` from now on.

        The text goes after what is there, and all that was said before comes first.

        older: see `LogFile`.
        """

        def trouble(reason: str) -> None:
            self._say(f"{path} cannot be written ({reason}): the run goes on without what it would say")

        self._handler.acquire()
        try:
            self._lines.go_to(LogFile(path, older, trouble))
        finally:
            self._handler.release()

    def _also_on_screen(self, record: logging.LogRecord) -> bool:
        """Let Python show what it would show anyway.

        It is what would be seen if nobody listened: warnings of what is not kept off the screen.
        """
        top, usual = record.name.partition(".")[0], logging.lastResort
        is_others = top not in HEARD and top not in (OURS, "py")
        if self._has_root and is_others and usual is not None and record.levelno >= usual.level:
            usual.handle(record)
        return True

    def _warned(self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any) -> None:
        """Log a warning of Python's.

        It is shown as ever, too, unless it is of a library that is kept off the screen.
        """
        text = f"{category.__name__}: {message} ({filename}:{lineno})"
        logging.getLogger("py.warnings").warning("%s", text)
        if not is_of_heard(category, filename):
            self._usual_warning(message, category, filename, lineno, *more)


def is_of_heard(category: type[Warning], filename: str) -> bool:
    """Return whether a warning's library is kept off screen.

    It is told by its kind, or from its files.
    """
    _, _, below = filename.rpartition(f"-packages{os.sep}")  # of site- or dist-; above it anything may be called ray
    return category.__module__.partition(".")[0] in HEARD or below.partition(os.sep)[0] in HEARD


@contextmanager
def shown(write: Callable[[str], None]) -> Iterator[None]:
    """Show a run's log, line by line.

    That is what the log is told meanwhile, but for what the screen says anyway.
    """
    handler = _Writer(_Split(write))
    handler.setFormatter(_Line("%(levelname)s %(trial)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: record.name != NOTES)
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


class _Split:
    """A stream of lines to what writes one line."""

    def __init__(self, write: Callable[[str], None]):
        self._write_line = write

    def write(self, text: str) -> None:
        for line in text.splitlines():
            self._write_line(line)

    def flush(self) -> None:
        """Do nothing, as nothing is held back."""
