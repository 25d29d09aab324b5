"""The search space of extra-trees.

max_features after TabArena (arXiv 2506.16791), from lower down as it is also the price of a tree; leaves are bounded by
min_samples_leaf, which keeps fold models small, instead of min_samples_split. cross_levels is ours: whether columns of
many levels, and their pairs with others, are replaced by means of the target, see pipeline/families/_cross.py.
"""

from ray import tune

SPACE = {
    "max_features": tune.uniform(0.1, 1.0),
    "min_samples_leaf": tune.lograndint(2, 33),
    "cross_levels": tune.choice([False, True]),
}

PORTFOLIO = [
    {"max_features": 0.8, "min_samples_leaf": 6, "cross_levels": False},
    {"max_features": 1.0, "min_samples_leaf": 2, "cross_levels": False},
    {"max_features": 0.3, "min_samples_leaf": 6, "cross_levels": True},
    {"max_features": 0.5, "min_samples_leaf": 3, "cross_levels": False},
]
