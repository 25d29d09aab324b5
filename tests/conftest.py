"""What holds for all tests."""

import gc
import os
import signal
import sys

from hypothesis import settings

# A shell's background job does not hear Ctrl-C, nor one under `nohup` that its terminal is closed, nor what they start;
# commands under test are to.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# Where Python may not keep what it has compiled, each of some hundred processes compiles all of our code anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Two processes of tests share the cores, and a thread that waits by turning round takes one from the other's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No property is held to the pace of a machine. HYPOTHESIS_PROFILE=thorough tries ten times as many examples, but where
# a test says how many.
settings.register_profile("house", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

# Files that take long, mostly with a Ray of their own, go first: so neither of two processes waits for the other at the
# end. The contract of families, which starts none, comes second, beside them.
FIRST = (
    "test_end_to_end.py",
    "test_broken_off.py",
    "test_every_family.py",
    "test_resume.py",
    "test_engine.py",
    "test_readme.py",
    "test_chaos.py",
    "test_cluster.py",
    "test_out_of_memory.py",
    "test_deadline.py",
    "test_mirror.py",
    "test_outage.py",
    "test_new_family.py",
)
PLACES = {name: place for place, name in enumerate(FIRST)}


def pytest_collection_finish(session):
    """Spare the garbage collector what all test files have imported: it would go through that again and again."""
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Begin with what takes longest; within a file, and among all others, the order stays."""
    items.sort(key=lambda item: PLACES.get(item.path.name, len(FIRST)))
