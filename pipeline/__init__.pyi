from stacktune.api.estimators import AutoMLClassifier as AutoMLClassifier
from stacktune.api.estimators import AutoMLRegressor as AutoMLRegressor
from stacktune.ensemble.leader import Leader as Leader
from stacktune.errors import ConfigError as ConfigError
from stacktune.errors import DataError as DataError
from stacktune.errors import DataWarning as DataWarning
from stacktune.errors import SearchError as SearchError
from stacktune.observers import Observer as Observer
from stacktune.runs.program import run as run
from stacktune.settings.groups import Settings as Settings
from stacktune.settings.read import load_settings as load_settings

__version__: str
