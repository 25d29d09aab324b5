"""stacktune: distributed AutoML for tables on Ray Tune, tracked in MLflow."""

import logging

from .lazy import attach  # relative: `python -m pipeline` comes here before there is a `stacktune`

# Whoever uses this as a library decides whether its log is shown.
logging.getLogger("stacktune").addHandler(logging.NullHandler())

__version__ = "0.1.0"

# What programs may import from here; __init__.pyi says it once more, for type checkers.
_HOMES = {
    "ConfigError": "errors",
    "DataError": "errors",
    "DataWarning": "errors",
    "Leader": "ensemble.leader",
    "SearchError": "errors",
    "Settings": "settings.groups",
    "load_settings": "settings.read",
}
__getattr__, __dir__ = attach(__name__, _HOMES)
