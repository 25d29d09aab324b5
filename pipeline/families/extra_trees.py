"""Extremely randomised trees (Geurts 2006), grown by scikit-learn."""

from __future__ import annotations

from stacktune.families._forest import ForestLearner, forest_family, leaf_bound
from stacktune.families._forest_losses import split_parameters
from stacktune.families.base import Config, Job
from stacktune.families.suitability import Turn
from stacktune.seeds import derive_seed


def start(job: Job, config: Config) -> ForestLearner:
    """Return an empty forest."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesClassifier if job.task.is_classification else ExtraTreesRegressor
    forest = kind(
        max_features=config["max_features"],
        min_samples_leaf=config["min_samples_leaf"],
        max_leaf_nodes=leaf_bound(job, config),
        **split_parameters(job.task),
        random_state=derive_seed(job.seed, "extra_trees"),
    )
    return ForestLearner(job, forest, config["cross_levels"])


FAMILY = forest_family("extra_trees", start, Turn(usual=50, many_classes=20, first_model=40))
