"""`stacktune explain` says what a leader predicts by."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stacktune.errors import ConfigError, DataError
from stacktune.places import check_place
from stacktune.runs.predict import leader_folder
from stacktune.storage.run_folder import PLOTS, RunFolder
from stacktune.streams import visible
from stacktune.terminal import remark
from stacktune.text import in_a_shell, number

if TYPE_CHECKING:
    import pandas as pd

    from stacktune.explain.explanation import Explanation
    from stacktune.runs.labelled import Labelled

N_SHOWN, BAR_WIDTH, NAME_WIDTH = 15, 22, 28
WIDTH, SEGMENT_WIDTH = 80, 23
# Of two classes, and of values: what is shown beside the score of a segment.
RATES = {
    "selection_rate": "chosen",
    "true_positive_rate": "TPR",
    "false_positive_rate": "FPR",
    "mean_error": "mean error",
}


def explain(
    model: str,
    data: str,
    output: Path | None,
    seconds: float,
    rows: Sequence[int],
    say: Callable[[str], None],
    by: Sequence[str] = (),
) -> None:
    """Explain a leader on a labelled table.

    model: a run folder, a model folder or a URI of MLflow's registry. data: a labelled table that it has not learnt
    from. output: a new folder, for all of it as Parquet. by: columns of the table, for whose segments it is scored.

    Raises:
        ConfigError: there is no model, the folder is there, or a row or a column is not. DataError: the table is not
        the model's.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.ensemble.leader import Leader
    from stacktune.explain.explained import explain as explained
    from stacktune.explain.explanation import write
    from stacktune.progress import steps
    from stacktune.report.page.importance import charts_of
    from stacktune.report.page.plots import write_plots
    from stacktune.runs.labelled import opened

    if output is not None:
        _check_output(output)
    run = Path(model) if Path(model).is_dir() else None
    labelled = opened(Leader.load(leader_folder(model)), run, data, by)
    for row in rows:
        if not 0 <= row < labelled.table.n_rows:
            raise ConfigError(f"--rows names row {row}, but the table has rows 0 to {labelled.table.n_rows - 1:,}.")
    parted = labelled.columns(by)
    _refuse_rows_alike(labelled, data)
    with steps("predicting") as tell:
        found = explained(labelled.leader, labelled.table, labelled.metric, seconds, rows, by=parted, tell=tell)
    for note in (*labelled.notes, *found.notes):
        remark(f"Note: {note}")
    for line in lines_of(found):
        say(line)
    if output is not None:
        write(found, output)
        write_plots(charts_of(found, labelled.leader.target_name), output / PLOTS)
        say(f"all of it in {output}")
    if _is_of_run(output, run):
        say(f"next: stacktune report {in_a_shell(model)}  (shows it on the page)")
    else:
        say(_next(found, f"stacktune explain {in_a_shell(model)} {in_a_shell(data)}", output))


def _refuse_rows_alike(labelled: Labelled, data: str) -> None:
    """Refuse rows between which a leader sees no difference."""
    from stacktune.explain.columns import raw_columns, varies

    if not any(varies(labelled.table, column) for column in raw_columns(labelled.leader.schema)):
        raise DataError(
            f"nothing can be said of {data!r}: each column that the model reads holds one value, or none, in all of "
            f"its rows ({labelled.table.n_rows:,}). Give rows that differ."
        )


def _check_output(output: Path) -> None:
    if output.exists():
        raise ConfigError(f"{str(output)!r} is there already: name a new folder.")
    check_place(output, "the folder for the explanation")


def _next(found: Explanation, command: str, output: Path | None) -> str:
    """Return what to type next."""
    if not len(found.rows) and len(found.worst):
        return f"next: {command} --rows {found.worst['row'].iloc[0]}  (why so far off?)"
    if not len(found.segments):
        levels = found.importance["column"] if len(found.importance) else ["COLUMN"]
        return f"next: {command} --by {shlex.quote(str(next(iter(levels))))}  (where does it fail?)"
    if output is None:
        return f"next: {command} --output FOLDER  (all of it, with dependence)"
    return f"next: pandas.read_parquet({str(output / 'dependence.parquet')!r})"


def _is_of_run(output: Path | None, run: Path | None) -> bool:
    """Return whether the run's report shows it."""
    return output is not None and run is not None and output.absolute() == RunFolder(run).explanation.absolute()


