"""stacktune: distributed AutoML for tables on Ray Tune.

MLflow tracks it.
"""

# Relative, as `python -m pipeline` comes here before there is a `stacktune`; and before the folder that it stands in is
# off the path, so that nothing may be imported here but what Python itself has imported.
from .lazy import attach

__version__ = "0.1.0"

# What programs may import from here; __init__.pyi says it once more, for type checkers.
_HOMES = {
    "AutoMLClassifier": "api.estimators",
    "AutoMLRegressor": "api.estimators",
    "ConfigError": "errors",
    "DataError": "errors",
    "DataWarning": "errors",
    "Leader": "ensemble.leader",
    "Observer": "observers",
    "SearchError": "errors",
    "Settings": "settings.groups",
    "load_settings": "settings.read",
    "run": "runs.program",
}
__getattr__, __dir__ = attach(__name__, _HOMES)
