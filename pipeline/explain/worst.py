"""Finds the rows that were predicted worst."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stacktune.ensemble.leader import Leader

N_WORST = 20


def worst_rows(leader: Leader, prediction: np.ndarray, labels: np.ndarray, row_numbers: np.ndarray) -> pd.DataFrame:
    """Return the rows of the largest losses, those first.

    prediction: (n_rows, n_outputs), of rows whose numbers in the table are `row_numbers`. A loss is minus the logarithm
    of the probability of the class that a row is of, or the distance from its value. Of two columns of one name the
    later has "_" behind it.
    """
    if leader.task.is_classification:
        loss = -np.log(np.maximum(prediction[np.arange(len(labels)), labels], np.finfo(np.float64).tiny))
        truth = np.array(leader.task.classes, dtype=object)[labels]
    else:
        loss, truth = np.abs(prediction[:, 0] - labels), labels
    order = np.argsort(-loss, kind="stable")[:N_WORST]
    shown = leader.named(prediction[order], pd.RangeIndex(len(order)))
    told = [("row", row_numbers[order]), *shown.items(), (leader.target_name, truth[order]), ("loss", loss[order])]
    found: dict[str, object] = {}
    for name, values in told:
        while str(name) in found:  # a class may be called as the target is
            name = f"{name}_"
        found[str(name)] = np.asarray(values)
    return pd.DataFrame(found)
