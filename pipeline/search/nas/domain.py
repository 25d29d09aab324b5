"""The domain of architectures in a search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.tune.search.sample import Domain

from stacktune.families.nets.architecture import from_line, to_line
from stacktune.search.nas.children import DEPTH, child_space, random_child


class Architectures(Domain):
    """The domain of architectures made of `parts`.

    Parts are "n_layers", and the values of each token of a layer.
    """

    def __init__(self, parts: Mapping[str, Sequence[Any]]):
        self.parts = parts

    def sample(self, config: Any = None, size: int = 1, random_state: Any = None) -> str:
        """Return a random architecture, each choice equally likely."""
        return random_child(child_space({"architecture": self}), np.random.default_rng(random_state))["architecture"]

    def is_valid(self, value: Any) -> bool:
        """Return whether `value` is an architecture of these parts.

        It must be so as it is written.
        """
        try:
            layers = from_line(str(value))
        except ValueError:
            return False
        kept = all(getattr(layer, name) in self.parts[name] for layer in layers for name in self.parts if name != DEPTH)
        return kept and len(layers) in self.parts[DEPTH] and to_line(layers) == value
