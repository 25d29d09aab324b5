"""Shows what a table holds, before a run."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stacktune.data.profile import LEFT_OUT, TARGET, ColumnProfile, TableProfile
from stacktune.report.fitted import Fitted
from stacktune.streams import visible
from stacktune.text import count, size

MAX_COLUMNS = 100
MAX_CLASSES = 12
_BLOCKS = "▁▂▃▄▅▆▇█"
KINDS = {"numeric": "number", "categorical": "category", "datetime": "date", "boolean": "yes/no", "": "left out"}
_BAR = 24
_MAX_TEXT = 16
# What a narrow terminal does without, the first of them first, and what room values are to have.
_MAY_GO, _LEAST_VALUES = ("distinct", "missing", "type"), 18
_DAY_S = 86_400


@dataclass(frozen=True)
class Intended:
    """What a run would do with a table.

    folds: 1 for rows that are held out once. memory_bytes: of all its processes, about. untried: other families, each
    with why it is not tried, where no note says so.
    """

    task: str
    metric: str
    folds: int
    families: tuple[str, ...]
    memory_bytes: int
    untried: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Described:
    """A table, looked at.

    n_rows: of the whole table, of which the profile may be a sample. notes: what a run would say of it. intended: None
    where no target is named. command: what to type next.
    """

    data: str
    n_rows: int
    profile: TableProfile
    notes: tuple[str, ...]
    intended: Intended | None
    command: str

    def as_json(self) -> str:
        """Return all of it for programs."""
        document = asdict(self)
        document |= {"n_rows_looked_at": self.profile.n_rows, "columns": document.pop("profile")["columns"]}
        return json.dumps(document, ensure_ascii=False, indent=1)


def show_described(described: Described, as_json: bool, say: Callable[[str], None]) -> None:
    """Show a table, and what to type next."""
    if as_json:
        for line in described.as_json().splitlines():
            say(line)
        return
    Console().print(described_view(described))
    say(f"next: {described.command}")


def described_view(described: Described) -> RenderableType:
    """Return what a terminal shows, however wide."""
    return Group(*_parts(described))


def _parts(described: Described) -> Iterator[RenderableType]:
    profile = described.profile
    yield Text(f"{visible(described.data)}: {_size(described)}", "bold")
    target = next((one for one in profile.columns if one.role == TARGET), None)
    if target is not None:
        yield Text()
        yield from _target_lines(target, described)
    yield Text()
    others = [one for one in profile.columns if one.role != TARGET]
    yield _columns_table(others[:MAX_COLUMNS], profile.n_rows)
    if len(others) > MAX_COLUMNS:
        yield Text(f"… and {len(others) - MAX_COLUMNS:,} more columns: --json lists all", "bright_black")
    yield Text()
    if described.notes:
        yield Text("What a run says" if described.intended else "What is to be said of it", "bold")
        yield _bulleted([*described.notes])
        yield Text()
    if described.intended is not None:
        yield _intended_table(described.intended)
        yield Text()


def _size(described: Described) -> str:
    n_seen, n_columns = described.profile.n_rows, len(described.profile.columns)
    size = f"{count(described.n_rows, 'row')}, {count(n_columns, 'column')}"
    return size if n_seen == described.n_rows else f"{size}; what follows is of {n_seen:,} rows"


def _target_lines(target: ColumnProfile, described: Described) -> Iterator[RenderableType]:
    task = described.intended.task if described.intended else ""
    yield Text.assemble((visible(target.name), "bold green"), f", the target: {task}")
    if not target.top:
        yield Padding(Text(f"{bars(target.counts)}  {range_of(target)}"), (0, 0, 0, 2))
        return
    total = sum(n for _, n in target.top)
    largest = target.top[0][1]

    def build(columns: Sequence[str]) -> Table:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(overflow="fold", max_width=28)
        for column in columns[1:]:
            rows.add_column(justify="left" if column == "bar" else "right", no_wrap=True)
        for name, n in target.top[:MAX_CLASSES]:
            bar = Text("━" * max(1, round(_BAR * n / largest)), "cyan")
            cells: dict[str, RenderableType] = {"rows": f"{n:,}", "share": _share(n, total), "bar": bar}
            rows.add_row(Text(visible(name)), *(cells[column] for column in columns[1:]))
        return rows

    yield Padding(Fitted(build, ["class", "rows", "share", "bar"], ["bar", "share"]), (0, 0, 0, 2))
    if len(target.top) > MAX_CLASSES:
        yield Text(f"  … and {len(target.top) - MAX_CLASSES:,} rarer classes", "bright_black")


def _columns_table(columns: Sequence[ColumnProfile], n_rows: int) -> Fitted:
    def build(titles: Sequence[str]) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bright_black", expand=False)
        for title in titles:
            if title == "values":
                table.add_column(title, overflow="fold", ratio=1)
            elif title == "column":
                table.add_column(title, overflow="fold", max_width=22)
            else:
                table.add_column(title, justify="left" if title == "type" else "right", no_wrap=True)
        for column in columns:
            cells = _cells(column, n_rows)
            style = "bright_black" if column.role == LEFT_OUT else ""
            table.add_row(*(cells[title] for title in titles), style=style)
        return table

    return Fitted(build, ["column", *reversed(_MAY_GO), "values"], _MAY_GO, "values", _LEAST_VALUES)


def _cells(column: ColumnProfile, n_rows: int) -> dict[str, RenderableType]:
    """Return what is shown of a column, by title."""
    missing = _share(column.n_missing, n_rows) if column.n_missing else ""
    return {
        "column": Text(visible(column.name)),
        "type": Text(KINDS[column.kind]),
        "missing": Text(missing),
        "distinct": Text(f"{column.n_distinct:,}"),
        "values": _values(column, n_rows),
    }


@dataclass(frozen=True)
class _Items:
    """As many items as a line has room for.

    Of the next one its text is begun, and no number is cut.
    """

    items: Sequence[str]
    has_more: bool
    said: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for n in range(len(self.items), 0, -1):
            line = self._line(n)
            if n == 1 or cell_len(line) <= options.max_width:
                yield Text(self._begun(n, options.max_width) or line, overflow="fold")
                return

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, cell_len(self._line(len(self.items)))).with_maximum(options.max_width)

    def _begun(self, n: int, width: int) -> str:
        """Return a line that begins the next item.

        It is empty where that has no room.
        """
        if n == len(self.items):
            return ""
        before = f"{', '.join(self.items[:n])}, "
        text = self.items[n].rpartition(" ")[0][: max(0, width - cell_len(before) - 1)].rstrip()
        line = f"{before}{text}…"
        return line if text and not text[-1].isdigit() and cell_len(line) <= width else ""

    def _line(self, n: int) -> str:
        more = " …" if self.has_more or n < len(self.items) else ""
        return f"{', '.join(self.items[:n])}{more}{self.said}"


def _values(column: ColumnProfile, n_rows: int) -> RenderableType:
    said = f" ({column.why})" if column.why and column.role != LEFT_OUT else ""
    if column.role == LEFT_OUT:
        return Text(column.why)
    if column.counts:
        halves = [sum(pair) for pair in zip(column.counts[::2], column.counts[1::2], strict=True)]
        return Text.assemble((bars(halves), "cyan"), f"  {range_of(column)}{said}")
    shown = [f"{_shortened(text)} {_share(n, n_rows)}" for text, n in column.top[:3]]
    return _Items(shown or [""], column.n_distinct > len(shown), said)


def bars(counts: Sequence[int]) -> str:
    """Return a histogram, a block for each bin."""
    most = max(counts, default=0)
    return "".join(_BLOCKS[min(n * len(_BLOCKS) // most, len(_BLOCKS) - 1)] if n else " " for n in counts)


def range_of(column: ColumnProfile) -> str:
    """Return a column's least, middle and largest value."""
    if column.low is None or column.high is None:
        return ""
    shown = _moment if column.kind == "datetime" else _figure
    middle = f" … {shown(column.quartiles[1])}" if column.quartiles else ""
    return f"{shown(column.low)}{middle} … {shown(column.high)}"


