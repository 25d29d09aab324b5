"""The losses that models of values may fit.

Each is a word, or a word with a level behind a colon, as in "quantile:0.9". Inside, "mae" is "absolute", "mape" is
"percentage" and "log" is "squared_log".
"""

from __future__ import annotations

import math

from stacktune.errors import ConfigError, nearest

# What models of values fit: the mean of (target - prediction)², of |target - prediction|, of that over |target|, or of
# squares between logarithms of 1 + value;
SQUARED, ABSOLUTE, PERCENTAGE, SQUARED_LOG = "squared", "absolute", "percentage", "squared_log"
# and those that came with --loss.
QUANTILE, HUBER, POISSON, TWEEDIE = "quantile", "huber", "poisson", "tweedie"
# Their predictions are exponentials, and so above zero; what they aim at is the mean, as under squared errors.
LOG_LINK = frozenset({POISSON, TWEEDIE})
# Errors beyond one spread of the target (see families/_output.py) count linearly.
HUBER_DELTA = 1.0

# By the names that users give them, the kinds of losses.
NAMES = {
    "squared": SQUARED,
    "mae": ABSOLUTE,
    "huber": HUBER,
    "log": SQUARED_LOG,
    "mape": PERCENTAGE,
    "poisson": POISSON,
    "quantile": QUANTILE,
    "tweedie": TWEEDIE,
}
# Levels lie between these bounds, which do not belong to them: a Tweedie variance goes with the mean to that power.
LEVELS = {QUANTILE: (0.0, 1.0), TWEEDIE: (1.0, 2.0)}
RULE = "quantile:Q, poisson, tweedie:P, mae, mape, huber, log or squared, e.g. quantile:0.9 or tweedie:1.5"
# The metric that is best under a loss, where it is not given. Huber's loss is for medians of noise with few outliers.
_METRICS = {
    SQUARED: "rmse",
    ABSOLUTE: "mae",
    HUBER: "mae",
    SQUARED_LOG: "rmsle",
    PERCENTAGE: "mape",
    POISSON: "poisson_deviance",
    QUANTILE: "pinball",
    TWEEDIE: "tweedie_deviance",
}


def kind_of(loss: str) -> str:
    """Return a loss without its level."""
    return loss.partition(":")[0]


def level_of(loss: str) -> float:
    """Return a loss's quantile, power or width.

    It is NaN for losses that have none.
    """
    kind, _, level = loss.partition(":")
    return float(level) if level else HUBER_DELTA if kind == HUBER else math.nan


def power_of(loss: str) -> float:
    """Return the variance's power of the mean."""
    return 1.0 if kind_of(loss) == POISSON else level_of(loss)


def loss_of(text: str) -> str:
    """Return the loss that a user's text names.

    Raises ConfigError where it names none, or its level is out of bounds.
    """
    name, colon, level = text.strip().lower().partition(":")
    if name not in NAMES:
        raise ConfigError(f"--loss must be {RULE}, not {text!r}.{nearest(name, NAMES)}")
    kind = NAMES[name]
    if kind not in LEVELS:
        if colon:
            raise ConfigError(f"--loss {name} has no level, but {level!r} is given: leave {':' + level!r} out.")
        return kind
    return f"{kind}:{level_in(level, name, f'--loss {name}'):.12g}"


def level_in(level: str, kind: str, option: str) -> float:
    """Return the number that a level spells.

    Raises ConfigError where it is none, or out of its bounds. option: for people.
    """
    (low, high), example = LEVELS[kind], {QUANTILE: "0.9", TWEEDIE: "1.5"}[kind]
    what = {QUANTILE: "a quantile", TWEEDIE: "a power"}[kind]
    try:
        number = float(level)
    except ValueError:
        number = math.nan
    if not low < number < high:
        given = f"not {level!r}" if level else "which is missing"
        raise ConfigError(f"{option} needs {what} above {low:g} and below {high:g}, {given}: e.g. {option}:{example}.")
    return number


def metric_of(loss: str) -> str:
    """Return the name of a loss's own metric."""
    kind, _, level = loss.partition(":")
    return f"{_METRICS[kind]}:{level}" if level else _METRICS[kind]
