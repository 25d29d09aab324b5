"""The report of a run: the same numbers for people and programs, static, and safe with any table's texts."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.metrics import confusion_matrix, roc_auc_score
from told_run import tell_run

from stacktune.data.schema import Schema
from stacktune.errors import ConfigError
from stacktune.metrics import get_metric
from stacktune.report.columns_file import write_columns
from stacktune.report.page.chart import Chart, svg_of
from stacktune.report.page.classes import classes, reliability
from stacktune.report.page.members import what_each_adds
from stacktune.report.page.page import PANELS, write_report
from stacktune.report.page.parameters import MIN_TRIALS, parameters
from stacktune.report.page.rungs import rungs
from stacktune.report.page.spent import lanes, spent
from stacktune.report.page.standings import standings
from stacktune.report.page.story import TrialStory, read_story
from stacktune.report.page.table import table
from stacktune.report.page.values import values
from stacktune.report.page.verdict import interval_of, lead_line, lead_over, verdict
from stacktune.storage.run_folder import RunFolder

BAD = "<script>alert('x')</script>"
FAMILIES = ("linear", "lightgbm", "random_forest")


def of(load, target: str) -> pd.DataFrame:
    return load(as_frame=True).frame.rename(columns={"target": target})


def two_classes() -> pd.DataFrame:
    frame = of(load_breast_cancer, "tumour")
    frame["tumour"] = np.where(frame["tumour"] == 1, "fine & well", BAD)
    return frame.rename(columns={"mean radius": BAD})


TABLES = {
    "binary": (two_classes, "tumour"),
    "multiclass": (lambda: of(load_wine, "kind"), "kind"),
    "regression": (lambda: of(load_diabetes, "worse"), "worse"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A run's folder for each task."""
    found = {}
    for task, (make, target) in TABLES.items():
        folder = tmp_path_factory.mktemp(task) / "run"
        found[task] = tell_run(folder, make(), target, FAMILIES, n_folds=4)
        write_report(found[task])
    return found


class Read(HTMLParser):
    """What a browser would make of the page, as far as is asked here."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.ids, self.links, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("src", "href", "xlink:href") if name in given]


@pytest.mark.parametrize("task", TABLES)
def test_the_page_is_whole_fetches_nothing_and_escapes_texts(told, task):
    text = RunFolder(told[task]).report.read_text()
    page = Read(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", text)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= {*page.ids}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert BAD not in text
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        if tag == "svg":
            assert attrs["role"] == "img"
            assert all(name in page.ids for name in attrs["aria-labelledby"].split())
    assert len(text) < 400_000


@pytest.mark.parametrize("task", TABLES)
def test_programs_read_the_same_numbers(told, task):
    numbers = json.loads(RunFolder(told[task]).report_numbers.read_text(), parse_constant=pytest.fail)
    story = read_story(told[task])
    panels = [panel for make in PANELS if (panel := make(story)) is not None]
    assert {"verdict", "leaderboard", "time", "rungs", "ensemble", "quality", "data", "next"} <= numbers.keys()
    assert [*numbers] == ["format", "stacktune", *(panel.name for panel in panels)]
    assert numbers["verdict"]["score"] == story.facts["cv_score"]
    assert [row["name"] for row in numbers["leaderboard"]["rows"]] == story.board["name"].tolist()
    assert [row["reward"] for row in numbers["rungs"]["controller"]] == [0.0, 0.3, 0.6]


def test_columns_are_shown_as_they_were_seen(told, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(told["binary"], folder)
    schema = Schema.from_dict(read_story(folder).manifest["schema"])
    frame = two_classes()
    train, test = (
        schema.encode(frame.head(300)),
        schema.encode(frame.tail(200).assign(**dict.fromkeys(schema.column_names, 0.0))),
    )
    labelled = replace(train, target=np.zeros(300, dtype=np.int32))
    write_columns(RunFolder(folder).columns, labelled, schema, read_story(folder).task, "tumour", test)
    said = table(read_story(folder))
    assert "In the test rows these columns hold other values" in " ".join(said.lead)
    assert said.numbers["drift"].keys() == {column.name for column in schema.columns}
    (grid,) = said.parts
    assert [row[0] for row in grid.rows] == ["tumour (target)", *schema.column_names]
    assert grid.header[-1] == "drift"


@pytest.mark.parametrize("task", TABLES)
def test_the_verdict_is_three_sentences_with_the_interval(told, task):
    story = read_story(told[task])
    said = verdict(story).lead
    score, low, high = interval_of(story)
    assert len(said) == 3
    assert low < score < high
    assert "95 % interval" in said[0]
    assert f"on {len(story.judged.labels):,} rows" in said[0]


def test_two_classes_are_counted_as_scikit_learn_does(told):
    story = read_story(told["binary"])
    numbers = classes(story).numbers
    labels, chance = story.judged.labels, story.judged.prediction[:, 1]
    at = next(row for row in numbers["thresholds"] if row["threshold"] == story.threshold)
    tn, fp, fn, tp = confusion_matrix(labels, chance >= story.threshold).ravel()
    assert (at["tn"], at["fp"], at["fn"], at["tp"]) == (tn, fp, fn, tp)
    x, y = np.array(numbers["roc"]).T
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(labels, chance), abs=0.003)


@pytest.mark.parametrize("is_weighed", [False, True])
def test_the_area_is_that_of_all_rows_and_is_told_from_the_headline(told, tmp_path, is_weighed):
    """It was the area under the line that is drawn, of 120 points: credit_g's was .7872 and not .7881."""
    folder = tmp_path / "run"
    shutil.copytree(told["binary"], folder)
    if is_weighed:
        with np.load(RunFolder(folder).out_of_fold) as kept:
            arrays = dict(kept)
        weight = np.random.default_rng(0).uniform(0.1, 3, len(arrays["target"]))
        np.savez(RunFolder(folder).out_of_fold, **arrays | {"weight": weight})
    story = read_story(folder)
    judged, panel = story.judged, classes(story)
    assert (judged.weight is None) != is_weighed
    true = roc_auc_score(judged.labels, judged.prediction[:, 1], sample_weight=judged.weight)
    assert panel.numbers["roc_auc"] == pytest.approx(true, abs=1e-12)
    (told_of,) = (part.summary for part in panel.parts if isinstance(part, Chart) and part.title == "ROC curve")
    headline = story.facts["cv_score"]
    assert told_of == f"Area {true:.4f}, over all rows at once; the headline, {headline:.4f}, is the mean over folds."