def _figure(value: float) -> str:
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.0f}" if size >= 1e3 or value == int(value) else f"{value:.4g}"


def _moment(seconds: float) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError):  # before the year 1, or after 9999
        return f"{seconds:.4g} s"
    return f"{moment:%Y-%m-%d}"


def _share(n: int, total: int) -> str:
    percent = 100 * n / total if total else 0.0
    return f"{percent:.1f}%" if 0.05 <= percent < 9.95 else "<0.1%" if 0 < percent < 0.05 else f"{percent:.0f}%"


def _shortened(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _MAX_TEXT else f"{shown[: _MAX_TEXT - 1]}…"


def _bulleted(notes: Sequence[str]) -> Table:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for note in notes:
        rows.add_row("·", Text(visible(note)))
    return rows


def _intended_table(intended: Intended) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True, style="bright_black")
    rows.add_column(overflow="fold")
    folds = f"{intended.folds} folds" if intended.folds > 1 else "rows that are held out once"
    rows.add_row("metric", f"{intended.metric}, by {folds}")
    rows.add_row("families", ", ".join(intended.families))
    for name, reason in intended.untried.items():
        rows.add_row("", Text(f"without {name}: {reason}"))
    rows.add_row("memory", f"about {size(intended.memory_bytes)}")
    return rows
