"""How long the boosted families grow."""

from __future__ import annotations

from pipeline.families.base import Config

# Shrinkage and the number of trees trade off as lr x trees = const (Friedman 2001, section 5). The tuned defaults of
# pytabkit (Apache-2.0) grow 1000 trees at 0.04 to 0.08 and stop early; 75 leaves slow starters half as much again.
LEARNING_RATE_TIMES_TREES = 75
FEWEST_TREES, MOST_TREES = 200, 5000
FIRST_RUNG = 1 / 16
PATIENCE = 0.05  # 75 trees at a learning rate of 0.05


def max_trees(config: Config) -> int:
    """Return the most boosting rounds worth growing at the configuration's `learning_rate`."""
    rounds = LEARNING_RATE_TIMES_TREES / config["learning_rate"]
    return int(min(max(rounds, FEWEST_TREES), MOST_TREES))