def lines_of(found: Explanation) -> list[str]:
    """Return lines of at most 80 columns."""
    if not len(found.importance) or not found.importance["importance"].any():
        head = f"What columns are worth in {found.metric} is not known: no shuffle changed it."
        return [visible(head), *_row_lines(found.rows), *_segment_lines(found)]
    top = found.importance.head(N_SHOWN)
    most = max(float(top["importance"].max()), 1e-300)
    lines = [f"What shuffling a column costs, in {found.metric} (95 % interval, p of no help):"]
    for row in top.to_dict("records"):
        bar = "━" * round(BAR_WIDTH * max(0.0, row["importance"]) / most)
        name = _cut(row["column"], NAME_WIDTH)
        half = "" if row["high"] != row["high"] else f" ± {number(row['high'] - row['importance'], like=most)}"
        p_value = "" if row["p_value"] != row["p_value"] else f"  {_p_text(row['p_value'])}"
        lines.append(f"  {name:<{NAME_WIDTH}} {number(row['importance'], like=most)}{half}{p_value}  {bar}"[:WIDTH])
    n_more = len(found.importance) - len(top)
    lines += [f"  … and {n_more:,} more"] if n_more > 0 else []
    return [*map(visible, lines), *_row_lines(found.rows), *_segment_lines(found)]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _p_text(value: float) -> str:
    return "p<.001" if value < 0.001 else f"p={value:.3f}".replace("0.", ".")


def _row_lines(rows: pd.DataFrame) -> list[str]:
    """Return the largest contributions of each explained row."""
    from stacktune.explain.shapley import BY_PATHS

    lines: list[str] = []
    for row, of_row in rows.groupby("row", sort=False) if len(rows) else ():
        of = of_row["class"].iloc[0]
        largest = of_row.iloc[(-of_row["contribution"].abs()).argsort(kind="stable")].head(5)
        said = ", ".join(map(_contribution, largest.to_dict("records")))
        is_exact = of_row["how"].iloc[0] == BY_PATHS
        how = "exact, by the trees' own paths" if is_exact else "± the standard error"
        output, base = float(of_row["output"].iloc[0]), float(of_row["base"].iloc[0])
        said += f"; {output:.3g} in all, {base:.3g} on average"
        if not is_exact:
            said += f", {output - base - of_row['contribution'].sum():+.2g} left over"
        head = f"Row {row}{f', log-odds of {of}' if of is not None else ''} ({how}): {said}"
        lines += textwrap.wrap(visible(head), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def _contribution(one: dict) -> str:
    error = one["standard_error"]
    return f"{one['column']} {one['contribution']:+.3g}{f' ± {error:.2g}' if error > 0 else ''}"


def _segment_lines(found: Explanation) -> list[str]:
    """Return a table of segments for each column."""
    lines: list[str] = []
    if not len(found.segments):
        return lines
    rates = {name: title for name, title in RATES.items() if name in found.segments}
    for column, of_column in found.segments.groupby("column", sort=False):
        head = f"  {_cut(f'By {column}', SEGMENT_WIDTH):<{SEGMENT_WIDTH}} {'rows':>8} {found.metric[:10]:>10}"
        titles = "".join(f" {title:>{_width(name)}}" for name, title in rates.items())
        lines += ["", f"{head} {'95 % interval':>15}{titles}"]
        most = float(of_column["score"].abs().max())
        for row in of_column.to_dict("records"):
            name = _cut(f"{row['segment']}{' *' if row['is_small'] else ''}", SEGMENT_WIDTH)
            ends = "" if row["low"] != row["low"] else f"{number(row['low'], most)}–{number(row['high'], most)}"
            shares = "".join(f" {_rate(one, row[one], most):>{_width(one)}}" for one in rates)
            score = number(row["score"], most)
            lines.append(f"  {name:<{SEGMENT_WIDTH}} {row['n_rows']:>8,} {score:>10} {ends:>15}{shares}")
        gaps = found.gaps[found.gaps["column"] == column]
        said = "; ".join(f"{one['measure']} {_gap(one, most)}" for one in gaps.to_dict("records"))
        lines += textwrap.wrap(f"  between segments: {said}", WIDTH, subsequent_indent="    ") if said else []
    if found.segments["is_small"].any():
        lines.append("  * too few rows to say much")
    return list(map(visible, lines))


def _width(rate: str) -> int:
    return 12 if rate == "mean_error" else 6 if rate == "selection_rate" else 5


def _rate(name: str, value: float, like: float) -> str:
    if value != value:
        return "·"
    return number(value, like) if name == "mean_error" else f"{value:.2f}".replace("0.", ".")


def _gap(one: dict, most: float) -> str:
    """Return a gap as text, and what it lacks."""
    why = one.get("why", "")  # which explanations of earlier versions lack
    if one["value"] != one["value"]:
        return f"undefined ({why})" if why else "undefined"
    is_rate = one["measure"].startswith(("demographic", "equalized"))
    value = f"{one['value']:.3f}" if is_rate else number(one["value"], most)
    return f"{value} ({why})" if why else value
