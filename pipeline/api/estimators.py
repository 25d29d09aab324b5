"""AutoML by scikit-learn's conventions.

    from stacktune import AutoMLClassifier

    model = AutoMLClassifier(time_budget="5m").fit(X, y)
    model.predict(X_new)

`fit` is the run that the command makes, with the same settings, folder, log and MLflow runs; see `stacktune.run`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import Tags, estimator_html_repr
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from stacktune.api.kept import Kept, best_model, leader_in, load, packed, save, unpacked
from stacktune.api.parameters import VERBOSE, refuse_unknown, settings_of, takes_settings
from stacktune.api.shown import html_of, watching
from stacktune.api.tables import Joined, as_frame, joined
from stacktune.data.added import with_columns
from stacktune.data.read import read_for
from stacktune.ensemble.interval import LOWER, UPPER
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.out_of_fold import read_out_of_fold
from stacktune.errors import ConfigError, DataWarning
from stacktune.explain.explained import explain
from stacktune.explain.explanation import Explanation
from stacktune.report.outputs import RunSummary
from stacktune.report.results import read_board, read_results
from stacktune.report.retell import events_of
from stacktune.runs.labelled import opened
from stacktune.runs.on_table import scored_on
from stacktune.runs.program import run
from stacktune.storage.run_folder import RunFolder

Place: TypeAlias = str | os.PathLike[str]


class AutoML(BaseEstimator):
    """What the classifier and the regressor have in common.

    After `fit` there are

    summary_: what run.json says. folder_: the run's folder. leader_: the model that predicts.
    leaderboard_: one row a trial or ensemble, best first.
    n_features_in_, feature_names_in_: of the training table.
    trial_: of what `best_model` gives, the trial's name and score; None of any other.
    """

    _task: ClassVar[str]
    trial_: str | None

    @takes_settings
    def __init__(self, **settings: Any):
        refuse_unknown(settings, type(self).__name__)
        for name in self._get_param_names():
            setattr(self, name, settings.get(name))

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, target: str | None = None) -> AutoML:
        """Find the best model of a table; return self.

        X: features in memory with `y`, or a table with the target in it, in memory or at a path or URI. target: that
            column's name, where it is no parameter. sample_weight: (n_rows,), none negative.

        Raises:
            ConfigError, DataError: ValueErrors, for what the command would refuse. SearchError: no trial was completed.
        """
        settings = settings_of(self.get_params(), self._task)
        if target is not None:
            settings["target"] = target
        is_whole = isinstance(X, str | os.PathLike) or (y is None and settings.get("target") is not None)
        if is_whole:
            if y is not None or sample_weight is not None:
                raise ConfigError("of a table with its target, name the columns: target=…, weight=….")
            table: Any = X
        else:
            given = self._joined(X, y, sample_weight)
            if target not in (None, given.target):
                raise ConfigError(
                    f"target={target!r} is a column of a table, and y is given, too: leave one of them out."
                )
            settings |= {"target": given.target} | ({"weight": given.weight} if given.weight else {})
            table = given.frame
        with watching(getattr(self, VERBOSE)) as observers:
            summary = run(settings, table, observers)
        self._take(summary, tells_features=is_whole)
        return self

    def resume(self, X: Any = None, y: Any = None, sample_weight: Any = None, **changes: Any) -> AutoML:
        """Go on with the run; return self.

        It is the one that `fit` made.

        X, y, sample_weight: the same rows, where they were in memory. changes: settings that are given anew, such as
            `max_trials` or `time_budget`.
        """
        check_is_fitted(self)
        table = X if X is None or isinstance(X, str | os.PathLike) else self._joined(X, y, sample_weight).frame
        with watching(getattr(self, VERBOSE)) as observers:
            self._take(run(changes, table, observers, resume=self.folder_))
        return self

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """Every trial and ensemble, best first."""
        check_is_fitted(self)
        return read_board(RunFolder(Path(self.folder_)))

    def leaderboard(self, table: Any) -> pd.DataFrame:
        """Return the leaderboard with scores on another table.

        They are its column "on_score", by which it is sorted; nothing is chosen by them. What is to be said of the
        table is warned of (DataWarning).

        table: with the target and the weights, in memory or at a path or URI.
        """
        check_is_fitted(self)
        scored, notes = scored_on(read_results(Path(self.folder_)), table)
        for note in notes:
            warnings.warn(note, DataWarning, stacklevel=2)
        return scored.leaderboard.reset_index(drop=True)

    @property
    def out_of_fold_(self) -> pd.DataFrame:
        """The leader's predictions of rows new to it.

        Its columns are those of `stacktune predict`, and its index the places of rows in the training table, or in the
        sample of it, counted from 0. Rows that nothing judged are not there: test rows, those without a target, and of
        rows in the order of time the oldest. Of an ensemble, a row is predicted by the weights that were learnt without
        its fold, as `score` is; weights and threshold of the leader are learnt on all rows.
        """
        check_is_fitted(self)
        row_numbers, predicted = read_out_of_fold(Path(self.folder_))
        return self.leader_.named(predicted, pd.Index(row_numbers, name="row"))

    @property
    def events_(self) -> list[dict[str, Any]]:
        """What the run decided, in order, as `stacktune events`."""
        check_is_fitted(self)
        return events_of(Path(self.folder_))

    @property
    def report_(self) -> Path:
        """The run's report, a page; as `stacktune report`."""
        check_is_fitted(self)
        from stacktune.report.page.page import write_report

        return write_report(Path(self.folder_))

    def best_model(self, family: str | None = None, by: str = "score") -> AutoML:
        """Return an estimator of the best trial's model.

        family: of one family only. by: a column of the leaderboard: "score" and other metrics as they are meant, costs
            such as "predict_us" from the least on.

        Raises:
            ConfigError: there is no such family or column, or no such model was kept.
        """
        check_is_fitted(self)
        found: AutoML = clone(self)
        found.__dict__ |= {name: value for name, value in vars(self).items() if name.endswith("_")}
        leader, found.trial_ = best_model(Path(self.folder_), self.leader_, family, by)
        found._lead(leader, tells_features=False)
        return found

    def explain(
        self,
        X: Any,
        y: Any = None,
        *,
        rows: Sequence[int] = (),
        by: Sequence[str] = (),
        seconds: float = 60.0,
        seed: int = 0,
    ) -> Explanation:
        """Explain the leader on rows new to it.

        X, y: as in `fit`; or X alone, with the target in it, in memory or at a path. rows: positions of those that are
        also explained one by one. by: columns of X, for whose segments the leader is scored. seconds: that it may take.
        """
        check_is_fitted(self)
        table = X if y is None else self._labelled(X, y)
        labelled = opened(self.leader_, Path(self.folder_), table, by)
        parted = labelled.columns(by)
        found = explain(self.leader_, labelled.table, labelled.metric, seconds, rows, seed, parted)
        return replace(found, notes=(*labelled.notes, *found.notes))

    def feature_importance(self, X: Any, y: Any = None, *, seconds: float = 60.0, seed: int = 0) -> pd.DataFrame:
        """Return what each column is worth to the leader.

        A column's values are shuffled, and what that costs in the run's metric is its importance, the largest first,
        with an interval and a p-value; see `explain`.
        """
        return self.explain(X, y, seconds=seconds, seed=seed).importance

    def save(self, folder: Place) -> Path:
        """Write the model into a new folder.

        Returns the folder's path. The model needs neither the run's folder nor MLflow, and `load` reads it without
        running code.
        """
        check_is_fitted(self)
        learnt = Kept(
            self.get_params(),
            self.leader_,
            self.summary_,
            self.n_features_in_,
            tuple(map(str, getattr(self, "feature_names_in_", ()))),
        )
        return save(learnt, type(self).__name__, Path(folder))

    @classmethod
    def load(cls, folder: Place) -> AutoML:
        """Read what `save` wrote, or a run's folder."""
        kept = load(Path(folder), cls.__name__, issubclass(cls, ClassifierMixin))
        estimator = cls(**kept.params)
        estimator.summary_, estimator.folder_ = kept.summary, str(kept.summary.folder)
        estimator._lead(kept.leader, tells_features=kept.n_features is None)
        if kept.n_features is not None:
            estimator.n_features_in_ = kept.n_features
        if kept.feature_names:
            estimator.feature_names_in_ = np.array(kept.feature_names, dtype=object)
        return estimator

    def predict(self, X: Any) -> np.ndarray:
        """Return a class or a value for each row.

        X: as in `fit`, or a path or URI of a table.
        """
        features = self._features(X)
        return np.asarray(self.leader_.labels(features))

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Name the trial, where it is one's model."""
        trial = getattr(self, "trial_", None)
        shown = super().__repr__(N_CHAR_MAX)
        return f"{shown} of {trial}" if trial else shown

    def __getstate__(self) -> dict[str, Any]:
        return packed(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unpacked(state))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    def _html_repr(self) -> str:
        """Return the diagram, and under it the outcome."""
        shown = estimator_html_repr(self)
        return shown + html_of(self.summary_, self.leader_.threshold) if hasattr(self, "leader_") else shown

    def _joined(self, X: Any, y: Any, sample_weight: Any) -> Joined:
        name = type(self).__name__
        if y is None:
            raise ConfigError(
                f"requires y to be passed, but the target y is None: {name}.fit(X, y), or fit(table, target=…)."
            )
        frame = as_frame(X, name)
        validate_data(self, frame if isinstance(X, pd.DataFrame) else X, skip_check_array=True, reset=True)
        return joined(frame, self._checked_target(y), sample_weight)

    def _labelled(self, X: Any, y: Any) -> pd.DataFrame:
        """Return features and a target as the leader's table."""
        frame, target = as_frame(X, type(self).__name__), self.leader_.target_name
        return with_columns(frame.drop(columns=target, errors="ignore"), {target: y})

    def _checked_target(self, y: Any) -> Any:
        return y

    def _features(self, table: Any) -> pd.DataFrame:
        """Return a table as the leader takes it."""
        check_is_fitted(self)
        if isinstance(table, str | os.PathLike):
            return read_for(self.leader_.schema, os.fspath(table))
        frame = as_frame(table, type(self).__name__)
        if not isinstance(table, pd.DataFrame):  # a frame may hold more columns, in any order, and the leader looks
            validate_data(self, table, skip_check_array=True, reset=False)
        return frame

    def _take(self, summary: RunSummary, tells_features: bool = False) -> None:
        """Hold what a run has come to.

        tells_features: see `_lead`.
        """
        self.summary_, self.folder_ = summary, str(summary.folder)
        self.trial_ = None
        self._lead(Leader.load(leader_in(Path(self.folder_))), tells_features)

    def _lead(self, leader: Leader, tells_features: bool) -> None:
        """Predict by a leader from now on.

        tells_features: whether the features are the columns that it reads, as of a table that was at a path.
        """
        self.leader_ = leader
        if tells_features:
            names = [column.name for column in leader.schema.columns]
            self.n_features_in_, self.feature_names_in_ = len(names), np.array(names, dtype=object)


