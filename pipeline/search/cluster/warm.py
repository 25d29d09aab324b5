"""Imports libraries early, in Ray's waiting processes.

They are those of a private Ray, and import this module.
"""

from importlib import import_module

from stacktune.families.registry import all_families
from stacktune.garbage import imports

MODULES = ("ray.tune", "stacktune.search.tune.trainable")


def modules() -> tuple[str, ...]:
    """Return the modules that trials, then families, need."""
    return (*MODULES, *(module for family in all_families().values() for module in family.preloads))


with imports():
    for name in modules():
        import_module(name)
