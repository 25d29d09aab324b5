"""Shows what a table holds, before a run."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stacktune.data.profile import LEFT_OUT, TARGET, ColumnProfile, TableProfile
from stacktune.streams import visible
from stacktune.text import count, size

MAX_COLUMNS = 100
MAX_CLASSES = 12
_BLOCKS = "▁▂▃▄▅▆▇█"
KINDS = {"numeric": "number", "categorical": "category", "datetime": "date", "boolean": "yes/no", "": "left out"}
_BAR = 24
_MAX_TEXT = 16
_DAY_S = 86_400


@dataclass(frozen=True)
class Intended:
    """What a run would do with a table.

    folds: 1 for rows that are held out once. memory_bytes: of all its processes, about.
    """

    task: str
    metric: str
    folds: int
    families: tuple[str, ...]
    memory_bytes: int


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
    say(described.command)


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
    rows = Table.grid(padding=(0, 2))
    rows.add_column(overflow="fold", max_width=28)
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column(no_wrap=True)
    largest = target.top[0][1]
    for name, n in target.top[:MAX_CLASSES]:
        rows.add_row(
            Text(visible(name)), f"{n:,}", _share(n, total), Text("━" * max(1, round(_BAR * n / largest)), "cyan")
        )
    yield Padding(rows, (0, 0, 0, 2))
    if len(target.top) > MAX_CLASSES:
        yield Text(f"  … and {len(target.top) - MAX_CLASSES:,} rarer classes", "bright_black")


def _columns_table(columns: Sequence[ColumnProfile], n_rows: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bright_black", expand=False)
    table.add_column("column", overflow="fold", max_width=22)
    table.add_column("type", no_wrap=True)
    table.add_column("missing", justify="right", no_wrap=True)
    table.add_column("distinct", justify="right", no_wrap=True)
    table.add_column("values", overflow="fold", ratio=1)
    for column in columns:
        missing = _share(column.n_missing, n_rows) if column.n_missing else ""
        style = "bright_black" if column.role == LEFT_OUT else ""
        cells = (visible(column.name), KINDS[column.kind], missing, f"{column.n_distinct:,}")
        table.add_row(*map(Text, cells), _values(column, n_rows), style=style)
    return table


def _values(column: ColumnProfile, n_rows: int) -> Text:
    said = f" ({column.why})" if column.why and column.role != LEFT_OUT else ""
    if column.role == LEFT_OUT:
        return Text(column.why)
    if column.counts:
        halves = [sum(pair) for pair in zip(column.counts[::2], column.counts[1::2], strict=True)]
        return Text.assemble((bars(halves), "cyan"), f"  {range_of(column)}{said}")
    shown = [f"{_shortened(text)} {_share(n, n_rows)}" for text, n in column.top[:3]]
    more = " …" if column.n_distinct > len(shown) else ""
    return Text(f"{', '.join(shown)}{more}{said}", no_wrap=True, overflow="ellipsis")


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
    rows.add_row("memory", f"about {size(intended.memory_bytes)}")
    return rows
