"""XGBoost's search space.

Ranges are those that TabArena searches (arXiv 2506.16791), but for the learning rate: budgets of minutes want faster
ones, so it spans the upper part of TabArena's and AutoGluon's (0.005 to 0.2).
cross_levels is ours: whether columns of many levels, and their pairs with others, are replaced by means of the target,
see pipeline/families/_cross.py.
"""

from ray import tune

SPACE = {
    "learning_rate": tune.loguniform(0.015, 0.2),
    "max_depth": tune.lograndint(3, 12),
    "min_child_weight": tune.loguniform(1e-3, 20.0),
    "subsample": tune.uniform(0.6, 1.0),
    "colsample_bytree": tune.uniform(0.4, 1.0),
    "colsample_bynode": tune.uniform(0.5, 1.0),
    "reg_alpha": tune.loguniform(1e-4, 5.0),
    "reg_lambda": tune.loguniform(1e-3, 10.0),
    "grow_policy": tune.choice(["depthwise", "lossguide"]),
    "max_leaves": tune.lograndint(8, 512),
    "max_cat_to_onehot": tune.lograndint(4, 101),
    "cross_levels": tune.choice([False, True]),
}


def _entry(learning_rate: float, max_depth: int, **changed: object) -> dict[str, object]:
    """Return XGBoost's own defaults with some sampling, changed as said."""
    usual = {
        "min_child_weight": 1.0,
        "subsample": 0.9,
        "colsample_bytree": 0.9,
        "colsample_bynode": 1.0,
        "reg_alpha": 1e-3,
        "reg_lambda": 1.0,
        "grow_policy": "depthwise",
        "max_leaves": 256,
        "max_cat_to_onehot": 4,
        "cross_levels": False,
    }
    return {"learning_rate": learning_rate, "max_depth": max_depth, **usual, **changed}


# In the order of what they paid per second on four tables of 10,000 to 45,000 rows. After the first: shallow and deep
# trees, pytabkit's tuned default, levels one by one, leaves grown best-first, and strong penalties.
PORTFOLIO = [
    _entry(0.1, 6),
    _entry(0.05, 8, colsample_bytree=0.6, subsample=0.8, min_child_weight=0.6),
    _entry(0.06, 4, colsample_bytree=0.7, cross_levels=True),
    _entry(0.1, 5, min_child_weight=3.0, subsample=0.8, colsample_bytree=0.8),
    _entry(0.05, 6, max_cat_to_onehot=100),
    _entry(0.08, 6, min_child_weight=1e-3, subsample=0.65, colsample_bynode=0.9, reg_lambda=0.1),
    _entry(0.05, 10, colsample_bytree=0.7, min_child_weight=0.6, cross_levels=True),
    _entry(0.05, 8, grow_policy="lossguide", max_leaves=64, colsample_bytree=0.6, min_child_weight=5.0),
    _entry(
        0.05,
        6,
        colsample_bytree=0.5,
        colsample_bynode=0.6,
        reg_lambda=8.0,
        min_child_weight=10.0,
        subsample=0.7,
        cross_levels=True,
    ),
    _entry(0.04, 11, grow_policy="lossguide", colsample_bytree=0.5, subsample=0.8, reg_lambda=3.0),
]

# Where rows are so many that trees of depth 6 would go on getting better for longer than the budget lasts.
LARGE_PORTFOLIO = [
    _entry(0.1, 11, grow_policy="lossguide", max_leaves=256, colsample_bytree=0.8),
    _entry(0.1, 8),
]
