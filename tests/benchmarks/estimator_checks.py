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

# Folds by size: where they are given, a class of fewer rows than folds is refused instead of left out.
TINY = {"max_trials": 1, "families": ["linear"], "cpus": 1}
# What cannot hold, and why.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "folds are dealt by rows, and a row of weight 2 is one of them",
}


def main() -> None:
    """Check both, beside one Ray."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as desk:
        os.chdir(desk)
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        for model in (AutoMLClassifier(**TINY), AutoMLRegressor(**TINY)):
            print(type(model).__name__)
            found = check_estimator(model, on_fail=None, callback=tell, expected_failed_checks=EXPECTED)
            print(f"  {dict(Counter(one['status'] for one in found))}")
        ray.shutdown()
        os.chdir("/")


def tell(estimator: object, check_name: str, exception: Exception | None, status: str, **_: object) -> None:
    """Print what a check came to."""
    why = f": {str(exception).strip().splitlines()[0]:.160}" if exception and str(exception).strip() else ""
    print(f"  {status:8} {check_name}{why}", flush=True)


if __name__ == "__main__":
    main()
