"""What Tune is told of a process that was ended for its memory; tests/test_out_of_memory.py does it in a whole run."""

from __future__ import annotations

import ray
from ray.air.execution import FixedResourceManager, ResourceRequest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial

from stacktune.search.ray_patches import oom as killed
from stacktune.search.ray_patches.oom import death_of, kills_end_trials
from stacktune.trials.attempt import ran_out_of_memory

SAID = """2 worker(s) were killed due to the node running low on memory.
Selected to kill: (Actor(d57254): job ID=01000000, required resources={CPU: 1}, pid=1, actual memory used=1.15GB, x=1)
Selected to kill: (Actor(6565f7): job ID=01000000, required resources={CPU: 1}, pid=2, actual memory used=0.74GB, x=1)
"""


def test_the_largest_of_the_processes_that_ray_ended_ran_out_of_memory_and_the_others_were_in_its_way():
    largest, other = death_of("d57254", SAID), death_of("6565f7", SAID)
    assert not largest.preempted
    assert other.preempted
    assert "which took 1.15 GB" in str(largest)
    assert ran_out_of_memory(str(largest))


def test_a_process_that_was_only_starting_is_named_by_none_and_was_in_the_way_of_the_largest():
    said = SAID.replace("(Actor(6565f7): job", "(Task: job")
    assert death_of("6565f7", said).preempted
    assert "which took 0.74 GB" in str(death_of("6565f7", said))
    assert not death_of("d57254", said).preempted


def test_a_process_that_took_no_more_than_its_libraries_was_in_the_way_of_whoever_filled_the_node():
    alone = "Selected to kill: (Actor(d57254): job ID=01000000, pid=1, actual memory used={}GB, x=1)"
    assert death_of("d57254", alone.format(0.05)).preempted
    assert not death_of("d57254", alone.format(0.65)).preempted


def test_a_process_of_which_ray_does_not_say_what_it_took_ran_out_of_memory():
    assert not death_of("aaaaaa", SAID).preempted
    assert not death_of("d57254", "killed").preempted


def test_a_death_is_the_kernels_once_for_each_that_it_ended(monkeypatch, cold_cluster):
    """Two deaths, of which the kernel's count explains one: the other is like any."""
    n_ended = [7]
    monkeypatch.setattr(killed, "n_killed", lambda: n_ended[0])
    told = []
    manager = RayActorManager(FixedResourceManager(total_resources={"CPU": 2}))
    request = ResourceRequest([{"CPU": 1}])
    with kills_end_trials():
        actors = [
            manager.add_actor(ended_actor(), {}, request, on_error=lambda *what: told.append(what[1])) for _ in range(2)
        ]
        while len(manager.live_actors) < 2:
            manager.next(timeout=0.1)
        n_ended[0] += 1
        for actor in actors:
            manager._actor_start_failed(actor, RayActorError(error_msg="it died unexpectedly"))
    assert [ran_out_of_memory(str(died)) for died in told] == [True, False]
    assert "control group had no memory left" in str(told[0])
    assert not told[0].preempted


def ended_actor() -> type:
    """An actor that Ray ended before it could say who it is; not the module's, which a worker could not import."""

    class Ended:
        def get_auto_filled_metrics(self, debug_metrics_only: bool) -> dict:
            raise OutOfMemoryError(SAID)

    return Ended


def test_a_trial_whose_process_ray_ended_before_it_said_a_word_has_no_result_and_breaks_nothing_off(cold_cluster):
    trial = Trial("killed", stub=True)
    trial.set_ray_actor(ray.remote(num_cpus=0)(ended_actor()).remote())
    with kills_end_trials():
        assert set(trial.last_result) == {"trial_id"}


def test_tune_runs_no_preempted_trial_again_beside_the_scheduler():
    """Trials ran twice, and the later death of the one took away what the other had ended with."""
    trial = Trial("preempted", stub=True)
    assert trial.run_metadata.num_failures == 0  # preemptions are not counted
    with kills_end_trials():
        assert not trial.should_recover()
    assert trial.should_recover()


def test_a_process_that_ray_ended_while_it_started_died_in_one_line(cold_cluster):
    told = []
    manager = RayActorManager(FixedResourceManager(total_resources={"CPU": 1}))
    with kills_end_trials():
        starting = manager.add_actor(
            ended_actor(), {}, ResourceRequest([{"CPU": 1}]), on_error=lambda *what: told.append(what)
        )
        while not manager.live_actors:
            manager.next(timeout=0.1)
        manager._actor_start_failed(starting, OutOfMemoryError(SAID))
    ((actor, died),) = told
    assert actor is starting
    assert ran_out_of_memory(str(died))
    assert "\n" not in str(died)
