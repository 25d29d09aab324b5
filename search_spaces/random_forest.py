"""The search space of random forests.

max_features and max_samples after TabArena (arXiv 2506.16791), max_samples from lower down as it is also the price of
a tree; leaves are bounded by min_samples_leaf, which keeps fold models small, instead of min_samples_split.
"""

from ray import tune

SPACE = {
    "max_features": tune.uniform(0.2, 1.0),
    "min_samples_leaf": tune.lograndint(2, 33),
    "max_samples": tune.uniform(0.4, 1.0),
}

PORTFOLIO = [
    {"max_features": 0.3, "min_samples_leaf": 8, "max_samples": 0.9},
    {"max_features": 0.75, "min_samples_leaf": 2, "max_samples": 0.6},
    {"max_features": 0.4, "min_samples_leaf": 3, "max_samples": 0.6},
]
