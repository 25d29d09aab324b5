"""CatBoost's `fit` as a coroutine.

On a thread of its own, it stands still at the tree it was told to grow to.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np


class SteppedFit:
    """A fit that grows when told.

    Fitting on with `init_model` gives the same trees, but bins and encodes the rows anew for each chunk: 12 to 40 ms
    for ten trees on tables of 16,000 to 31,000 rows, a sixth to a half of the whole. So `fit` runs once, and what it
    asks for an opinion after each tree is this object, its metric, which makes it wait there.
    """

    def __init__(self, model: Any, train: Any, valid: Any):
        """Prepare to fit a `catboost.CatBoost` on two pools.

        The pools are CatBoost's own; the second must have a row.
        """
        model.set_params(eval_metric=self, od_type="Iter", od_wait=1)
        self._model = model
        self._pools: tuple[Any, ...] = (train, valid)
        self._thread = threading.Thread(target=self._fit, name="catboost", daemon=True)
        self._stands, self._may_go = threading.Semaphore(0), threading.Semaphore(0)
        self._is_train = False
        self._n_trees = self._n_asked = 0
        self._raw = np.empty((0, 0))
        self._ending = self._given_up = False
        self._error: Exception | None = None

    def grow_to(self, n_trees: int) -> np.ndarray:
        """Grow to `n_trees` and return the validation rows' sums.

        The sums are those of the trees' leaves, (n_valid, n_raw) float64.

        Raises what CatBoost raised on its thread.
        """
        self._n_asked = n_trees
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._may_go.release()
        self._stands.acquire()
        if self._n_trees != n_trees:
            raise self._error or RuntimeError("CatBoost's thread ended by itself; its traceback is on stderr")
        return self._raw

    def end(self) -> Any:
        """End the fit and return its model.

        The model may have one tree more than was asked for.
        """
        self._ending = True
        self._may_go.release()
        self._thread.join()
        if self._error:
            raise self._error
        # The model holds its metric, and would keep the pools in memory by it.
        model, self._model, self._pools = self._model, None, ()
        return model

    def give_up(self) -> None:
        """End the fit without a model.

        The call waits until the fit's thread has left CatBoost.
        """
        self._given_up = True
        self._may_go.release()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        self._model, self._pools = None, ()

    def _fit(self) -> None:
        from catboost import CatBoostError

        # It says what keeps numba from compiling the metric.
        warnings.filterwarnings("ignore", category=UserWarning, module="catboost")
        model, (train, valid) = self._model, self._pools
        try:
            model.fit(train, eval_set=valid)
        except CatBoostError as error:
            self._error = error
        finally:
            self._stands.release()

    def evaluate(self, approxes: tuple[np.ndarray, ...], _target: np.ndarray, _weight: Any) -> tuple[float, float]:
        """Stand still if it is time.

        CatBoost asks after each tree, on training rows, then on validation rows.
        """
        self._is_train = not self._is_train
        if self._is_train or self._ending:
            # A fit is ended by telling its overfitting detector that things got worse.
            return -1.0, 1.0
        self._n_trees += 1
        if self._n_trees == self._n_asked:
            self._raw = np.column_stack(approxes)
            self._stands.release()
            self._may_go.acquire()
        if self._given_up:
            raise InterruptedError("the fit was given up")
        return -1.0 if self._ending else float(self._n_trees), 1.0

    @staticmethod
    def is_max_optimal() -> bool:
        """Say that more is better."""
        return True

    @staticmethod
    def get_final_error(error: float, _weight: float) -> float:
        """Say what `evaluate` said."""
        return error

    def __deepcopy__(self, _: Any) -> SteppedFit:
        """Stay the same object in CatBoost's copies of parameters."""
        return self
