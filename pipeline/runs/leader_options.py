"""What a run makes of its leader beside predictions.

These are intervals and a temperature, both learnt from predictions of rows that models had not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from stacktune.data.folds import Folds
from stacktune.data.table import Table, Task
from stacktune.ensemble.interval import Held, Interval, check_interval, fit_interval, held_by, held_out_of_fold
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.out_of_fold import honest_predictions, trials_behind
from stacktune.ensemble.rows import Leaderboard
from stacktune.ensemble.temperature import Calibration, calibrated
from stacktune.errors import ConfigError
from stacktune.runs.session import Session
from stacktune.settings.groups import OutputSettings
from stacktune.trials.result import TrialResult, load_oof


@dataclass(frozen=True)
class LeaderExtras:
    """What was made of the leader.

    held: what intervals hold out of fold, tested: of the test rows. calibration: with the temperature that was fitted,
    whether it was left off or not.
    """

    interval: Interval | None = None
    held: Held | None = None
    tested: Held | None = None
    calibration: Calibration | None = None

    @property
    def interval_facts(self) -> dict[str, Any] | None:
        """Return what run.json says of intervals."""
        if self.interval is None or self.held is None:
            return None
        facts: dict[str, Any] = {"level": self.interval.level, "coverage": self.held.coverage, "width": self.held.width}
        if self.tested is not None:
            facts |= {"test_coverage": self.tested.coverage, "test_width": self.tested.width}
        return facts

    @property
    def calibration_facts(self) -> dict[str, Any] | None:
        """Return what run.json says of the temperature."""
        return None if self.calibration is None else asdict(self.calibration)

    def on_test(self, leader: Leader, test: Table) -> LeaderExtras:
        """Measure what intervals hold of the test rows."""
        if self.interval is None:
            return self
        prediction = leader.predict_table(test)[:, 0]
        return replace(self, tested=held_by(self.interval, prediction, test.labels, test.weight))


def check_leader_options(config: OutputSettings, task: Task, folds: Folds) -> None:
    """Raise ConfigError where an option is for other tasks."""
    check_interval(config.interval, task, folds)
    if config.calibrate and not task.is_classification:
        raise ConfigError(
            "--calibrate is for classes, whose probabilities it makes truer, but this is a regression. Leave it out; "
            "--interval 0.9 says how far off a value may be."
        )


def leader_extras(
    session: Session, board: Leaderboard, results: Sequence[TrialResult]
) -> tuple[Leaderboard, LeaderExtras]:
    """Return the leaderboard, and the leader's extras.

    A note says what the temperature came to.
    """
    config, problem = session.config, session.problem
    if config.interval is None and not config.calibrate:
        return board, LeaderExtras()
    row, table, folds = board.leader, problem.table, problem.folds
    trials = {result.trial_id: result for result in results}
    honest = honest_predictions(row, {name: load_oof(trials[name]) for name in trials_behind(row)}, folds)
    if config.interval is None:
        board, calibration = calibrated(board, honest, table, folds)
        session.note(calibration.sentence)
        return board, LeaderExtras(calibration=calibration)
    values, judged, loss = honest[:, 0], folds.judged_rows, problem.task.loss
    weight = None if table.weight is None else table.weight[judged]
    interval = fit_interval(values[judged], table.labels[judged], weight, config.interval, loss)
    held = held_out_of_fold(values, table.labels, table.weight, folds, config.interval, loss)
    return board, LeaderExtras(interval, held)