def test_trials_that_all_score_alike_have_no_correlation_and_warn_of_nothing(told):
    """SciPy's ConstantInputWarning reached the terminal after a run on twelve rows."""
    story = read_story(told["binary"])
    for family, by in (("alike", 0), ("rising", 0.01)):
        for place in range(MIN_TRIALS):
            config, score = {"C": 1.0 + place, "same": 1}, 0.5 + by * place
            name = f"{family}-{place:04}"
            story.trials[name] = TrialStory(name, family, config, 0.0, ended_s=1.0, status="completed", score=score)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = parameters(story)
    assert found.numbers["alike"]["rank_correlation"] == {}
    assert found.numbers["rising"]["rank_correlation"] == {"C": pytest.approx(1)}
    assert [part.title for part in found.parts] == ["rising: C"]


def test_values_and_classes_each_have_their_own_panel(told):
    for task in TABLES:
        story = read_story(told[task])
        assert (classes(story) is None) == (task == "regression")
        assert (values(story) is None) == (task != "regression")
    numbers = values(read_story(told["regression"])).numbers
    assert sum(row["n_rows"] for row in numbers["by_predicted"]) == 442
    assert 0.3 < numbers["r2"] < 0.7


@pytest.mark.parametrize("task", TABLES)
def test_what_a_member_adds_is_what_its_absence_costs(told, task):
    story = read_story(told[task])
    names = [name for name, _ in story.results.members]
    adds = what_each_adds(story, names)
    if len(names) < 2:
        assert task != "regression"
        return
    assert set(adds) <= set(names)
    judged, metric = story.judged, get_metric(story.metric_name, task)
    whole = metric.score(judged.labels, judged.prediction, None, story.threshold)
    assert all(abs(value) < abs(whole) for value in adds.values())


def test_a_lead_that_chance_explains_is_called_so(told):
    story = read_story(told["binary"])
    name = story.best_trial["name"]
    lead = lead_over(story, name)
    assert lead is not None
    said = verdict(story).lead[2]
    assert name in said
    assert ("no more than chance" in said) == (abs(lead[0]) < 2 * lead[1])


def damaged(told, folder, harm):
    shutil.copytree(told["binary"], folder)
    harm(RunFolder(folder))
    write_report(folder)
    return json.loads(RunFolder(folder).report_numbers.read_text())


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_what_is_damaged_is_left_out_and_the_rest_is_told(told, tmp_path):
    """BadZipFile and KeyError were tracebacks, and a half explanation no report at all."""
    assert "quality" not in damaged(told, tmp_path / "a", lambda run: cut(run.out_of_fold))

    def half_told(run):
        lines = run.events.read_text().splitlines()
        events = [json.loads(line) for line in lines]
        for event in events:
            event.pop("config", None)
            event.pop("n_rows", None)
        run.events.write_text("".join(f"{json.dumps(event)}\n" for event in events))

    assert "time" not in damaged(told, tmp_path / "b", half_told)
    unexplained = damaged(told, tmp_path / "d", lambda run: None)["importance"]["said"]
    assert "The run did not explain its leader" in unexplained[0]

    def half_explained(run):
        run.explanation.mkdir()
        (run.explanation / "explanation.json").write_text("{")

    said = damaged(told, tmp_path / "c", half_explained)["importance"]["said"]
    assert "is not as it was written" in said[0]


def test_a_leader_that_is_behind_is_not_said_to_lead(told):
    """A stack may rank first by its error alone: its lead was told without its sign."""
    story = read_story(told["binary"])
    for name in (row["name"] for row in story.board.to_dict("records") if row["kind"] == "trial"):
        mean, error = lead_over(story, name)
        said = lead_line((-abs(mean) - 1e-9, error), name, "best single model", 0.9)
        assert "behind" in said
        assert "Its lead over" not in said


