"""The search space of naive Bayes.

smoothing: what is added to every variance, as a share of the feature's variance over all rows.
"""

from ray import tune

SPACE = {"smoothing": tune.loguniform(1e-4, 1.0)}

PORTFOLIO = [{"smoothing": 0.01}, {"smoothing": 0.3}]
