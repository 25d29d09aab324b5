"""LightGBM's search space.

Ranges are those that TabArena searches (arXiv 2506.16791), but for the learning rate: budgets of minutes want faster
ones, so it spans the upper part of TabArena's and AutoGluon's (0.005 to 0.2).
"""

from ray import tune

SPACE = {
    "learning_rate": tune.loguniform(0.015, 0.2),
    "num_leaves": tune.lograndint(4, 256),
    "min_data_in_leaf": tune.lograndint(1, 65),
    "feature_fraction": tune.uniform(0.4, 1.0),
    "bagging_fraction": tune.uniform(0.7, 1.0),
    "extra_trees": tune.choice([False, True]),
    "lambda_l1": tune.loguniform(1e-4, 1.0),
    "lambda_l2": tune.loguniform(1e-4, 10.0),
    "cat_smooth": tune.loguniform(1e-3, 100.0),
    "cat_l2": tune.loguniform(5e-3, 10.0),
    "min_data_per_group": tune.lograndint(2, 101),
    "max_cat_to_onehot": tune.lograndint(4, 101),
}


def _entry(learning_rate: float, num_leaves: int, **changed: object) -> dict[str, object]:
    """Return LightGBM's own defaults with a little shrinkage of the leaves, changed as said."""
    usual = {
        "min_data_in_leaf": 20,
        "feature_fraction": 0.9,
        "bagging_fraction": 0.9,
        "extra_trees": False,
        "lambda_l1": 1e-3,
        "lambda_l2": 0.1,
        "cat_smooth": 10.0,
        "cat_l2": 10.0,
        "min_data_per_group": 100,
        "max_cat_to_onehot": 4,
    }
    return {"learning_rate": learning_rate, "num_leaves": num_leaves, **usual, **changed}


PORTFOLIO = [
    _entry(0.1, 31),
    _entry(0.05, 50, min_data_in_leaf=40, bagging_fraction=0.75),
]
