"""Says what users of a leader should know.

It does so in Markdown.

The headings are those of Mitchell et al. (2019, arXiv 1810.03993), as far as a run can answer them; what only its owner
knows is left open, and says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from importlib import metadata
from pathlib import Path

import numpy as np

from stacktune.data.dataset import Dataset
from stacktune.data.notes import listed
from stacktune.ensemble.rows import Leaderboard, LeaderboardRow
from stacktune.report.outputs import RunSummary
from stacktune.storage.lines import write_whole
from stacktune.storage.run_folder import LEADER_MANIFEST, MODEL_CARD, RunFolder, find_leader
from stacktune.streams import visible
from stacktune.text import as_typed, count, number
from stacktune.tracking.requirements import family_modules, requirements_for

MAX_CLASSES, MAX_LICENCE = 20, 60
OPEN = "*To be filled in by the model's owner"


def write_model_card(summary: RunSummary, board: Leaderboard, dataset: Dataset) -> Path:
    """Write the card; return its path.

    It is in the run's folder, and beside the leader.
    """
    places, found = RunFolder(summary.folder), find_leader(summary.folder)
    needed = [] if found is None else requirements_for(["stacktune.ensemble.serve", *family_modules(found)])
    text = model_card(summary, board, dataset, needed)
    for place in (places.model_card, places.leader / MODEL_CARD):
        if place.parent.is_dir():
            write_whole(place, text)
    return places.model_card


def model_card(summary: RunSummary, board: Leaderboard, dataset: Dataset, requirements: Sequence[str]) -> str:
    """Return the card's text.

    requirements: "name==version" of the libraries that it predicts by.
    """
    row = board.leader
    parts = [
        f"# Model card: {_code(summary.registered_name or summary.target)}",
        "\n".join(_what(summary, dataset)),
        "## Intended use\n\n" + "\n".join(_use()),
        "## Data\n\n" + "\n".join(_data(dataset)),
        "## Scores\n\n" + "\n".join(_scores(summary, board, row)),
        "## Made of\n\n" + "\n".join(_made_of(board, row, summary)),
        "## Limits\n\n" + "\n".join(_limits(summary, dataset)),
        "## To load it\n\n" + _loading(summary),
        "## Licences\n\n" + "\n".join(_licences(requirements)),
    ]
    return "\n\n".join(parts) + "\n"


def _code(text: object) -> str:
    """Return a name as Markdown shows it."""
    return "`" + visible(str(text)).replace("`", "'").replace("|", "\\|") + "`"


def _what(summary: RunSummary, dataset: Dataset) -> Iterator[str]:
    what = {"regression": "a value", "binary": "one of two classes"}.get(summary.task, "one of several classes")
    yield f"It predicts {_code(summary.target)}, {what}, from {count(len(dataset.schema.columns), 'column')}."
    if summary.positive is not None and summary.threshold is not None:
        by = f"which suits {summary.decided_by} best" if summary.decided_by else "as no metric asked for another"
        yield f"It decides for {_code(summary.positive)} from a probability of {summary.threshold:.3g} on, {by}."


def _use() -> Iterator[str]:
    yield f"- Made for: {OPEN}: who decides what by it, and who is affected.*"
    yield f"- Not to be used for: {OPEN}.*"


def _data(dataset: Dataset) -> Iterator[str]:
    table = dataset.table
    yield f"- Learnt from {table.n_rows:,} rows of {_code(dataset.name)}; digest `{dataset.digest}`."
    kinds = Counter(column.kind for column in dataset.schema.columns)
    yield f"- Columns: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}:"
    yield f"  {listed([_code(column.name) for column in dataset.schema.columns])}."
    if dataset.task.is_classification:
        shares = np.bincount(table.labels, table.weight, len(dataset.task.classes))
        shares = shares / shares.sum()
        shown = [f"{_code(name)} {share:.2%}" for name, share in zip(dataset.task.classes, shares, strict=True)]
        more = f", and {len(shown) - MAX_CLASSES} more" if shown[MAX_CLASSES:] else ""
        yield f"- Classes: {', '.join(shown[:MAX_CLASSES])}{more}."
    else:
        low, middle, high = np.quantile(table.labels, (0.05, 0.5, 0.95))
        yield f"- Values: median {number(middle)}, nine of ten between {number(low)} and {number(high)}."


def _scores(summary: RunSummary, board: Leaderboard, row: LeaderboardRow) -> Iterator[str]:
    error = "" if not np.isfinite(row.score_se) else f" ± {number(row.score_se, like=row.score)}"
    best = "higher is better" if summary.greater_is_better else "lower is better"
    yield f"Chosen by {_code(summary.metric)} ({best}), on rows that the models had not learnt from; ± is one"
    yield "standard error over folds."
    yield ""
    yield "| metric | cross-validated |" + (" test rows |" if row.test else "")
    yield "|---|---|" + ("---|" if row.test else "")
    names = [summary.metric, *(name for name in row.metrics if name != summary.metric)]
    for name in names:
        value = row.score if name == summary.metric else row.metrics[name]
        test = f" {number(row.test[name])} |" if row.test and name in row.test else " |" if row.test else ""
        yield f"| {name} | {number(value)}{error if name == summary.metric else ''} |{test}"
    if board.selection_penalty:
        yield ""
        yield "It was chosen as the best of many, by which such scores flatter a little; test rows are free of that."
    if summary.interval is not None:
        held = f"{summary.interval['coverage']:.1%} of the rows out of fold"
        yield f"\nIntervals of level {summary.interval['level']:g} held {held}."


def _made_of(board: Leaderboard, row: LeaderboardRow, summary: RunSummary) -> Iterator[str]:
    families = {each.name: each.family for each in board.rows}
    yield f"{_code(row.name)}, made in {summary.wall_s:,.0f} s from {summary.n_completed} completed trials; a row takes"
    yield f"about {summary.predict_us:,.0f} µs of one core."
    yield ""
    yield "| member | family | weight |"
    yield "|---|---|---|"
    for name, weight in sorted(zip(row.members, row.how.weights, strict=True), key=lambda pair: -pair[1]):
        yield f"| {name} | {families.get(name, '')} | {weight:.3f} |"


def _limits(summary: RunSummary, dataset: Dataset) -> Iterator[str]:
    yield "- Rows that differ from those it learnt from (later ones, other groups, other places) may be predicted worse"
    yield "  than the scores say."
    yield "- Numbers beyond those it learnt from are predicted about as the nearest known ones; linear members go on."
    if any(column.is_coded for column in dataset.schema.columns):
        yield "- A level never seen is answered by the mean over known levels; it is not refused."
    if summary.task != "regression" and summary.calibration is None:
        yield "- Probabilities are as the models give them; `--calibrate` was not asked for."
    yield f"- Fairness between groups of people was not looked at: {OPEN}.*"
    for note in dataset.notes:
        yield f"- When it was made: {escape(visible(note), quote=False)}."


def _loading(summary: RunSummary) -> str:
    lines = ["```python", "from pathlib import Path", "", "import pandas as pd", "from stacktune import Leader", ""]
    folder = find_leader(summary.folder)
    inside = "." if folder is None else folder.relative_to(summary.folder)
    place = json.dumps(str(as_typed(summary.folder) / inside))
    lines += [f"leader = Leader.load(Path({place}))  # the folder that holds {LEADER_MANIFEST}"]
    lines += ['leader.predict(pd.read_parquet("new_rows.parquet"))', "```"]
    if summary.model_uri is not None:
        lines += [
            "",
            f"With MLflow, which needs no stacktune: `mlflow.pyfunc.load_model({json.dumps(summary.model_uri)})`.",
        ]
    return "\n".join(lines)


def _licences(requirements: Sequence[str]) -> Iterator[str]:
    yield "- stacktune: Apache-2.0. The model's own: *to be filled in by its owner, whose data it was made from.*"
    for requirement in requirements:
        yield f"- {requirement}: {licence_of(requirement.partition('==')[0])}"


def licence_of(distribution: str) -> str:
    """Return what an installed distribution says of its licence."""
    try:
        facts = metadata.distribution(distribution).metadata.json
    except metadata.PackageNotFoundError:
        return "not installed here"
    if said := facts.get("license_expression"):
        return str(said)
    prefix = "License :: OSI Approved :: "
    known = [one.removeprefix(prefix) for one in facts.get("classifier", []) if one.startswith(prefix)]
    short = str(facts.get("license") or "").strip()
    if short and len(short) <= MAX_LICENCE and "\n" not in short:
        return short
    return known[0] if known else "see its own files"
