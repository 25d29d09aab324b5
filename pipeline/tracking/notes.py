"""Describes runs and models for MLflow's pages.

They are Markdown, for somebody who opens a page and has seen no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stacktune.ensemble.rows import LeaderboardRow, standard_error
from stacktune.metrics import Metric
from stacktune.trials.result import COMPLETED, FAILED, TrialResult

# A description is one tag, which has 5,000 characters; a wide table's columns are not to take them all.
MAX_COLUMNS, MAX_TEXT = 40, 60


@dataclass(frozen=True)
class ModelFacts:
    """What is to be told of a model.

    name: of the leaderboard's row. kind: "trial" or "ensemble". positive, threshold: of two classes. score: of
    `metric`, as people read it; score_se: its standard error over the folds. data: the table's name; source: where it
    is, without secrets. columns: (name, kind) pairs. members: (trial, weight) pairs, heaviest first. folder: the run's
    name. run_id: of its parent run in MLflow, or None.
    """

    name: str
    kind: str
    task: str
    target: str
    metric: str
    score: float
    score_se: float | None
    n_folds: int | None
    test_score: float | None
    positive: str | None
    threshold: float | None
    predict_us: float | None
    data: str
    source: str
    n_rows: int
    columns: tuple[tuple[str, str], ...]
    members: tuple[tuple[str, float], ...]
    folder: str
    experiment_id: str | None = None
    run_id: str | None = None


def trial_note(result: TrialResult, metric: Metric) -> str:
    """Return the description of a trial that has ended."""
    first = f"**{result.family}**, a trial of {result.scheduler}."
    reached = f"{result.rungs_reached} of {result.n_rungs} rungs"
    if result.status == FAILED:
        return f"{first} It failed after {reached}; the tag `error` says why."
    if result.status != COMPLETED:
        last = f", where {metric.name} was {_number(metric.shown(result.score))}" if result.curve else ""
        return f"{first} It was stopped after {reached}{last}: others were better there, or time was up."
    score, error = metric.shown(result.score), standard_error(result.fold_scores)
    scored = f"{metric.name} {scored_text(score, error, len(result.fold_scores))}"
    costs = f"fitted in {result.fit_s:.1f} s, predicts a row in {result.predict_us:.3g} µs"
    share = "" if result.rows_share == 1 else f" It learnt from {result.rows_share:.0%} of the rows."
    return f"{first} {scored}; {costs}.{share}"


def ensemble_note(row: LeaderboardRow, metric: Metric, is_anew: bool = False) -> str:
    """Return the description of an ensemble.

    is_anew: whether an earlier session of the run had one of this name.
    """
    weighed = sorted(zip(row.how.weights, row.members, strict=True), reverse=True)
    scored = scored_text(row.score, row.score_se, len(row.fold_scores))
    lines = [
        f"**{row.how.kind}** of {len(row.members)} trials. {metric.name} {scored}; "
        f"predicts a row in {row.predict_us:.3g} µs.",
        "",
        *([f"{metric.name} {_number(row.test[metric.name])} on the test rows.", ""] if row.test else []),
        *(["The run has gone on since: its params are those of the ensemble before.", ""] if is_anew else []),
        "| weight | trial |",
        "|---:|---|",
        *(f"| {weight:.3f} | {name} |" for weight, name in weighed),
    ]
    return "\n".join(lines)


def run_note(facts: ModelFacts, n_trials: int, version: tuple[str, int] | None) -> str:
    """Return the description of a finished run.

    version: the registered model's name and number.
    """
    lines = [
        f"The best model of **{_text(facts.target)}** in {_text(facts.data)} that {n_trials:,} trials came to is "
        f"**{facts.name}**: {_scores(facts)}.",
        "",
        *_about(facts),
        "",
        "The nested runs are the trials and ensembles; the tag `rank` and the metric `rank` order them. "
        "*Artifacts* has `report.html` where the run wrote it, `leaderboard.csv`, `run.json` and `config.yaml`.",
    ]
    return "\n".join([*lines, *(["", *_usage(*version)] if version else [])])


def begun_note(data: str, target: str, metric: str, n_rows: int) -> str:
    """Return the description of a run at work."""
    return (
        f"A search for the best model of **{_text(target)}** in {_text(data)} ({n_rows:,} rows) by {metric}. "
        "The nested runs are its trials; what it comes to is told here when it ends."
    )


def model_note(facts: ModelFacts) -> str:
    """Return the description of a registered model."""
    return (
        f"Predicts **{_text(facts.target)}** ({facts.task}) of rows like those of {_text(facts.data)}. Made by "
        "stacktune, which registers a version for each run: `@leader` is the one to use, and moves only to what is "
        "shown to be no worse; each version says how it was scored."
    )


def version_note(facts: ModelFacts, name: str, version: int) -> str:
    """Return the description of a version of a model."""
    lines = [
        # Lists of versions show the first words as they are, stars and all.
        f"{_text(facts.name)}, {'an ensemble' if facts.kind == 'ensemble' else 'a trial'} of the run "
        f"{_text(facts.folder)}: {_scores(facts)}.",
        "",
        *_about(facts),
        "",
        *_usage(name, version),
        "",
        *_run_lines(facts),
        *_column_lines(facts),
    ]
    return "\n".join(lines)


def scored_text(score: float, error: float | None, n_folds: int | None) -> str:
    """Return a cross-validated score with its error."""
    if error is None or not math.isfinite(error) or not n_folds:
        return f"{_number(score)} on rows held out"
    return f"{_number(score)} ± {error:.2g} (mean and standard error of {n_folds} folds)"


def _scores(facts: ModelFacts) -> str:
    text = f"{facts.metric} {scored_text(facts.score, facts.score_se, facts.n_folds)}"
    return text if facts.test_score is None else f"{text}, {_number(facts.test_score)} on the test rows"


def _about(facts: ModelFacts) -> Iterator[str]:
    yield f"- learnt from {_text(facts.source)}: {facts.n_rows:,} rows, {len(facts.columns):,} columns"
    if facts.positive is not None and facts.threshold is not None:
        yield f"- decides for {_text(facts.positive)} from a probability of {facts.threshold:.3g} on"
    if facts.predict_us is not None and math.isfinite(facts.predict_us):
        yield f"- predicts a row in {facts.predict_us:.3g} µs of one core"
    if len(facts.members) > 1:
        yield f"- made of {', '.join(f'{name} ({weight:.3f})' for name, weight in facts.members)}"


def _usage(name: str, version: int) -> Iterator[str]:
    uri = f"models:/{name}/{version}"
    yield from (
        "In Python:",
        "",
        "```python",
        "import mlflow, pandas as pd",
        "",
        "# mlflow.set_tracking_uri(…) names this store",
    )
    yield from (f'model = mlflow.pyfunc.load_model("{uri}")', 'model.predict(pd.read_parquet("new_rows.parquet"))')
    yield from ("```", "", f"In a shell: `stacktune predict '{uri}' new_rows.parquet`")


def load_lines(model_id: str) -> str:
    """Return how a trial's own model is loaded."""
    return f'\n\nIts model: `mlflow.pyfunc.load_model("models:/{model_id}")`'


def _run_lines(facts: ModelFacts) -> Iterator[str]:
    if facts.run_id is not None and facts.experiment_id is not None:
        page = f"#/experiments/{facts.experiment_id}/runs/{facts.run_id}"
        yield f"Its run, with the report among the artifacts: [{facts.folder}]({page}/artifacts)"


def _column_lines(facts: ModelFacts) -> Iterator[str]:
    """Yield the columns, which the signature leaves open."""
    yield from ("", "It asks for these columns, and ignores others:", "")
    shown = facts.columns[:MAX_COLUMNS]
    for kind in sorted({kind for _, kind in shown}):
        yield f"- {kind}: {', '.join(_text(name) for name, of in shown if of == kind)}"
    n_more = len(facts.columns) - MAX_COLUMNS
    if n_more > 0:
        yield f"- and {n_more:,} more"


def _text(text: str) -> str:
    """Return a name as Markdown shows it."""
    plain = "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|~$" else sign for sign in " ".join(text.split()))
    return plain if len(plain) <= MAX_TEXT else f"{plain[:MAX_TEXT].rstrip(chr(92))}…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.5g}"