def test_a_run_without_targets_has_a_report_all_the_same(told, tmp_path):
    """Runs of earlier versions kept none beside their predictions."""
    folder = tmp_path / "run"
    shutil.copytree(told["binary"], folder)
    RunFolder(folder).out_of_fold.unlink()
    write_report(folder)
    numbers = json.loads(RunFolder(folder).report_numbers.read_text())
    assert "quality" not in numbers
    assert "leaderboard" in numbers


def test_a_folder_of_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not the folder of a finished run"):
        write_report(tmp_path)


def test_trials_that_were_interrupted_are_told_of_wherever_trials_are_counted(told, tmp_path):
    """The leaderboard had 20 trials, the time 20 and the rungs 21, and nothing said why."""
    folder = tmp_path / "run"
    shutil.copytree(told["binary"], folder)
    why = {"rung": 0, "n_rungs": 0, "fit_s": 0.0, "why": "the time was up"}
    events = [
        {"event": "asked", "elapsed_s": 9.0, "of": "mlp-0098", "config": {}},
        {"event": "asked", "elapsed_s": 9.0, "of": "mlp-0099", "config": {}},
        {"event": "rung", "elapsed_s": 9.5, "of": "mlp-0099", "score": 0.9, "rung": 1, "n_rungs": 3, "fit_s": 0.5},
        {"event": "interrupted", "elapsed_s": 10.0, "of": "mlp-0098", **why},
        {"event": "interrupted", "elapsed_s": 10.0, "of": "mlp-0099", "score": 0.9, **why},
    ]
    with RunFolder(folder).events.open("a") as file:
        file.writelines(f"{json.dumps(event)}\n" for event in events)
    story = read_story(folder)
    n = len(FAMILIES)
    assert [trial.name for trial in story.interrupted] == ["mlp-0098", "mlp-0099"]
    assert "Of all that were asked for, 2 were interrupted, as the time was up." in rungs(story).lead
    (drawn,) = (part.summary for part in spent(story).parts if part.title == "Trials side by side")
    assert drawn.startswith(f"{n + 1} trials, ")
    assert drawn.endswith("Not drawn: 1 was interrupted, as the time was up, before a first score.")
    story.rows["mlp-0099"] = {**story.leader, "name": "mlp-0099", "status": "stopped"}
    listed = standings(story).lead[0]
    assert listed.startswith(f"{n} trials and ")
    assert "were stopped early, of which 1 was interrupted, as the time was up. Not listed" in listed
    assert listed.endswith("Not listed: 1 was interrupted, as the time was up, before a first score.")
    assert "interrupted" not in " ".join(rungs(read_story(told["binary"])).lead)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50)), min_size=1, max_size=40))
def test_lanes_hold_one_trial_at_a_time(spans):
    trials = [
        TrialStory(f"linear-{place:04}", "linear", {}, begin, ended_s=begin + took, fit_s=took, status="completed")
        for place, (begin, took) in enumerate(spans)
    ]
    found = lanes(trials)
    assert len(found) == len(trials)
    for lane in {lane for lane, _, _, _ in found}:
        mine = sorted((begin, end) for other, begin, end, _ in found if other == lane)
        assert all(first[1] <= second[0] + 1e-5 for first, second in itertools.pairwise(mine))


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_calibration_is_of_every_row(n_rows, seed):
    random = np.random.default_rng(seed)
    chance, weight = random.random(n_rows), random.random(n_rows) + 0.1
    hit = random.random(n_rows) < chance
    bins = reliability(hit, chance, weight)
    assert sum(row["share"] for row in bins) == pytest.approx(1)
    total = sum(row["share"] * row["true"] for row in bins)
    assert total == pytest.approx(np.average(hit, weights=weight))
    assert all(first["said"] <= second["said"] + 1e-12 for first, second in itertools.pairwise(bins))


@pytest.mark.parametrize("task", TABLES)
def test_each_chart_is_a_file_too_that_stands_alone(told, task):
    files = sorted(RunFolder(told[task]).plots.iterdir())
    page = Read(RunFolder(told[task]).report.read_text())
    assert len(files) == sum(tag == "svg" for tag, _ in page.tags) > 5
    for path in files:
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        used = set(re.findall(r"var\((--\w+)\)", path.read_text()))
        assert used <= set(re.findall(r"(--\w+):", path.read_text()))


def test_a_chart_says_what_it_is_and_its_points_say_their_values():
    spec = {
        "data": {"values": [{"x": 1, "said": 'a "<b>" & c'}]},
        "mark": {"type": "point", "aria": True},
        "encoding": {"x": {"field": "x", "type": "quantitative"}, "description": {"field": "said"}},
    }
    svg = svg_of(Chart("A <title>", "One & only.", spec), "one")
    assert '<title id="one-t">A &lt;title&gt;</title><desc id="one-d">One &amp; only.</desc>' in svg
    assert "<title>a &quot;&lt;b&gt;&quot; &amp; c</title>" in svg
    assert "aria-label=" not in svg
