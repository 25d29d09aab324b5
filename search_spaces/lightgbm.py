"""LightGBM's search space.

Ranges are those that TabArena searches (arXiv 2506.16791), but for the learning rate: budgets of minutes want faster
ones, so it spans the upper part of TabArena's and AutoGluon's (0.005 to 0.2); and for the leaves, of which large tables
want more (FLAML searches up to 32768).
cross_levels is ours: whether columns of many levels, and their pairs with others, are replaced by means of the target,
see pipeline/families/_cross.py.
"""

from ray import tune

SPACE = {
    "learning_rate": tune.loguniform(0.015, 0.2),
    "num_leaves": tune.lograndint(4, 513),
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
    "cross_levels": tune.choice([False, True]),
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
        "cross_levels": False,
    }
    return {"learning_rate": learning_rate, "num_leaves": num_leaves, **usual, **changed}


# In the order of what they paid per second on six tables of 10,000 to 45,000 rows. After the first: TabArena's and
# AutoGluon's patterns of few and many leaves, few columns a tree, extremely random thresholds and strong penalties.
PORTFOLIO = [
    _entry(0.1, 31),
    _entry(0.05, 31, cat_smooth=1.0, cat_l2=1.0, min_data_per_group=5),
    _entry(0.1, 15, feature_fraction=0.7, cross_levels=True),
    _entry(0.05, 20, feature_fraction=0.43, bagging_fraction=0.71, min_data_in_leaf=2),
    _entry(0.06, 8, feature_fraction=0.6, min_data_in_leaf=10),
    _entry(0.04, 128, feature_fraction=0.5, bagging_fraction=0.8, min_data_in_leaf=3, lambda_l2=1.0, cross_levels=True),
    _entry(
        0.05, 31, feature_fraction=0.4, bagging_fraction=0.7, min_data_in_leaf=50, lambda_l2=10.0, cross_levels=True
    ),
    _entry(0.06, 64, feature_fraction=0.6, min_data_in_leaf=5, extra_trees=True, cross_levels=True),
    _entry(0.03, 31, feature_fraction=0.6, bagging_fraction=0.8),
    _entry(0.05, 180, feature_fraction=0.4, min_data_in_leaf=12, extra_trees=True, lambda_l1=0.2),
]

# Where rows are so many that trees of 31 leaves would go on getting better for longer than the budget lasts.
LARGE_PORTFOLIO = [
    _entry(0.1, 128),
    _entry(0.1, 512, feature_fraction=0.8),
    _entry(0.1, 31),
    _entry(0.05, 255, feature_fraction=0.6, bagging_fraction=0.8, cross_levels=True),
]
