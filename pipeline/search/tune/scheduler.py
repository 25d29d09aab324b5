"""The experiment's scheduler: halving, or populations.

Most families are halved at rungs; those that ask for it form populations.

The problem: all families share one experiment, some of them halved (ASHA), some trained as a population (PBT). A run
with a number of trials and a seed must stop the same trials on one core and on sixty-four. And trials lose their
processes: to the kernel, to Ray's memory monitor, to a node that dies.

What does not work well: Tune takes one scheduler an experiment, so its own two could not run side by side. Its ASHA
compares a trial with whatever has arrived by then, which depends on the machine; its PBT compares members whatever
their age (see `pbt`). Its retries go on from checkpoints of its own making, a second copy of what trials keep.

The solution: the decisions are plain objects (`asha`, `pbt`), and this class is the little of Tune around them. With a
lag a trial is compared only with trials that many places before it, all of which have passed the rung by then. A trial
that was cut off is made ready from what it has kept, and queued again.

What is guaranteed: with a lag no decision depends on the order in which results arrive. Each trial that was asked for
has one result, whatever becomes of its processes, after at most MAX_LOSSES losses.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import TrialScheduler

from stacktune.search.log import Entry, SearchLog
from stacktune.search.plan.plan import SearchPlan
from stacktune.search.replay import finished_since, make_ready
from stacktune.search.scheduler_kinds import SCHEDULERS
from stacktune.search.schedulers import Decision, Reached, Scheduler, SchedulerRequest
from stacktune.search.tune.searcher import TRIAL
from stacktune.seeds import derive_seed
from stacktune.trials.attempt import failed, ran_out_of_memory
from stacktune.trials.result import FAILED, TrialResult, result_from
from stacktune.trials.trial import Progress, progress_from

# How Ray says that an actor did not die by itself, or that nobody knows.
NODE_DIED = ("node has died", "temporarily unavailable")
# A trial that is cut off more often than this, for whatever reason, is not begun again.
MAX_LOSSES = 20
# Of its rows, what a trial for which there was no memory begins again with.
ROWS_SHARE_AFTER_OOM = 0.5


class FamilyScheduler(TrialScheduler):
    """Decides at every rung what a trial does next.

    It goes on, stops, or continues from the state of a better member.
    """

    _supports_buffered_results = False

    def __init__(self, plan: SearchPlan, log: SearchLog, folder: Path):
        super().__init__()
        self._metric = "score"
        self._plan = plan
        self._log = log
        self._folder = folder
        self._schedulers: dict[str, Scheduler] = {}
        for entry in log.entries():
            self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        """Record a resumed trial's earlier rungs, for comparison."""
        if entry.trial.is_preliminary:
            return
        scheduler = self._scheduler_of(entry.trial.family)
        for progress in entry.progress:
            scheduler.record(_reached(entry, progress))

    def _scheduler_of(self, family: str) -> Scheduler:
        if family not in self._schedulers:
            seed = derive_seed(self._plan.seed, "population", family)
            request = SchedulerRequest(self._plan.spaces.load(family), seed, self._plan.lag)
            self._schedulers[family] = SCHEDULERS[self._plan.scheduler_of(family)](request)
        return self._schedulers[family]

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict) -> str:
        """Decide on the rung that `result` reports."""
        entry = self._entry(trial)
        progress = progress_from(json.loads(result["progress"]))
        self._log.progressed(entry.trial.trial_id, progress)
        decision = self._scheduler_of(entry.trial.family).decide(_reached(entry, progress))
        if decision.resume is not None:
            return self._take_up(tune_controller, trial, entry, decision)
        if entry.trial.must_complete or not decision.is_stopped:
            return TrialScheduler.CONTINUE
        self._log.ended(entry.cut_short(None), decision.why)
        return TrialScheduler.STOP

    def _entry(self, trial: TuneTrial) -> Entry:
        return self._log.entry(trial.config[TRIAL]["trial_id"])

    def _take_up(self, tune_controller: Any, trial: TuneTrial, entry: Entry, decision: Decision) -> str:
        goes_on_as = replace(entry.trial, config=decision.config or entry.trial.config, resume=decision.resume)
        self._log.took_up(entry.trial.trial_id, goes_on_as)
        tune_controller.pause_trial(trial, should_checkpoint=False)
        trial.set_config({**trial.config, TRIAL: asdict(entry.trial)})
        return TrialScheduler.NOOP

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Return the trial that Tune starts next.

        Members that took up a better state go first, then trials in the order of asking.
        """
        trials = tune_controller.get_trials()
        for status in (TuneTrial.PAUSED, TuneTrial.PENDING):
            for trial in trials:
                if trial.status == status:
                    return trial
        return None

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Do nothing: the log knows the trial already."""

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Rerun a trial whose process died, on any node.

        It fails once it has died too often.
        """
        entry = self._entry(trial)
        error = _error_of(trial)
        if self._log.is_closed.is_set():
            self._log.mark_interrupted(entry, "the search was over")
            return
        for result in finished_since([entry], self._folder, self._log.made_by):  # it died on its way to say so
            self._log.ended(result)
            return
        entry.cut_off()
        is_preempted = trial.run_metadata.num_failures == 0 or any(message in error for message in NODE_DIED)
        if ran_out_of_memory(error) and not is_preempted:
            self._ran_out(entry, failed(entry.trial, error.splitlines()[-1]), is_dead=True)
            return
        entry.n_losses += 1
        entry.n_deaths += not is_preempted
        if entry.n_deaths > self._plan.max_failures or entry.n_losses > MAX_LOSSES:
            entry.discard_state()
            self._log.ended(failed(entry.trial, error.splitlines()[-1]))
        else:
            make_ready(entry, self._folder, self._log.made_by)
            self._log.run_again(entry)

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict) -> None:
        """Take in the result of a finished trial."""
        if "result" not in result:
            return
        outcome = result_from(json.loads(result["result"]))
        if outcome.status == FAILED and ran_out_of_memory(outcome.error or ""):
            self._ran_out(self._entry(trial), outcome)
        else:
            self._log.ended(outcome)

    def _ran_out(self, entry: Entry, result: TrialResult, is_dead: bool = False) -> None:
        """Rerun a trial that ran out of memory.

        It runs once more, on fewer rows.

        is_dead: whether its process is, so that `result` does not say what it took.
        In a reproducible run it is on all of its rows, for whoever filled the memory may have gone: what a trial learns
        from must not depend on the machine. Where it is in vain once more, the trial has failed, and the run says so.
        """
        if entry.ran_out or self._log.is_closed.is_set():
            if is_dead:
                entry.discard_state()
            self._log.ended(result)
            return
        entry.ran_out = True
        entry.cut_off()
        make_ready(entry, self._folder, self._log.made_by)
        rows_share = ROWS_SHARE_AFTER_OOM if self._plan.lag is None else 1.0
        self._log.retried_after_oom(
            entry, replace(entry.trial, resume=None, rows_share=entry.trial.rows_share * rows_share)
        )
        self._log.run_again(entry)

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Stop a trial that never ran, or not again."""
        self._log.mark_interrupted(self._entry(trial), "the search was over")

    def debug_string(self) -> str:
        return "halving and populations by family"


def _error_of(trial: TuneTrial) -> str:
    """Return the error that Tune noted for a trial.

    Tune's own `get_error` looks where the note is copied to later.
    """
    noted = Path(trial.error_file) if trial.error_file else None
    text = noted.read_text(errors="replace").strip() if noted and noted.exists() else ""
    return text or "its process died"


def _reached(entry: Entry, progress: Progress) -> Reached:
    config = progress.lineage[-1][1] if progress.lineage else entry.trial.config
    return Reached(
        entry.trial.trial_id, entry.index, progress.rung, progress.score, config, progress.state, progress.lineage
    )