class AutoMLClassifier(ClassifierMixin, AutoML):
    """Finds the best classifier of a table.

    classes_: in order, as the target holds them. threshold_: of two classes, the probability from which on `predict`
    decides for `positive_`.
    """

    _task = "multiclass"  # of two classes it is binary

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return (n_rows, n_classes) probabilities, as in `classes_`."""
        features = self._features(X)
        return self.leader_.predict_table(self.leader_.schema.encode(features))[:, self._order]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the probabilities."""
        return np.log(self.predict_proba(X))

    @property
    def threshold_(self) -> float | None:
        """The positive class's threshold; None of more classes."""
        check_is_fitted(self)
        return self.leader_.threshold if len(self.classes_) == 2 else None

    @property
    def positive_(self) -> Any:
        """The class that `threshold_` is about; None of more."""
        check_is_fitted(self)
        return None if len(self.classes_) != 2 else self._labels[1]

    @property
    def _labels(self) -> list[Any]:
        return list(self.leader_.task.labels or self.leader_.task.classes)

    @property
    def _order(self) -> list[int]:
        return [self._labels.index(label) for label in self.classes_.tolist()]

    def _checked_target(self, y: Any) -> Any:
        # Rows without a class are left out by the run, which counts them.
        known = pd.Series(np.asarray(y, dtype=object).ravel()).dropna()
        if len(known):
            check_classification_targets(known.infer_objects().to_numpy())
        return y

    def _lead(self, leader: Leader, tells_features: bool) -> None:
        super()._lead(leader, tells_features)
        self.classes_ = np.unique(np.array(self._labels))


class AutoMLRegressor(RegressorMixin, AutoML):
    """Finds the best regression model of a table."""

    _task = "regression"

    def predict_interval(self, X: Any) -> pd.DataFrame:
        """Return the columns "lower" and "upper" of new rows.

        They hold the share of rows that the parameter `interval` asked for.

        Raises:
            ConfigError: it asked for none.
        """
        features = self._features(X)
        if self.leader_.interval is None:
            raise ConfigError("the model has no intervals: fit it with interval=0.9, or another share.")
        return self.leader_.predict(features)[[LOWER, UPPER]]
