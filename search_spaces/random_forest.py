"""The search space of random forests.

max_features and max_samples after TabArena (arXiv 2506.16791), both from lower down as they are also the price of a
tree; leaves are bounded by min_samples_leaf, which keeps fold models small, instead of min_samples_split.
cross_levels is ours: whether columns of many levels, and their pairs with others, are replaced by means of the target,
see pipeline/families/_cross.py.
"""

from ray import tune

SPACE = {
    "max_features": tune.uniform(0.1, 1.0),
    "min_samples_leaf": tune.lograndint(2, 33),
    "cross_levels": tune.choice([False, True]),
    "max_samples": tune.uniform(0.4, 1.0),
}

PORTFOLIO = [
    {"max_features": 0.3, "min_samples_leaf": 8, "max_samples": 0.9, "cross_levels": False},
    {"max_features": 0.75, "min_samples_leaf": 2, "max_samples": 0.6, "cross_levels": False},
    {"max_features": 0.25, "min_samples_leaf": 6, "max_samples": 0.7, "cross_levels": True},
    {"max_features": 0.4, "min_samples_leaf": 3, "max_samples": 0.6, "cross_levels": False},
]
