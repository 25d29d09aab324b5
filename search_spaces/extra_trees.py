"""The search space of extra-trees.

max_features after TabArena (arXiv 2506.16791); leaves are bounded by min_samples_leaf, which keeps fold models small,
instead of min_samples_split.
"""

from ray import tune

SPACE = {
    "max_features": tune.uniform(0.2, 1.0),
    "min_samples_leaf": tune.lograndint(2, 33),
}

PORTFOLIO = [
    {"max_features": 0.8, "min_samples_leaf": 6},
    {"max_features": 1.0, "min_samples_leaf": 2},
    {"max_features": 0.5, "min_samples_leaf": 3},
]
