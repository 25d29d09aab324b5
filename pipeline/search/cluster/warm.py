"""What a process of a private Ray imports while it waits for its first trial."""

from importlib import import_module

from stacktune.garbage import imports

MODULES = ("ray.tune", "stacktune.search.tune.trainable", "lightgbm", "sklearn.linear_model", "scipy.sparse")

with imports():
    for name in MODULES:
        import_module(name)
