"""`stacktune explain` says what a leader predicts by."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stacktune.errors import ConfigError
from stacktune.report.text import number
from stacktune.runs.predict import leader_folder
from stacktune.streams import visible
from stacktune.terminal import remark

if TYPE_CHECKING:
    import pandas as pd

    from stacktune.explain.explained import Explanation

N_SHOWN, BAR_WIDTH, NAME_WIDTH = 15, 22, 28


def explain(
    model: str, data: str, output: Path | None, seconds: float, rows: Sequence[int], say: Callable[[str], None]
) -> None:
    """Explain a leader on a labelled table.

    model: a run folder, a model folder or a URI of MLflow's registry. data: a labelled table that it has not learnt
    from. output: a new folder, for all of it as Parquet.

    Raises:
        ConfigError: there is no model, the folder is there, or a row is not. DataError: the table is not the model's.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.ensemble.leader import Leader
    from stacktune.explain.explained import explain as explained
    from stacktune.runs.labelled import opened

    if output is not None and output.exists():
        raise ConfigError(f"{str(output)!r} is there already: name a new folder.")
    run = Path(model) if Path(model).is_dir() else None
    labelled = opened(Leader.load(leader_folder(model)), run, data)
    for row in rows:
        if not 0 <= row < labelled.table.n_rows:
            raise ConfigError(f"--rows names row {row}, but the table has rows 0 to {labelled.table.n_rows - 1:,}.")
    found = explained(labelled.leader, labelled.table, labelled.metric, seconds, rows)
    for note in (*labelled.notes, *found.notes):
        remark(f"Note: {note}")
    for line in lines_of(found):
        say(line)
    if output is not None:
        write(found, output)
        say(f"all of it in {output}")


def lines_of(found: Explanation) -> list[str]:
    """Return lines of at most 80 columns."""
    top = found.importance.head(N_SHOWN)
    most = max(float(top["importance"].max()), 1e-300)
    lines = [f"What shuffling a column costs, in {found.metric} (95 % interval, p of no help):"]
    for row in top.to_dict("records"):
        bar = "━" * round(BAR_WIDTH * max(0.0, row["importance"]) / most)
        name = row["column"] if len(row["column"]) <= NAME_WIDTH else f"{row['column'][: NAME_WIDTH - 1]}…"
        half = "" if row["high"] != row["high"] else f" ± {number(row['high'] - row['importance'], like=most)}"
        p_value = "" if row["p_value"] != row["p_value"] else f"  {_p_text(row['p_value'])}"
        lines.append(visible(f"  {name:<{NAME_WIDTH}} {number(row['importance'], like=most)}{half}{p_value}  {bar}"))
    n_more = len(found.importance) - len(top)
    return [*lines, *([f"  … and {n_more:,} more"] if n_more > 0 else []), *_row_lines(found.rows)]


def _p_text(value: float) -> str:
    return "p<.001" if value < 0.001 else f"p={value:.3f}".replace("0.", ".")


def _row_lines(rows: pd.DataFrame) -> list[str]:
    """Return the largest contributions of each explained row."""
    lines = []
    for row, of_row in rows.groupby("row", sort=False):
        of = of_row["class"].iloc[0]
        largest = of_row.iloc[(-of_row["contribution"].abs()).argsort(kind="stable")].head(5)
        said = ", ".join(f"{one['column']} {one['contribution']:+.3g}" for one in largest.to_dict("records"))
        head = f"Row {row}{f', log-odds of {of}' if of is not None else ''}: {said}"
        lines += textwrap.wrap(visible(head), 80, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def write(found: Explanation, folder: Path) -> None:
    """Write an explanation as Parquet files."""
    import pandas as pd

    from stacktune.data.write import write_frame

    folder.mkdir(parents=True)
    curves = [frame.assign(column=name) for name, frame in found.dependence.items()]
    for name, frame in (
        ("importance", found.importance),
        ("dependence", pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()),
        ("rows", found.rows),
        ("worst", found.worst),
    ):
        if len(frame):
            write_frame(frame, str(folder / f"{name}.parquet"))
