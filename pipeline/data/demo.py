"""Holds the table that comes with stacktune."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stacktune.settings.problem import DEMO_TARGET


def demo_frame() -> tuple[pd.DataFrame, str]:
    """Return the demo table and its target's name.

    It is a real table that ships with scikit-learn: 569 breast tumours.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    names = np.asarray(bunch.target_names, dtype=object)
    return bunch.data.assign(**{DEMO_TARGET: names[bunch.target.to_numpy()]}), DEMO_TARGET
