"""CatBoost's search space.

Ranges are those that TabArena searches (arXiv 2506.16791), cut where trees are dear and widened downwards where our
measurements went, but for the learning rate: budgets of minutes want faster ones than TabArena's and AutoGluon's (0.005
to 0.2). rsm, random_strength and border_count span CatBoost's defaults (1, 1, 254).
A tree's cost grows with the combinations of categorical columns it may try: max_ctr_complexity says of how many columns
at most, one_hot_max_size up to how many levels a column is taken level by level instead, and model_size_reg what a
combination of many levels must gain.
"""

from ray import tune

SPACE = {
    "learning_rate": tune.loguniform(0.03, 0.25),
    "depth": tune.randint(4, 9),
    "grow_policy": tune.choice(["SymmetricTree", "Depthwise"]),
    "subsample": tune.uniform(0.6, 1.0),
    "rsm": tune.uniform(0.4, 1.0),
    "l2_leaf_reg": tune.loguniform(0.1, 20.0),
    "random_strength": tune.loguniform(0.05, 5.0),
    "leaf_estimation_iterations": tune.lograndint(1, 11),
    "border_count": tune.lograndint(64, 255),
    "one_hot_max_size": tune.lograndint(2, 101),
    "max_ctr_complexity": tune.randint(1, 5),
    "model_size_reg": tune.loguniform(1e-3, 1.5),
}


def _entry(learning_rate: float, depth: int, **changed: object) -> dict[str, object]:
    """Return CatBoost's own defaults with some sampling and free choice of combinations, changed as said."""
    usual = {
        "grow_policy": "SymmetricTree",
        "subsample": 0.8,
        "rsm": 1.0,
        "l2_leaf_reg": 3.0,
        "random_strength": 1.0,
        "leaf_estimation_iterations": 5,
        "border_count": 254,
        "one_hot_max_size": 10,
        "max_ctr_complexity": 2,
        "model_size_reg": 1e-3,
    }
    return {"learning_rate": learning_rate, "depth": depth, **usual, **changed}


# In the order of what they paid per second on five tables of 2,300 to 39,000 rows. The first takes half the time of the
# next two, which are best: deep trees on some of the columns, and combinations of up to four categorical columns.
PORTFOLIO = [
    _entry(0.15, 7),
    _entry(0.1, 8, rsm=0.7, one_hot_max_size=4, random_strength=0.3),
    _entry(0.1, 6, one_hot_max_size=2, max_ctr_complexity=4),
    _entry(0.1, 6, grow_policy="Depthwise", one_hot_max_size=25, l2_leaf_reg=10.0),
    _entry(0.12, 5, one_hot_max_size=50, max_ctr_complexity=1, l2_leaf_reg=1.0),
]
