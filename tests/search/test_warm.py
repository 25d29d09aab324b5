"""What processes import before their first trial."""

from dataclasses import replace

from stacktune.families.registry import all_families
from stacktune.search.cluster import warm


def test_it_is_what_families_say_of_themselves(monkeypatch):
    """The libraries of two families were spelled in search/, where a third could not add its own."""
    assert warm.modules() == (
        "ray.tune",
        "stacktune.search.tune.trainable",
        "lightgbm",
        "sklearn.linear_model",
        "scipy.sparse",
    )
    own = replace(all_families()["linear"], name="own", preloads=("own_library",))
    monkeypatch.setattr(warm, "all_families", lambda: {"own": own})
    assert warm.modules() == (*warm.MODULES, "own_library")
