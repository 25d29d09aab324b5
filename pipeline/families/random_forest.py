"""Random forests (Breiman 2001), grown by scikit-learn."""

from __future__ import annotations

from stacktune.families._forest import ForestLearner, forest_family, leaf_bound
from stacktune.families._forest_losses import split_parameters
from stacktune.families.base import Config, Job
from stacktune.families.suitability import Turn
from stacktune.seeds import derive_seed


def start(job: Job, config: Config) -> ForestLearner:
    """Return an empty forest."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if job.task.is_classification else RandomForestRegressor
    # As a share of the rows, scikit-learn warns where they are few.
    n_drawn = max(1, round(config["max_samples"] * len(job.rows)))
    forest = kind(
        max_features=config["max_features"],
        min_samples_leaf=config["min_samples_leaf"],
        max_samples=n_drawn,
        max_leaf_nodes=leaf_bound(job, config),
        **split_parameters(job.task),
        random_state=derive_seed(job.seed, "random_forest"),
    )
    return ForestLearner(job, forest, config["cross_levels"])


FAMILY = forest_family("random_forest", start, Turn(usual=70, many_classes=40, first_model=50))
