"""Extremely randomised trees (Geurts 2006), grown by scikit-learn."""

from __future__ import annotations

from stacktune.families._encode import LEVELS_ENOUGH
from stacktune.families._forest import MAX_TREES, ForestLearner, leaf_bound, load, n_bytes
from stacktune.families.base import Config, Family, Job
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.suitability import Turn, suits_unless_large
from stacktune.seeds import derive_seed


def start(job: Job, config: Config) -> ForestLearner:
    """Return an empty forest."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesClassifier if job.task.is_classification else ExtraTreesRegressor
    forest = kind(
        max_features=config["max_features"],
        min_samples_leaf=config["min_samples_leaf"],
        max_leaf_nodes=leaf_bound(job, config),
        random_state=derive_seed(job.seed, "extra_trees"),
    )
    return ForestLearner(job, forest, config["cross_levels"])


FAMILY = Family(
    name="extra_trees",
    unit="tree",
    max_units=lambda config: MAX_TREES,
    start=start,
    load=load,
    knows_unseen_beyond=lambda config: LEVELS_ENOUGH,
    losses=ALL_LOSSES,
    n_bytes=n_bytes,
    first_rung=0.2,
    patience=0.3,
    chunk=10,
    suits=suits_unless_large,
    turn=Turn(usual=50, many_classes=20, first_model=40),
)
