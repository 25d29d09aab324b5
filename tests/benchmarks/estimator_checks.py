"""Put the estimators to scikit-learn's check_estimator, with tiny settings; print what each check came to.

    python tests/benchmarks/estimator_checks.py

It takes some minutes: there are a hundred fits in it.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections import Counter

import ray
from sklearn.utils.estimator_checks import check_estimator

from stacktune import AutoMLClassifier, AutoMLRegressor

TINY = {"max_trials": 1, "families": ["linear"], "folds": 2, "cpus": 1}


def main() -> None:
    """Check both, beside one Ray."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as desk:
        os.chdir(desk)
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        for model in (AutoMLClassifier(**TINY), AutoMLRegressor(**TINY)):
            found = check_estimator(model, on_fail=None)
            print(f"{type(model).__name__}: {dict(Counter(one['status'] for one in found))}")
            for one in found:
                if one["status"] != "passed":
                    print(f"  {one['status']:8} {one['check_name']}: {str(one['exception']).splitlines()[:1]}")
        ray.shutdown()
        os.chdir("/")


if __name__ == "__main__":
    main()
