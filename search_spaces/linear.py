"""The search space of logistic and ridge regression.

C: the inverse of the L2 penalty, as in scikit-learn's LogisticRegression (Ridge's alpha is 1 / C); TabArena
(arXiv 2506.16791) and its scripts search 0.1 to 1000, ours begins lower as one-hot levels are many here.
scaling: "squash" or "piecewise", see pipeline/families/_scale.py.
min_frequency: rows that a level needs for an indicator of its own, as in scikit-learn's OneHotEncoder.
high_cardinality: how columns of more than 16 levels are encoded: "onehot", as means of the "target" by level, or
"crossed" with the others and then as means, see pipeline/families/_cross.py.
"""

from ray import tune

SPACE = {
    "C": tune.loguniform(1e-3, 1e3),
    "scaling": tune.choice(["squash", "piecewise"]),
    "min_frequency": tune.lograndint(1, 50),
    "high_cardinality": tune.choice(["onehot", "target", "crossed"]),
}

PORTFOLIO = [
    {"C": 1.0, "scaling": "piecewise", "min_frequency": 5, "high_cardinality": "target"},
    {"C": 1.0, "scaling": "squash", "min_frequency": 5, "high_cardinality": "crossed"},
    {"C": 0.1, "scaling": "piecewise", "min_frequency": 2, "high_cardinality": "crossed"},
    {"C": 1.0, "scaling": "squash", "min_frequency": 5, "high_cardinality": "onehot"},
]
