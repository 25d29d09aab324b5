"""Runs the command as `python -m stacktune`.

In a checkout that nobody installed, it is `python -m pipeline`.
"""

import os
import sys


def main() -> None:
    """Run the command with the code beside this file."""
    leave_users_files_alone()
    if __package__ != "stacktune":
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "shim"))
    from stacktune.process import begin

    begin()
    from stacktune.cli import main

    return main()


def leave_users_files_alone() -> None:
    """Take the script's or working folder off the path.

    Python puts the folder of the script, or the one that the command stands in, first, and a `csv.py` of the user's
    there would be imported as Python's own. In a job of a Ray cluster Ray names the folder in PYTHONPATH too. What a
    user has put there stays.
    """
    here = _working_folder()
    # With `python -P` and in isolated Pythons the first entry is none of these.
    if not sys.flags.safe_path and sys.path[0] in ("", here, os.path.dirname(os.path.realpath(sys.argv[0]))):
        del sys.path[0]
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        sys.path[:] = [entry for entry in sys.path if entry != here]


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed meanwhile
        return ""


if __name__ == "__main__":
    main()
