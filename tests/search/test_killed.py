"""Tests of pipeline/search/killed.py; tests/test_out_of_memory.py has Ray end a trial's process in a whole run."""

from __future__ import annotations

from pipeline.search.killed import death_of
from pipeline.trials.attempt import ran_out_of_memory

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


def test_a_process_of_which_ray_does_not_say_what_it_took_ran_out_of_memory():
    assert not death_of("aaaaaa", SAID).preempted
    assert not death_of("d57254", "killed").preempted
